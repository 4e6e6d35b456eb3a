"""Bodies in processes of their own: every effect works from there, and none outlives what it serves (L22)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from remit import Budget, MisuseError, Remit, Retry, process, start_process
from remit.durable import sleep
from tests.laws import isolated_processes as apart
from tests.laws.scene import Victim, open_store, until, wait_until

HERE = [each for each in vars(apart).values() if type(each).__name__ == "Process"]


def _lines(path: Path) -> list[str]:
    return path.read_text().split("\n")[:-1] if path.exists() else []


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z" if Path("/proc").exists() else True


async def _gone(pid: int, seconds: float = 3) -> None:
    async def gone() -> bool:
        return not _alive(pid)

    await until(gone, seconds)


async def _pid_in(path: Path) -> int:
    async def written() -> int:
        lines = _lines(path)
        return int(lines[-1]) if lines else 0

    return int(await until(written))


@pytest.mark.parametrize("warm", [2_000, 0], ids=["warm", "evicted"])
async def test_L22_every_effect_works_from_a_process_of_its_own(tmp_path, monkeypatch, warm: int) -> None:
    path = tmp_path / "notes"
    async with Remit(":memory:", processes=HERE) as app:
        monkeypatch.setattr(app.engine.warm, "_limit", warm)
        execution = await app.start(apart.everything, str(path), tenant="acme")
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT", seconds=8)
        await app.answer(execution.id, {"left": 1, "right": "yes"})
        await app.send(execution.id, "go", {"n": 1})
        outcome = await execution.outcome(timeout=8)
        assert outcome.ok, outcome.error
        seen = outcome.value
        assert seen["pid"] != os.getpid()
        assert seen["sync"] == "everything"
        assert seen["new"] is True
        assert seen["typed"] == ["Pair", 2]
        assert seen["ends"] == ["failed", "not_here", "rejected"]
        assert seen["child"][0].startswith(execution.id)
        assert seen["child"][2:] == [True, True]
        assert (seen["other"], seen["tool"], seen["model"]) == (6, "A-1", "hm!")
        assert (seen["asked"], seen["event"]) == (True, {"n": 1})
        assert _lines(path) == ["async", "sync"]
        record = await app.get(execution.id)
        assert record.progress == {"done": 9}
        assert (record.usage.own.tokens, record.usage.own.cost) == (22, "0.012")
        recorded = {entry.name: entry.result for entry in await app.journal(execution.id) if entry.kind == "value"}
        assert [recorded[name] for name in ("now", "uuid4", "random")][1:] == seen["values"][1:]


async def test_L14_a_child_that_left_memory_and_was_cancelled_is_answered_for(monkeypatch) -> None:
    @process(calls=[apart.hangs_around])
    async def parent(_: int) -> list[Any]:
        child = await start_process(apart.hangs_around, 1)
        await sleep(0.1)
        return [await child.cancel(), (await child.outcome()).status]

    async with Remit(":memory:", processes=[parent, apart.hangs_around]) as app:
        monkeypatch.setattr(app.engine.warm, "_limit", 0)
        execution = await app.start(parent, 1)
        assert (await execution.outcome(timeout=3)).value == [True, "cancelled"]
        cancelled = [entry for entry in await app.journal(execution.id) if entry.name.startswith("cancel ")]
        assert [entry.result for entry in cancelled] == [True]


async def test_L11_an_isolated_body_is_replayed_after_a_restart(tmp_path) -> None:
    path = tmp_path / "notes"
    async with Remit(open_store(tmp_path), processes=HERE) as app:
        execution = await app.start(apart.waits_for_a_word, str(path))
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=HERE) as app:
        await app.answer(execution.id, "swordfish")
        first, unique, word, second, own = (await app.outcome(execution.id, timeout=5)).unwrap()
        assert (word, second) == ("swordfish", own)
        assert first != own
        entries = await app.journal(execution.id)
        assert [entry.result for entry in entries if entry.name == "uuid4"] == [unique]
        assert _lines(path) == ["before", "after"]


async def test_L11_branches_of_an_isolated_body_that_are_at_work_are_no_changed_code(tmp_path) -> None:
    async with Remit(open_store(tmp_path), processes=HERE) as app:
        execution = await app.start(apart.slow_replay, "w")
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=HERE) as app:
        await app.answer(execution.id, True)
        outcome = await app.outcome(execution.id, timeout=5)
        assert outcome.value == 2 + 11 + 101


async def test_L21_the_clock_of_an_isolated_body_runs_while_one_of_its_branches_works() -> None:
    async with Remit(":memory:", processes=HERE) as app:
        outcome = await (await app.start(apart.both_halves, 1)).outcome(timeout=4)
        assert outcome.status == "timed_out"


async def test_L19_L20_L13_failures_of_isolated_bodies_are_those_of_any_body(tmp_path) -> None:
    path = tmp_path / "notes"
    async with Remit(":memory:", processes=HERE) as app:
        cases = [
            (apart.unwraps, 1, "FAILED_CHILD_WORKFLOW", "not_here"),
            (apart.forgets, 1, "FAILED_CHILD_WORKFLOW", "not_here"),
            (apart.aborts, str(path), "FAILED", "disk_gone"),
            (apart.breaks_its_contract, 1, "FAILED", "contract_violation"),
            (apart.exits, 1, "FAILED", "domain_error"),
        ]
        started = [await app.start(target, value) for target, value, _, _ in cases]
        for execution, (target, _, status, code) in zip(started, cases, strict=True):
            outcome = await execution.outcome(timeout=8)
            assert outcome.error is not None
            record = await app.get(execution.id)
            assert (record.status, outcome.error.code, record.attempt) == (status, code, 1), target
        assert _lines(path) == ["step"], "an await that failed SYSTEM never returns"


async def test_L9_L48_L52_keys_generations_groups_and_misuse_from_an_isolated_body(tmp_path) -> None:
    path = tmp_path / "notes"
    async with Remit(":memory:", processes=HERE) as app:
        cases = [
            (apart.counts_down, 2, 0),
            (apart.closed_group, str(path), ["1", "2", "3", "4", "5", "1"]),
            (apart.reserved, "k", [True, "idempotency_conflict"]),
            (apart.refuses, 1, "effect_inside_step"),
        ]
        started = [await app.start(target, value) for target, value, _ in cases]
        for execution, (target, _, value) in zip(started, cases, strict=True):
            outcome = await execution.outcome(timeout=8)
            assert (outcome.value, outcome.error) == (value, None), target
        assert _lines(path) == ["after the group"]


async def test_L11_changed_code_of_an_isolated_body_pauses_it(tmp_path) -> None:
    path = tmp_path / "notes"
    path.write_text("")
    async with Remit(open_store(tmp_path), processes=HERE) as app:
        execution = await app.start(apart.different_now, str(path))
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
    path.write_text("changed\n")
    async with Remit(open_store(tmp_path), processes=HERE) as app:
        await app.answer(execution.id, True)
        record = await wait_until(app, execution.id, "PAUSED")
        assert record.error.code == "code_changed"


async def test_L18_a_process_that_dies_is_tried_again_from_the_journal(tmp_path) -> None:
    path = tmp_path / "notes"
    async with Remit(":memory:", processes=HERE) as app:
        outcome = await (await app.start(apart.dies_once, str(path), retry=Retry(first=0))).outcome(timeout=5)
        assert outcome.value == 2
        assert _lines(path) == ["step", "died"]
        ends = await (await app.start(apart.dies, "exit", retry=Retry(attempts=2, first=0))).outcome(timeout=5)
        assert ends.error is not None
        assert ends.error.code == "retries_exhausted"
        assert "exit status 3" in str(ends.error.message) + str(ends.error.details)


async def test_L18_a_process_killed_from_outside_is_worker_died(tmp_path) -> None:
    path = tmp_path / "pids"
    async with Remit(":memory:", processes=HERE) as app:
        execution = await app.start(apart.tells_its_pid, str(path), retry=Retry(attempts=2, first=0))
        first = await _pid_in(path)
        os.kill(first, signal.SIGKILL)
        await wait_until(app, execution.id, "ACTIVE")

        async def again() -> bool:
            return len(_lines(path)) == 2

        await until(again)
        assert (await app.get(execution.id)).attempt == 2
        second = int(_lines(path)[1])
        assert await app.cancel(execution.id)
        await _gone(second)


async def test_L35_cancel_kills_the_process(tmp_path) -> None:
    path = tmp_path / "pids"
    async with Remit(":memory:", processes=HERE) as app:
        execution = await app.start(apart.tells_its_pid, str(path))
        pid = await _pid_in(path)
        assert await execution.cancel()
        await _gone(pid)
        assert (await execution.outcome(timeout=1)).status == "cancelled"


OWNER = """
    import asyncio, sys
    from remit import Remit
    from tests.laws import isolated_processes as apart

    async def main():
        async with Remit(":memory:", processes=[getattr(apart, sys.argv[1])]) as app:
            await app.start(sys.argv[1], sys.argv[2], ttl="1h")
            print("started", flush=True)
            await asyncio.sleep(60)

    if __name__ == "__main__":
        asyncio.run(main())
"""


@pytest.mark.parametrize("name", ["tells_its_pid", "holds_the_gil", "spins_in_a_step"])
async def test_L22_what_runs_apart_ends_with_the_engine_that_was_killed(tmp_path, name: str) -> None:
    path = tmp_path / "pids"
    owner = Victim(tmp_path / "owner.py", OWNER, name, str(path))
    try:
        assert owner.says() == "started"
        pid = await _pid_in(path)
        owner.kill()
        try:
            await _gone(pid)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    finally:
        owner.kill()


async def test_L26_a_budget_refuses_inside_an_isolated_body() -> None:
    async with Remit(":memory:", processes=HERE) as app:
        tight = await (await app.start(apart.overspends, 1, budget=Budget(tokens=50))).outcome(timeout=5)
        assert tight.value == "budget_exhausted"
        assert tight.usage.own.tokens == 0


async def test_L30_log_lines_of_an_isolated_body_carry_its_trace_and_no_secret(caplog) -> None:
    caplog.set_level(logging.INFO)
    async with Remit(":memory:", processes=HERE) as app:
        execution = await app.start(apart.logs, 1, tenant="acme")
        assert (await execution.outcome(timeout=5)).ok
    lines = [record for record in caplog.records if record.name == "sample.isolated"]
    assert [(line.levelname, line.execution_id, line.tenant, line.process) for line in lines] == [
        ("INFO", execution.id, "acme", "logs"),
        ("WARNING", execution.id, "acme", "logs"),
    ]
    assert lines[0].getMessage().startswith("a key: ")
    assert "a1B2c3D4" not in lines[0].getMessage()


async def test_L30_L22_what_an_isolated_step_logs_and_writes_is_not_lost_and_disturbs_nothing(caplog, capfd) -> None:
    async with Remit(":memory:", processes=HERE) as app:
        execution = await app.start(apart.has_a_step_that_starts_a_program, "x", tenant="acme")
        assert (await execution.outcome(timeout=10)).value == ["exit status 0", ""]
    (line,) = [record for record in caplog.records if record.name == "sample.isolated"]
    assert (line.levelname, line.execution_id, line.tenant) == ("WARNING", execution.id, "acme")
    assert "a1B2c3D4" not in line.getMessage()
    written = capfd.readouterr()
    assert written.out == "printed\nfrom a program\n"
    assert len(written.err) == 300_000


async def test_L22_processes_that_ran_steps_end_with_their_engine_and_are_used_again_until_then(tmp_path) -> None:
    async with Remit(":memory:", processes=HERE) as app:
        pids = {(await (await app.start(apart.tells_where_its_step_ran, n)).outcome(timeout=10)).unwrap() for n in range(3)}
        (pid,) = pids
        assert _alive(pid)
    assert not _alive(pid)


async def test_L35_a_step_that_an_isolated_body_stops_waiting_for_is_stopped(tmp_path) -> None:
    path = tmp_path / "notes"
    async with Remit(":memory:", processes=HERE) as app:
        outcome = await (await app.start(apart.leaves_a_step, str(path))).outcome(timeout=5)
        assert (outcome.value, outcome.error) == ("went on", None)
        assert _lines(path) == ["left"]


async def test_L48_isolation_of_what_another_process_cannot_find_says_how_to_mend_it() -> None:
    @process(isolation="process")
    async def hidden(_: int) -> int:
        return 1

    async with Remit(":memory:", processes=[hidden]) as app:
        outcome = await (await app.start(hidden, 1)).outcome(timeout=3)
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.error_class) == ("bad_definition", "DOMAIN")
        assert "top level of a module" in outcome.error.message


SCRIPT = """
    import sys, time
    import remit
    from remit import process, step
    print("imported", flush=True)

    @step(isolation="process")
    def apart_step(_: int) -> int:
        return 1

    @process(isolation="process")
    async def apart_body(_: int) -> int:
        return 1

    @process
    async def with_step(_: int) -> int:
        return await apart_step(1)

    @process
    async def blocks(_: int) -> int:
        time.sleep(0.2)
        return 1

    outcome = remit.run(globals()[sys.argv[1]], 1)
    print("value", outcome.value, outcome.error.message if outcome.error else None, flush=True)
"""


@pytest.mark.parametrize(
    ("name", "ends"), [("apart_body", "__main__"), ("with_step", "__main__"), ("blocks", "value 1 None")]
)
def test_L22_a_script_that_guards_nothing_gets_an_answer_and_starts_no_helpers_without_end(
    tmp_path, name: str, ends: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    began = time.monotonic()
    done = subprocess.run([sys.executable, str(script), name], capture_output=True, text=True, timeout=15, check=False)
    assert ends in done.stdout, done
    assert done.stdout.count("imported") <= 2, done
    assert time.monotonic() - began < 10


async def test_L22_a_process_that_imports_the_script_does_not_open_a_store() -> None:
    source = "import asyncio\nfrom remit import Remit\nasync def main():\n    async with Remit(':memory:'): pass\nasyncio.run(main())"
    code = compile(source, "script.py", "exec")
    result: list[BaseException] = []

    def imported() -> None:
        try:
            exec(code, {"__name__": "__mp_main__"})  # as a helper process runs a script
        except MisuseError as error:
            result.append(error)

    await asyncio.to_thread(imported)
    assert "__main__" in str(result[0])

"""Acknowledged means durable, a recorded step never runs again, one owner at a time (L21, L23, L46, L47)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

import pytest

from remit import DomainError, MisuseError, Remit, StoreError, StoreOwned, ask, call_process, process, step
from remit.durable import sleep
from remit.kernel import lease
from tests.laws.scene import Victim, every, look_at, open_store, status, until, wait_until

SOURCE = """
    import asyncio, os, sys, time
    from pathlib import Path
    from remit import Remit, ask, call_process, process, step

    here = Path(sys.argv[1])
    role = sys.argv[2]

    @step
    async def note(line: str) -> int:
        with (here / "notes").open("a") as notes:
            notes.write(line + "\\n")
        return os.getpid()

    @step
    async def hang(line: str) -> int:
        pid = await note.definition.function(line)
        if role != "heir":
            print("hanging", flush=True)
            await asyncio.sleep(60)
        return pid

    @step(at_most_once=True)
    async def hang_once(line: str) -> int:
        return await hang.definition.function(line)

    @process("child")
    async def child(_: int) -> int:
        return await note("child")

    @process("job", calls=[child])
    async def job(how: str) -> str:
        await note("first")
        (await call_process(child, 1)).unwrap()
        if how == "asks":
            await note(await ask(str, name="word"))
            await asyncio.sleep(30)
        elif how == "once":
            await hang_once("hung")
        else:
            await hang("hung")
        await note("last")
        return how

    async def main():
        async with Remit(f"sqlite:///{here / 'remit.db'}", processes=[job, child]) as app:
            if role in ("idle", "heir"):
                print("open", flush=True)
                await asyncio.sleep(60)
            execution = await app.start(job, "asks" if role == "answers" else role, key="the job")
            os.write(1, f"{execution.id}\\n".encode())
            if role == "answers":
                while (await app.get(execution.id)).status != "WAITING_HUMAN_INPUT":
                    await asyncio.sleep(0.01)
                await app.answer(execution.id, "plugh")
                os.write(1, b"answered\\n")
            await asyncio.sleep(60)

    if __name__ == "__main__":
        asyncio.run(main())
    """


@pytest.fixture
def victim(tmp_path):
    """Starts the program in a role; whatever still runs at the end of the test is killed."""
    started: list[Victim] = []

    def start(role: str) -> Victim:
        started.append(Victim(tmp_path / f"victim_{len(started)}.py", SOURCE, str(tmp_path), role))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@step
async def note(line: str) -> int:  # parameters are part of what a step records
    return os.getpid()


@step
async def hang(line: str) -> int:
    return os.getpid()


@step(at_most_once=True)
async def hang_once(line: str) -> int:
    raise AssertionError(f"an at-most-once step ran again: {line}")


@process("child")
async def child(_: int) -> int:
    return await note("child")


@process("job", calls=[child])
async def job(how: str) -> str:
    await note("first")
    (await call_process(child, 1)).unwrap()
    if how == "asks":
        await note(await ask(str, name="word"))
        return how
    if how == "once":
        try:
            await hang_once("hung")
        except DomainError as error:
            return f"{error.code} {error.error_class}"
    await hang("hung")
    await note("last")
    return how


JOBS = [job, child]


async def test_L46_a_start_that_returned_survives_kill_9_and_its_key_finds_it_again(tmp_path, victim) -> None:
    killed = victim("start")
    execution_id = killed.says()
    killed.kill()
    async with Remit(open_store(tmp_path), processes=JOBS) as app:
        assert (await app.get(execution_id)).input == "start"
        again = await app.start(job, "start", key="the job")
        assert (again.id, again.new) == (execution_id, False)
        assert (await again.outcome(timeout=3)).value == "start"


async def test_L46_an_answer_that_returned_survives_kill_9(tmp_path, victim) -> None:
    killed = victim("answers")
    execution_id = killed.says()
    assert killed.says() == "answered"
    killed.kill()
    async with Remit(open_store(tmp_path), processes=JOBS) as app:
        assert (await app.outcome(execution_id, timeout=3)).value == "asks"
        with pytest.raises(MisuseError) as refused:
            await app.answer(execution_id, "another")
        assert refused.value.code == "already_answered"
        [answered] = [entry for entry in await app.journal(execution_id) if entry.kind == "ask"]
        assert answered.result == "plugh"


async def test_L46_L47_a_step_the_world_saw_is_known_and_a_recorded_one_never_runs_again(tmp_path, victim) -> None:
    killed = victim("hangs")
    execution_id = killed.says()
    assert killed.says() == "hanging"
    killed.kill()
    rows = look_at(
        tmp_path, "SELECT name, ended_at IS NULL FROM journal WHERE kind = 'step' ORDER BY position, execution_n"
    )
    assert sorted(rows) == [("hang", 1), ("note", 0), ("note", 0)]
    heir = victim("heir")
    heir.says()

    def noted() -> list[str]:
        return (tmp_path / "notes").read_text().split()

    async def finished() -> bool:
        return look_at(
            tmp_path, "SELECT count(*) FROM executions WHERE status = 'COMPLETED' AND id = ?", execution_id
        ) == [(1,)]

    await until(finished)
    # At least once for the step that was running, never again for those that were recorded, the child's among them.
    assert [noted().count(line) for line in ("first", "child", "hung", "last")] == [1, 1, 2, 1]


async def test_L47_an_at_most_once_step_found_running_is_reported_as_interrupted(tmp_path, victim) -> None:
    killed = victim("once")
    execution_id = killed.says()
    assert killed.says() == "hanging"
    killed.kill()
    async with Remit(open_store(tmp_path), processes=JOBS) as app:
        assert (await app.outcome(execution_id, timeout=3)).value == "interrupted DOMAIN"
        [entry] = [entry for entry in await app.journal(execution_id) if entry.name == "hang_once"]
        assert entry.error.code == "interrupted"


async def test_L46_reads_show_only_what_is_durable(tmp_path, monkeypatch) -> None:
    """While the disk refuses, nothing new is seen: not by reads, not by waiters; then all of it is."""

    @process("plain")
    async def plain(_: int) -> int:
        return 1

    async with Remit(open_store(tmp_path), processes=[plain]) as app:
        commit = app.engine.store.commit

        def refuse(_batch) -> None:
            raise StoreError("the disk takes nothing")

        monkeypatch.setattr(app.engine.store, "commit", refuse)
        starting = asyncio.ensure_future(app.start(plain, 1))
        await asyncio.sleep(0.1)
        assert not starting.done()
        assert await app.list() == []
        monkeypatch.setattr(app.engine.store, "commit", commit)
        execution = await asyncio.wait_for(starting, 2)
        assert (await execution.outcome(timeout=3)).value == 1


async def test_L46_a_step_does_not_start_before_what_precedes_it_is_durable(tmp_path) -> None:
    seen = []

    @step
    async def peek() -> None:
        seen.extend(
            look_at(
                tmp_path,
                "SELECT e.id, e.input, j.name, j.ended_at FROM executions e JOIN journal j ON j.execution_n = e.n",
            )
        )

    @process("peeks")
    async def peeks(_: int) -> None:
        await peek()

    @process("calls_it", calls=[peeks])
    async def calls_it(_: int) -> None:
        (await call_process(peeks, 7)).unwrap()

    async with Remit(open_store(tmp_path), processes=[peeks, calls_it]) as app:
        execution = await app.start(calls_it, 1)
        await execution.outcome(timeout=3)
        assert seen == [(execution.id + ".1", b"7", "peek", None)]


async def test_L46_timers_and_waits_survive_a_restart(tmp_path) -> None:
    @process("naps")
    async def naps(_: int) -> str:
        await sleep(0.5)
        return "rested"

    @process("naps_above", calls=[naps])
    async def naps_above(_: int) -> str:
        return (await call_process(naps, 1)).unwrap()

    began = time.monotonic()
    async with Remit(open_store(tmp_path), processes=[naps, naps_above]) as app:
        execution = await app.start(naps_above, 1)
        await wait_until(app, execution.id + ".1", "PENDING_ASYNC")
    async with Remit(open_store(tmp_path), processes=[naps, naps_above]) as app:
        assert (await app.outcome(execution.id, timeout=3)).value == "rested"
        assert 0.45 < time.monotonic() - began < 1.5


# -- who owns the store ------------------------------------------------------------------------------------------------


async def test_L21_a_second_opener_is_told_by_whom_the_store_is_driven_and_changes_nothing(tmp_path) -> None:
    async with Remit(open_store(tmp_path), processes=JOBS) as app:
        before = look_at(tmp_path, "SELECT * FROM ownership")
        with pytest.raises(StoreOwned) as refused:
            async with Remit(open_store(tmp_path), processes=JOBS):
                raise AssertionError("two owners")
        assert refused.value.code == "store_owned"
        assert f"process {os.getpid()}" in str(refused.value)
        assert refused.value.details["owner"] == before[0][2]
        assert look_at(tmp_path, "SELECT * FROM ownership") == before
        assert (await (await app.start(job, "x")).outcome(timeout=3)).value == "x"


async def test_L21_a_second_opener_by_another_path_is_told_too(tmp_path) -> None:
    (tmp_path / "link.db").symlink_to("remit.db")
    (tmp_path / "to").symlink_to(tmp_path)
    async with Remit(open_store(tmp_path), processes=JOBS):
        for other in (f"sqlite:///{tmp_path}/link.db", f"sqlite:///{tmp_path}/to/remit.db"):
            with pytest.raises(StoreOwned):
                async with Remit(other, processes=JOBS):
                    raise AssertionError("two owners")


async def test_L46_a_second_opening_in_the_same_program_costs_no_acknowledged_work(tmp_path) -> None:
    """To close a file drops all locks of the program on it: then whoever looks at it deletes the log that is written to."""
    look = "import sqlite3, sys; at = sqlite3.connect(sys.argv[1]); print(*at.execute('SELECT count(*) FROM executions').fetchone())"

    async def executions_that_others_see() -> bytes:
        asked = await asyncio.create_subprocess_exec(
            sys.executable, "-c", look, str(tmp_path / "remit.db"), stdout=asyncio.subprocess.PIPE
        )
        return (await asked.communicate())[0].strip()

    async with Remit(open_store(tmp_path), processes=JOBS) as app:
        await (await app.start(job, "x")).outcome(timeout=3)
        with pytest.raises(StoreOwned):
            async with Remit(open_store(tmp_path), processes=JOBS):
                raise AssertionError("two owners")
        assert await executions_that_others_see() == b"2"
        await (await app.start(job, "x")).outcome(timeout=3)
        assert await executions_that_others_see() == b"4"


async def test_an_empty_file_that_was_there_is_its_owners_alone_from_then_on(tmp_path) -> None:
    (tmp_path / "remit.db").touch(0o644)
    async with Remit(open_store(tmp_path), processes=JOBS):
        assert (tmp_path / "remit.db").stat().st_mode & 0o777 == 0o600


async def test_L21_a_dead_owners_store_is_taken_over_at_once_and_a_closed_ones_too(tmp_path, victim) -> None:
    owner = victim("idle")
    assert owner.says() == "open"
    with pytest.raises(StoreOwned) as refused:
        async with Remit(open_store(tmp_path), processes=JOBS):
            raise AssertionError("two owners")
    assert f"process {owner.pid} " in str(refused.value)
    owner.kill()
    for _ in range(2):
        began = time.monotonic()
        async with Remit(open_store(tmp_path), processes=JOBS) as app:
            assert time.monotonic() - began < 1
            assert (await (await app.start(job, "x")).outcome(timeout=3)).value == "x"


async def test_L21_L23_a_stalled_owners_lapsed_claim_is_taken_over_and_the_old_owner_is_fenced(
    tmp_path, victim, monkeypatch
) -> None:
    owner = victim("hangs")
    execution_id = owner.says()
    assert owner.says() == "hanging"
    owner.send(signal.SIGSTOP)
    try:
        with pytest.raises(StoreOwned):
            async with Remit(open_store(tmp_path), processes=JOBS):
                raise AssertionError("two owners")
        monkeypatch.setattr(lease, "CLAIM_MS", 300)
        await asyncio.sleep(0.35)
        async with Remit(open_store(tmp_path), processes=JOBS) as app:
            monkeypatch.setattr(lease, "CLAIM_MS", 30_000)
            assert (await app.outcome(execution_id, timeout=3)).value == "hangs"
            finished = await every(app, execution_id)
            owner.send(signal.SIGCONT)
            await asyncio.sleep(0.4)
            assert await every(app, execution_id) == finished
            # The old owner's death lets nobody else in: this one still drives the store.
            owner.kill()
            with pytest.raises(StoreOwned):
                async with Remit(open_store(tmp_path), processes=JOBS):
                    raise AssertionError("two owners")
    finally:
        owner.send(signal.SIGCONT)


async def test_L23_a_fenced_owner_writes_nothing_more_and_says_so(tmp_path) -> None:
    async with Remit(open_store(tmp_path), processes=JOBS) as app:
        execution = await app.start(job, "asks")
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        waiting = asyncio.ensure_future(execution.outcome())
        await asyncio.sleep(0)
        app.engine.store._ownership.epoch -= 1  # as if another had taken over
        before = (
            look_at(tmp_path, "SELECT * FROM executions ORDER BY n"),
            look_at(tmp_path, "SELECT count(*) FROM journal"),
        )
        for act in (lambda: app.start(job, "x"), lambda: app.cancel(execution.id), lambda: app.start(job, "y")):
            with pytest.raises(StoreError) as refused:
                await asyncio.wait_for(act(), 2)
            assert refused.value.code == "fenced"
        with pytest.raises(StoreError) as told:
            await asyncio.wait_for(waiting, 2)
        assert told.value.code == "fenced"
        after = (
            look_at(tmp_path, "SELECT * FROM executions ORDER BY n"),
            look_at(tmp_path, "SELECT count(*) FROM journal"),
        )
        assert after == before
        assert await status(app, execution.id) == "WAITING_HUMAN_INPUT"


async def test_L37_L46_a_compensation_finds_its_own_intent_and_the_end_of_the_one_before_it_on_disk(tmp_path) -> None:
    on_disk: list[tuple[int, int]] = []
    query = "SELECT count(*), count(ended_at) FROM journal WHERE kind = 'compensation'"

    async def take_back(_result: str, _what: str) -> None:
        on_disk.extend(look_at(tmp_path, query))

    @step(compensate=take_back)
    async def take(what: str) -> str:
        return what

    @process("taker", saga=True)
    async def taker(_: int) -> None:
        for what in ("one", "two", "three"):
            await take(what)
        raise DomainError("all for nothing")

    async with Remit(open_store(tmp_path), processes=[taker]) as app:
        execution = await app.start(taker, 1)
        await app.compensated(execution.id, timeout=5)
    assert on_disk == [(1, 0), (2, 1), (3, 2)]


async def test_L47_many_executions_are_recovered_in_a_few_commits(tmp_path) -> None:
    gate, held, all_held = asyncio.Event(), set(), asyncio.Event()

    @step
    async def first(number: int) -> int:
        return number

    @process("held_up")
    async def held_up(number: int) -> int:
        held.add(await first(number))
        if len(held) == 60:
            all_held.set()
        await gate.wait()
        return number

    async with Remit(open_store(tmp_path), processes=[held_up]) as app:
        ids = [(await app.start(held_up, number)).id for number in range(60)]
        await asyncio.wait_for(all_held.wait(), 10)
    gate.set()
    async with Remit(open_store(tmp_path), processes=[held_up]) as app:
        assert app.engine.durability.commits < 10
        assert [(await app.outcome(id_, 20)).unwrap() for id_ in ids] == list(range(60))

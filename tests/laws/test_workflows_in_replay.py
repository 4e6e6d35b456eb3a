"""What the steps of workflows did is the same in every life of an execution: replayed, killed, left (L11, L21, L47)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remit import Process, Remit, process
from remit.workflows import StartSubWorkflowDirective, StepContext
from tests.laws.killed_workflows import hosted
from tests.laws.scene import Victim, open_store, wait_until
from tests.workflows.making import compiled

runs: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    runs.clear()


def counting(name: str) -> Callable[..., dict[str, Any]]:
    """A step function that counts its runs."""

    def count(state: Any, context: StepContext) -> dict[str, Any]:
        runs[name] += 1
        return {name: True}

    return count


# -- L11, L47: what a step did is replayed, whatever it did -----------------------------------------------------------


async def test_L11_what_steps_did_is_the_same_in_replay(tmp_path: Path) -> None:
    seen: list[Any] = []

    def change(state: Any) -> dict[str, Any]:
        runs["change"] += 1
        state.lines.append({"n": runs["change"]})
        return {"total": 1.5}

    def start(state: Any) -> None:
        runs["start"] += 1
        state.started = True
        raise StartSubWorkflowDirective("child", {"n": 1}, result={"from": "start"})

    def task(name: str) -> Callable[..., dict[str, Any]]:
        def work(state: Any) -> dict[str, Any]:
            runs[name] += 1
            return {name: state.total}

        return work

    def look(state: Any, context: StepContext) -> dict[str, Any]:
        seen.append((state.model_dump(), context.previous_step_result))
        return {}

    async def child(given: dict[str, int]) -> dict[str, int]:
        return {"got": given["n"]}

    def flow() -> Process[Any, Any]:
        return compiled(
            "flow",
            {"name": "Change", "function": change},
            {"name": "Start", "function": start},
            {"name": "Together", "type": "PARALLEL",
             "tasks": [{"name": name, "function": task(name)} for name in ("one", "two")]},
            {"name": "Loop", "type": "LOOP", "mode": "ITERATE", "iterate_over": "lines", "max_iterations": 5,
             "loop_body": [{"name": "Each", "function": task("each")}]},
            {"name": "Wait", "type": "WAIT", "duration": "{{ state.pause }}"},
            {"name": "Look", "function": look},
            calls=["child"],
        )  # fmt: skip

    for pause in (0, 0.3):
        url = open_store(tmp_path / str(pause))
        (tmp_path / str(pause)).mkdir()
        runs.clear()
        async with Remit(url, processes=[flow(), process("child")(child)]) as app:
            execution = await app.start("flow", {"lines": [], "pause": pause})
            if not pause:
                assert (await execution.outcome(timeout=5)).ok
            else:
                await wait_until(app, execution.id, "PENDING_ASYNC")
        async with Remit(url, processes=[flow(), process("child")(child)]) as app:
            assert (await app.outcome(execution.id, timeout=5)).ok
        assert runs == {"change": 1, "start": 1, "one": 1, "two": 1, "each": 1}
    (live, live_previous), (replayed, replayed_previous) = seen
    assert {**live, "pause": None} == {**replayed, "pause": None}
    assert live_previous == replayed_previous
    assert live["sub_workflow_results"] == {"Start": {"got": 1}, "child": {"got": 1}}


KILLED = """
    import asyncio, sys
    from pathlib import Path
    from remit import Remit
    from tests.laws.killed_workflows import hosted
    from tests.laws.scene import wait_until

    async def main() -> None:
        async with Remit(sys.argv[1], processes=hosted(Path(sys.argv[2]))) as app:
            found = await app.list(process="parent")
            root = found[0].execution_id if found else (await app.start("parent", {})).id
            await wait_until(app, root, "WAITING_CHILD_HUMAN_INPUT")
            print(root, flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
"""


async def test_L47_after_a_kill_no_step_that_was_recorded_runs_again(tmp_path: Path) -> None:
    url, notes = open_store(tmp_path), tmp_path / "notes.txt"
    root = ""
    for _ in range(2):
        victim = Victim(tmp_path / "victim.py", KILLED, url, str(notes))
        root = victim.says()
        victim.kill()
    async with Remit(url, processes=hosted(notes)) as app:
        await app.answer(root, {"word": "sesame"})
        found = (await app.outcome(root, timeout=5)).unwrap()
    words = [found["children"][f"task{number}"]["word"] for number in range(3)]
    assert (found["seen"], words) == (["before", "after"], ["none", "sesame", "none"])
    ran = Counter(notes.read_text().splitlines())
    assert ran == Counter(["before", "after", *(f"{what} {n}" for what in ("start", "child") for n in range(3))])


# -- L33: an ASYNC step ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crashes", [False, True])
async def test_L33_an_async_step_shows_as_pending_and_its_time_counts(crashes: bool, tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def work(state: Any) -> dict[str, Any]:
        runs["work"] += 1
        await gate.wait()
        return {"worked": True}

    child = compiled(
        "child", {"name": "Work", "type": "ASYNC", "function": work}, {"name": "End", "function": counting("end")}
    )
    hosted = [compiled("top", {"name": "Call", "type": "SUB_WORKFLOW", "sub_workflow_type": "child"}), child]
    url = open_store(tmp_path)
    async with Remit(url, processes=hosted) as app:
        execution = await app.start("top", {})
        below = await wait_until(app, f"{execution.id}.1", "PENDING_ASYNC")
        assert (below.current_step, str((await app.get(execution.id)).status)) == ("Work", "PENDING_SUB_WORKFLOW")
        assert app.engine.traces.nodes[below.execution_id].ticking
        if not crashes:
            gate.set()
            assert (await execution.outcome(timeout=5)).ok
            assert (await app.get(below.execution_id)).status == "COMPLETED"
            assert runs == {"work": 1, "end": 1}
            return
    async with Remit(url, processes=hosted) as app:
        gate.set()
        assert (await app.outcome(execution.id, timeout=5)).ok
        assert runs == {"work": 2, "end": 1}


async def test_L22_an_async_step_that_takes_too_long_is_timed_out() -> None:
    async def work(state: Any) -> None:
        await asyncio.sleep(30)

    flow = compiled("flow", {"name": "Work", "type": "ASYNC", "function": work}, ttl=0.2)
    async with Remit(":memory:", processes=[flow]) as app:
        assert (await (await app.start(flow, {})).outcome(timeout=5)).status == "timed_out"


# -- L47: what a branch left is not run again --------------------------------------------------------------------------


async def test_L47_a_step_that_was_left_when_its_time_was_up_is_not_run_again_in_replay(tmp_path: Path) -> None:
    async def slow(state: Any) -> None:
        runs["slow"] += 1
        await asyncio.sleep(30)

    together = {"name": "Together", "type": "PARALLEL", "timeout": 0.1, "allow_partial_success": True,
                "tasks": [{"name": "slow", "function": slow}, {"name": "quick", "function": counting("quick")}]}  # fmt: skip
    hosted = [compiled("flow", together, {"name": "Ask", "type": "HUMAN_IN_LOOP"})]
    url = open_store(tmp_path)
    async with Remit(url, processes=hosted) as app:
        execution = await app.start("flow", {})
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
    for _ in range(2):
        async with Remit(url, processes=hosted) as app:
            await asyncio.sleep(0.05)
    async with Remit(url, processes=hosted) as app:
        await app.answer(execution.id, {"yes": True})
        found = (await app.outcome(execution.id, timeout=5)).unwrap()
    assert list(found["step_failures"]) == ["Together.slow"]
    assert runs == {"slow": 1, "quick": 1}

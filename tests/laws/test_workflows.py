"""Workflows and processes call each other, and every law holds at each level whichever of the two stands there (L32-L37)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from remit import DomainError, Process, Remit, ask, call_process, process, step
from remit.workflows import StartSubWorkflowDirective, StepContext
from tests.laws.killed_workflows import hosted
from tests.laws.scene import Victim, every, open_store, wait_until
from tests.workflows.making import compiled

runs: Counter[str] = Counter()
broken: set[str] = set()

LEVELS = ("top", "middle", "leaf")
KINDS = ("process", "workflow")
TOWERS = list(product(KINDS, repeat=3))
PAIRINGS = list(product(KINDS, repeat=2))


@pytest.fixture(autouse=True)
def _fresh() -> None:
    runs.clear()
    broken.clear()


@step
async def counted(name: str) -> str:
    runs[name] += 1
    if name in broken:
        raise DomainError("out_of_order")
    return name


def counting(name: str) -> Callable[..., dict[str, Any]]:
    """The same as a step function of a workflow."""

    def count(state: Any, context: StepContext) -> dict[str, Any]:
        runs[name] += 1
        if name in broken:
            raise DomainError("out_of_order")
        return {name.replace(" ", "_"): True}

    return count


def caller(kind: str, name: str, callee: str) -> Process[Any, Any]:
    """A step, a call, a step."""
    if kind == "workflow":

        def call(state: Any) -> None:
            runs[f"{name} calls"] += 1
            raise StartSubWorkflowDirective(callee, {"n": state.n + 1})

        return compiled(
            name,
            {"name": "Before", "function": counting(f"{name} before")},
            {"name": "Call", "function": call},
            {"name": "After", "function": counting(f"{name} after")},
            calls=[callee],
            result={"below": "state.sub_workflow_results.Call", "n": "state.n"},
        )

    async def body(given: dict[str, int]) -> dict[str, Any]:
        await counted(f"{name} before")
        below = (await call_process(callee, {"n": given["n"] + 1})).unwrap()
        await counted(f"{name} after")
        return {"below": below, "n": given["n"]}

    return process(name, calls=[callee])(body)


def leaf(kind: str, waits: bool) -> Process[Any, Any]:
    """A step, a question where it waits, a step."""
    if kind == "workflow":
        human = [{"name": "word", "type": "HUMAN_IN_LOOP", "prompt": "The word?"}] if waits else []
        return compiled(
            "leaf",
            {"name": "Before", "function": counting("leaf before")},
            *human,
            {"name": "After", "function": counting("leaf after")},
            result={"said": "state.said", "n": "state.n"} if waits else {"n": "state.n"},
        )

    async def body(given: dict[str, int]) -> dict[str, Any]:
        await counted("leaf before")
        said = (await ask(dict[str, str], name="word"))["said"] if waits else None
        await counted("leaf after")
        return {"said": said, "n": given["n"]} if waits else {"n": given["n"]}

    return process("leaf")(body)


def tower(kinds: tuple[str, ...], *, waits: bool) -> list[Process[Any, Any]]:
    """Three levels, each calling the next."""
    top, middle, bottom = kinds
    return [caller(top, "top", "middle"), caller(middle, "middle", "leaf"), leaf(bottom, waits)]


def once(*names: str) -> dict[str, int]:
    """These ran once each; the functions that raise a directive are counted apart."""
    return dict.fromkeys(names, 1)


def counted_runs() -> dict[str, int]:
    """What ran, without the functions that only call."""
    return {name: count for name, count in runs.items() if not name.endswith(" calls")}


ALL_STEPS = [f"{level} {place}" for level in LEVELS for place in ("before", "after")]


# -- L33: a leaf that waits shows on every ancestor, and the answer resumes all --------------------------------------


@pytest.mark.parametrize("evicted", [False, True], ids=["in memory", "evicted"])
@pytest.mark.parametrize("at", ["leaf", "root"])
@pytest.mark.parametrize("kinds", TOWERS, ids="-".join)
async def test_L33_a_waiting_leaf_shows_on_every_ancestor_and_the_answer_resumes_all(
    kinds: tuple[str, ...], at: str, evicted: bool, tmp_path: Path
) -> None:
    hosted, url = tower(kinds, waits=True), open_store(tmp_path)
    async with Remit(url, processes=hosted) as app:
        execution = await app.start("top", {"n": 1})
        await wait_until(app, execution.id, "WAITING_CHILD_HUMAN_INPUT")
        if not evicted:
            await _answered(app, execution.id, at)
            return
    async with Remit(url, processes=hosted) as app:
        await _answered(app, execution.id, at)


async def _answered(app: Remit, root_id: str, at: str) -> None:
    shown = {place: str(record.status) for place, record in (await every(app, root_id)).items()}
    assert shown == {"": "WAITING_CHILD_HUMAN_INPUT", ".1": "WAITING_CHILD_HUMAN_INPUT", ".1.1": "WAITING_HUMAN_INPUT"}
    waiting = (await app.get(root_id)).waiting_on
    assert (waiting.count, [each["execution_id"] for each in waiting.first]) == (1, [f"{root_id}.1"])
    await app.answer(root_id if at == "root" else f"{root_id}.1.1", {"said": "sesame"})
    outcome = await app.outcome(root_id, timeout=5)
    assert outcome.unwrap() == {"n": 1, "below": {"n": 2, "below": {"n": 3, "said": "sesame"}}}
    assert {str(record.status) for record in (await every(app, root_id)).values()} == {"COMPLETED"}
    assert counted_runs() == once(*ALL_STEPS)
    assert all(count == 1 for count in runs.values())


@pytest.mark.parametrize("kinds", PAIRINGS, ids="-".join)
async def test_L33_while_a_child_runs_its_parent_shows_that_it_waits_for_it(kinds: tuple[str, str]) -> None:
    gate = asyncio.Event()

    async def held(state: Any) -> dict[str, Any]:
        await gate.wait()
        return {}

    @step
    async def hold() -> None:
        await gate.wait()

    async def body(given: dict[str, int]) -> dict[str, Any]:
        await hold()
        return given

    child = compiled("leaf", {"name": "Hold", "function": held}) if kinds[1] == "workflow" else process("leaf")(body)
    async with Remit(":memory:", processes=[caller(kinds[0], "top", "leaf"), child]) as app:
        execution = await app.start("top", {"n": 1})
        await wait_until(app, execution.id, "PENDING_SUB_WORKFLOW")
        assert (await app.get(f"{execution.id}.1")).status == "ACTIVE"
        gate.set()
        assert (await execution.outcome(timeout=5)).ok


# -- L19, L34: a leaf that fails reaches the root, which is retried ---------------------------------------------------


@pytest.mark.parametrize("reopened", [False, True], ids=["in memory", "reopened"])
@pytest.mark.parametrize("kinds", TOWERS, ids="-".join)
async def test_L34_a_failing_leaf_reaches_the_root_and_a_retry_repeats_no_finished_step(
    kinds: tuple[str, ...], reopened: bool, tmp_path: Path
) -> None:
    hosted, url = tower(kinds, waits=False), open_store(tmp_path)
    broken.add("leaf after")
    async with Remit(url, processes=hosted) as app:
        execution = await app.start("top", {"n": 1})
        outcome = await execution.outcome(timeout=5)
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.origin) == ("out_of_order", f"{execution.id}.1.1")
        shown = {place: str(record.status) for place, record in (await every(app, execution.id)).items()}
        assert shown == {"": "FAILED_CHILD_WORKFLOW", ".1": "FAILED_CHILD_WORKFLOW", ".1.1": "FAILED"}
        broken.clear()
        if not reopened:
            await _retried(app, execution.id)
            return
    async with Remit(url, processes=hosted) as app:
        await _retried(app, execution.id)


async def _retried(app: Remit, root_id: str) -> None:
    await app.retry(root_id)
    outcome = await app.outcome(root_id, timeout=5)
    assert outcome.unwrap() == {"n": 1, "below": {"n": 2, "below": {"n": 3}}}
    tree = await every(app, root_id)
    assert {place: (str(each.status), each.attempt) for place, each in tree.items()} == dict.fromkeys(("", ".1", ".1.1"), ("COMPLETED", 2))
    assert counted_runs() == once(*ALL_STEPS) | {"leaf after": 2}


@pytest.mark.parametrize("kind", KINDS)
async def test_L34_a_failed_child_of_a_parallel_step_is_retried_and_its_siblings_are_not(kind: str) -> None:
    def fails(n: int) -> bool:
        return f"child {n}" in broken

    async def body(given: dict[str, int]) -> dict[str, Any]:
        await counted(f"child {given['n']}")
        return given

    def count(state: Any) -> None:
        runs[f"child {state.n}"] += 1
        if fails(state.n):
            raise DomainError("out_of_order")

    child = process("child")(body) if kind == "process" else compiled("child", {"name": "Count", "function": count},
                                                                      result={"n": "state.n"})  # fmt: skip

    def starts(n: int) -> Callable[..., None]:
        def start(state: Any) -> None:
            runs[f"start {n}"] += 1
            raise StartSubWorkflowDirective("child", {"n": n})

        return start

    tasks = [{"name": f"task{n}", "function": starts(n)} for n in range(3)]
    top = compiled("top", {"name": "Together", "type": "PARALLEL", "tasks": tasks}, calls=["child"],
                   result="state.sub_workflow_results.Together")  # fmt: skip
    broken.add("child 1")
    async with Remit(":memory:", processes=[top, child]) as app:
        execution = await app.start(top, {})
        assert not (await execution.outcome(timeout=5)).ok
        broken.clear()
        await app.retry(execution.id)
        outcome = await execution.outcome(timeout=5)
        assert outcome.unwrap() == {f"task{n}": {"n": n} for n in range(3)}
        assert [runs[f"start {n}"] for n in range(3)] == [1, 1, 1]
        assert runs["child 1"] == 2
        assert len((await app.tree(execution.id)).children) == 3


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


async def test_L47_a_step_that_raised_a_directive_is_not_run_again_when_its_child_has_ended(tmp_path: Path) -> None:
    url = open_store(tmp_path)
    hosted = [caller("workflow", "top", "leaf"), leaf("workflow", waits=True)]
    async with Remit(url, processes=hosted) as app:
        execution = await app.start("top", {"n": 1})
        await wait_until(app, execution.id, "WAITING_CHILD_HUMAN_INPUT")
    for _ in range(3):  # each reopening replays the parent anew
        async with Remit(url, processes=hosted) as app:
            await wait_until(app, execution.id, "WAITING_CHILD_HUMAN_INPUT")
    async with Remit(url, processes=hosted) as app:
        await app.answer(execution.id, {"said": "yes"})
        assert (await app.outcome(execution.id, timeout=5)).ok
    assert runs["top calls"] == 1
    assert counted_runs() == once("top before", "leaf before", "leaf after", "top after")


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


# -- L13: nothing is shared across the seam ---------------------------------------------------------------------------


async def test_L13_a_child_gets_data_of_its_own_and_gives_data_of_its_own() -> None:
    kept: list[Any] = []

    def spoil(state: Any) -> dict[str, Any]:
        state.items.append("spoilt")
        kept.append(state.items)
        return {"items_seen": state.items}

    def start(state: Any) -> None:
        raise StartSubWorkflowDirective("child", {"items": state.items})

    def look(state: Any) -> dict[str, Any]:
        kept[0].append("later")
        return {"items": state.items, "child": state.sub_workflow_results["child"]}

    child = compiled("child", {"name": "Spoil", "function": spoil}, result={"items": "state.items"})
    flow = compiled("flow", {"name": "Start", "function": start}, {"name": "Look", "function": look}, calls=["child"])
    async with Remit(":memory:", processes=[flow, child]) as app:
        found = (await (await app.start(flow, {"items": ["own"]})).outcome(timeout=5)).unwrap()
    assert found == {"items": ["own"], "child": {"items": ["own", "spoilt"]}}


# -- L10, L9: the identity of a step's calls --------------------------------------------------------------------------


async def test_L9_a_step_that_is_visited_again_calls_anew() -> None:
    def start(state: Any) -> None:
        raise StartSubWorkflowDirective("child", {"n": 1})

    async def child(given: dict[str, int]) -> int:
        runs["child"] += 1
        return runs["child"]

    loop = {"name": "Loop", "type": "LOOP", "mode": "WHILE", "while_condition": "loop_index < 3", "max_iterations": 3}
    flow = compiled("flow", {**loop, "loop_body": [{"name": "Call", "function": start}]}, calls=["child"],
                    result="state.sub_workflow_results.Call")  # fmt: skip
    async with Remit(":memory:", processes=[flow, process("child")(child)]) as app:
        execution = await app.start(flow, {})
        assert (await execution.outcome(timeout=5)).unwrap() == 3
        assert [each.key for each in (await app.tree(execution.id)).children] == ["Call", "Call#2", "Call#3"]


# -- L33: an ASYNC step ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crashes", [False, True])
async def test_L33_an_async_step_shows_as_pending_and_its_time_counts(crashes: bool, tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def work(state: Any) -> dict[str, Any]:
        runs["work"] += 1
        await gate.wait()
        return {"worked": True}

    child = compiled("child", {"name": "Work", "type": "ASYNC", "function": work}, {"name": "End", "function": counting("end")})
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


@pytest.mark.parametrize("from_step", ["Together", "Together.two", "Each", "Call", "After"])
async def test_L34_a_retry_from_a_step_makes_it_and_what_came_after_it_anew(from_step: str) -> None:
    def task(name: str) -> Callable[..., dict[str, Any]]:
        def work(state: Any) -> dict[str, Any]:
            runs[name] += 1
            return {}

        return work

    async def child(given: dict[str, Any]) -> None:
        runs["child"] += 1

    tasks = [{"name": name, "function": task(name)} for name in ("one", "two")]
    flow = compiled(
        "flow",
        {"name": "Together", "type": "PARALLEL", "tasks": tasks},
        {"name": "Each", "type": "PARALLEL", "iterate_over": "items", "task_function": task("item")},
        {"name": "Call", "type": "SUB_WORKFLOW", "sub_workflow_type": "child", "input": {}},
        {"name": "After", "function": task("after")},
        {"name": "Fail", "function": counting("fail")},
    )
    broken.add("fail")
    async with Remit(":memory:", processes=[flow, process("child")(child)]) as app:
        execution = await app.start(flow, {"items": [1, 2]})
        assert not (await execution.outcome(timeout=5)).ok
        broken.clear()
        await app.retry(execution.id, from_step=from_step)
        assert (await app.outcome(execution.id, timeout=5)).ok
    order = ["Together", "Each", "Call", "After"]
    again = {"Together": ("one", "two"), "Each": ("item", "item"), "Call": ("child",), "After": ("after",)}
    repeated = Counter(name for step in order[order.index(from_step.partition(".")[0]) :] for name in again[step])
    if from_step == "Together.two":
        repeated["one"] = runs["one"] - 1  # whichever of the two came first
    assert runs == Counter(name for names in again.values() for name in names) + repeated + Counter({"fail": 2})

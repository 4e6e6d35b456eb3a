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
from tests.laws.scene import every, open_store, wait_until
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


# -- L47: what raised a directive ---------------------------------------------------------------------------------------


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

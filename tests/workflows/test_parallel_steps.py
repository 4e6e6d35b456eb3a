"""PARALLEL: side by side, merged in the order of the file, with conflicts, partial success, children, people and a timeout."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from pydantic import BaseModel

from remit import DomainError, Remit, process
from remit.durable import sleep
from remit.workflows import StartSubWorkflowDirective, StepContext, WorkflowJumpDirective, WorkflowPauseDirective
from tests.laws.scene import every, flatten, wait_until
from tests.workflows.making import compiled, results, run

ran: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    ran.clear()


class State(BaseModel):
    customer: dict[str, Any] = {}
    tags: list[str] = []
    price: float = 0
    items: list[str] = []


def gives(**values: Any) -> Any:
    """A task that returns these."""

    def give(state: Any) -> dict[str, Any]:
        return values

    return give


def fails(state: Any) -> None:
    """A task that fails."""
    raise DomainError("no_luck")


def parallel(*functions: Any, **more: Any) -> dict[str, Any]:
    """A PARALLEL step of tasks a, b, c, …"""
    tasks = [{"name": "abcdef"[index], "function_path": each} for index, each in enumerate(functions)]
    return {"name": "Together", "type": "PARALLEL", "tasks": tasks, **more}


async def merging(*functions: Any, before: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The state after a PARALLEL step."""
    flow = compiled("Flow", parallel(*functions, **more), state=State, result="state")
    found = await results(flow, before or {})
    return {name: value for name, value in found.items() if name not in {"sub_workflow_results", "step_failures"}}


async def test_tasks_run_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=5)

    def meet(state: Any) -> dict[str, Any]:
        return {f"met_{together.wait()}": True}

    assert await results(compiled("Flow", parallel(meet, meet, meet)), {}) == {
        "met_0": True,
        "met_1": True,
        "met_2": True,
    }


TWO = (gives(customer={"name": "A", "tier": "gold"}), gives(customer={"id": 7}))


async def test_merged_shallow_deep_appended_or_in_place_of_the_state() -> None:
    before = {"customer": {"old": 1}, "tags": ["was"], "price": 2}
    shallow = await merging(*TWO, before=before, merge_strategy="SHALLOW", merge_conflict_behavior="PREFER_NEW")
    assert shallow["customer"] == {"id": 7}
    deep = await merging(*TWO, before=before, merge_strategy="DEEP")
    assert deep["customer"] == {"old": 1, "name": "A", "tier": "gold", "id": 7}
    appended = await merging(gives(tags=["a"]), gives(tags=["b"], price=3), before=before, merge_strategy="APPEND")
    assert (appended["tags"], appended["price"]) == (["was", "a", "b"], 3)
    replaced = await merging(gives(tags=["a"]), gives(price=3), before=before, merge_strategy="REPLACE")
    assert replaced == {"customer": {}, "tags": ["a"], "price": 3, "items": []}


@pytest.mark.parametrize("strategy", ["SHALLOW", "DEEP", "REPLACE", "APPEND"])
async def test_two_values_for_one_key_are_an_error_that_names_the_tasks(strategy: str) -> None:
    outcome = await run(
        compiled("Flow", parallel(gives(price=1), gives(price=2), merge_strategy=strategy), state=State), {}
    )
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.details["key"], outcome.error.details["tasks"]) == (
        "merge_conflict", "price", ["a", "b"],
    )  # fmt: skip


async def test_two_equal_values_are_none_and_a_preference_decides_others() -> None:
    assert (await merging(gives(price=1), gives(price=1)))["price"] == 1
    for behavior, price in (("PREFER_NEW", 2), ("PREFER_EXISTING", 1), ("PREFER_OLD", 1)):
        assert (await merging(gives(price=1), gives(price=2), merge_conflict_behavior=behavior))["price"] == price
    deep = await run(compiled("Flow", parallel(gives(customer={"x": {"y": 1}}), gives(customer={"x": {"y": 2}}),
                                               merge_strategy="DEEP"), state=State), {})  # fmt: skip
    assert deep.error is not None
    assert deep.error.details["key"] == "customer.x.y"


async def test_what_tasks_change_in_place_is_merged_like_what_they_return() -> None:
    def tag(state: State) -> None:
        state.tags.append("changed")

    def price(state: State) -> None:
        state.price = 5
        assert state.tags == ["was"]

    assert await merging(tag, price, before={"tags": ["was"]}) == {
        "customer": {}, "tags": ["was", "changed"], "price": 5, "items": [],
    }  # fmt: skip
    outcome = await run(compiled("Flow", parallel(tag, lambda state: {"tags": ["other"]}), state=State), {})
    assert outcome.error is not None
    assert outcome.error.code == "merge_conflict"


async def test_partial_success_lists_the_failures_and_goes_on() -> None:
    step = parallel(gives(price=1), fails, gives(tags=["c"]), allow_partial_success=True)
    flow = compiled(
        "Flow", step, {"name": "Look", "function": lambda state: {"failed": list(state.step_failures)}}, state=State
    )
    found = await results(flow, {})
    assert (found["price"], found["tags"], found["failed"]) == (1, ["c"], ["Together.b"])
    assert found["step_failures"] == {"Together.b": {"code": "no_luck", "message": "no_luck", "error_class": "DOMAIN"}}
    nothing = await run(compiled("Flow", parallel(fails, fails, allow_partial_success=True)), {})
    assert nothing.error is not None
    assert nothing.error.code == "no_luck"


async def test_without_partial_success_the_first_failure_ends_the_others() -> None:
    @process("slow")
    async def slow(_: dict[str, Any]) -> None:
        await sleep("1h")

    def start(state: Any) -> None:
        raise StartSubWorkflowDirective("slow", {})

    flow = compiled("Flow", parallel(start, fails), calls=["slow"])
    async with Remit(":memory:", processes=[flow, slow]) as app:
        execution = await app.start(flow, {})
        outcome = await execution.outcome(timeout=5)
        assert outcome.error is not None
        assert outcome.error.code == "no_luck"
        assert all(child.status == "CANCELLED" for child in (await app.tree(execution.id)).children)


async def test_on_failure_of_the_whole_step() -> None:
    step = parallel(gives(price=1), fails, on_failure="Handle")
    flow = compiled(
        "Flow", step, {"name": "Handle", "function": lambda state: {"code": state.step_failures["Together"]["code"]}}
    )
    assert (await results(flow, {}))["code"] == "no_luck"


async def test_each_item_of_a_list_in_batches() -> None:
    at_work: set[str] = set()
    most: list[int] = []

    async def push(state: State, context: StepContext, device: str, **_: Any) -> dict[str, Any]:
        at_work.add(device)
        most.append(len(at_work))
        await asyncio.sleep(0.01)
        at_work.remove(device)
        assert (context.loop_item, context.step_name) == (device, "Push")
        return {"pushed": device, "at": context.loop_index}

    step = {
        "name": "Push",
        "type": "PARALLEL",
        "iterate_over": "items",
        "task_function": push,
        "item_var_name": "device",
    }
    flow = compiled("Flow", {**step, "batch_size": 2}, state=State)
    found = await results(flow, {"items": ["a", "b", "c", "d", "e"]})
    assert max(most) == 2
    assert found["Push"] == [{"pushed": device, "at": index} for index, device in enumerate("abcde")]
    assert found["pushed"] == "e"
    assert (await results(flow, {"items": []}))["Push"] == []


async def test_a_fan_out_over_what_is_no_list_fails() -> None:
    step = {
        "name": "Push",
        "type": "PARALLEL",
        "iterate_over": "price",
        "task_function": gives(),
        "item_var_name": "each",
    }
    outcome = await run(compiled("Flow", step, state=State), {})
    assert outcome.error is not None
    assert "is float, not a list" in outcome.error.message
    outcome = await run(compiled("Flow", {**step, "iterate_over": "state.prices"}), {})
    assert outcome.error is not None
    assert outcome.error.message == "Step 'Push': state.prices is null or not there: give it a list, which may be empty"


def starts(workflow_type: str, data: dict[str, Any]) -> Any:
    """A task that starts a child."""

    def start(state: Any) -> None:
        ran.append(workflow_type)
        raise StartSubWorkflowDirective(workflow_type, data)

    return start


async def test_L36_children_of_tasks_are_found_by_task_and_by_type() -> None:
    @process("pricing")
    async def pricing(data: dict[str, int]) -> dict[str, int]:
        return {"price": data["n"]}

    def look(state: Any) -> dict[str, Any]:
        found = state.sub_workflow_results
        with pytest.raises(DomainError, match=r"2 steps called 'pricing': Together.a, Together.b"):
            found["pricing"]
        return {"seen": [found["Together"], found["Other.pricing"]]}

    child = {
        "name": "c",
        "sub_workflow_type": "Other.pricing",
        "input": {"n": "3"},
        "output": {"price": "result.price"},
    }
    step = parallel(starts("pricing", {"n": 1}), starts("pricing", {"n": 2}))
    step["tasks"].append(child)
    other = process("Other.pricing")(pricing.definition.body)
    flow = compiled("Flow", step, {"name": "Look", "function": look}, state=State, calls=["pricing", "Other.pricing"])
    found = await results(flow, {}, pricing, other)
    assert found["seen"] == [{"a": {"price": 1}, "b": {"price": 2}, "c": {"price": 3}}, {"price": 3}]
    assert found["price"] == 3


async def test_children_of_items_are_in_the_order_of_the_list() -> None:
    @process("ship")
    async def ship(data: dict[str, str]) -> dict[str, str]:
        return {"shipped": data["item"]}

    def start(state: State, item: str) -> None:
        raise StartSubWorkflowDirective("ship", {"item": item})

    step = {"name": "Ship", "type": "PARALLEL", "iterate_over": "state.items", "task_function": start}
    look = {"name": "Look", "function": lambda state: {"seen": state.sub_workflow_results["Ship"]}}
    flow = compiled("Flow", step, look, state=State, calls=["ship"])
    async with Remit(":memory:", processes=[flow, ship]) as app:
        execution = await app.start(flow, {"items": ["x", "y"]})
        found = (await execution.outcome(timeout=5)).unwrap()
        assert found["seen"] == [{"shipped": "x"}, {"shipped": "y"}]
        keys = [child.key for child in (await app.tree(execution.id)).children]  # in the order of admission: threads race
        assert sorted(keys) == ["Ship[0]", "Ship[1]"]


async def test_three_children_run_side_by_side_two_of_one_type_and_no_task_runs_twice() -> None:
    together: list[asyncio.Event] = [asyncio.Event() for _ in range(3)]

    @process("meets")
    async def meets(data: dict[str, int]) -> int:
        together[data["n"]].set()
        await asyncio.gather(*(each.wait() for each in together))
        return data["n"]

    other = process("meets.too")(meets.definition.body)
    step = parallel(starts("meets", {"n": 0}), starts("meets", {"n": 1}), starts("meets.too", {"n": 2}))
    flow = compiled("Flow", step, calls=["meets", "meets.too"])
    async with Remit(":memory:", processes=[flow, meets, other]) as app:
        execution = await app.start(flow, {})
        assert (await execution.outcome(timeout=5)).ok
        tree = await every(app, execution.id)
        assert sorted(record.process for record in tree.values()) == ["Flow", "meets", "meets", "meets.too"]
        assert sorted(ran) == ["meets", "meets", "meets.too"]


async def test_a_task_may_pause_and_each_is_answered_by_its_name() -> None:
    def pause(state: Any) -> None:
        ran.append("pause")
        raise WorkflowPauseDirective({"asked": True}, waiting_for="a word")

    async with Remit(":memory:", processes=[flow := compiled("Flow", parallel(pause, pause, gives(price=1)))]) as app:
        execution = await app.start(flow, {})
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        await app.answer(execution.id, {"first": 1}, ask="Together.a")
        await app.answer(execution.id, {"second": 2}, ask="Together.b")
        assert (await execution.outcome(timeout=5)).unwrap() == {"asked": True, "first": 1, "second": 2, "price": 1}
        assert ran == ["pause", "pause"]


async def test_a_jump_of_a_task_is_taken_when_all_are_done() -> None:
    def jump(state: Any) -> None:
        raise WorkflowJumpDirective("End", {"jumped": True})

    flow = compiled("Flow", parallel(jump, gives(price=1)), {"name": "Not", "function": fails},
                    {"name": "End", "function": gives(end=True)})  # fmt: skip
    assert await results(flow, {}) == {"jumped": True, "price": 1, "end": True}


@pytest.mark.parametrize("partial", [True, False])
async def test_a_timeout_ends_what_is_not_done(partial: bool) -> None:
    @process("slow")
    async def slow(_: dict[str, Any]) -> None:
        await sleep("1h")

    step = parallel(gives(price=1), starts("slow", {}), timeout_seconds=0.2, allow_partial_success=partial)
    flow = compiled("Flow", step, state=State, calls=["slow"])
    async with Remit(":memory:", processes=[flow, slow]) as app:
        execution = await app.start(flow, {})
        outcome = await execution.outcome(timeout=5)
        assert [record.status for record in flatten(await app.tree(execution.id))][1:] == ["CANCELLED"]
    if partial:
        assert outcome.unwrap()["price"] == 1
        assert outcome.unwrap()["step_failures"]["Together.b"]["code"] == "step_timeout"
    else:
        assert outcome.error is not None
        assert outcome.error.code == "step_timeout"


async def test_a_timeout_that_is_not_reached_leaves_nothing_waiting() -> None:
    flow = compiled(
        "Flow", parallel(gives(price=1), gives(tags=["x"]), timeout_seconds=60), {"name": "End", "function": gives()}
    )
    async with Remit(":memory:", processes=[flow]) as app:
        execution = await app.start(flow, {})
        assert (await execution.outcome(timeout=5)).ok
        assert all(entry.ended_at is not None for entry in await app.journal(execution.id))


async def test_a_timeout_is_that_of_all_batches_together() -> None:
    async def slow(state: State, item: str) -> dict[str, Any]:
        await asyncio.sleep(0.1)
        ran.append(item)
        return {}

    step = {"name": "Each", "type": "PARALLEL", "iterate_over": "items", "task_function": slow, "batch_size": 1, "timeout": 0.25}
    outcome = await run(compiled("Flow", step, state=State), {"items": list("abcdef")})
    assert outcome.error is not None
    assert (outcome.error.code, ran) == ("step_timeout", ["a", "b"])
    ran.clear()
    found = await results(compiled("Flow", {**step, "allow_partial_success": True}, state=State), {"items": list("abcdef")})
    assert (found["Each"], ran) == ([{}, {}, None, None, None, None], ["a", "b"])
    assert list(found["step_failures"]) == ["Each[2]", "Each[3]", "Each[4]", "Each[5]"]


async def test_partial_success_counts_over_all_batches() -> None:
    def picky(state: State, item: str) -> dict[str, Any]:
        if item == "a":
            raise DomainError("no_luck")
        return {"n": item}

    step = {"name": "Each", "type": "PARALLEL", "iterate_over": "items", "task_function": picky, "batch_size": 1,
            "allow_partial_success": True}  # fmt: skip
    flow = compiled("Flow", step, state=State)
    found = await results(flow, {"items": ["a", "b"]})
    assert (found["Each"], list(found["step_failures"])) == ([None, {"n": "b"}], ["Each[0]"])
    outcome = await run(flow, {"items": ["a", "a"]})
    assert outcome.error is not None
    assert outcome.error.code == "no_luck"


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ({"merge_strategy": "APPEND"}, {"items": [0, 1, 2, 3], "given": [1, 2, 3], "last": 3, "by": {"3": 3}}),
        ({"merge_strategy": "DEEP"}, {"items": [3], "given": [3], "last": 3, "by": {"1": 1, "2": 2, "3": 3}}),
        ({"merge_conflict_behavior": "PREFER_EXISTING"}, {"items": [1], "given": [1], "last": 1, "by": {"1": 1}}),
        ({"merge_strategy": "REPLACE"}, {"items": [3], "given": [3], "last": 3, "by": {"3": 3}}),
    ],
)
@pytest.mark.parametrize("batch_size", [0, 1, 2])
async def test_what_batches_give_is_merged_as_if_there_were_none(
    said: dict[str, str], seen: dict[str, Any], batch_size: int
) -> None:
    def push(state: dict[str, Any], each: int) -> dict[str, Any]:
        return {"items": [each], "given": [each], "last": each, "by": {str(each): each}}

    step = {"name": "Push", "type": "PARALLEL", "iterate_over": "numbers", "task_function": push,
            "item_var_name": "each", "batch_size": batch_size, **said}  # fmt: skip
    given = {"numbers": [1, 2, 3], "items": [0], "by": {}}
    flow = compiled("Flow", step, result={name: f"state.{name}" for name in seen})
    assert await results(flow, given) == seen
    found = await results(compiled("Flow", step), given)
    assert (found["given"], found["last"]) == (seen["given"], seen["last"])


@pytest.mark.parametrize("batch_size", [0, 1])
async def test_a_conflict_is_one_between_batches_too(batch_size: int) -> None:
    def push(state: dict[str, Any], each: int) -> dict[str, Any]:
        return {"last": each}

    step = {"name": "Push", "type": "PARALLEL", "iterate_over": "numbers", "task_function": push,
            "item_var_name": "each", "batch_size": batch_size, "merge_conflict_behavior": "RAISE_ERROR"}  # fmt: skip
    outcome = await run(compiled("Flow", step), {"numbers": [1, 2]})
    assert outcome.error is not None
    assert outcome.error.code == "merge_conflict"

"""The state of a workflow is told by its records, whatever its steps do; none of its functions runs for it."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

import pytest
from pydantic import BaseModel, Field

from remit import DomainError, Limits, Process, Remit, TransientError, call_process, process, tool
from remit.workflows import (
    StartSubWorkflowDirective,
    WorkflowBuilder,
    WorkflowHandle,
    WorkflowJumpDirective,
    WorkflowPauseDirective,
    WorkflowStore,
)
from tests.laws.scene import until, wait_until
from tests.workflows.making import compiled

ran: list[str] = []
Steps = list[dict[str, Any]]


class State(BaseModel):
    items: list[int] = [1, 2, 3]
    sums: list[int] = []
    note: str = ""
    total: int = 0
    made_at: float = Field(default_factory=time.time)


def add(state: State, context) -> dict:
    ran.append(context.step_name)
    state.sums.append(context.loop_item or 10)
    return {"total": state.total + 1}


def square(state: State, context, item: int) -> dict:
    ran.append(context.step_name)
    return {f"square_{item}": item * item}


def note(state: State, context) -> dict:
    ran.append(context.step_name)
    return {"note": f"{state.note}+{context.step_name}"}


async def slow(state: State) -> dict:
    ran.append("slow")
    await asyncio.sleep(30)
    return {}


def spawn(state: State) -> dict:
    ran.append("spawn")
    raise StartSubWorkflowDirective("child", {"number": 4})


def spawn_unknown(state: State) -> dict:
    ran.append("spawn_unknown")
    raise StartSubWorkflowDirective("nobody", {})


def jump(state: State) -> dict:
    ran.append("jump")
    raise WorkflowJumpDirective("Ask", {"note": "jumped"})


def pause(state: State) -> dict:
    ran.append("pause")
    raise WorkflowPauseDirective({"note": "paused"})


def fails(state: State) -> dict:
    ran.append("fails")
    raise DomainError("no luck", code="no_luck")


def passing(state: State, context) -> dict:
    ran.append("passing")
    if ran.count("passing") % 2:
        raise TransientError("once")
    return {"note": "after all"}


@tool("erp.lookup", cost="0.01")
def lookup(state: State) -> dict:
    ran.append("lookup")
    return {"note": "looked up"}


def see(state: State) -> dict:
    return {"seen": state.model_dump(mode="json")}


@process("child")
async def child(data: dict) -> dict:
    if data["number"] < 0:
        raise DomainError("negative", code="negative")
    return {"doubled": 2 * data["number"]}


def step(name: str, function: Any = note, **more: Any) -> dict[str, Any]:
    return {"name": name, "function": function, **more}


def call(name: str, number: int = 4, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "SUB_WORKFLOW", "sub_workflow_type": "child", "input": {"number": number}, **more}


CASES: dict[str, Steps] = {
    "functions one after another": [step("A", add), step("B"), step("C", lookup)],
    "a parallel step": [
        {
            "name": "P",
            "type": "PARALLEL",
            "tasks": [
                {"name": "one", "function": add},
                {"name": "two", "function": spawn},
                {"name": "three", "sub_workflow_type": "child", "input": {"number": 7}, "output": {"note": "'three'"}},
            ],
        }
    ],
    "an item each": [
        {"name": "P", "type": "PARALLEL", "iterate_over": "state.items", "task_function": square, "batch_size": 2}
    ],
    "a loop": [
        {
            "name": "L",
            "type": "LOOP",
            "mode": "ITERATE",
            "iterate_over": "items",
            "max_iterations": 9,
            "loop_body": [step("In", add), call("Call", output={"total": "result.doubled + state.total"})],
        }
    ],
    "a child and its map": [call("A", output={"total": "result.doubled", "note": "'mapped'"}), step("B", spawn)],
    "a child that fails and is handled": [call("A", -1, on_failure="B"), step("B")],
    "a call that is refused and handled": [step("A", spawn_unknown, on_failure="B"), step("B")],
    "a function that fails and is handled": [step("A", fails, on_failure="B"), step("Never", add), step("B")],
    "a jump": [step("A", jump), step("Never", add)],
    "a function that is tried again": [step("A", passing, retry={"attempts": 3, "first": 0.001})],
    "steps that a rule inserts": [
        step(
            "A",
            add,
            dynamic_injection={
                "rules": [{"condition_key": "total", "value_match": 1, "steps_to_insert": [step("Inserted")]}]
            },
        )
    ],
    "a decision": [
        step("A", add),
        {
            "name": "D",
            "type": "DECISION",
            "routes": [{"condition": "state.total > 0", "target": "C"}, {"default": "B"}],
        },
        step("B"),
        step("C"),
    ],
    "a child that is awaited later": [
        call("A", mode="async"),
        step("B"),
        {"name": "C", "type": "AWAIT", "child": "A", "output": {"total": "result.doubled"}},
    ],
    "a wait that is over": [{"name": "W", "type": "WAIT", "duration": 0.01}, step("B")],
    "a schedule": [
        {
            "name": "S",
            "type": "CRON_SCHEDULE",
            "schedule_name": "nightly",
            "cron_expression": "0 3 * * *",
            "target_workflow_type": "child",
        },
        step("B"),
    ],
    "a moment that is past": [{"name": "W", "type": "WAIT", "until": "2020-01-01T00:00:00Z"}, step("B")],
    "a step that is undone when it fails": [
        step("A", add, compensate_function=note),
        call("B", compensate_function=note),
    ],
    "a parallel step that runs out of time": [
        {
            "name": "P",
            "type": "PARALLEL",
            "timeout": 0.2,
            "on_timeout": "B",
            "tasks": [{"name": "one", "function": add}, {"name": "two", "function": slow}],
        },
        step("B"),
    ],
}


def workflow(steps: Steps) -> Process[Any, Any]:
    end = [{"name": "Ask", "type": "HUMAN_IN_LOOP"}, {"name": "See", "function": see}]
    return compiled("W", *steps, *end, state=State, calls=["child"])


async def waiting(app: Remit) -> str:
    ran.clear()
    root = (await app.start("W", {"note": "start"})).id
    await wait_until(app, root, "WAITING_HUMAN_INPUT", seconds=6)
    return root


@pytest.mark.parametrize("steps", CASES.values(), ids=CASES)
async def test_the_state_is_what_the_next_step_sees(steps: Steps) -> None:
    async with Remit(":memory:", processes=[workflow(steps), child]) as app:
        root = await waiting(app)
        before = list(ran)
        handle = await WorkflowBuilder(app).load_workflow(root)
        folded = handle.state.model_dump(mode="json")
        assert ran == before
        await app.answer(root, {})
        seen = (await app.outcome(root, 5)).unwrap()["seen"]
    assert folded == seen
    assert folded != State().model_dump(mode="json")


async def test_the_state_is_a_copy_of_its_own_and_of_its_time() -> None:
    async with Remit(":memory:", processes=[workflow([step("A", add)]), child]) as app:
        handle = await WorkflowBuilder(app).create_workflow("W", {"note": "start"})
        assert (handle.state.note, handle.state.sums) == ("start", [])
        await handle.next_step(timeout=5)
        handle.state.sums.append(99)
        assert handle.state.sums == [10]


async def test_a_pause_in_the_middle_and_its_answer_belong_to_the_state() -> None:
    async with Remit(":memory:", processes=[workflow([step("A", pause), step("B")]), child]) as app:
        handle = await WorkflowBuilder(app).create_workflow("W", {})
        await handle.next_step(timeout=5)
        assert handle.state.note == "paused"
        await handle.next_step({"total": 5}, timeout=5)
        assert (handle.state.note, handle.state.total) == ("paused+B", 5)


async def test_a_failed_workflow_shows_the_state_it_failed_with() -> None:
    async with Remit(":memory:", processes=[workflow([step("A", add), step("B", fails)]), child]) as app:
        handle = await WorkflowBuilder(app).create_workflow("W", {})
        await handle.next_step(timeout=5)
        assert (handle.status, handle.state.sums) == ("FAILED", [10])


async def test_a_call_beyond_the_limit_of_depth_is_told_by_the_state() -> None:
    @process("above", calls=["W"])
    async def above(data: dict) -> dict:
        return (await call_process("W", data)).unwrap()

    steps = [call("A", on_failure="B"), step("B")]
    async with Remit(":memory:", processes=[workflow(steps), child, above], limits=Limits(max_depth=1)) as app:
        root = (await app.start(above, {})).id
        await wait_until(app, root, "WAITING_CHILD_HUMAN_INPUT")
        state = (await WorkflowStore(app).load_workflow(f"{root}.1"))["state"]
        assert state["step_failures"]["A"]["code"] == "depth_exceeded"
        assert state["note"] == "+B"


async def test_an_event_and_its_payload_belong_to_the_state() -> None:
    steps = [{"name": "E", "type": "WAIT", "event": "paid"}, step("B")]
    async with Remit(":memory:", processes=[workflow(steps), child]) as app:
        handle = await (await WorkflowBuilder(app).create_workflow("W", {})).start()
        await wait_until(app, handle.id, "PENDING_ASYNC")
        assert handle.state.total == 0
        await app.send(handle.id, "paid", {"total": 12})
        await wait_until(app, handle.id, "WAITING_HUMAN_INPUT")
        assert (handle.state.total, handle.state.note) == (12, "+B")


async def test_a_rolled_back_workflow_shows_the_state_it_failed_with() -> None:
    steps = [step("A", add, compensate_function=note), step("B", fails)]
    rolled_back = compiled("W", *steps, state=State, saga_enabled=True)
    async with Remit(":memory:", processes=[rolled_back]) as app:
        handle = await WorkflowBuilder(app).create_workflow("W", {})
        await handle.next_step(timeout=5)
        await until(partial(_shows, handle, "FAILED_ROLLED_BACK"))
        assert (handle.state.sums, handle.state.note) == ([10], "")


async def _shows(handle: WorkflowHandle, status: str) -> bool:
    return handle.status == status

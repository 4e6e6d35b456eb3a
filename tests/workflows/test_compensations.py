"""What undoes the steps of a workflow: which functions, with which state, in which order (L37)."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest
from pydantic import BaseModel

from remit import DefinitionError, DomainError, Process, Record, Remit, call_process, process, step
from remit.workflows import (
    SagaWorkflowException,
    StartSubWorkflowDirective,
    StepContext,
    WorkflowDirective,
    WorkflowJumpDirective,
    WorkflowPauseDirective,
)
from tests.laws.scene import every, until
from tests.workflows.making import compiled

undone: list[Any] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    undone.clear()


class Trip(BaseModel):
    flight: str | None = None
    seats: list[int] = []
    paid: float = 0


def fails(state: Any) -> None:
    """The step that fails for good."""
    raise SagaWorkflowException("no rooms left", original_exception=KeyError("room"))


def undoing(name: str) -> Any:
    """A compensation that notes its name."""

    def undo(state: Any, context: StepContext) -> dict[str, Any]:
        undone.append(name)
        return {}

    return undo


def does(name: str, **more: Any) -> dict[str, Any]:
    """A step that can be undone."""
    return {"name": name, "function": lambda state: {name: True}, "compensate_function": undoing(name), **more}


FAILS = {"name": "Fail", "function": fails, "compensate_function": undoing("Fail")}


async def rolled_back(*hosted: Process[Any, Any], given: Any = None) -> dict[str, Record]:
    """The trace of a root that failed, once all of it is undone."""
    async with Remit(":memory:", processes=list(hosted)) as app:
        execution = await app.start(hosted[0], given or {})
        assert not (await execution.outcome(timeout=5)).ok

        async def over() -> dict[str, Record] | None:
            tree = await every(app, execution.id)
            return None if any(each.compensation in {"none", "running"} for each in tree.values()) else tree

        return await until(over)


async def test_L37_a_compensation_gets_the_state_of_its_own_step_and_what_that_step_did() -> None:
    seen: list[Any] = []

    def book(state: Trip, context: StepContext) -> dict[str, Any]:
        state.seats.append(7)
        return {"flight": "F-1", "fare": 5}

    def unbook(state: Trip, context: StepContext) -> dict[str, Any]:
        seen.append((state.flight, list(state.seats), state.paid, context.step_name, context.previous_step_result))
        state.seats.clear()
        return {"cancelled": state.flight}

    def pay(state: Trip) -> dict[str, Any]:
        state.seats.append(8)
        return {"paid": 12.5, "flight": "F-2"}

    async def unpay(state: Trip) -> None:
        seen.append((state.flight, list(state.seats), state.paid))

    trip = compiled(
        "Trip",
        {"name": "Book", "function": book, "compensate_function": unbook},
        {"name": "Pay", "function": pay, "compensate_function": unpay},
        FAILS,
        state=Trip,
        saga_enabled=True,
    )
    tree = await rolled_back(trip)
    assert seen == [("F-2", [7, 8], 12.5), ("F-1", [7], 0, "Book", {"flight": "F-1", "fare": 5})]
    assert undone == []
    assert tree[""].compensation == "done"
    assert tree[""].error is not None
    assert (tree[""].error.code, tree[""].error.message) == ("saga_rollback", "no rooms left")
    assert tree[""].error.details["original"] == "KeyError: 'room'"


async def test_L37_without_a_saga_nothing_is_undone() -> None:
    async with Remit(":memory:", processes=[trip := compiled("Trip", does("Book"), FAILS)]) as app:
        execution = await app.start(trip, {})
        assert not (await execution.outcome(timeout=5)).ok
        await asyncio.sleep(0.1)
        assert ((await execution.record()).compensation, undone) == ("none", [])


def caller(kind: str, name: str, callee: str) -> Process[Any, Any]:
    """Two steps that can be undone, the second of which calls; then one that fails."""
    if kind == "workflow":

        def start(state: Any) -> None:
            raise StartSubWorkflowDirective(callee, {})

        call = {"name": f"{name} call", "function": start, "compensate_function": undoing(f"{name} call")}
        return compiled(name, does(f"{name} first"), call, {"name": "Fail", "function": fails}, calls=[callee], saga_enabled=True)

    @step(compensate=lambda result, what: undone.append(what))
    async def done(what: str) -> str:
        return what

    async def body(given: dict[str, Any]) -> None:
        await done(f"{name} first")
        await done(f"{name} call")
        (await call_process(callee, {})).unwrap()
        raise DomainError("no rooms left")

    return process(name, calls=[callee], saga=True)(body)


def called(kind: str, name: str) -> Process[Any, Any]:
    """A child that completes what can be undone."""
    if kind == "workflow":
        return compiled(name, does(f"{name} first"), does(f"{name} second"), saga_enabled=True)

    @step(compensate=lambda result, what: undone.append(what))
    async def done(what: str) -> str:
        return what

    async def body(given: dict[str, Any]) -> None:
        await done(f"{name} first")
        await done(f"{name} second")

    return process(name, saga=True)(body)


@pytest.mark.parametrize(("above", "below"), list(product(("process", "workflow"), repeat=2)))
async def test_L37_a_child_that_had_completed_is_undone_first_in_every_pairing(above: str, below: str) -> None:
    tree = await rolled_back(caller(above, "parent", "child"), called(below, "child"))
    assert undone == ["child second", "child first", "parent call", "parent first"]
    assert {place: (str(each.status), str(each.compensation)) for place, each in tree.items()} == {
        "": ("FAILED", "done"),
        ".1": ("COMPLETED", "done"),
    }


async def test_L37_a_step_without_a_function_is_undone_too() -> None:
    steps = [
        {"name": "Call", "type": "SUB_WORKFLOW", "sub_workflow_type": "child", "input": {}},
        {"name": "Wait", "type": "WAIT", "duration": 0},
        {"name": "Each", "type": "LOOP", "mode": "WHILE", "while_condition": "loop_index < 2", "max_iterations": 2,
         "loop_body": [does("Inside")]},
    ]  # fmt: skip
    marked = [{**each, "compensate_function": undoing(each["name"])} for each in steps]
    await rolled_back(compiled("Trip", *marked, FAILS, saga_enabled=True), called("workflow", "child"))
    assert undone == ["Inside", "Inside", "Each", "Wait", "child second", "child first", "Call"]


async def test_L37_tasks_of_a_parallel_step_are_undone() -> None:
    tasks = [{"name": name, "function": lambda state: {}, "compensate_function": undoing(name)} for name in ("a", "b")]
    together = {"name": "Together", "type": "PARALLEL", "tasks": tasks}
    each = {"name": "Each", "type": "PARALLEL", "iterate_over": "seats", "task_function": lambda state, item: {"n": item},
            "compensate_function": undoing("item")}  # fmt: skip
    await rolled_back(compiled("Trip", together, each, FAILS, state=Trip, saga_enabled=True), given={"seats": [1, 2, 3]})
    assert undone[:3] == ["item"] * 3
    assert sorted(undone[3:]) == ["a", "b"]


async def test_L37_a_step_made_in_python_brings_its_own_compensation() -> None:
    def unbook(result: dict[str, Any], state: Trip, context: StepContext) -> None:
        undone.append((result, state.flight, context.step_name))

    @step(compensate=unbook)
    def book(state: Trip, context: StepContext) -> dict[str, Any]:
        return {"flight": "F-1"}

    await rolled_back(compiled("Trip", {"name": "Book", "function": book}, FAILS, state=Trip, saga_enabled=True))
    assert undone == [({"flight": "F-1"}, "F-1", "Book")]


async def test_L37_a_step_that_ran_unrecorded_is_undone_with_its_input_alone() -> None:
    def slow(state: Trip) -> dict[str, Any]:
        import time

        time.sleep(0.3)
        return {"flight": "F-1"}

    def undo(state: Trip, context: StepContext) -> None:
        undone.append((state.flight, context.previous_step_result))

    trip = compiled("Trip", {"name": "Slow", "function": slow, "compensate_function": undo}, state=Trip, saga_enabled=True)
    async with Remit(":memory:", processes=[trip]) as app:
        execution = await app.start(trip, {})

        async def running() -> bool:
            return bool(await app.journal(execution.id))

        await until(running)
        await app.cancel(execution.id)
        await until(lambda: asyncio.sleep(0.01, result=bool(undone)))
    assert undone == [(None, {})]


def test_a_compensation_that_wants_more_than_it_is_given_is_refused() -> None:
    with pytest.raises(DefinitionError, match="a compensation is given the state and the context, not reason"):
        compiled("Trip", {"name": "Book", "function": lambda state: {}, "compensate_function": lambda state, *, reason: {}})


@pytest.mark.parametrize("kind", ["plain", "async", "returned", "grouped"])
@pytest.mark.parametrize(
    "directive", [StartSubWorkflowDirective("child", {}), WorkflowJumpDirective("Book"), WorkflowPauseDirective(waiting_for="you")]
)
async def test_L37_a_directive_within_a_compensation_is_refused_with_an_alert_and_the_rest_is_undone(
    directive: WorkflowDirective, kind: str
) -> None:
    def plain(state: Any) -> None:
        raise directive

    async def awaited(state: Any) -> None:
        raise directive

    def returned(state: Any) -> Any:
        return directive

    def grouped(state: Any) -> None:
        raise ExceptionGroup("several", [ValueError("other"), directive])

    undo = {"plain": plain, "async": awaited, "returned": returned, "grouped": grouped}[kind]
    astray = {"name": "Astray", "function": lambda state: {}, "compensate_function": undo}
    trip = compiled("Trip", does("Book"), astray, does("Seat"), FAILS, saga_enabled=True, calls=["child"], retry=1)
    async with Remit(":memory:", processes=[trip, called("workflow", "child")]) as app:
        execution = await app.start(trip, {})
        record = await execution.compensated(timeout=5)
        [alert] = await app.alerts(code="compensation_failed")
        assert len(await every(app, execution.id)) == 1
    assert undone == ["Seat", "Book"]
    assert (str(record.status), str(record.compensation)) == ("FAILED", "failed")
    assert "invalid_directive" in alert.message
    assert type(directive).__name__ in alert.message

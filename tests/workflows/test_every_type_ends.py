"""Every type of step under way: what a cancel leaves behind, and what its timeout does (L22, L35, L37)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remit import Execution, Record, Remit
from remit.workflows import StepContext
from remit.workflows.format.model import STEP_TYPES
from remit.workflows.http.access import HttpAccess
from tests.laws.scene import every, until, wait_until
from tests.workflows.http_server import answer, serving
from tests.workflows.making import compiled

seen: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    seen.clear()


def undoing(name: str) -> Any:
    """A compensation that notes whose it is."""

    def undo(state: Any, context: StepContext) -> None:
        seen.append(f"not {name}")

    return undo


def noting(name: str, **more: Any) -> dict[str, Any]:
    """A step that notes its run, and its undoing."""

    def done(state: Any) -> dict[str, Any]:
        seen.append(name)
        return {name: True}

    return {"name": name, "function": done, "compensate_function": undoing(name), **more}


async def hangs(state: Any) -> None:
    """Work without an end, which notes that it has begun."""
    seen.append("hangs")
    await asyncio.sleep(60)


async def takes_long(state: Any, *, item: Any) -> None:
    """The same for each item."""
    await hangs(state)


@dataclass(frozen=True)
class Case:
    """A step of a type that comes to no end by itself, and what stands before it."""

    step: dict[str, Any]
    children: int = 0
    before: tuple[dict[str, Any], ...] = ()
    code: str = "step_timeout"
    """With what its timeout ends it."""
    own: tuple[str, ...] = ()
    """What its parts have done that is taken back."""

    @property
    def cancelled(self) -> list[str]:
        """What is seen of the workflow when it is cancelled in the midst of the step: child first, last first."""
        inside = ["Inside"] * self.children
        undone = [f"not {what}" for what in (*inside, *reversed(self.own), "Slow", "Before")]
        return ["Before", *self.own, *inside, *undone]


CALL = {"type": "SUB_WORKFLOW", "sub_workflow_type": "child", "input": {}}
HANGING = {"function": hangs}
CASES = {
    "STANDARD": Case(HANGING, code="transient_error"),
    "ASYNC": Case({"type": "ASYNC", **HANGING}, code="transient_error"),
    "DECISION": Case({"type": "DECISION", **HANGING, "routes": [{"default": "After"}]}, code="transient_error"),
    "PARALLEL": Case({"type": "PARALLEL", "tasks": [{"name": "own", **HANGING}, {"name": "child", "sub_workflow_type": "child", "input": {}}]}, children=1),
    "PARALLEL, items": Case({"type": "PARALLEL", "iterate_over": "items", "task_function": takes_long, "batch_size": 1}),
    "SUB_WORKFLOW": Case({**CALL, "sub_workflow_type": "works"}, children=1, code="lease_expired"),
    "AWAIT": Case({"type": "AWAIT", "child": "Start"}, children=1, before=({"name": "Start", **CALL, "mode": "async"},)),
    "HUMAN_IN_LOOP": Case({"type": "HUMAN_IN_LOOP"}, code="ask_timeout"),
    "LOOP": Case({"type": "LOOP", "mode": "WHILE", "while_condition": "True", "max_iterations": 9,
                  "loop_body": [noting("Turn"), {"name": "Call", **CALL}]}, children=1, own=("Turn",)),
    "FIRE_AND_FORGET": Case({"type": "FIRE_AND_FORGET", "target_workflow_type": "child", **HANGING}, code="transient_error"),
    "HTTP": Case({"type": "HTTP", "http_config": {"url": "/slow"}}, code="transient_error"),
    "CRON_SCHEDULE": Case({"type": "CRON_SCHEDULE", "schedule_name": "nightly", "cron_expression": "@daily",
                           "target_workflow_type": "child", **HANGING}, code="transient_error"),
    "WAIT, event": Case({"type": "WAIT", "event": "never"}, code="event_timeout"),
    "WAIT, duration": Case({"type": "WAIT", "duration": "1h"}),
    "WAIT, until": Case({"type": "WAIT", "until": "{{ state.tomorrow }}"}),
    "JUMP": Case({"type": "JUMP", "target_step": "After", **HANGING}, code="transient_error"),
}  # fmt: skip
CHILD = compiled("child", noting("Inside"), {"name": "Rest", "type": "WAIT", "event": "never"}, saga_enabled=True)
WORKS = compiled("works", noting("Inside"), {"name": "Work", **HANGING}, saga_enabled=True)


def test_every_type_of_step_stands_in_the_table() -> None:
    assert {name.partition(",")[0] for name in CASES} == set(STEP_TYPES)


@asynccontextmanager
async def started(case: Case, **terms: Any) -> AsyncIterator[tuple[Remit, Execution[Any]]]:
    """A workflow whose second step is the case's, on these terms."""
    async with serving(answer({}), delay_s=20) as server:
        slow = {"name": "Slow", "compensate_function": undoing("Slow"), **case.step, **terms}
        if "http_config" in slow:
            slow["http_config"] = {"url": f"{server.url}/slow"}
        steps = [noting("Before"), *case.before, slow, noting("After", next_step="End"), noting("Late"),
                 {"name": "End", "type": "WAIT", "duration": 0}]  # fmt: skip
        flow = compiled("Flow", *steps, saga_enabled=True, http=HttpAccess([server.host]), retry=1)
        async with Remit(":memory:", processes=[flow, CHILD, WORKS]) as app:
            yield app, await app.start(flow, {"items": [1, 2, 3], "tomorrow": str(datetime.now(UTC) + timedelta(days=1))})


async def ended(app: Remit, root: str) -> dict[str, Record]:
    """The trace once all of it has ended, and what is to be taken back is."""

    async def over() -> dict[str, Record] | None:
        tree = await every(app, root)
        busy = any(each.ended_at is None or each.compensation == "running" for each in tree.values())
        return None if busy or tree[""].compensation == "none" else tree

    return await until(over)


@pytest.mark.parametrize("name", CASES)
async def test_L35_L37_a_cancel_ends_the_step_and_its_children_and_takes_back_what_was_done(name: str) -> None:
    case = CASES[name]
    async with started(case) as (app, execution):

        async def under_way() -> bool:
            entries = await app.journal(execution.id)
            marked = any(entry.name == "Slow" and entry.ended_at is not None for entry in entries)
            begun = "hangs" in seen or (marked and any(entry.ended_at is None for entry in entries))
            return begun and seen.count("Inside") == case.children

        await until(under_way)
        await app.cancel(execution.id)
        outcome = await execution.outcome(timeout=5)
        tree = await ended(app, execution.id)
        assert await app.schedules() == []
    assert outcome.status == "cancelled"
    assert {str(each.status) for each in tree.values()} == {"CANCELLED"}
    assert {str(each.compensation) for each in tree.values()} == {"done"}
    assert [what for what in seen if what != "hangs"] == case.cancelled


async def timed(name: str, **terms: Any) -> tuple[dict[str, Any], dict[str, Record]]:
    """The result and the trace of a workflow that completes although the step's time is up."""
    async with started(CASES[name], timeout=0.15, **terms) as (app, execution):
        result: dict[str, Any] = (await execution.outcome(timeout=5)).unwrap()
        return result, await every(app, execution.id)


@pytest.mark.parametrize("name", CASES)
async def test_L22_the_timeout_of_a_step_leads_where_on_timeout_says_and_leaves_no_child_behind(name: str) -> None:
    case = CASES[name]
    result, tree = await timed(name, on_timeout="Late")
    assert result["step_failures"]["Slow"]["code"] == case.code
    assert [what for what in seen if what in {"Before", "After", "Late"}] == ["Before", "Late"]
    children = {str(each.status) for place, each in tree.items() if place}
    assert len(tree) == 1 + case.children
    assert children <= {"CANCELLED", "TIMED_OUT"}


@pytest.mark.parametrize("name", CASES)
async def test_L22_a_value_of_on_timeout_stands_for_what_the_step_would_have_given(name: str) -> None:
    result, _ = await timed(name, on_timeout={"value": {"late": True}})
    assert result["late"] is True
    assert [what for what in seen if what in {"Before", "After", "Late"}] == ["Before", "After"]


@pytest.mark.parametrize("name", CASES)
async def test_L19_a_timeout_is_a_failure_that_on_failure_handles(name: str) -> None:
    result, _ = await timed(name, on_failure="Late", retry=1)
    assert result["step_failures"]["Slow"]["code"] in {CASES[name].code, "retries_exhausted"}
    assert [what for what in seen if what in {"Before", "After", "Late"}] == ["Before", "Late"]


@pytest.mark.parametrize("name", CASES)
async def test_L22_L37_a_timeout_that_nobody_handles_fails_the_workflow_which_is_taken_back(name: str) -> None:
    case = CASES[name]
    async with started(case, timeout=0.15) as (app, execution):
        outcome = await execution.outcome(timeout=5)
        tree = await ended(app, execution.id)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("failed", "retries_exhausted" if case.code == "transient_error" else case.code)
    assert {str(each.compensation) for each in tree.values()} == {"done"}
    assert seen[-1] == "not Before"
    assert "After" not in seen


async def test_L21_a_called_workflow_that_waits_for_a_person_does_not_use_up_the_timeout_of_the_call() -> None:
    asks = compiled("asks", {"name": "Ask", "type": "HUMAN_IN_LOOP"})
    flow = compiled("Flow", {"name": "Call", **CALL, "sub_workflow_type": "asks", "timeout": 0.1})
    async with Remit(":memory:", processes=[flow, asks]) as app:
        execution = await app.start(flow, {})
        await wait_until(app, execution.id, "WAITING_CHILD_HUMAN_INPUT")
        await asyncio.sleep(0.3)
        await app.answer(execution.id, {"yes": True})
        assert (await execution.outcome(timeout=5)).ok

"""Directives that cannot be followed fail their step with what to mend, and are never quietly dropped (L36, L48)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from remit import Outcome, Remit, process
from remit.workflows import (
    StartSubWorkflowDirective,
    WorkflowDirective,
    WorkflowJumpDirective,
    WorkflowPauseDirective,
)
from tests.workflows.making import compiled, run


async def outcome_of(function: Callable[[Any], Any]) -> Outcome[Any]:
    """How a workflow ends whose first step is the function, and whose second must not be reached."""
    workflow = compiled("Directed", {"name": "First", "function": function}, {"name": "Second", "function": reached})
    return await run(workflow, {})


def reached(state: Any) -> dict[str, Any]:
    return {"reached": True}


async def refused(function: Callable[[Any], Any], *words: str) -> None:
    """The step failed with `invalid_directive`, and the message has these words."""
    outcome = await outcome_of(function)
    assert outcome.error is not None, outcome
    assert (outcome.status, outcome.error.code) == ("failed", "invalid_directive")
    for word in ("workflow 'Directed', step 'First'", *words):
        assert word in outcome.error.message


class Connection:
    """What JSON cannot hold."""


class HomeMadeDirective(WorkflowDirective):
    """A directive that no workflow knows."""


OPEN = Connection()
MALFORMED: dict[str, tuple[WorkflowDirective, str]] = {
    "jump to none": (WorkflowJumpDirective(None), "the name of the step to go on at"),  # type: ignore[arg-type]
    "jump to nothing": (WorkflowJumpDirective(""), "the name of the step to go on at"),
    "jump to a number": (WorkflowJumpDirective(3), "with 3"),  # type: ignore[arg-type]
    "start none": (StartSubWorkflowDirective(None), "the type of the workflow to start"),  # type: ignore[arg-type]
    "a version that is a number": (StartSubWorkflowDirective("Child", version=2), "a range such as '^2'"),  # type: ignore[arg-type]
    "a pause for a number": (WorkflowPauseDirective(waiting_for=7), "`waiting_for`"),  # type: ignore[arg-type]
    "data that is an object": (StartSubWorkflowDirective("Child", {"open": OPEN}), "the initial_data for 'Child'"),
    "a result that is an object": (WorkflowJumpDirective("Second", {"open": OPEN}), "give plain data"),
    "one of its own": (HomeMadeDirective(), "raise one of remit.workflows"),
}


@pytest.mark.parametrize("what", MALFORMED)
async def test_L36_a_directive_that_cannot_be_followed_says_how_to_mend_it(what: str) -> None:
    directive, words = MALFORMED[what]

    def first(state: Any) -> None:
        raise directive

    async def on_the_loop(state: Any) -> None:
        raise directive

    await refused(first, words)
    await refused(on_the_loop, words)


@pytest.mark.parametrize("returned", [WorkflowJumpDirective("Second"), WorkflowPauseDirective], ids=["one", "class"])
async def test_L36_a_directive_that_is_returned_says_to_raise_it(returned: Any) -> None:
    await refused(lambda state: returned, "write `raise` instead of `return`")


async def test_L36_a_directive_in_a_group_of_exceptions_says_where_to_raise_it() -> None:
    async def start() -> None:
        raise StartSubWorkflowDirective("Child", {})

    async def first(state: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(start())

    def in_a_thread(state: Any) -> None:
        raise ExceptionGroup("all", [ExceptionGroup("some", [WorkflowJumpDirective("Second")])])

    await refused(first, "StartSubWorkflowDirective within a group", "tasks of a PARALLEL step")
    await refused(in_a_thread, "WorkflowJumpDirective within a group")


async def test_L17_a_group_without_directives_fails_its_step_as_it_is() -> None:
    def first(state: Any) -> None:
        raise ExceptionGroup("several", [ValueError("a"), ValueError("b")])

    outcome = await outcome_of(first)
    assert outcome.error is not None
    assert outcome.error.code == "domain_error"
    assert "several" in outcome.error.message


async def test_L17_a_missing_key_is_told_as_one_and_not_as_its_bare_name() -> None:
    def first(state: Any) -> Any:
        return {}["customer"]

    @process("plain")
    async def plain() -> Any:
        return {}["customer"]

    outcome = await outcome_of(first)
    assert outcome.error is not None
    assert outcome.error.message == "KeyError: 'customer'"
    async with Remit(":memory:", processes=[plain]) as app:
        failed = await (await app.start(plain)).outcome(timeout=10)
    assert failed.error is not None
    assert failed.error.message == "KeyError: 'customer'"

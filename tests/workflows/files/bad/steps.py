"""Step functions that the files of this directory name; nothing here is ever imported."""

from __future__ import annotations

from remit.workflows import StartSubWorkflowDirective, StepContext, WorkflowJumpDirective


class Ledger:
    """A class, where a function is asked for."""


def book(state, context: StepContext) -> dict:
    """Does nothing to the flow."""
    return {"booked": True}


def misdirect(state, context: StepContext) -> dict:
    """Jumps to a step whose name is misspelt."""
    raise WorkflowJumpDirective(target_step_name="Pay_Supplyer")


def route(state, context: StepContext) -> dict:
    """Jumps to one of two steps, the second through a function of this module."""
    if state.total > 100:
        raise WorkflowJumpDirective("Approve")
    return _refuse(state)


def _refuse(state) -> dict:
    raise WorkflowJumpDirective(target_step_name="Refuse")


def wander(state, context: StepContext) -> dict:
    """Jumps to where the state says."""
    raise WorkflowJumpDirective(target_step_name=state.next_step)


def start_nobody(state, context: StepContext) -> dict:
    """Starts a workflow that is in no file."""
    raise StartSubWorkflowDirective(workflow_type="Screning", initial_data={"name": state.name})


raise AssertionError("a check imports nothing")

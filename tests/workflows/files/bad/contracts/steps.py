"""Step functions that pass data on."""

from __future__ import annotations

from remit.workflows import StartSubWorkflowDirective, StepContext


def check(state, context: StepContext) -> dict:
    """Does nothing to the flow."""
    return {}


def whole(state, context: StepContext) -> dict:
    """Passes everything on."""
    everything = state.model_dump()
    raise StartSubWorkflowDirective(workflow_type="Allocation", initial_data=everything)


def partly(state, context: StepContext) -> dict:
    """Passes on too little, too much and a wrong kind."""
    raise StartSubWorkflowDirective("Allocation", {"order_id": 17, "items": state.items, "colour": "red"})

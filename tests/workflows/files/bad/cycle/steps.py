"""Step functions of workflows that call each other in a circle."""

from __future__ import annotations

from remit.workflows import StartSubWorkflowDirective as Start
from remit.workflows import StepContext

WAREHOUSES = "Selection"


def check(state, context: StepContext) -> dict:
    """Does nothing to the flow."""
    return {}


def select_warehouse(state, context: StepContext) -> dict:
    """Starts a workflow whose name is a constant of this module."""
    raise Start(workflow_type=WAREHOUSES, initial_data={"order_id": state.order_id})

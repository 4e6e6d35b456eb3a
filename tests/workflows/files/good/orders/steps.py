"""Step functions of the orders, written as they would be for the system that this format comes from."""

from __future__ import annotations

from models import OrderState

from remit.workflows import StartSubWorkflowDirective, StepContext, WorkflowJumpDirective


def validate(state: OrderState, context: StepContext) -> dict:
    """Looks at the order."""
    return {"valid": bool(state.order_id)}


def allocate(state: OrderState, context: StepContext) -> dict:
    """Starts the allocation of what was ordered."""
    raise StartSubWorkflowDirective(
        workflow_type="InventoryAllocation",
        initial_data={
            "order_id": state.order_id,
            "items": state.items,
            "warehouse_preference": state.customer_warehouse,
        },
        owner_id=None,
        data_region=None,
    )


def release(state: OrderState, context: StepContext) -> dict:
    """Gives back what was reserved."""
    return {"released": True}


def after_inventory_allocation(state: OrderState, context: StepContext) -> dict:
    """Looks at what the child gave back."""
    found = state.sub_workflow_results.get("InventoryAllocation", {})
    if not found.get("allocated"):
        raise WorkflowJumpDirective(target_step_name="Handle_Allocation_Failure")
    return {"warehouse_id": found.get("warehouse_id")}


def spawn_shipping(state: OrderState, context: StepContext) -> dict:
    """Starts shipping as one of several tasks."""
    raise StartSubWorkflowDirective(
        workflow_type="ShippingArrangement",
        initial_data={"order_id": state.order_id, "items": state.items, "rush": True},
    )


raise AssertionError("a check imports nothing")

"""The third document's saga: what a compensation is given, and what becomes of the others when one fails (L37)."""

from __future__ import annotations

from pathlib import Path

import pytest

from remit import Remit
from remit.workflows import WorkflowBuilder
from tests.workflows.seed_scene import FLIGHT, STOCK, gate, notes, write

FUNCTIONS = """
def gives(state, context):
    return {"by": context.step_name}


def spawn(state, context):
    raise StartSubWorkflowDirective(workflow_type="InventoryAllocation", result={"by": context.step_name})


def fails(state, context):
    raise ValueError("the ledger is closed")


def undo(state, context):
    own = state.model_dump(exclude={"sub_workflow_results", "step_failures"})
    note([context.step_name, own, context.previous_step_result])
    state.by = "a compensation"
    if f"{context.step_name} cannot be undone" in notes:
        raise ValueError("no")
    return {"by": "a compensation"}
"""
ORDER = ["Reserve_Items", "Check_Stock", "Allocate_Inventory", "Reserve_Flight"]


@pytest.fixture(autouse=True)
def _nothing_said_and_shut() -> None:
    notes.clear()
    gate.shut()


@pytest.mark.parametrize("stuck", [None, "Reserve_Items", "Allocate_Inventory"])
async def test_L37_compensations_of_child_and_parent_are_independent_of_each_other(tmp_path: Path, stuck: str | None) -> None:
    """Each gets its own step's state and result, sees nothing of another, and one that fails stops no other."""
    notes.extend([f"{stuck} cannot be undone"] if stuck else [])
    files = {"order": FLIGHT.replace("noted", "gives"), "stock": STOCK.replace("noted", "gives")}
    async with Remit(":memory:", processes=[write(tmp_path, FUNCTIONS, **files)]) as app:
        parent = await WorkflowBuilder(app).create_workflow("OrderProcessing", {"order": 1})
        parent.enable_saga_mode()
        await parent.start()
        assert (await app.compensated(parent.id, 10)).compensation == ("failed" if stuck else "done")
        child = await app.compensated(f"{parent.id}.1", 10)
        assert child.compensation == ("failed" if stuck == "Reserve_Items" else "done")
        codes = {alert.code for alert in await app.alerts()}
        assert ("compensation_failed" in codes) is (stuck is not None)
    undone = {each[0]: each[1:] for each in notes if isinstance(each, list)}
    assert list(undone) == ORDER
    before = {"order": 1}
    for step, own in zip(ORDER, ({}, {}, before, before), strict=True):
        assert undone[step] == [{**own, "by": step}, {"by": step}]

"""Directories of workflow files with their Python, written for one test."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

__all__ = ["INVENTORY", "ORDER", "shop", "write"]

MODELS = """
    from pydantic import BaseModel

    class OrderState(BaseModel):
        order_id: str
        total: int = 0
        warehouse_id: str | None = None
        approved: bool | None = None

    class InventoryState(BaseModel):
        order_id: str
        warehouse_id: str | None = None
"""
STEPS = """
    from models import InventoryState, OrderState
    from remit.workflows import StartSubWorkflowDirective, StepContext

    HOME = "{home}"

    def validate(state: OrderState, context: StepContext) -> dict:
        if state.order_id == "bad":
            raise ValueError("no such order")
        return {{"total": 42}}

    def allocate(state: OrderState, context: StepContext) -> dict:
        raise StartSubWorkflowDirective("InventoryAllocation", {{"order_id": state.order_id}})

    def reserve(state: InventoryState) -> dict:
        assert type(state).__mro__[1] is InventoryState
        return {{"warehouse_id": "WH-" + HOME}}

    async def ship(state: OrderState) -> dict:
        return {{"warehouse_id": state.sub_workflow_results["InventoryAllocation"]["warehouse_id"]}}
"""
ORDER = """
    workflow_type: OrderProcessing
    initial_state_model: models.OrderState
    steps:
      - {name: Validate, function: steps.validate}
      - {name: Allocate, function: steps.allocate}
      - {name: Approve, type: HUMAN_IN_LOOP, prompt: Ship it?, schema: {properties: {approved: {type: boolean}}}}
      - {name: Ship, function: steps.ship}
"""
INVENTORY = """
    workflow_type: InventoryAllocation
    initial_state_model: models.InventoryState
    steps:
      - {name: Reserve, function: steps.reserve}
"""


def write(home: Path, **texts: str) -> Path:
    """Files by their names, a dot written as '__': `order__yaml`."""
    home.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (home / name.replace("__", ".")).write_text(textwrap.dedent(text), "utf-8")
    return home


def shop(home: Path, mark: str = "1", prefix: str = "") -> Path:
    """An order that allocates from an inventory and asks before it ships; all its types begin with `prefix`."""
    renamed = {
        name: text.replace("OrderProcessing", f"{prefix}OrderProcessing").replace(
            "InventoryAllocation", f"{prefix}InventoryAllocation"
        )
        for name, text in _files(mark)
    }
    return write(home, **renamed)


def _files(mark: str) -> Iterator[tuple[str, str]]:
    yield "models__py", MODELS
    yield "steps__py", STEPS.format(home=mark)
    yield "order__yaml", ORDER
    yield "inventory__yaml", INVENTORY

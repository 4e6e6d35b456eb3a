"""An order, as sales knows it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

__all__ = ["Item", "OrderState"]


class Item(BaseModel):
    """So many of one part."""

    sku: str
    qty: int = Field(gt=0)


class OrderState(BaseModel):
    """The state of OrderProcessing. Required: `order_id`, `customer`, `items`. `warehouse`: from there and nowhere else."""

    order_id: str
    customer: str
    items: list[Item] = Field(min_length=1)
    warehouse: str | None = None
    country: str = ""
    weight: int = 0
    flight: str | None = None
    warehouse_id: str | None = None
    total: int = 0
    carrier: str | None = None
    label: str | None = None
    stage: str = "received"
    step_failures: dict[str, Any] = {}

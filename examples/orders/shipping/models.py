"""What is to be shipped."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["ShippingState"]


class ShippingState(BaseModel):
    """The state of ShippingArrangement. Required of the caller: `order_id`, `warehouse_id`, `flight`, `weight` in grams."""

    order_id: str
    warehouse_id: str
    flight: str
    weight: int = Field(gt=0)
    carriers: list[str] = []
    carrier: str | None = None
    cost: int = 0
    days: int = 0
    label: str = ""

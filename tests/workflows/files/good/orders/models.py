"""State models of the orders; a check reads them without importing."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class OrderState(BaseModel):
    """An order on its way."""

    order_id: str
    items: list[dict] = []
    total: float = 0.0
    customer_warehouse: str | None = None


class InventoryAllocationState(BaseModel):
    """
    State model for InventoryAllocation.

    **Required Input** (from parent): order_id, items
    """

    order_id: str
    items: list[dict]
    warehouse_preference: str | None = None


class ShippingArrangementState(InventoryAllocationState):
    """Shipping takes what allocation takes, and more."""

    model_config = ConfigDict(extra="allow")
    carrier: str = "post"


class PaymentState(BaseModel):
    """What is to be paid."""

    order_id: str
    amount: float


raise AssertionError("a check imports nothing")

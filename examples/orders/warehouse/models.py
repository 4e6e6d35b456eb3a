"""What the warehouse is asked for, and what it answers."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["AllocationState", "Item"]


class Item(BaseModel):
    """So many of one part."""

    sku: str
    qty: int = Field(gt=0)


class AllocationState(BaseModel):
    """The state of InventoryAllocation.

    Required of the caller: `purpose` (the order, return, transfer or reservation it is for) and `items`. `warehouse`: that
    one and no other. Given back: `allocated`, `warehouse_id`, `items_reserved`, and `reservation`, by which the goods are held.
    """

    purpose: str
    items: list[Item] = Field(min_length=1)
    warehouse: str | None = None
    warehouse_id: str | None = None
    items_reserved: list[Item] = []
    reservation: str | None = None

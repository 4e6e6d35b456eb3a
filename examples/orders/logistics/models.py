"""What is to be moved."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["Item", "TransferState"]


class Item(BaseModel):
    """So many of one part."""

    sku: str
    qty: int = Field(gt=0)


class TransferState(BaseModel):
    """The state of TransferProcessing: `items` from the warehouse `source` to `target`."""

    source: str
    target: str
    items: list[Item]
    reservation: str | None = None
    moved: int = 0

"""What comes back."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["ReturnState"]


class ReturnState(BaseModel):
    """The state of ReturnProcessing: what came back to `returned_to`, and in which `condition`."""

    order_id: str
    sku: str
    quantity: int = Field(gt=0)
    condition: str = "broken"
    returned_to: str = "WH-1"
    warehouse_id: str | None = None
    settled_by: str = ""
    credit: int = 0

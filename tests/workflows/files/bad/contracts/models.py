"""State models that a check reads without importing them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Traced(BaseModel):
    """What several states have."""

    order_id: str = Field(description="as the shop gave it")
    note: str | None = None


class AllocationState(Traced):
    """The state of Allocation."""

    items: list[dict]
    priority: int = 0
    express: bool = False
    mode: Literal["one", "all"] = "all"
    warehouse: str | None
    weight: float = Field(default=0.0, ge=0)


class OrderState(Traced):
    """The state of Order."""

    items: list[dict] = Field(default_factory=list)
    total: float = 0.0


raise AssertionError("a check imports nothing")

"""What is to be priced."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["Line", "PriceState"]


class Line(BaseModel):
    """So many of one part."""

    sku: str
    qty: int = Field(gt=0)


class PriceState(BaseModel):
    """The state of PricingCalculation. Required of the caller: `customer`, `country`, `items`; amounts are cents."""

    customer: str
    country: str
    items: list[Line]
    tier: str = "standard"
    net: int = 0
    discount: int = 0
    tax: int = 0

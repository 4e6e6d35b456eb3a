"""State models of a registry."""

from __future__ import annotations

from pydantic import BaseModel


class OrderState(BaseModel):
    """What an order is."""

    order_id: str

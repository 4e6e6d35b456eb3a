"""What is to be paid."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

__all__ = ["PaymentState"]


class PaymentState(BaseModel):
    """The state of PaymentProcessing. Required of the caller: `order_id`, `customer`, and the `amount` in cents."""

    order_id: str
    customer: str
    amount: int = Field(gt=0)
    card: str = ""
    response: dict[str, Any] = {}
    paid: bool = False
    step_failures: dict[str, Any] = {}

"""What the payables' processes say to each other."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .document import Document
from .orders import Match
from .refusal import Refusal
from .screening import Account

__all__ = ["ApprovalRequest", "Booked", "Case", "Decision", "Incoming", "Notice", "Order", "Settlement"]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Incoming(_Message):
    """A file that came in, by the SHA-256 of its content; the archive has it under that name."""

    digest: str = Field(pattern="^[0-9a-f]{64}$")


class Case(_Message):
    """A document on its way, and what it was matched with; `match` is None before that."""

    digest: str
    document: Document
    match: Match | None = None


class ApprovalRequest(_Message):
    """A document that a human decides on, and the limit it is above."""

    number: str
    supplier: str
    amount: Decimal
    currency: str
    limit: Decimal
    element: str
    to: str = ""


class Decision(_Message):
    """A human's answer."""

    approved: bool
    by: str = Field(min_length=1, max_length=100)
    comment: str = Field(default="", max_length=500)


class Order(_Message):
    """An approved document to be booked for payment."""

    digest: str
    supplier: str
    document: Document
    account: Account


class Booked(_Message):
    """The booking: the payment's identity up to the creditor's bank statement."""

    end_to_end_id: str


class Settlement(_Message):
    """How a document ended; `amount` is what we owe for it, below zero for a credit note."""

    status: Literal["booked", "credited", "nothing_due", "refused"]
    number: str = ""
    supplier: str = ""
    amount: Decimal | None = None
    currency: str = ""
    end_to_end_id: str = ""
    reason: Refusal | None = None


class Notice(_Message):
    """What accounting is told about a document."""

    digest: str
    number: str
    status: str
    text: str

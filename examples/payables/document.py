"""What Remit's payables know of an invoice or credit note, in whichever dialect of UBL it came."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = ["ROOTS", "Adjustment", "Document", "Kind", "Line", "Means", "Party", "TaxShare", "TaxTotal", "Totals"]

Kind = Literal["invoice", "credit_note"]
ROOTS: dict[Kind, str] = {"invoice": "/Invoice", "credit_note": "/CreditNote"}


class _Part(BaseModel):
    """A part of a document; `element` is where it stands in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    element: str


class Party(_Part):
    """A seller, buyer or payee; `ids` are all its identifiers (VAT, legal, endpoint), compacted."""

    name: str
    ids: tuple[str, ...]


class Adjustment(_Part):
    """An allowance, or with `charge` a charge, before tax."""

    charge: bool
    amount: Decimal
    category: str
    percent: Decimal | None

    @property
    def signed(self) -> Decimal:
        """What it adds to the net amount."""
        return self.amount if self.charge else -self.amount


class TaxShare(_Part):
    """One subtotal of a tax: the amount of one category at one rate."""

    taxable: Decimal | None
    tax: Decimal
    category: str
    percent: Decimal | None


class TaxTotal(_Part):
    """A tax in the document's currency and the subtotals it consists of."""

    amount: Decimal
    shares: tuple[TaxShare, ...]


class Line(_Part):
    """A line; `net` is what it adds to the total before tax, after its own adjustments."""

    id: str
    name: str
    quantity: Decimal | None
    net: Decimal
    price: Decimal | None
    base_quantity: Decimal
    adjustments: tuple[Adjustment, ...]
    item_ids: tuple[str, ...]
    order: str
    order_line: str
    category: str
    percent: Decimal | None


class Totals(_Part):
    """The document's totals; what the file leaves out is None."""

    lines: Decimal | None
    allowances: Decimal | None
    charges: Decimal | None
    exclusive: Decimal | None
    inclusive: Decimal | None
    prepaid: Decimal
    rounding: Decimal
    payable: Decimal


class Means(_Part):
    """One way to pay: `code` is UNCL 4461 (30 and 58 are credit transfers), `account` the payee's."""

    code: str
    account: str
    bic: str
    holder: str
    reference: str


class Document(_Part):
    """An invoice or a credit note, its amounts in `currency` and, in a credit note, positive too."""

    kind: Kind
    type_code: str
    number: str
    issued: date
    due: date | None
    currency: str
    supplier: Party
    customer: Party
    payee: Party | None
    order: str
    preceding: tuple[str, ...]
    lines: tuple[Line, ...]
    adjustments: tuple[Adjustment, ...]
    taxes: tuple[TaxTotal, ...]
    totals: Totals
    means: tuple[Means, ...]

    @property
    def owed(self) -> Decimal:
        """What we owe for it; below zero the supplier owes us."""
        return self.totals.payable if self.kind == "invoice" else -self.totals.payable

    @property
    def creditor(self) -> Party:
        """Who receives the money: the payee (a factor, say) where one is named, else the supplier."""
        return self.payee or self.supplier

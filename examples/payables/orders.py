"""Three-way match: what an invoice asks for against what was ordered and what was received."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from decimal import Decimal

from .document import Document, Line, Party
from .money import minor_unit
from .refusal import Refused

__all__ = ["Match", "match_document", "release_claims"]

_CHARGES = "charges"  # the pseudo line under which a document's freight and fees are claimed


@dataclass(frozen=True, slots=True)
class Match:
    """A document's supplier and the orders it belongs to."""

    supplier: str
    orders: tuple[str, ...]


def match_document(book: sqlite3.Connection, key: str, document: Document) -> Match:
    """Match and claim the quantities for the document `key`; again for the same key changes nothing.

    Raises Refused under the first element that no order covers. A credit note gives its quantities back.
    """
    _check_buyer(book, document.customer)
    supplier = _supplier(book, document.supplier)
    release_claims(book, key)  # an attempt that was cut short may have left some
    if document.kind == "credit_note" and _credits_known_invoice(book, supplier, document):
        return Match(supplier, ())
    orders: dict[str, sqlite3.Row] = {}
    for line in document.lines:
        number = line.order or document.order
        if number not in orders:
            orders[number] = _order(book, number, supplier, document)
        _claim_line(book, key, document, line, _order_line(book, number, line))
    _claim_charges(book, key, document, list(orders.values()))
    return Match(supplier, tuple(orders))


def release_claims(book: sqlite3.Connection, key: str) -> None:
    """Give back what a document claimed; one that claimed nothing is fine."""
    book.execute("DELETE FROM claims WHERE document = ?", (key,))


def _check_buyer(book: sqlite3.Connection, customer: Party) -> None:
    ours = {row["party_id"] for row in book.execute("SELECT party_id FROM company")}
    if not ours & set(customer.ids):
        raise Refused(
            "not_our_invoice",
            f"{customer.element}/cac:PartyTaxScheme/cbc:CompanyID",
            f"it is addressed to {customer.name}",
            f"Send it to its buyer; our identifier is {' or '.join(sorted(ours))}",
        )


def _supplier(book: sqlite3.Connection, party: Party) -> str:
    marks = ", ".join("?" * len(party.ids))
    row = book.execute(f"SELECT id FROM suppliers WHERE party_id IN ({marks})", party.ids).fetchone()
    if row is None:
        raise Refused(
            "unknown_supplier",
            f"{party.element}/cac:PartyTaxScheme/cbc:CompanyID",
            f"no supplier has an identifier of {party.name} ({', '.join(party.ids) or 'it states none'})",
            "Register the supplier in the book, or return the invoice",
        )
    return str(row["id"])


def _credits_known_invoice(book: sqlite3.Connection, supplier: str, document: Document) -> bool:
    """Whether the credit note names an invoice of this supplier that was booked: then it needs no order."""
    marks = ", ".join("?" * len(document.preceding))
    query = f"SELECT 1 FROM bookings WHERE supplier = ? AND kind = 'invoice' AND number IN ({marks})"
    return book.execute(query, (supplier, *document.preceding)).fetchone() is not None


def _order(book: sqlite3.Connection, number: str, supplier: str, document: Document) -> sqlite3.Row:
    element = f"{document.element}/cac:OrderReference/cbc:ID"
    if not number:
        raise Refused("missing_order", element, "it names no purchase order", "State the order's number")
    row: sqlite3.Row | None = book.execute("SELECT * FROM orders WHERE number = ?", (number,)).fetchone()
    if row is None or row["supplier"] != supplier:
        raise Refused(
            "unknown_order",
            element,
            f"this supplier has no order {number!r}",
            "State the number on our order",
        )
    if row["currency"] != document.currency:
        raise Refused(
            "currency_mismatch",
            f"{document.element}/cbc:DocumentCurrencyCode",
            f"order {number} is in {row['currency']}, the document in {document.currency}",
            f"Invoice in {row['currency']}",
        )
    return row


def _order_line(book: sqlite3.Connection, number: str, line: Line) -> sqlite3.Row:
    """The one ordered line a document's line means: by its number, else by item, else by name."""
    ordered = book.execute("SELECT * FROM order_lines WHERE order_number = ?", (number,)).fetchall()
    candidates = (
        [row for row in ordered if row["line"] == line.order_line],
        [row for row in ordered if row["item"] in line.item_ids],
        [row for row in ordered if row["name"].casefold() == line.name.casefold()],
    )
    for found in candidates:
        if len(found) == 1:
            row: sqlite3.Row = found[0]
            return row
    raise Refused(
        "line_not_ordered",
        f"{line.element}/cac:Item",
        f"order {number} has no line for {line.name or line.id!r}",
        "State cac:OrderLineReference/cbc:LineID, or take the line off the invoice",
    )


def _claim_line(book: sqlite3.Connection, key: str, document: Document, line: Line, ordered: sqlite3.Row) -> None:
    name = "InvoicedQuantity" if document.kind == "invoice" else "CreditedQuantity"
    quantity_element = f"{line.element}/cbc:{name}"
    if line.quantity is None:
        raise Refused("missing_element", quantity_element, "the quantity is missing", "State it")
    if document.kind == "credit_note":
        _claim(book, key, ordered["order_number"], ordered["line"], -line.quantity)
        return
    allowed = line.quantity * Decimal(ordered["price"]) + (minor_unit(document.currency) or Decimal(0))
    if line.net > allowed:
        raise Refused(
            "price_too_high",
            f"{line.element}/cbc:LineExtensionAmount",
            f"{line.quantity:f} at the ordered {ordered['price']} are {allowed:,.2f} at most",
            "Invoice the ordered price, or have the order changed",
        )
    _claim(book, key, ordered["order_number"], ordered["line"], line.quantity)
    _check_quantity(book, quantity_element, ordered)


def _check_quantity(book: sqlite3.Connection, element: str, ordered: sqlite3.Row) -> None:
    at = (ordered["order_number"], ordered["line"])
    claimed = _sum(book, "claims", at)
    received = _sum(book, "receipts", at)
    for code, limit, what in (
        ("not_received", received, "received"),
        ("over_ordered", Decimal(ordered["quantity"]), "ordered"),
    ):
        if claimed > limit:
            raise Refused(
                code,
                element,
                f"with it {claimed:f} of {ordered['name']} are invoiced, {limit:f} were {what} ({at[0]})",
                "Invoice what was delivered on the order, or wait for the receipt to be booked",
            )


def _claim_charges(book: sqlite3.Connection, key: str, document: Document, orders: list[sqlite3.Row]) -> None:
    """Freight and fees are claimed on the first order, up to what was agreed there."""
    net = sum((part.signed for part in document.adjustments), Decimal(0))
    if net <= 0 or document.kind == "credit_note":
        return
    order = orders[0]
    _claim(book, key, order["number"], _CHARGES, net)
    claimed = _sum(book, "claims", (order["number"], _CHARGES))
    if claimed > Decimal(order["charges_limit"]):
        raise Refused(
            "charges_too_high",
            f"{document.element}/cac:AllowanceCharge/cbc:Amount",
            f"with it {claimed:,f} of charges are invoiced, at most {order['charges_limit']} agreed",
            "Take the charge off, or have the order changed",
        )


def _claim(book: sqlite3.Connection, key: str, order: str, line: str, quantity: Decimal) -> None:
    row = book.execute(
        "SELECT quantity FROM claims WHERE document = ? AND order_number = ? AND line = ?", (key, order, line)
    ).fetchone()
    total = quantity + (Decimal(row["quantity"]) if row else 0)  # two lines may draw on one ordered line
    book.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", (key, order, line, str(total)))


def _sum(book: sqlite3.Connection, table: str, at: tuple[str, str]) -> Decimal:
    rows = book.execute(f"SELECT quantity FROM {table} WHERE order_number = ? AND line = ?", at)
    return sum((Decimal(row["quantity"]) for row in rows), Decimal(0))

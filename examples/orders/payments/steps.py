"""Credit and claims in the shop's books; what the provider blocked is given back over HTTP."""

from __future__ import annotations

import sqlite3
from typing import Any
from urllib.parse import quote

import httpx

from examples.orders.shop import note, the_shop
from remit import DomainError
from remit.workflows import StepContext

from .models import PaymentState

__all__ = [
    "book_claim",
    "check_credit",
    "close_payment",
    "free_credit",
    "report_decline",
    "reverse_claim",
    "void_authorization",
]

_TIMEOUT_S = 10


def check_credit(state: PaymentState, context: StepContext) -> dict[str, Any]:
    """Count the amount against the customer's limit; raises `over_limit`."""
    with the_shop().writing() as books:
        customer = books.execute("SELECT * FROM customers WHERE id = ?", (state.customer,)).fetchone()
        changed = books.execute(
            "INSERT INTO credit VALUES (?, ?, ?, 'counted')"
            " ON CONFLICT (ref) DO UPDATE SET amount = excluded.amount, state = 'counted' WHERE state = 'free'",
            (context.workflow_id, state.customer, state.amount),
        )
        (counted,) = books.execute(
            "SELECT sum(amount) FROM credit WHERE customer = ? AND state = 'counted'", (state.customer,)
        ).fetchone()
        if counted > customer["credit_limit"]:
            raise DomainError(f"{customer['name']} would owe {counted} cents", code="over_limit")
        if changed.rowcount:
            note(books, context.workflow_id, f"credit of {state.amount} counted")
    return {"card": customer["card"]}


def free_credit(_state: PaymentState, context: StepContext) -> None:
    """Count it no longer."""
    with the_shop().writing() as books:
        changed = books.execute(
            "UPDATE credit SET state = 'free' WHERE ref = ? AND state IN ('counted', 'used')", (context.workflow_id,)
        )
        if changed.rowcount:
            note(books, context.workflow_id, "credit freed")


def void_authorization(state: PaymentState) -> dict[str, Any]:
    """Have the provider give back what it blocked; where it blocked nothing, it says so too."""
    shop = the_shop()
    url = f"{shop.outside}/authorizations/{quote(state.order_id, safe='')}"
    response = httpx.delete(url, headers={"Authorization": f"Bearer {shop.token}"}, timeout=_TIMEOUT_S)
    return {"status": response.raise_for_status().status_code}


def book_claim(state: PaymentState, context: StepContext) -> dict[str, Any]:
    """The customer owes what the provider has blocked."""
    with the_shop().writing() as books:
        if not _claimed(books, context.workflow_id):
            _post(books, context.workflow_id, ("claims", "revenue"), state.amount)
            note(books, context.workflow_id, "claim booked")
    return {"paid": True}


def reverse_claim(state: PaymentState, context: StepContext) -> None:
    """The customer owes nothing."""
    with the_shop().writing() as books:
        if _claimed(books, context.workflow_id):
            _post(books, context.workflow_id, ("revenue", "claims"), state.amount)
            note(books, context.workflow_id, "claim reversed")


def report_decline(state: PaymentState) -> dict[str, Any]:
    """Raises `payment_declined`, with what the provider said."""
    why = state.step_failures["Authorize"]["message"]
    raise DomainError(f"The card of {state.customer} was declined: {why}", code="payment_declined")


def close_payment(state: PaymentState, context: StepContext) -> dict[str, Any]:
    """The credit is used: what the customer owes stands in the ledger now."""
    with the_shop().writing() as books:
        changed = books.execute(
            "UPDATE credit SET state = 'used' WHERE ref = ? AND state = 'counted'", (context.workflow_id,)
        )
        if changed.rowcount:
            note(books, context.workflow_id, f"payment of {state.amount} closed")
    return {}


def _claimed(books: sqlite3.Connection, ref: str) -> bool:
    (balance,) = books.execute(
        "SELECT coalesce(sum(CASE debit WHEN 'claims' THEN amount ELSE -amount END), 0) FROM ledger"
        " WHERE ref = ? AND 'claims' IN (debit, credit)",
        (ref,),
    ).fetchone()
    return bool(balance)


def _post(books: sqlite3.Connection, ref: str, accounts: tuple[str, str], amount: int) -> None:
    books.execute("INSERT INTO ledger (ref, debit, credit, amount) VALUES (?, ?, ?, ?)", (ref, *accounts, amount))

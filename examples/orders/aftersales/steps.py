"""Returns: registered, put back on the shelf, settled."""

from __future__ import annotations

import sqlite3
from typing import Any

from examples.orders.shop import note, the_shop
from remit import DomainError
from remit.workflows import StepContext

from .models import ReturnState

__all__ = [
    "close_return",
    "issue_credit",
    "promise_replacement",
    "register_return",
    "restock",
    "strike_return",
    "take_out_again",
]


def register_return(state: ReturnState, context: StepContext) -> dict[str, Any]:
    """Raises `unknown_order`."""
    with the_shop().writing() as books:
        if books.execute("SELECT 1 FROM orders WHERE id = ?", (state.order_id,)).fetchone() is None:
            raise DomainError(f"There is no order {state.order_id!r}", code="unknown_order")
        changed = books.execute(
            "INSERT INTO returns VALUES (?, ?, ?, ?, 'registered')"
            " ON CONFLICT (ref) DO UPDATE SET state = 'registered' WHERE state = 'struck'",
            (context.workflow_id, state.order_id, state.sku, state.quantity),
        )
        if changed.rowcount:
            note(books, context.workflow_id, f"return of {state.quantity} {state.sku} registered")
    return {}


def strike_return(_state: ReturnState, context: StepContext) -> None:
    """The return did not happen."""
    with the_shop().writing() as books:
        _ = _became(books, context, "struck", "registered")


def restock(state: ReturnState, context: StepContext) -> dict[str, Any]:
    """Put the goods back on the shelf."""
    with the_shop().writing() as books:
        if _became(books, context, "restocked", "registered"):
            _shelve(books, state, state.quantity)
    return {}


def take_out_again(state: ReturnState, context: StepContext) -> None:
    """Take them from the shelf."""
    with the_shop().writing() as books:
        if _became(books, context, "registered", "restocked"):
            _shelve(books, state, -state.quantity)


def promise_replacement(_state: ReturnState) -> dict[str, Any]:
    """The warehouse holds the goods."""
    return {"settled_by": "replacement"}


def issue_credit(state: ReturnState) -> dict[str, Any]:
    """What the goods cost."""
    with the_shop().reading() as books:
        (price,) = books.execute("SELECT price FROM parts WHERE sku = ?", (state.sku,)).fetchone()
    return {"settled_by": "credit", "credit": price * state.quantity}


def close_return(state: ReturnState, context: StepContext) -> dict[str, Any]:
    """What the customer is told."""
    with the_shop().writing() as books:
        note(books, context.workflow_id, f"return settled by {state.settled_by}")
    return {}


def _became(books: sqlite3.Connection, context: StepContext, state: str, before: str) -> bool:
    """Whether the return was still in the state before."""
    changed = books.execute(
        "UPDATE returns SET state = ? WHERE ref = ? AND state = ?", (state, context.workflow_id, before)
    )
    if changed.rowcount:
        note(books, context.workflow_id, f"return {state}")
    return bool(changed.rowcount)


def _shelve(books: sqlite3.Connection, state: ReturnState, quantity: int) -> None:
    books.execute(
        "UPDATE stock SET on_hand = on_hand + ? WHERE warehouse = ? AND sku = ?",
        (quantity, state.returned_to, state.sku),
    )

"""Checking, holding and posting goods; each step can be taken back, and does nothing the second time.

What a step does and what takes it back find by the row's state what there is still to do: whoever runs a step again after
a crash, or takes back one that never came to its end, changes nothing that is as it should be already.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from examples.orders.shop import note, the_shop
from remit import DomainError
from remit.workflows import StepContext

from .models import AllocationState

__all__ = ["check_stock", "release_items", "reserve_items", "reverse_ledger", "update_ledger", "withdraw_plan"]


def check_stock(state: AllocationState, context: StepContext) -> dict[str, Any]:
    """Find the warehouse, and put the goods on its picking plan; raises `out_of_stock`."""
    if len({item.sku for item in state.items}) < len(state.items):
        raise DomainError("A part stands in two lines: add them up", code="doubled_part")
    with the_shop().writing() as books:
        places = [state.warehouse] if state.warehouse else _warehouses(books)
        place = next((each for each in places if not _missing(books, each, state)), None)
        if place is None:
            missing = _missing(books, places[0], state)
            raise DomainError(f"No warehouse has all of it: {', '.join(missing)} missing", code="out_of_stock")
        changed = books.execute(
            "INSERT INTO plans VALUES (?, ?, 'planned')"
            " ON CONFLICT (ref) DO UPDATE SET warehouse = excluded.warehouse, state = 'planned' WHERE state = 'withdrawn'",
            (context.workflow_id, place),
        )
        if changed.rowcount:
            note(books, context.workflow_id, f"planned in {place}")
    return {"warehouse_id": place}


def withdraw_plan(_state: AllocationState, context: StepContext) -> None:
    """Take the goods off the picking plan."""
    with the_shop().writing() as books:
        changed = books.execute(
            "UPDATE plans SET state = 'withdrawn' WHERE ref = ? AND state = 'planned'", (context.workflow_id,)
        )
        if changed.rowcount:
            note(books, context.workflow_id, "plan withdrawn")


def reserve_items(state: AllocationState, context: StepContext) -> dict[str, Any]:
    """Hold the goods; raises `out_of_stock` where somebody else has just taken them."""
    ref = context.workflow_id
    with the_shop().writing() as books:
        for item in state.items:
            if _hold(books, ref, state.warehouse_id or "", item.sku, item.qty):
                note(books, ref, f"held {item.qty} {item.sku}")
    return {"items_reserved": state.items, "reservation": ref}


def release_items(_state: AllocationState, context: StepContext) -> None:
    """Give back what is still held."""
    ref = context.workflow_id
    with the_shop().writing() as books:
        rows = books.execute("SELECT * FROM held WHERE ref = ? AND state = 'held'", (ref,)).fetchall()
        for row in rows:
            books.execute(
                "UPDATE stock SET held = held - ? WHERE warehouse = ? AND sku = ?",
                (row["quantity"], row["warehouse"], row["sku"]),
            )
        books.execute("UPDATE held SET state = 'released' WHERE ref = ? AND state = 'held'", (ref,))
        if rows:
            note(books, ref, "items released")


def update_ledger(state: AllocationState, context: StepContext) -> dict[str, Any]:
    """Post the goods from stock to reserved; raises `books_closed` while the warehouse takes stock."""
    ref = context.workflow_id
    with the_shop().writing() as books:
        (is_open,) = books.execute("SELECT books_open FROM warehouses WHERE id = ?", (state.warehouse_id,)).fetchone()
        if not is_open:
            raise DomainError(f"The books of {state.warehouse_id} are closed for stocktaking", code="books_closed")
        value = sum(item.qty * _value(books, item.sku) for item in state.items)
        if not _posted(books, ref):
            books.execute(
                "INSERT INTO ledger (ref, debit, credit, amount) VALUES (?, 'reserved', 'stock', ?)", (ref, value)
            )
            note(books, ref, "ledger posted")
    return {"posted": value}


def reverse_ledger(_state: AllocationState, context: StepContext) -> None:
    """Post it back: entries of a ledger are never deleted."""
    ref = context.workflow_id
    with the_shop().writing() as books:
        value = _posted(books, ref)
        if value:
            books.execute(
                "INSERT INTO ledger (ref, debit, credit, amount) VALUES (?, 'stock', 'reserved', ?)", (ref, value)
            )
            note(books, ref, "ledger reversed")


def _warehouses(books: sqlite3.Connection) -> list[str]:
    return [row["id"] for row in books.execute("SELECT id FROM warehouses ORDER BY id")]


def _missing(books: sqlite3.Connection, warehouse: str, state: AllocationState) -> list[str]:
    return [item.sku for item in state.items if _free(books, warehouse, item.sku) < item.qty]


def _free(books: sqlite3.Connection, warehouse: str, sku: str) -> int:
    row = books.execute("SELECT on_hand - held FROM stock WHERE warehouse = ? AND sku = ?", (warehouse, sku)).fetchone()
    return 0 if row is None else int(row[0])


def _hold(books: sqlite3.Connection, ref: str, warehouse: str, sku: str, quantity: int) -> bool:
    """Whether it was not held already."""
    changed = books.execute(
        "INSERT INTO held VALUES (?, ?, ?, ?, 'held') ON CONFLICT (ref, sku) DO UPDATE SET"
        " warehouse = excluded.warehouse, quantity = excluded.quantity, state = 'held' WHERE state = 'released'",
        (ref, sku, warehouse, quantity),
    )
    if not changed.rowcount:
        return False
    if _free(books, warehouse, sku) < quantity:
        raise DomainError(f"{sku} has just been taken by somebody else", code="out_of_stock")
    books.execute("UPDATE stock SET held = held + ? WHERE warehouse = ? AND sku = ?", (quantity, warehouse, sku))
    return True


def _value(books: sqlite3.Connection, sku: str) -> int:
    return int(books.execute("SELECT value FROM parts WHERE sku = ?", (sku,)).fetchone()[0])


def _posted(books: sqlite3.Connection, ref: str) -> int:
    """What stands in the ledger for an allocation: posted and not reversed."""
    (value,) = books.execute(
        "SELECT coalesce(sum(CASE debit WHEN 'reserved' THEN amount ELSE -amount END), 0) FROM ledger"
        " WHERE ref = ? AND 'reserved' IN (debit, credit)",
        (ref,),
    ).fetchone()
    return int(value)

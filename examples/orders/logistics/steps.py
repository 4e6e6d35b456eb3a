"""Transfers: planned, loaded by people, moved in the books."""

from __future__ import annotations

from typing import Any

from examples.orders.shop import note, the_shop
from remit import DomainError
from remit.workflows import StepContext

from .models import TransferState

__all__ = ["drop_transfer", "move_goods", "plan_transfer"]


def plan_transfer(state: TransferState, context: StepContext) -> dict[str, Any]:
    """Raises `unknown_warehouse`."""
    with the_shop().writing() as books:
        if books.execute("SELECT 1 FROM warehouses WHERE id = ?", (state.target,)).fetchone() is None:
            raise DomainError(f"There is no warehouse {state.target!r}", code="unknown_warehouse")
        changed = books.execute(
            "INSERT INTO transfers VALUES (?, ?, 'planned')"
            " ON CONFLICT (ref) DO UPDATE SET state = 'planned' WHERE state = 'dropped'",
            (context.workflow_id, state.target),
        )
        if changed.rowcount:
            note(books, context.workflow_id, f"transfer to {state.target} planned")
    return {}


def drop_transfer(_state: TransferState, context: StepContext) -> None:
    """Nothing is moved."""
    with the_shop().writing() as books:
        changed = books.execute(
            "UPDATE transfers SET state = 'dropped' WHERE ref = ? AND state = 'planned'", (context.workflow_id,)
        )
        if changed.rowcount:
            note(books, context.workflow_id, "transfer dropped")


def move_goods(state: TransferState, context: StepContext) -> dict[str, Any]:
    """What was held at the source is on hand at the target; in one transaction, so once."""
    with the_shop().writing() as books:
        rows = books.execute("SELECT * FROM held WHERE ref = ? AND state = 'held'", (state.reservation,)).fetchall()
        for row in rows:
            books.execute(
                "UPDATE stock SET on_hand = on_hand - ?1, held = held - ?1 WHERE warehouse = ?2 AND sku = ?3",
                (row["quantity"], row["warehouse"], row["sku"]),
            )
            books.execute(
                "INSERT INTO stock (warehouse, sku, on_hand) VALUES (?, ?, ?)"
                " ON CONFLICT (warehouse, sku) DO UPDATE SET on_hand = on_hand + excluded.on_hand",
                (state.target, row["sku"], row["quantity"]),
            )
        books.execute("UPDATE held SET state = 'moved' WHERE ref = ? AND state = 'held'", (state.reservation,))
        books.execute("UPDATE transfers SET state = 'moved' WHERE ref = ?", (context.workflow_id,))
        if rows:
            note(books, context.workflow_id, f"moved to {state.target}")
    return {"moved": sum(item.qty for item in state.items)}

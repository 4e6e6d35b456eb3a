"""Key accounts: goods are held for a customer who may fetch them. A parent of InventoryAllocation that is plain Python."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from remit import ProcessRef, call_process, current, process, step
from remit.durable import wait_event

from .shop import note, the_shop

__all__ = ["Reservation", "Reserved", "reservation"]

_ALLOCATION = ProcessRef[dict[str, Any], dict[str, Any]]("InventoryAllocation@^1")


class Reservation(BaseModel):
    """So many of one part, held for a customer for a while."""

    customer: str
    sku: str
    quantity: int = Field(gt=0)
    hold: str = "3d"


class Reserved(BaseModel):
    """What came of it."""

    status: str
    warehouse_id: str | None = None


def cancel(_result: None, customer: str) -> None:
    """The customer has nothing reserved any more."""
    with the_shop().writing() as books:
        ref = current().execution_id
        changed = books.execute("UPDATE reservations SET state = 'cancelled' WHERE ref = ? AND state = 'open'", (ref,))
        if changed.rowcount:
            note(books, ref, f"reservation of {customer} cancelled")


@step(compensate=cancel)
def register(customer: str) -> None:
    """Note that the customer has something reserved."""
    with the_shop().writing() as books:
        ref = current().execution_id
        changed = books.execute(
            "INSERT INTO reservations VALUES (?, ?, 'open')"
            " ON CONFLICT (ref) DO UPDATE SET state = 'open' WHERE state = 'cancelled'",
            (ref, customer),
        )
        if changed.rowcount:
            note(books, ref, f"reservation of {customer} opened")


@process("ReservationProcessing", department="key-accounts", calls=["InventoryAllocation@^1"], saga=True, ttl="1h")
async def reservation(request: Reservation) -> Reserved:
    """Hold goods until they are fetched; where nobody does in time, all is given back."""
    await register(request.customer)
    items = [{"sku": request.sku, "qty": request.quantity}]
    outcome = await call_process(_ALLOCATION, {"purpose": f"reservation of {request.customer}", "items": items})
    if outcome.error is not None and outcome.error.code == "out_of_stock":
        return Reserved(status="refused")
    held = outcome.unwrap()
    await wait_event("fetched", timeout=request.hold)
    return Reserved(status="fetched", warehouse_id=held["warehouse_id"])

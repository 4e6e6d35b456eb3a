"""The order's own steps; what the children do, they take back themselves."""

from __future__ import annotations

import sqlite3
from typing import Any

from examples.orders.shop import note, the_shop
from remit import DomainError
from remit.workflows import SagaWorkflowException, StartSubWorkflowDirective, StepContext

from .models import OrderState

__all__ = [
    "charge_payment",
    "check_fraud",
    "close_order",
    "confirm_order",
    "record_backorder",
    "refuse_order",
    "release_flight",
    "reserve_flight",
    "validate_customer",
    "withdraw_allocation",
    "withdraw_charge",
]

_SUSPICIOUS = 3
"""So many orders that came to nothing, and a person looks at the next one."""


def validate_customer(state: OrderState) -> dict[str, Any]:
    """Where the customer is, and what the goods weigh; raises `unknown_customer`, `blocked_customer`, `unknown_part`."""
    with the_shop().writing() as books:
        customer = books.execute("SELECT * FROM customers WHERE id = ?", (state.customer,)).fetchone()
        if customer is None:
            raise DomainError(f"There is no customer {state.customer!r}", code="unknown_customer")
        if customer["blocked"]:
            raise DomainError(f"{customer['name']} gets nothing at present", code="blocked_customer")
        weights = {row["sku"]: row["weight"] for row in books.execute("SELECT sku, weight FROM parts")}
        unknown = [item.sku for item in state.items if item.sku not in weights]
        if unknown:
            raise DomainError(f"There is no part {unknown[0]}", code="unknown_part")
        _stage(books, state, "received")
    return {"country": customer["country"], "weight": sum(weights[item.sku] * item.qty for item in state.items)}


def reserve_flight(state: OrderState, context: StepContext) -> dict[str, Any]:
    """Space on the next flight to the customer's country; raises `no_flight`."""
    ref = context.workflow_id
    with the_shop().writing() as books:
        booked = books.execute("SELECT * FROM cargo WHERE ref = ? AND state = 'booked'", (ref,)).fetchone()
        if booked is not None:
            return {"flight": booked["flight"]}
        flight = books.execute(
            "SELECT * FROM flights WHERE country = ? AND free >= ? ORDER BY number", (state.country, state.weight)
        ).fetchone()
        if flight is None:
            raise DomainError(f"No flight to {state.country} has {state.weight} g left", code="no_flight")
        number: str = flight["number"]
        books.execute("INSERT OR REPLACE INTO cargo VALUES (?, ?, ?, 'booked')", (ref, number, state.weight))
        books.execute("UPDATE flights SET free = free - ? WHERE number = ?", (state.weight, number))
        note(books, ref, f"{state.weight} g on {number} booked")
    return {"flight": number}


def release_flight(_state: OrderState, context: StepContext) -> None:
    """Give the space back."""
    ref = context.workflow_id
    with the_shop().writing() as books:
        booked = books.execute("SELECT * FROM cargo WHERE ref = ? AND state = 'booked'", (ref,)).fetchone()
        if booked is not None:
            books.execute("UPDATE flights SET free = free + ? WHERE number = ?", (booked["weight"], booked["flight"]))
            books.execute("UPDATE cargo SET state = 'released' WHERE ref = ?", (ref,))
            note(books, ref, "flight released")


def withdraw_allocation(state: OrderState, context: StepContext) -> None:
    """The order has no goods any more; the warehouse has taken its own part back by itself."""
    with the_shop().writing() as books:
        if _stage(books, state, "refused"):
            note(books, context.workflow_id, "allocation withdrawn")


def check_fraud(state: OrderState) -> dict[str, Any]:
    """Raises `suspicious` for a customer whose orders keep coming to nothing."""
    with the_shop().reading() as books:
        (failed,) = books.execute(
            "SELECT count(*) FROM orders WHERE customer = ? AND stage = 'refused'", (state.customer,)
        ).fetchone()
    if failed >= _SUSPICIOUS:
        raise DomainError(f"{failed} orders of {state.customer} came to nothing", code="suspicious")
    return {"refused_before": failed}


def charge_payment(state: OrderState) -> dict[str, Any]:
    """Start the payment: this step is not run again when it is done."""
    raise StartSubWorkflowDirective(
        workflow_type="PaymentProcessing",
        initial_data={"order_id": state.order_id, "customer": state.customer, "amount": state.total},
    )


def withdraw_charge(state: OrderState, context: StepContext) -> None:
    """The order is no longer paid for; payments has taken its own part back by itself."""
    with the_shop().writing() as books:
        if _stage(books, state, "unpaid"):
            note(books, context.workflow_id, "charge withdrawn")


def confirm_order(state: OrderState) -> dict[str, Any]:
    """All is there: the customer can be told."""
    with the_shop().writing() as books:
        _stage(books, state, "confirmed")
    return {"stage": "confirmed"}


def record_backorder(state: OrderState) -> dict[str, Any]:
    """Keep the order until there are goods again."""
    why = state.step_failures["Allocate_Inventory"]["message"]
    with the_shop().writing() as books:
        books.execute("INSERT OR IGNORE INTO backorders VALUES (?, ?)", (state.order_id, why))
        _stage(books, state, "backordered")
    return {"stage": "backordered"}


def refuse_order(state: OrderState) -> dict[str, Any]:
    """Give the order up, and with it all that was done for it."""
    why = state.step_failures["Allocate_Inventory"]
    raise SagaWorkflowException(f"{why['code']}: {why['message']}")


def close_order(state: OrderState, context: StepContext) -> dict[str, Any]:
    """The end of every order that was not given up; a backorder needs no flight yet."""
    if state.stage == "backordered":
        release_flight(state, context)
    return {"closed": True}


def _stage(books: sqlite3.Connection, state: OrderState, stage: str) -> bool:
    """Whether the order was not there already."""
    changed = books.execute(
        "INSERT INTO orders VALUES (?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET stage = excluded.stage WHERE stage != excluded.stage",
        (state.order_id, state.customer, stage),
    )
    return bool(changed.rowcount)

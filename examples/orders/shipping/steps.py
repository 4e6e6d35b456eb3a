"""Carriers' rates, a pick-up, a label."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote as quoted

import httpx

from examples.orders.shop import note, the_shop
from remit import DomainError, tool
from remit.workflows import StepContext

from .models import ShippingState

__all__ = ["book_pickup", "cancel_pickup", "choose_carrier", "list_carriers", "quote", "write_label"]

_TIMEOUT_S = 10


def list_carriers(state: ShippingState) -> dict[str, Any]:
    """The carriers that come to the warehouse; raises `no_carrier`."""
    with the_shop().reading() as books:
        rows = books.execute(
            "SELECT id FROM carriers WHERE warehouse = ? ORDER BY id", (state.warehouse_id,)
        ).fetchall()
    if not rows:
        raise DomainError(f"No carrier comes to {state.warehouse_id}", code="no_carrier")
    return {"carriers": [row["id"] for row in rows]}


@tool("carrier.rates", cost="0.01")
def quote(state: ShippingState, _context: StepContext, carrier: str) -> dict[str, Any]:
    """What one carrier asks for; raises `no_offer` where it does not go there."""
    url = f"{the_shop().outside}/rates/{quoted(carrier, safe='')}"
    response = httpx.get(url, params={"grams": state.weight}, timeout=_TIMEOUT_S)
    if response.status_code == 404:
        raise DomainError(f"{carrier} does not take it there", code="no_offer")
    rate: dict[str, Any] = response.raise_for_status().json()
    return {"carrier": carrier, "cost": rate["cost"], "days": rate["days"]}


def choose_carrier(_state: ShippingState, context: StepContext) -> dict[str, Any]:
    """The cheapest of those that answered; raises `no_carrier`."""
    quotes = (context.previous_step_result or {})["Quote_Carriers"]
    offers = [each for each in quotes if each is not None]
    if not offers:
        raise DomainError("No carrier takes it there", code="no_carrier")
    cheapest: dict[str, Any] = min(offers, key=lambda each: (each["cost"], each["carrier"]))
    return cheapest


def book_pickup(state: ShippingState, context: StepContext) -> dict[str, Any]:
    """Order the carrier to the warehouse."""
    with the_shop().writing() as books:
        changed = books.execute(
            "INSERT INTO pickups VALUES (?, ?, ?, 'booked') ON CONFLICT (ref) DO UPDATE SET"
            " carrier = excluded.carrier, cost = excluded.cost, state = 'booked' WHERE state = 'cancelled'",
            (context.workflow_id, state.carrier, state.cost),
        )
        if changed.rowcount:
            note(books, context.workflow_id, f"pick-up by {state.carrier} booked")
    return {}


def cancel_pickup(_state: ShippingState, context: StepContext) -> None:
    """Order it no longer."""
    with the_shop().writing() as books:
        changed = books.execute(
            "UPDATE pickups SET state = 'cancelled' WHERE ref = ? AND state = 'booked'", (context.workflow_id,)
        )
        if changed.rowcount:
            note(books, context.workflow_id, "pick-up cancelled")


def write_label(state: ShippingState) -> dict[str, Any]:
    """What is stuck to the parcel."""
    return {"label": f"{state.order_id} / {state.warehouse_id} / {state.flight} / {state.weight / 1000:.1f} kg"}

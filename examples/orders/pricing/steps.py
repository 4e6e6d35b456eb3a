"""Prices, discounts and tax: nothing here is to be taken back."""

from __future__ import annotations

from typing import Any

from examples.orders.shop import the_shop
from remit import DomainError

from .models import PriceState

__all__ = ["add_tax", "partner_discount", "price_lines", "volume_discount"]

_TAX_PERCENT = {"DE": 19, "DK": 0, "ES": 0, "NO": 0}
"""Business customers of other countries account for the tax themselves."""


def price_lines(state: PriceState) -> dict[str, Any]:
    """The list price of all items, and the customer's tier; raises `unknown_part`."""
    with the_shop().reading() as books:
        prices = {row["sku"]: row["price"] for row in books.execute("SELECT sku, price FROM parts")}
        (tier,) = books.execute("SELECT tier FROM customers WHERE id = ?", (state.customer,)).fetchone()
    unknown = [item.sku for item in state.items if item.sku not in prices]
    if unknown:
        raise DomainError(f"There is no part {unknown[0]}", code="unknown_part")
    return {"net": sum(prices[item.sku] * item.qty for item in state.items), "tier": tier}


def partner_discount(state: PriceState) -> dict[str, Any]:
    """Eight percent, whatever the order is worth."""
    return {"discount": state.net * 8 // 100}


def volume_discount(state: PriceState) -> dict[str, Any]:
    """Three percent of a large order."""
    return {"discount": state.net * 3 // 100}


def add_tax(state: PriceState) -> dict[str, Any]:
    """The value-added tax of the country that the goods go to."""
    return {"tax": (state.net - state.discount) * _TAX_PERCENT[state.country] // 100}

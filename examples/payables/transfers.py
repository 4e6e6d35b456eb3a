"""From bookings to transfers: credit notes are set off against the same supplier's invoices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from .bookings import Booking

__all__ = ["Transfer", "plan_transfers"]


@dataclass(frozen=True, slots=True)
class Transfer:
    """One payment to one account, on `day`; more than one booking where credit is set off."""

    bookings: tuple[Booking, ...]
    day: date

    @property
    def head(self) -> Booking:
        """The invoice whose account, reference and end-to-end id the transfer carries."""
        return self.bookings[0]

    @property
    def amount(self) -> Decimal:
        """What is paid, above zero."""
        return sum((booking.amount for booking in self.bookings), Decimal(0))


def plan_transfers(bookings: Iterable[Booking], today: date) -> tuple[list[Transfer], list[Booking]]:
    """The transfers to make, in a fixed order, and the bookings that stay parked.

    Credit is set off against the supplier's invoices in the same currency to one account, the one with the
    largest sum. Credit that is not smaller than these invoices pays for none of them in part: both stay
    parked until new invoices exceed it.
    """
    by_supplier: dict[tuple[str, str], list[Booking]] = defaultdict(list)
    for booking in bookings:
        by_supplier[booking.supplier, booking.currency].append(booking)
    transfers: list[Transfer] = []
    parked: list[Booking] = []
    for group in by_supplier.values():
        paid, kept = _set_off(group, today)
        transfers += paid
        parked += kept
    return sorted(transfers, key=lambda transfer: (transfer.day, transfer.head.end_to_end_id)), parked


def _set_off(group: list[Booking], today: date) -> tuple[list[Transfer], list[Booking]]:
    invoices = [booking for booking in group if booking.amount > 0]
    credits_ = [booking for booking in group if booking.amount <= 0]
    if not credits_:
        return [_transfer([invoice], today) for invoice in invoices], []
    iban = max({invoice.iban for invoice in invoices}, key=lambda iban: (_sum(invoices, iban), iban), default="")
    joined = [invoice for invoice in invoices if invoice.iban == iban]
    others = [_transfer([invoice], today) for invoice in invoices if invoice.iban != iban]
    if _sum(joined, iban) > -_sum(credits_):
        return [*others, _transfer([*joined, *credits_], today)], []
    return others, [*joined, *credits_]


def _transfer(bookings: list[Booking], today: date) -> Transfer:
    """Due when the first invoice in it is due, and never in the past: banks refuse that."""
    due = min(booking.due for booking in bookings if booking.amount > 0)
    return Transfer(tuple(bookings), max(due, today))


def _sum(bookings: list[Booking], iban: str | None = None) -> Decimal:
    return sum((booking.amount for booking in bookings if iban in {None, booking.iban}), Decimal(0))

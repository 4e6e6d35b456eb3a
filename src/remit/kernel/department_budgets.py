"""A department's budget: for each day, week or month one account, under which its traces draw as they do on their roots' (L45).

What a department's executions use counts, and what is used below them: at a call from one department to another both pay.
A reservation counts in the period in which it is made, and so does what it covers, whenever that is used. All else counts
when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from remit.kernel.budget import Account
from remit.kernel.departments import Period, Span, span_of
from remit.kernel.usage import Amount

__all__ = ["Book", "BookKey", "Folio"]


class BookKey(NamedTuple):
    """Whose budget it is: a department's, of all tenants together ('') or of one."""

    department: str
    tenant: str
    period: Period


class Book:
    """One budget. `suspends`: an effect that finds no headroom waits for more instead of failing (L26)."""

    __slots__ = ("_now", "_spent", "accounts", "key", "limit_cost", "limit_tokens", "suspends", "zone")

    def __init__(
        self,
        key: BookKey,
        zone: str,
        limit_tokens: int | None,
        limit_cost: int | None,
        spent: Callable[[BookKey, Span], tuple[int, int]],
        *,
        suspends: bool = False,
    ) -> None:
        self.key = key
        self._spent = spent
        self.zone = zone
        self.limit_tokens = limit_tokens
        self.limit_cost = limit_cost
        self.suspends = suspends
        self.accounts: dict[Span, Account] = {}
        self._now = Span(0, 0)

    def span(self, at_ms: int) -> Span:
        """The period that a moment lies in."""
        if not self._now.begins <= at_ms < self._now.ends:
            self._now = span_of(at_ms, self.key.period, self.zone)
        return self._now

    def account(self, span: Span) -> Account:
        """What was spent and is reserved in a period; where it is opened, `spent` says what was spent before."""
        found = self.accounts.get(span)
        if found is None:
            found = self.accounts[span] = Account(None, self.limit_tokens, self.limit_cost)
            found.tokens.spent, found.cost.spent = self._spent(self.key, span)
        return found

    def limited(self, amount: Amount) -> Amount:
        """What of an amount counts here: of a unit without a limit any will do."""
        return Amount(
            amount.tokens if self.limit_tokens is not None else 0, amount.cost if self.limit_cost is not None else 0
        )

    def folio(self, at_ms: int) -> Folio:
        """What is booked at a moment, under no reservation."""
        span = self.span(at_ms)
        return Folio(self, span, self.account(span))


class Folio(NamedTuple):
    """An account in a book: that of a period, or of an execution or an effect below it."""

    book: Book
    span: Span
    account: Account

    def for_amount(self, amount: Amount, at_ms: int) -> Folio:
        """Where more of it is booked: here while the period lasts or where a reservation covers it, else anew."""
        if self.span.begins <= at_ms < self.span.ends or self.account.covers(self.book.limited(amount)):
            return self
        return self.book.folio(at_ms)

    def below(self) -> Folio:
        """An account that draws on this one's reservations first."""
        return Folio(self.book, self.span, Account(self.account))

    def said(self) -> dict[str, Any]:
        """Whose budget it is and for which time, as errors tell it."""
        department, tenant, period = self.book.key
        begins, ends = (datetime.fromtimestamp(each / 1_000, UTC).isoformat() for each in self.span)
        return {
            "department": department, "tenant": tenant or None, "period": str(period), "begins": begins, "ends": ends,
        }  # fmt: skip

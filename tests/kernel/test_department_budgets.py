"""The ledger of a department's budget: periods, reservations that stay where they were made, nothing beyond the limit (L45)."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.budget import Account
from remit.kernel.department_budgets import Book, BookKey, Folio
from remit.kernel.departments import Period, Span
from remit.kernel.preflight import CallFacts, Limits, Standing, preflight
from remit.kernel.usage import NOTHING, Amount

DAY = 86_400_000
NOON = int(datetime.fromisoformat("2026-11-21T12:00+00:00").timestamp() * 1_000)
KEY = BookKey("warehouse", "", Period.DAY)


def book(tokens: int | None = 1_000, cost: int | None = None, spent: tuple[int, int] = (0, 0)) -> Book:
    return Book(KEY, "UTC", tokens, cost, lambda _key, _span: spent)


def facts(*folios: Folio, estimate: Amount = NOTHING) -> CallFacts:
    return CallFacts("inventory", Standing("", None, ("order",), 0, Account(None)), 0, 0, estimate, Limits(), folios=folios)


def test_L45_what_was_spent_before_is_asked_for_once_for_each_period() -> None:
    asked: list[tuple[BookKey, Span]] = []

    def spent(key: BookKey, span: Span) -> tuple[int, int]:
        asked.append((key, span))
        return 400, 0

    held = Book(KEY, "UTC", 1_000, None, spent)
    assert held.folio(NOON).account.tokens.headroom() == 600
    assert held.folio(NOON + 1).account is held.folio(NOON).account
    assert held.folio(NOON + DAY).account is not held.folio(NOON).account
    assert [key for key, _ in asked] == [KEY, KEY]


def test_L45_both_sides_are_asked_and_the_first_without_headroom_rejects() -> None:
    callee, caller = book(spent=(700, 0)), book(tokens=None, cost=5)
    sides = (caller.folio(NOON), callee.folio(NOON))
    assert preflight(facts(*sides, estimate=Amount(300, 5))) is None
    beyond = preflight(facts(*sides, estimate=Amount(301, 0)))
    assert beyond is not None
    assert (beyond.code, beyond.check, beyond.limit, beyond.current) == ("budget_exceeded", "budget", 300, 301)
    assert beyond.details == {
        "unit": "tokens", "department": "warehouse", "tenant": None, "period": "day",
        "begins": "2026-11-21T00:00:00+00:00", "ends": "2026-11-22T00:00:00+00:00",
    }  # fmt: skip
    assert beyond.message == (
        "The call is estimated at 301 tokens; the budget of department 'warehouse' for the day has 300 left"
    )
    dear = preflight(facts(*sides, estimate=Amount(0, 6)))
    assert dear is not None
    assert (dear.details["unit"], dear.limit, dear.current) == ("cost", "0.000005", "0.000006")


def test_L25_L45_without_headroom_a_call_without_an_estimate_is_rejected_too() -> None:
    empty = preflight(facts(book(spent=(1_000, 0)).folio(NOON)))
    assert empty is not None
    assert empty.message == "The budget of department 'warehouse' for the day has no tokens left"


@pytest.mark.parametrize(
    ("reserved", "asked", "covered"),
    [
        (Amount(500, 0), Amount(500, 0), True),
        (Amount(500, 0), Amount(501, 0), False),
        (Amount(500, 0), Amount(1, 1), False),
        (Amount(0, 7), Amount(0, 7), True),
        (Amount(500, 0), NOTHING, True),
        (NOTHING, NOTHING, False),
    ],
)
def test_L45_a_reservation_counts_where_it_was_made_and_so_does_what_it_covers(reserved, asked, covered) -> None:
    held = book(cost=1_000)
    execution = held.folio(NOON).below()
    execution.account.reserve(reserved)
    below = execution.below()
    assert below.for_amount(asked, NOON + 1) is below
    after = below.for_amount(asked, NOON + DAY)
    assert after.span == (execution.span if covered else held.span(NOON + DAY))
    assert (after is below) is covered


def test_L45_a_unit_without_a_limit_needs_no_reservation() -> None:
    execution = book(tokens=1_000, cost=None).folio(NOON).below()
    execution.account.reserve(Amount(500, 0))
    assert execution.for_amount(Amount(500, 9), NOON + DAY) is execution
    assert book(tokens=None, cost=5).limited(Amount(500, 9)) == Amount(0, 9)


def test_L45_what_no_reservation_covers_counts_when_it_is_used() -> None:
    held = book()
    execution = held.folio(NOON).below()
    execution.account.reserve(Amount(600, 0))
    beyond = execution.for_amount(Amount(601, 0), NOON + DAY).below()
    beyond.account.reserve(Amount(601, 0))
    beyond.account.spend(Amount(601, 0))
    execution.for_amount(Amount(600, 0), NOON + DAY).account.spend(Amount(600, 0))
    for each in (execution, beyond):
        each.account.settle()
    found = {span: (each.tokens.spent, each.tokens.held) for span, each in held.accounts.items()}
    assert found == {held.span(NOON): (600, 0), held.span(NOON + DAY): (601, 0)}


# -- whatever is called and used, in whatever order -------------------------------------------------------------------

Step = st.tuples(st.sampled_from(["call", "use", "end", "time"]), st.integers(0, 11), st.integers(0, 400))


@given(st.lists(Step, max_size=60), st.integers(0, 1_500))
def test_L24_L45_no_admission_takes_a_period_beyond_its_limit_and_all_that_ends_is_released(steps, limit) -> None:
    held, now = book(tokens=limit), NOON
    living: list[Folio] = []
    for what, which, amount in steps:
        size = Amount(amount, 0)
        if what == "time":
            now += DAY // 2
        elif what == "call":
            above = living[which % len(living)] if living and which % 3 else None
            folio = held.folio(now) if above is None else above.for_amount(size, now)
            if folio.account.refusal(size) is None:
                living.append(folio.below())
                living[-1].account.reserve(size)
        elif what == "use" and living:
            folio = living[which % len(living)].for_amount(size, now)
            if folio.account.overdrawn(size) is None:
                effect = folio.below()
                effect.account.reserve(size)
                effect.account.spend(Amount(amount // 2, 0))
                effect.account.settle()
        elif what == "end" and living:
            living.pop(which % len(living)).account.settle()
        for account in held.accounts.values():
            assert account.tokens.held >= 0
            assert account.tokens.spent + account.tokens.held <= limit
    for each in reversed(living):
        each.account.settle()
    assert [account.tokens.held for account in held.accounts.values()] == [0] * len(held.accounts)

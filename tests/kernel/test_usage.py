"""Money as whole micro-dollars, and reported usage that cannot be believed (L24, L27, L28)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.usage import ABSURD_MICROS, ABSURD_TOKENS, Budget, Usage, decimal_string, measured, micros

amounts = st.integers(0, ABSURD_MICROS)
counts = st.integers(0, ABSURD_TOKENS // 2)


@given(amounts)
def test_L24_a_cost_survives_the_way_out_and_in(amount: int) -> None:
    assert micros(decimal_string(amount)) == amount


@given(amounts)
def test_L24_a_debt_is_spelt_with_its_sign(amount: int) -> None:
    assert decimal_string(-amount) == (f"-{decimal_string(amount)}" if amount else "0.00")


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00"), (847_000, "0.847"), (5_000_000, "5.00"), (1, "0.000001"), (100_000, "0.10"), (-20_000, "-0.02")],
)
def test_L24_a_cost_has_two_places_or_what_it_needs(amount: int, text: str) -> None:
    assert decimal_string(amount) == text


@given(st.decimals(0, 1_000, places=9))
def test_L24_a_part_of_a_micro_dollar_counts_as_a_whole_one(cost: Decimal) -> None:
    assert micros(cost) == micros(str(cost)) == ceil(Fraction(cost) * 1_000_000)


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "ten", "1,50", "nan", "inf", "-inf", "-0.01", "1e8", "1e999999999", "10000000.01"),
        *(0.1, True, None, b"1", [], {}, -1, Decimal(-1), Decimal("NaN"), Decimal("Infinity"), 10**30),
    ],
)
def test_L48_what_is_no_cost_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match="is no cost"):
        micros(wrong)


@given(counts, counts)
def test_L28_tokens_are_the_sum_where_only_the_parts_are_given(read: int, written: int) -> None:
    assert Usage(input_tokens=read, output_tokens=written).tokens == read + written
    assert Usage(tokens=read + written + 1, input_tokens=read).tokens == read + written + 1


@given(counts, counts, amounts)
def test_L28_honest_usage_is_counted_as_reported(read: int, written: int, cost: int) -> None:
    usage = Usage.of(read + written, read, written, cost)
    assert measured(usage) == (read + written, read, written, cost)


def test_L28_a_cost_may_be_reported_as_a_number() -> None:
    assert measured(Usage(cost=0.25)) == (0, 0, 0, 250_000)
    assert measured(Usage(cost=Decimal("0.25"))) == (0, 0, 0, 250_000)


@pytest.mark.parametrize(
    ("usage", "why"),
    [
        (Usage(tokens=-1), "tokens is negative"),
        (Usage(tokens=10, input_tokens=-1), "input_tokens is negative"),
        (Usage(tokens=10, output_tokens=-1), "output_tokens is negative"),
        (Usage(tokens=1.5), "not a whole number"),
        (Usage(tokens=True), "not a whole number"),
        (Usage(tokens="7"), "not a whole number"),
        (Usage(input_tokens="7"), "not a whole number"),
        (Usage(input_tokens=7, output_tokens=None), "not a whole number"),
        (Usage(tokens=float("nan")), "not a whole number"),
        (Usage(tokens=ABSURD_TOKENS + 1), "absurd"),
        (Usage(tokens=5, input_tokens=3, output_tokens=3), "exceed tokens"),
        (Usage(cost="-0.01"), "not negative"),
        (Usage(cost="NaN"), "finite"),
        (Usage(cost=float("inf")), "finite"),
        (Usage(cost="free"), "is no cost"),
        (Usage(cost=decimal_string(ABSURD_MICROS + 1)), "absurdly large"),
    ],
)
def test_L28_usage_that_cannot_be_believed_is_told_with_its_reason(usage: Usage, why: str) -> None:
    found = measured(usage)
    assert isinstance(found, str)
    assert why in found


def test_L28_the_greatest_believable_usage_is_believed() -> None:
    assert measured(Usage(ABSURD_TOKENS, cost=decimal_string(ABSURD_MICROS))) == (ABSURD_TOKENS, 0, 0, ABSURD_MICROS)


@given(st.none() | st.integers(0, 10**15), st.none() | amounts)
def test_L24_a_budget_limits_tokens_cost_or_both(tokens: int | None, cost: int | None) -> None:
    budget = Budget(tokens, None if cost is None else decimal_string(cost))
    assert (budget.tokens, budget.cost_micros) == (tokens, cost)


def test_L24_a_budget_spells_its_cost_one_way() -> None:
    assert Budget(cost="5") == Budget(cost="5.000") == Budget(cost="5.00")


@pytest.mark.parametrize(
    "fields",
    [
        *({"tokens": -1}, {"tokens": 1.5}, {"tokens": True}, {"tokens": "7"}, {"tokens": 10**15 + 1}),
        *({"cost": "-1"}, {"cost": "nan"}, {"cost": 0.5}, {"on_exhausted": "ignore"}),
    ],
)
def test_L48_a_wrong_budget_is_refused(fields: dict) -> None:
    with pytest.raises(ValueError, match=r"tokens must be|is no cost|use 'fail'"):
        Budget(**fields)

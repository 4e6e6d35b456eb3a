"""Durations as people write them (L48: a bad one is refused with what to write instead)."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.durations import milliseconds, spell

UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


@pytest.mark.parametrize(
    ("written", "amount_ms"),
    [
        (0, 0),
        (2, 2_000),
        (0.25, 250),
        (0.0001, 1),
        ("250ms", 250),
        ("10m", 600_000),
        ("1h30m", 5_400_000),
        (" 1h 30m ", 5_400_000),
        ("1.5s", 1_500),
        ("2d", 172_800_000),
        ("1w", 604_800_000),
        (timedelta(minutes=1, microseconds=1), 60_001),
    ],
)
def test_a_duration_is_seconds_a_timedelta_or_text(written, amount_ms: int) -> None:
    assert milliseconds(written) == amount_ms


@given(st.lists(st.tuples(st.integers(0, 500), st.sampled_from(sorted(UNITS))), min_size=1, max_size=4))
def test_the_parts_of_a_text_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert milliseconds(text) == sum(number * UNITS[unit] for number, unit in parts)


@given(st.integers(0, 10**9))
def test_seconds_are_rounded_up_to_whole_milliseconds(microseconds: int) -> None:
    assert milliseconds(timedelta(microseconds=microseconds)) == ceil(Fraction(microseconds, 1_000))


@pytest.mark.parametrize(
    "wrong",
    [
        *(-1, -0.001, timedelta(seconds=-1), float("nan"), float("inf"), float("-inf"), 1e300, 10**30),
        *("", "10", "m", "10 minutes", "-10m", "10m!", "1e3s", "9" * 400 + "d", "101000w", "10m\n5"),
        *(True, None, [], b"10m", 1j),
    ],
)
def test_L48_what_is_no_duration_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        milliseconds(wrong)


@pytest.mark.parametrize(
    ("amount_ms", "text"),
    [
        *((0, "0ms"), (999, "999ms"), (1_200, "1.2s"), (59_999, "59.9s"), (185_000, "3m05s")),
        *((3_599_999, "59m59s"), (7_800_000, "2h10m"), (172_799_999, "47h59m"), (367_200_000, "4d06h")),
    ],
)
def test_a_duration_is_spelt_shortly(amount_ms: int, text: str) -> None:
    assert spell(amount_ms) == text


@given(st.integers(0, 10**11))
def test_a_spelt_duration_reads_back_as_no_more_than_it_was(amount_ms: int) -> None:
    read = milliseconds(spell(amount_ms))
    assert read <= amount_ms <= read + max(99, amount_ms // 24)

"""The two clocks: the claim of whoever drives, and running time against the TTL (L21, L22)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.lease import (
    CLAIM_MS,
    CLAIM_RENEWAL_MS,
    DEFAULT_TTL_MS,
    MAX_WAIT_MS,
    ROOT_TTL_MS,
    TtlClock,
    claim_lapsed,
    granted_ttl,
)

amounts = st.integers(min_value=0, max_value=100_000)


def test_L21_the_figures_are_those_of_the_law() -> None:
    assert (CLAIM_MS, CLAIM_RENEWAL_MS) == (30_000, 10_000)
    assert (DEFAULT_TTL_MS, ROOT_TTL_MS) == (15 * 60 * 1_000, 24 * 60 * 60 * 1_000)
    assert MAX_WAIT_MS == 30 * 24 * 60 * 60 * 1_000


@pytest.mark.parametrize(
    ("wanted", "parent_left", "granted"),
    [(500, None, 500), (500, 1_000, 500), (500, 500, 500), (500, 200, 200), (500, 0, 0), (500, -3, 0)],
)
def test_L21_an_awaited_child_gets_at_most_what_its_parent_has_left(
    wanted: int, parent_left: int | None, granted: int
) -> None:
    assert granted_ttl(wanted, parent_left) == granted


@pytest.mark.parametrize(("since_ms", "lapsed"), [(-5, False), (0, False), (CLAIM_MS - 1, False), (CLAIM_MS, True)])
def test_L21_a_claim_lapses_thirty_seconds_after_its_last_renewal(since_ms: int, lapsed: bool) -> None:
    assert claim_lapsed(1_000_000, 1_000_000 + since_ms) is lapsed


@given(amounts, st.lists(st.tuples(st.booleans(), amounts), max_size=20))
def test_L21_only_running_time_counts_whatever_order_it_comes_in(ttl: int, stretches: list[tuple[bool, int]]) -> None:
    clock, now, ran = TtlClock(ttl), 50, 0
    for running, length in stretches:
        clock.start(now) if running else clock.stop(now)
        now += length
        ran += length if running else 0
        assert clock.left(now) == max(0, ttl - ran)
        assert (clock.expires_at() is not None) is running
    clock.stop(now)
    assert (clock.used, clock.since) == (ran, None)


@given(amounts, amounts, amounts)
def test_L22_a_running_clock_names_the_instant_at_which_nothing_is_left(ttl: int, used: int, since: int) -> None:
    clock = TtlClock(ttl, used, since)
    expires_at = clock.expires_at()
    assert expires_at is not None
    assert clock.left(expires_at) == 0
    assert expires_at == since or clock.left(expires_at - 1) == 1


@given(amounts, st.lists(amounts, min_size=2, max_size=2))
def test_L21_starting_twice_and_stopping_twice_change_nothing(ttl: int, instants: list[int]) -> None:
    first, second = sorted(instants)
    clock = TtlClock(ttl)
    clock.start(first)
    clock.start(second)
    assert clock.since == first
    clock.stop(second)
    clock.stop(second + 1_000)
    assert clock.used == second - first


@given(amounts, amounts)
def test_L21_a_wall_clock_that_jumps_back_takes_no_time_away_and_gives_none(ttl: int, back: int) -> None:
    clock = TtlClock(ttl, used=0, since=200_000)
    assert clock.left(200_000 - back) == ttl
    clock.stop(200_000 - back)
    assert clock.used == 0


@given(amounts, amounts)
def test_L22_a_retry_after_an_expiry_begins_with_a_whole_ttl(ttl: int, ran: int) -> None:
    running, standing = TtlClock(ttl, 7, since=0), TtlClock(ttl, ran)
    running.restart(ran)
    standing.restart(ran)
    assert (running.left(ran), running.since) == (ttl, ran)
    assert (standing.left(ran), standing.since) == (ttl, None)

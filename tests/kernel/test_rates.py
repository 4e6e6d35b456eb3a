"""Rates in whole numbers: never more than the burst and what has come in since, whatever the moments (L43)."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.rates import Bucket, RateLimit

NOW = 1_770_000_000_000


def passed(rate: RateLimit, moments: list[int], bucket: Bucket | None = None) -> list[int]:
    """The moments at which a call is let through."""
    through = []
    for moment in moments:
        after = rate.taken(bucket, moment)
        if after is not None:
            bucket = after
            through.append(moment)
    return through


def test_L43_a_burst_passes_at_once_and_then_one_at_a_time() -> None:
    rate = RateLimit(calls=3, per_ms=1_000, burst=3)
    assert len(passed(rate, [NOW] * 10)) == 3
    assert passed(rate, [NOW] * 3 + [NOW + 333, NOW + 334, NOW + 666, NOW + 667]) == [NOW] * 3 + [NOW + 334, NOW + 667]


def test_L43_what_is_used_and_how_long_to_wait() -> None:
    rate = RateLimit(calls=2, per_ms=1_000, burst=2)
    assert (rate.in_use(None, NOW), rate.wait_ms(None, NOW)) == (0, 0)
    first = rate.taken(None, NOW)
    second = rate.taken(first, NOW)
    assert (rate.in_use(first, NOW), rate.wait_ms(first, NOW)) == (1, 0)
    assert (rate.in_use(second, NOW), rate.wait_ms(second, NOW)) == (2, 500)
    assert rate.taken(second, NOW + 499) is None
    assert rate.taken(second, NOW + 500) is not None


def test_L43_a_changed_limit_goes_on_with_what_was_counted_and_owes_no_more_than_its_burst() -> None:
    hourly = RateLimit(calls=10, per_ms=3_600_000, burst=10)
    bucket = None
    for _ in range(10):
        bucket = hourly.taken(bucket, NOW)
    quicker = RateLimit(calls=60, per_ms=60_000, burst=5)
    assert quicker.taken(bucket, NOW) is None
    assert quicker.in_use(bucket, NOW) == 5
    assert quicker.wait_ms(bucket, NOW) == 1_000
    assert RateLimit(calls=5, per_ms=3_600_000, burst=5).taken(bucket, NOW + 1) is None


def test_L43_a_clock_that_was_set_back_owes_no_more_than_the_burst() -> None:
    rate = RateLimit(calls=1, per_ms=1_000, burst=1)
    later = rate.taken(None, NOW + 86_400_000)
    assert rate.wait_ms(later, NOW) == 1_000


def test_L43_a_rate_says_what_it_is() -> None:
    assert RateLimit(100, 60_000, 100).spelled() == "100 per 1m00s"
    assert RateLimit(100, 60_000, 10).spelled() == "100 per 1m00s, 10 at once"


@given(
    st.integers(1, 7),
    st.integers(1, 50),
    st.integers(1, 5),
    st.lists(st.integers(0, 20), min_size=1, max_size=60),
)
def test_L43_no_stretch_of_time_lets_more_through(calls: int, per_ms: int, burst: int, gaps: list[int]) -> None:
    moments, now = [], NOW
    for gap in gaps:
        now += gap
        moments.append(now)
    rate = RateLimit(calls, per_ms, burst)
    through = passed(rate, moments)
    for first in range(len(through)):
        for last in range(first, len(through)):
            assert last - first + 1 <= burst + Fraction((through[last] - through[first]) * calls, per_ms)
    assert through[0] == moments[0]


@given(st.integers(0, 10**13), st.integers(1, 10**6), st.integers(0, 10**13), st.integers(1, 1_000), st.integers(1, 10**6))
def test_L43_to_forget_an_idle_rate_changes_nothing(due: int, scale: int, now_ms: int, calls: int, per_ms: int) -> None:
    rate, bucket = RateLimit(calls, per_ms, calls), Bucket(due, scale)
    if bucket.idle(now_ms):
        assert rate.taken(bucket, now_ms) == rate.taken(None, now_ms)
    assert Bucket(now_ms * scale, scale).idle(now_ms)
    assert not Bucket(now_ms * scale + 1, scale).idle(now_ms)

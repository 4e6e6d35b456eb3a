"""Whose executions may call a process, and the days, weeks and months that a department's budget is for (L45)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.departments import Period, admits, denial, problem_of_zone, span_of

ZONES = ("UTC", "Europe/Vienna", "America/Santiago", "Asia/Kathmandu", "Pacific/Apia", "Africa/Cairo", "Australia/Lord_Howe")


def ms(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("department", "callers", "caller", "may"),
    [
        ("warehouse", None, None, True),
        (None, None, "sales", True),
        ("warehouse", ["sales"], "sales", True),
        ("warehouse", ["sales"], "warehouse", True),
        ("warehouse", [], "warehouse", True),
        ("warehouse", [], "sales", False),
        ("warehouse", ["sales"], "returns", False),
        ("warehouse", ["sales"], None, False),
        (None, ["sales"], None, False),
        (None, [], None, False),
        (None, ["sales"], "sales", True),
        ("warehouse", ["Sales"], "sales", False),
    ],
)
def test_L45_a_process_is_called_by_its_own_department_and_by_those_it_names(department, callers, caller, may) -> None:
    assert admits(department, callers, caller) is may


def test_L45_a_denial_says_who_may_and_who_asked() -> None:
    told = denial("inventory", "warehouse", ["sales", "warehouse"], "refund", "returns")
    assert told.startswith("'inventory' may be called by warehouse and sales; 'refund' is of department 'returns'. Fix: ")
    assert denial("inventory", None, [], "refund", None).startswith(
        "'inventory' may be called by nobody; 'refund' is of no department."
    )


@pytest.mark.parametrize(
    ("at", "period", "zone", "begins", "ends"),
    [
        ("2026-11-21T09:30", Period.DAY, "UTC", "2026-11-21", "2026-11-22"),
        ("2026-11-21T00:00", Period.DAY, "UTC", "2026-11-21", "2026-11-22"),
        ("2026-11-22T23:59:59", Period.WEEK, "UTC", "2026-11-16", "2026-11-23"),
        ("2026-11-16T00:00", Period.WEEK, "UTC", "2026-11-16", "2026-11-23"),
        ("2026-12-31T23:00", Period.MONTH, "UTC", "2026-12-01", "2027-01-01"),
        ("2028-02-29T12:00", Period.MONTH, "UTC", "2028-02-01", "2028-03-01"),
        ("2026-10-25T12:00", Period.DAY, "Europe/Vienna", "2026-10-25", "2026-10-26"),
        ("2026-03-29T01:00", Period.MONTH, "Europe/Vienna", "2026-03-01", "2026-04-01"),
    ],
)
def test_L45_a_period_is_what_calendars_of_its_zone_show(at, period, zone, begins, ends) -> None:
    assert span_of(ms(at, zone), period, zone) == (ms(begins, zone), ms(ends, zone))


@given(st.integers(ms("2000-01-01"), ms("2040-01-01")), st.sampled_from(Period), st.sampled_from(ZONES))
def test_L45_each_moment_lies_in_one_period_and_the_next_begins_where_it_ends(moment, period, zone) -> None:
    span = span_of(moment, period, zone)
    assert span.begins <= moment < span.ends
    assert span_of(span.begins, period, zone) == span
    assert span_of(span.ends - 1, period, zone) == span
    assert span_of(span.ends, period, zone).begins == span.ends


def test_L45_a_zone_that_is_none_is_said_so() -> None:
    assert problem_of_zone("Europe/Vienna") is None
    assert "'Mars' is no IANA time zone" in str(problem_of_zone("Mars"))

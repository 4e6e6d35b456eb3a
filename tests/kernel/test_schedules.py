"""When schedules fire: on ordinary days, on both days on which clocks jump, and after a time in which nobody was there (L54)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.schedules import (
    GRACE_MS,
    Overlap,
    Repeated,
    Rule,
    Skipped,
    due,
    firing_key,
    problem_of,
    problem_of_name,
)

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def at(text: str) -> int:
    """A moment in milliseconds since 1970."""
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


def firings(rule: Rule, start: str, count: int) -> list[str]:
    """What a clock on the wall and its distance from UTC show at the next firings: '29 03:00+02'."""
    moment, shown = at(start), []
    for _ in range(count):
        following = rule.next_after(moment)
        assert following is not None
        assert following > moment
        moment = following
        shown.append(f"{datetime.fromtimestamp(moment / 1_000, rule.zone):%d %H:%M%z}"[:-2])
    return shown


FORWARD = [
    (BERLIN, "2026-03-28T12:00+01:00", "30 2 * * *", {}, ["29 03:00+02", "30 02:30+02"]),
    (BERLIN, "2026-03-28T12:00+01:00", "30 2 * * *", {"skipped": "skip"}, ["30 02:30+02", "31 02:30+02"]),
    (BERLIN, "2026-03-28T12:00+01:00", "0,30 2,3 * * *", {}, ["29 03:00+02", "29 03:30+02", "30 02:00+02"]),
    (BERLIN, "2026-03-29T00:30+01:00", "0 * * * *", {}, ["29 01:00+01", "29 03:00+02", "29 04:00+02"]),
    (BERLIN, "2026-03-29T01:10+01:00", "15 * * * *", {}, ["29 01:15+01", "29 03:15+02", "29 04:15+02"]),
    (BERLIN, "2026-03-29T01:10+01:00", "15 * * * *", {"skipped": "run_after"}, ["29 01:15+01", "29 03:00+02", "29 03:15+02"]),
    (NEW_YORK, "2026-03-07T12:00-05:00", "30 2 * * *", {}, ["08 03:00-04", "09 02:30-04"]),
    (NEW_YORK, "2026-03-07T12:00-05:00", "30 2 * * *", {"skipped": "skip"}, ["09 02:30-04", "10 02:30-04"]),
    (NEW_YORK, "2026-03-08T01:10-05:00", "*/30 * * * *", {}, ["08 01:30-05", "08 03:00-04", "08 03:30-04"]),
    ("Australia/Lord_Howe", "2026-10-03T12:00+10:30", "15 2 * * *", {}, ["04 02:30+11", "05 02:15+11"]),
    ("Pacific/Apia", "2011-12-29T18:00-10:00", "0 12 30 12 *", {}, ["31 00:00+14", "30 12:00+14"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "start", "cron", "rules", "shown"), FORWARD)
def test_L54_a_time_that_the_clock_jumps_over(zone, start, cron, rules, shown):
    assert firings(Rule.of(cron, zone, **rules), start, len(shown)) == shown


BACK = [
    (BERLIN, "2026-10-24T12:00+02:00", "30 2 * * *", {}, ["25 02:30+02", "26 02:30+01"]),
    (BERLIN, "2026-10-24T12:00+02:00", "30 2 * * *", {"repeated": "second"}, ["25 02:30+01", "26 02:30+01"]),
    (BERLIN, "2026-10-24T12:00+02:00", "30 2 * * *", {"repeated": "both"}, ["25 02:30+02", "25 02:30+01", "26 02:30+01"]),
    (BERLIN, "2026-10-25T01:30+02:00", "0 * * * *", {}, ["25 02:00+02", "25 02:00+01", "25 03:00+01"]),
    (BERLIN, "2026-10-25T01:30+02:00", "0 * * * *", {"repeated": "first"}, ["25 02:00+02", "25 03:00+01"]),
    (BERLIN, "2026-10-25T02:45+02:00", "30 2 * * *", {"repeated": "both"}, ["25 02:30+01", "26 02:30+01"]),
    (NEW_YORK, "2026-10-31T12:00-04:00", "30 1 * * *", {}, ["01 01:30-04", "02 01:30-05"]),
    (NEW_YORK, "2026-10-31T12:00-04:00", "30 1 * * *", {"repeated": "second"}, ["01 01:30-05", "02 01:30-05"]),
    (NEW_YORK, "2026-11-01T00:50-04:00", "*/30 * * * *", {}, ["01 01:00-04", "01 01:30-04", "01 01:00-05", "01 01:30-05", "01 02:00-05"]),
    ("Australia/Lord_Howe", "2026-04-04T12:00+11:00", "45 1 * * *", {"repeated": "both"}, ["05 01:45+11", "05 01:45+10"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "start", "cron", "rules", "shown"), BACK)
def test_L54_a_time_that_the_clock_shows_twice(zone, start, cron, rules, shown):
    assert firings(Rule.of(cron, zone, **rules), start, len(shown)) == shown


@pytest.mark.parametrize(
    ("cron", "shown"),
    [
        ("0 9 * * MON", ["23 09:00+00", "30 09:00+00"]),
        ("0 9 L * *", ["30 09:00+00", "31 09:00+00"]),
        ("@daily", ["22 00:00+00", "23 00:00+00"]),
        ("@HOURLY", ["21 07:00+00", "21 08:00+00"]),
        ("30 * * * * *", ["21 06:00+00", "21 06:01+00"]),
    ],
)
def test_L54_expressions_are_cron_s(cron, shown):
    assert firings(Rule.of(cron, "UTC"), "2026-11-21T06:00:00.001+00:00", 2) == shown


def test_L54_a_firing_is_later_than_the_moment_it_is_asked_for():
    rule = Rule.of("0 6 * * *", "UTC")
    six = at("2026-11-21T06:00+00:00")
    assert (rule.next_after(six - 1), rule.next_after(six)) == (six, six + 86_400_000)


def test_L54_an_expression_whose_time_never_comes_has_no_next_firing():
    assert Rule("* * */20 * 1L", ZoneInfo("UTC"), Skipped.SKIP, Repeated.FIRST).next_after(0) is None


def _on_walls(cron: str, zone: ZoneInfo, since: int, until: int) -> list[int]:
    """Every minute between two moments at which the wall shows what the expression names: the long way round."""
    minutes, hours, *_ = cron.split()
    wanted = {(int(hour), int(minute)) for hour in hours.split(",") for minute in minutes.split(",")}
    found = []
    for moment in range(since // 60_000 * 60_000, until, 60_000):
        local = datetime.fromtimestamp(moment / 1_000, zone)
        if moment > since and (local.hour, local.minute) in wanted:
            found.append(moment)
    return found


_DAYS = st.sampled_from(
    ["2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-04-04", "2026-10-03", "2026-07-01"]
)
_ZONES = st.sampled_from([BERLIN, NEW_YORK, "Australia/Lord_Howe", "UTC", "Asia/Kathmandu", "Antarctica/Troll"])


@given(
    _DAYS,
    _ZONES,
    st.sets(st.integers(0, 59), min_size=1, max_size=3),
    st.sets(st.integers(0, 4), min_size=1, max_size=3),
)
def test_L54_what_fires_is_what_the_wall_shows(day, zone, minutes, hours):
    cron = f"{','.join(map(str, minutes))} {','.join(map(str, hours))} * * *"
    since = at(f"{day}T00:00+00:00")
    until = since + 2 * 86_400_000
    rule, fired, moment = Rule.of(cron, zone, "skip", "both"), [], since
    while (moment := rule.next_after(moment) or until) < until:
        fired.append(moment)
    assert fired == _on_walls(cron, rule.zone, since, until)
    once, moment = [], since
    while (moment := Rule.of(cron, zone, "run_after", "first").next_after(moment) or until) < until:
        once.append(moment)
    walls = [datetime.fromtimestamp(moment / 1_000, rule.zone).replace(tzinfo=None, fold=0) for moment in once]
    assert all(earlier < later for earlier, later in pairwise(walls)), "no time on the wall fires twice"


# ------------------------------------------------------------------------------------------------------- what is owed


def test_L54_what_is_due_is_fired_and_what_comes_next_is_known():
    rule, nine = Rule.of("0 * * * *", "UTC"), at("2026-11-21T09:00+00:00")
    hour = 3_600_000
    assert due(rule, nine, nine + 5, 0, 10) == ([nine], None, nine + hour)
    assert due(rule, nine, nine - 1, 0, 10) == ([], None, nine)
    assert due(rule, nine, nine + GRACE_MS, 0, 10) == ([nine], None, nine + hour)


def test_L54_the_catch_up_window_decides_after_downtime():
    rule, nine = Rule.of("0 * * * *", "UTC"), at("2026-11-21T09:00+00:00")
    hour = 3_600_000
    now = nine + 5 * hour + 60_000
    assert due(rule, nine, now, 0, 10) == ([nine + 5 * hour], (nine, now - GRACE_MS), nine + 6 * hour)
    assert due(rule, nine, now, 2 * hour, 10) == (
        [nine + 4 * hour, nine + 5 * hour],
        (nine, now - 2 * hour),
        nine + 6 * hour,
    )
    assert due(rule, nine, now, 24 * hour, 3) == ([nine, nine + hour, nine + 2 * hour], None, nine + 3 * hour)


def test_L54_a_window_that_ends_between_two_firings_misses_the_first_alone():
    rule, nine = Rule.of("0 9 * * *", "UTC"), at("2026-11-21T09:00+00:00")
    assert due(rule, nine, nine + 7_200_000, 3_600_000, 10) == ([], (nine, nine + 3_600_000), nine + 86_400_000)


def test_L54_keys_of_firings_name_the_schedule_and_the_moment_in_utc():
    assert firing_key("weekly", at("2026-03-29T03:00+02:00")) == "schedule:weekly:2026-03-29T01:00:00Z"


# ------------------------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("cron", "told"),
    [
        ("", "wrong number of fields"),
        ("0 9 * *", "wrong number of fields"),
        ("* * * * * * *", "wrong number of fields"),
        ("61 * * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 0 31 2 *", "bad day-of-month"),
        ("0 0 * * FUNDAY", "bad day-of-week"),
        ("*/0 * * * *", "bad minute"),
        ("٣ * * * *", "bad minute"),
        ("* * */20 * 1L", "never comes"),
        ("0 " * 200, "is no cron expression"),
        (7, "is no cron expression"),
    ],
)
def test_L54_a_bad_expression_is_told_with_its_remedy(cron, told):
    problem = problem_of(cron)
    assert problem is not None
    assert told in problem
    assert "'0 9 * * MON'" in problem
    assert len(problem) < 600


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        ("Europe/Berlinn", "did you mean 'Europe/Berlin'?"),
        ("america/new_york", "did you mean 'America/New_York'?"),
        ("Europe", "is no IANA time zone"),
        ("localtime", "is no IANA time zone"),
        ("../../etc/passwd", "is no IANA time zone"),
        ("", "is no IANA time zone"),
        ("x" * 5_000, "is no IANA time zone"),
        (None, "is no IANA time zone"),
    ],
)
def test_L54_a_bad_zone_is_told_with_its_remedy(zone, told):
    problem = problem_of("* * * * *", zone)
    assert problem is not None
    assert told in problem
    with pytest.raises(ValueError, match="no IANA time zone"):
        Rule.of("* * * * *", zone)


@pytest.mark.parametrize("words", [{"skipped": "later"}, {"repeated": "thrice"}])
def test_L54_a_rule_that_there_is_not_is_refused(words):
    with pytest.raises(ValueError, match=r"is none of (run_after, skip|first, second, both)"):
        Rule.of("* * * * *", "UTC", **words)


def test_L54_names_of_schedules():
    good = ["nightly", "weekly_report_42", "Größe: täglich", "x" * 200]
    bad = ["", "x" * 201, "a\nb", " nightly", "nightly ", 5, None, "\ud800"]
    assert [name for name in good if problem_of_name(name)] == []
    assert [name for name in bad if not problem_of_name(name)] == []
    assert set(Overlap) == {"skip", "queue", "allow"}


@given(st.text(alphabet="0123456789*/-,#L W@abMON", max_size=40))
def test_L54_no_text_breaks_the_check(text):
    problem = problem_of(text)
    if problem is None:
        start = datetime(2026, 1, 1, tzinfo=UTC)
        following = Rule.of(text, BERLIN).next_after(int(start.timestamp()) * 1_000)
        assert following is None or following <= (start + timedelta(days=51 * 366)).timestamp() * 1_000

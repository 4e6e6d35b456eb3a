"""Departments: whose executions may call a process, and the periods that a department's budget is for (L45)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

__all__ = ["Period", "Span", "admits", "denial", "problem_of_zone", "span_of"]

_DAYS_OF_A_WEEK = 7
_FIRST_OF_NEXT_MONTH = timedelta(days=32)


def admits(department: str | None, callers: Iterable[str] | None, caller: str | None) -> bool:
    """Whether a process of that department, for those callers, may be called by a process of the department `caller`.

    `callers` None: by anybody. Otherwise by its own department and by those named; a process without a department is of none.
    """
    return callers is None or (caller is not None and (caller == department or caller in callers))


def denial(target: str, department: str | None, callers: Iterable[str], caller: str, its: str | None) -> str:
    """Why `admits` says no, and what mends it."""
    open_to = list(dict.fromkeys([*([department] if department is not None else []), *callers]))
    who = f"department {its!r}" if its is not None else "no department"
    return (
        f"{target!r} may be called by {' and '.join(open_to) or 'nobody'}; {caller!r} is of {who}."
        f" Fix: let the owner of {target!r} name the department in callers=."
    )


class Period(StrEnum):
    """What a department's budget is for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Span(NamedTuple):
    """One day, week or month, in milliseconds since 1970; it ends where the next one begins."""

    begins: int
    ends: int


def problem_of_zone(zone: str) -> str | None:
    """What is wrong with the name of a time zone; None where it is one."""
    return None if zone in _zones() else f"{zone!r} is no IANA time zone: write 'UTC' or one such as 'Europe/Vienna'"


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def span_of(at_ms: int, period: Period, zone: str) -> Span:
    """The period that a moment lies in: from midnight to midnight in its zone, weeks from Monday, months from the 1st."""
    there = datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(ZoneInfo(zone))
    first = there.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period is Period.DAY:
        return Span(_ms(first), _ms(first + timedelta(days=1)))
    if period is Period.WEEK:
        first -= timedelta(days=first.weekday())
        return Span(_ms(first), _ms(first + timedelta(days=_DAYS_OF_A_WEEK)))
    first = first.replace(day=1)
    return Span(_ms(first), _ms((first + _FIRST_OF_NEXT_MONTH).replace(day=1)))


def _ms(wall: datetime) -> int:
    """A time on the wall of its zone; one that daylight saving skips is the moment it would be without the jump."""
    return int(wall.timestamp() * 1_000)

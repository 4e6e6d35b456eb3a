"""When a schedule fires: cron in the wall time of a zone, with a rule for either jump of daylight saving (L54).

Cron knows walls, time knows none. So a cron library finds the next time on the wall, as if clocks never jumped, and
what becomes of it where they do is decided here:

    clocks go forward   02:00 ─┐ 02:30 does not exist     run_after: once, when the clock has jumped
                               └ 03:00                    skip: not at all
    clocks go back      03:00 ─┐ 02:30 exists twice       first, second, both
                               └ 02:00

Unless told otherwise it is as in Debian's cron: an expression whose minute or hour begins with '*' means "every so often"
and goes by the time that passes (skip, both); one of fixed times means "once at" (run_after, first).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

__all__ = [
    "GRACE_MS",
    "NAME_MAX",
    "Due",
    "Overlap",
    "Repeated",
    "Rule",
    "Skipped",
    "due",
    "firing_key",
    "problem_of",
    "problem_of_name",
]

GRACE_MS = 60_000
"""A firing that is late by less has not been missed, whatever the catch-up window says."""
NAME_MAX = 200
_EXPRESSION_MAX = 200
_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall has no zone
_SECOND = timedelta(seconds=1)
Choice = TypeVar("Choice", bound=StrEnum)
_LOOK_EVERY_S = 7 * 86_400
"""No zone keeps an offset for less: the shortest of those that are in force are the weeks of Ramadan in Morocco."""


class Overlap(StrEnum):
    """What a firing does while the execution of the one before still runs."""

    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"


class Skipped(StrEnum):
    """What becomes of a time that the clock jumps over."""

    RUN_AFTER = "run_after"
    SKIP = "skip"


class Repeated(StrEnum):
    """What becomes of a time that the clock shows twice."""

    FIRST = "first"
    SECOND = "second"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Rule:
    """When a schedule fires. Times are milliseconds since 1970."""

    expression: str
    zone: ZoneInfo
    skipped: Skipped
    repeated: Repeated

    @classmethod
    def of(cls, expression: str, zone: str, skipped: str | None = None, repeated: str | None = None) -> Rule:
        """The rule these texts name; raises ValueError that says which is wrong and how to mend it."""
        problem = problem_of(expression, zone)
        if problem is not None:
            raise ValueError(problem)
        fields = _fields(expression).split()
        often = fields[-5].startswith("*") or fields[-4].startswith("*")
        return cls(
            expression,
            ZoneInfo(zone),
            _chosen(Skipped, skipped, "on_skipped") or (Skipped.SKIP if often else Skipped.RUN_AFTER),
            _chosen(Repeated, repeated, "on_repeated") or (Repeated.BOTH if often else Repeated.FIRST),
        )

    def next_after(self, at_ms: int) -> int | None:
        """The first firing after that moment; None where the expression names no time within 50 years."""
        since = at_ms // 1_000
        offset = self._offset(since)
        walls = _walls(self.expression, _EPOCH + (since + offset) * _SECOND)
        while (wall := next(walls, None)) is not None:
            shown = (wall - _EPOCH) // _SECOND
            change = self._next_change(since, shown - offset, offset)
            if change is None:
                since = shown - offset
                if self._wanted(since):
                    return since * 1_000
                continue
            since, offset = change, self._offset(change)
            if shown < since + offset and self.skipped is Skipped.RUN_AFTER:
                return since * 1_000
            walls = _walls(self.expression, _EPOCH + (since + offset - 1) * _SECOND)
        return None

    def _offset(self, second: int) -> int:
        """How far the zone's walls are ahead of UTC at that second, in seconds."""
        offset = datetime.fromtimestamp(second, self.zone).utcoffset()
        assert offset is not None
        return offset // _SECOND

    def _next_change(self, after: int, until: int, offset: int) -> int | None:
        """The first second after one and up to another at which the zone's offset is another."""
        while after < until:
            ahead = min(after + _LOOK_EVERY_S, until)
            if self._offset(ahead) != offset:
                while ahead - after > 1:
                    middle = (after + ahead) // 2
                    after, ahead = (middle, ahead) if self._offset(middle) == offset else (after, middle)
                return ahead
            after = ahead
        return None

    def _wanted(self, second: int) -> bool:
        """Whether the schedule fires at this showing of the time, where the clock shows it twice."""
        local = datetime.fromtimestamp(second, self.zone)
        if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset() or self.repeated is Repeated.BOTH:
            return True
        return local.fold == (self.repeated is Repeated.SECOND)


class Due(NamedTuple):
    """What a schedule owes: the moments to fire for, when firings have been missed, and when it fires next."""

    fire: list[int]
    missed: tuple[int, int] | None
    following: int | None


def due(rule: Rule, next_at: int, now: int, catch_up_ms: int, at_most: int) -> Due:
    """What is owed at `now` by a schedule whose next firing was `next_at`: what lies further back than its window is missed."""
    oldest = now - max(catch_up_ms, GRACE_MS)
    at: int | None = next_at
    missed = None
    if next_at < oldest:
        missed = next_at, oldest
        at = rule.next_after(oldest - 1)
    fire: list[int] = []
    while at is not None and at <= now and len(fire) < at_most:
        fire.append(at)
        at = rule.next_after(at)
    return Due(fire, missed, at)


def firing_key(name: str, at_ms: int) -> str:
    """The key under which a firing starts its root, so that it starts one and never two: 'schedule:<name>:<time, UTC>'."""
    return f"schedule:{name}:{datetime.fromtimestamp(at_ms // 1_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def problem_of(expression: object, zone: object = "UTC") -> str | None:
    """What is wrong with a cron expression or the name of a zone, and how to mend it; None where nothing is."""
    return _problem_of_expression(expression) or _problem_of_zone(zone)


def problem_of_name(name: object) -> str | None:
    """What is wrong with the name of a schedule; None where nothing is."""
    if isinstance(name, str) and 0 < len(name) <= NAME_MAX and name.isprintable() and name == name.strip():
        return None
    return f"{name!r:.250} is no name of a schedule: write 1 to {NAME_MAX} printable characters, without spaces around"


def _problem_of_expression(expression: object) -> str | None:
    how = "write 'minute hour day-of-month month day-of-week', such as '0 9 * * MON', or @daily"
    if not isinstance(expression, str) or len(expression) > _EXPRESSION_MAX:
        return f"{expression!r:.250} is no cron expression: {how}"
    try:
        first = next(_walls(expression, _EPOCH), None)
    except (CronSimError, ValueError, AssertionError) as error:
        return f"{expression!r} is no cron expression ({str(error).lower() or 'it cannot be read'}): {how}"
    return None if first is not None else f"{expression!r} names a time that never comes: {how}"


def _problem_of_zone(zone: object) -> str | None:
    near: list[str] = []
    if isinstance(zone, str) and len(zone) <= NAME_MAX and zone != "localtime":  # which is a file of the machine's
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            near = get_close_matches(zone, _zones(), n=1)
        else:
            return None
    mend = f"did you mean {near[0]!r}?" if near else "write one such as 'Europe/Berlin', or 'UTC'"
    return f"{zone!r:.250} is no IANA time zone: {mend}"


@cache
def _zones() -> frozenset[str]:
    """The names of all zones; finding them looks through thousands of files."""
    return frozenset(available_timezones())


def _fields(expression: str) -> str:
    return _NAMED.get(expression.strip().lower(), expression)


def _walls(expression: str, after: datetime) -> CronSim:
    """The times an expression names, on a wall where clocks never jump, after one of them; the one place that reads cron."""
    return CronSim(_fields(expression), after)


def _chosen(kind: type[Choice], text: str | None, what: str) -> Choice | None:
    if text is not None and text not in set(kind):
        raise ValueError(f"{what}={text!r} is none of {', '.join(kind)}")
    return None if text is None else kind(text)

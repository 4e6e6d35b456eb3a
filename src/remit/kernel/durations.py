"""Durations as people write them: seconds, timedelta, or text such as "10m" or "1h30m"."""

from __future__ import annotations

import math
import re
from datetime import timedelta

__all__ = ["Duration", "milliseconds", "spell"]

Duration = int | float | str | timedelta

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_LONGEST_MS = 100 * 365 * 86_400_000
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+\Z")


def milliseconds(duration: Duration) -> int:
    """A duration in whole milliseconds, rounded up; raises ValueError for negative, endless or misspelt ones."""
    if isinstance(duration, timedelta):
        amount = duration.total_seconds() * 1_000
    elif isinstance(duration, str):
        text = duration.strip().replace(" ", "")
        if not _WHOLE.match(text):
            raise ValueError(
                f"{duration!r} is no duration: write seconds as a number, or text such as '250ms', '10m', '1h30m', '2d'"
            )
        amount = sum(float(number) * _UNITS_MS[unit] for number, unit in _PART.findall(text))
    elif isinstance(duration, bool) or not isinstance(duration, int | float):
        raise ValueError(f"{duration!r} is no duration: give seconds, a timedelta or text such as '10m'")
    else:
        amount = duration * 1_000
    if not 0 <= amount <= _LONGEST_MS:
        raise ValueError(f"{duration!r} is no duration: it must not be negative nor longer than 100 years")
    return math.ceil(amount)


def spell(amount_ms: int) -> str:
    """Milliseconds as short text: '850ms', '1.2s', '3m05s', '2h10m', '4d06h'."""
    if amount_ms < 1_000:
        return f"{amount_ms}ms"
    if amount_ms < 60_000:
        return f"{amount_ms // 1_000}.{amount_ms % 1_000 // 100}s"
    minutes, seconds = divmod(amount_ms // 1_000, 60)
    if minutes < 60:
        return f"{minutes}m{seconds:02d}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m"
    return f"{hours // 24}d{hours % 24:02d}h"

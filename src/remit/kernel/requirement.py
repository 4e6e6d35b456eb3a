"""What an evaluation must show before a version is promoted, and what one lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from remit.kernel.usage import decimal_string

__all__ = ["PARTS", "Requirement", "Shown", "each_of", "requirement_of", "shortfall"]

PARTS = 10_000
"""Shares and increases are whole numbers of these parts."""
_UNITS: dict[str, Callable[[int], str]] = {
    "tokens": str,
    "cost": lambda micros: f"${decimal_string(micros)}",
    "duration": lambda ms: f"{ms} ms",
}
_COUNTS = {"cases", "recorded"}
_SHARES = {"min_pass", "max_tokens_increase", "max_cost_increase", "max_duration_increase"}


class Requirement(NamedTuple):
    """`cases`: digest of the cases; `recorded`: of so many calls; at least one of both. Shares and increases in PARTS."""

    cases: str | None = None
    recorded: int | None = None
    min_pass: int = PARTS
    max_tokens_increase: int | None = None
    max_cost_increase: int | None = None
    max_duration_increase: int | None = None


class Shown(NamedTuple):
    """What an evaluation has shown. Pairs are of the candidate and of the current version, over the same cases: cost in
    micro-dollars, duration in milliseconds.
    """

    baseline: str | None
    cases: str | None
    recorded: int | None
    total: int
    passes: int
    breaks: bool
    tokens: tuple[int, int]
    cost: tuple[int, int]
    duration: tuple[int, int]


def requirement_of(given: Mapping[str, Any]) -> Requirement:
    """From plain data: `min_pass` is a share of 1, increases are fractions (0.1: a tenth more); raises ValueError."""
    unknown = sorted(set(given) - _COUNTS - _SHARES)
    if unknown:
        raise ValueError(f"{unknown[0]!r} is nothing that can be required: {', '.join(sorted(_COUNTS | _SHARES))}")
    cases, recorded = given.get("cases"), given.get("recorded")
    if cases is None and recorded is None:
        raise ValueError("an evaluation is of cases=FILE, or of recorded=N calls: require one of them, or both")
    if recorded is not None and (isinstance(recorded, bool) or not isinstance(recorded, int) or recorded < 1):
        raise ValueError(f"recorded={recorded!r}: give a whole number of calls, at least 1")
    parts = {name: _parts(name, given[name]) for name in sorted(_SHARES) if given.get(name) is not None}
    if parts.get("min_pass", 0) > PARTS:
        raise ValueError(f"min_pass={given['min_pass']!r}: a share of the cases is at most 1")
    return Requirement(cases, recorded, **parts)


def _parts(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1_000:
        raise ValueError(f"{name}={value!r}: give a share such as 0.1")
    return round(value * PARTS)


def each_of(wanted: Requirement, baseline: str | None) -> list[Requirement]:
    """What is asked of an evaluation each: cases, and recorded calls where there is a version that could have been called."""
    found = [] if wanted.cases is None else [wanted._replace(recorded=None)]
    return found if wanted.recorded is None or baseline is None else [*found, wanted._replace(cases=None)]


def shortfall(wanted: Requirement, shown: Shown, baseline: str | None) -> str | None:
    """What an evaluation lacks of one of `each_of`, where `baseline` is current; None where it is enough."""
    if shown.baseline != baseline:
        return f"it was held against {shown.baseline or 'no other version'}, and {baseline or 'none'} is current"
    if wanted.cases is not None and shown.cases != wanted.cases:
        return "it was of other cases"
    if wanted.recorded is not None and (shown.recorded or 0) < wanted.recorded:
        return f"it was of {shown.recorded or 'no'} recorded calls, and {wanted.recorded} are asked for"
    if shown.breaks:
        return "the contract of its major breaks"
    if shown.passes * PARTS < wanted.min_pass * shown.total:
        return f"{shown.passes} of {shown.total} cases passed, and {wanted.min_pass / PARTS:.2%} must"
    for what, most, (new, old) in (
        ("tokens", wanted.max_tokens_increase, shown.tokens),
        ("cost", wanted.max_cost_increase, shown.cost),
        ("duration", wanted.max_duration_increase, shown.duration),
    ):
        if most is not None and new * PARTS > old * (PARTS + most):
            before, after = (_UNITS[what](each) for each in (old, new))
            return f"its {what} went from {before} to {after}, and may rise by {most / PARTS:.2%}"
    return None

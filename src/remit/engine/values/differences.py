"""Where two values of plain JSON differ, each place by its pointer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

__all__ = ["ABSENT", "Difference", "between"]

ABSENT: Final[Any] = object()
"""Stands where one of the two has nothing."""


class Difference(NamedTuple):
    """One place; `expected` or `actual` is ABSENT where there is nothing."""

    pointer: str
    expected: Any
    actual: Any


def between(expected: Any, actual: Any, *, subset: bool = False, where: str = "") -> Iterator[Difference]:
    """The places that differ, in their order; `subset`: what is may have more names, at any depth, than was expected."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        names = [*expected, *(name for name in actual if name not in expected and not subset)]
        pairs = [(name, expected.get(name, ABSENT), actual.get(name, ABSENT)) for name in names]
    elif isinstance(expected, list) and isinstance(actual, list):
        longer = range(max(len(expected), len(actual)))
        pairs = [(place, _at(expected, place), _at(actual, place)) for place in longer]
    elif _same(expected, actual):
        return
    else:
        yield Difference(where, expected, actual)
        return
    for name, one, other in pairs:
        part = str(name).replace("~", "~0").replace("/", "~1")
        yield from between(one, other, subset=subset, where=f"{where}/{part}")


def _same(expected: Any, actual: Any) -> bool:
    """Equal, and of one kind: 1 and 1.0 are, 1 and True are not."""
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (expected, actual))
    return (numbers or type(expected) is type(actual)) and bool(expected == actual)


def _at(values: list[Any], place: int) -> Any:
    return values[place] if place < len(values) else ABSENT

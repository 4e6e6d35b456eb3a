"""What differs between two values or two listings, said so that a person sees it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Generic, TypeVar

import orjson
from pydantic import BaseModel

from remit.engine.values.differences import ABSENT, between

__all__ = ["aligned", "differences", "short"]

E = TypeVar("E")
A = TypeVar("A")
_WIDTH = 200


def short(value: Any, width: int = _WIDTH) -> str:
    """A value as JSON where it is such, else as Python shows it, in one line of so many characters at most."""
    try:
        text = orjson.dumps(_plain(value)).decode()
    except TypeError:
        text = repr(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def differences(expected: Any, actual: Any, *, subset: bool = False) -> list[str]:
    """One line for each part that differs, with its JSON pointer; dataclasses and models count as what they hold.

    `subset`: what is may have more names, at any depth, than what was expected.
    """
    found = between(_plain(expected), _plain(actual), subset=subset)
    return [f"{each.pointer or 'the value'}: expected {_shown(each.expected)}, is {_shown(each.actual)}" for each in found]


def _shown(value: Any) -> str:
    return "nothing" if value is ABSENT else short(value)


def _plain(value: Any) -> Any:
    """What the value holds, as far as JSON has it; anything else as it is."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or value is ABSENT or isinstance(value, str | int | float):
        return value
    try:
        return orjson.loads(orjson.dumps(value, default=str))
    except TypeError:
        return value


def aligned(
    expected: Sequence[E], actual: Sequence[A], fits: Callable[[E, A], bool], gap: Callable[[E, A | None], bool]
) -> list[tuple[E | None, A | None]]:
    """The two listings side by side with as few misfits as can be; None stands where one has nothing for the other.

    `gap(e, a)`: e stands for any number of such as a, none included; `gap(e, None)`: whether it is a gap at all.
    """
    return list(_Alignment(expected, actual, fits, gap).pairs())


_Step = tuple[int, int]
"""How far to go on in what was expected, and in what is."""


class _Alignment(Generic[E, A]):
    """The cheapest way through both listings, found from their ends: one for each misfit."""

    def __init__(
        self,
        expected: Sequence[E],
        actual: Sequence[A],
        fits: Callable[[E, A], bool],
        gap: Callable[[E, A | None], bool],
    ) -> None:
        self._expected = expected
        self._actual = actual
        self._fits = fits
        self._gap = gap

    def pairs(self) -> Iterator[tuple[E | None, A | None]]:
        """What stands beside what."""
        taken = self._taken()
        row = column = 0
        while row < len(self._expected) or column < len(self._actual):
            down, right = taken[row][column]
            other = self._actual[column] if right else None
            one = self._expected[row] if row < len(self._expected) else None
            if one is not None and (down or self._gap(one, other)):
                if other is not None or not self._gap(one, None):
                    yield one, other
            elif other is not None:
                yield None, other
            row, column = row + down, column + right

    def _taken(self) -> list[list[_Step]]:
        rows, columns = len(self._expected), len(self._actual)
        least = [[0] * (columns + 1) for _ in range(rows + 1)]
        taken: list[list[_Step]] = [[(0, 0)] * (columns + 1) for _ in range(rows + 1)]
        for row in range(rows, -1, -1):
            for column in range(columns, -1, -1):
                ways = [
                    (cost + least[row + down][column + right], (down, right))
                    for cost, (down, right) in self._steps(row, column)
                ]
                if ways:
                    least[row][column], taken[row][column] = min(ways, key=itemgetter(0))
        return taken

    def _steps(self, row: int, column: int) -> list[tuple[int, _Step]]:
        """What can be done here, with its cost; the first of equal ones is taken."""
        steps: list[tuple[int, _Step]] = []
        more = column < len(self._actual)
        if row < len(self._expected):
            one = self._expected[row]
            if more and self._fits(one, self._actual[column]):
                steps.append((0, (1, 1)))
            if more and self._gap(one, self._actual[column]):
                steps.append((0, (0, 1)))
            steps.append((0 if self._gap(one, None) else 1, (1, 0)))
        if more:
            steps.append((1, (0, 1)))
        return steps

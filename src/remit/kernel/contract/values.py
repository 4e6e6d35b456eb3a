"""Whether a value fits a schema, and values that do: the witnesses of what the contract check says (L41)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from remit.kernel.contract.keywords import kind_of
from remit.kernel.contract.schema import Branch, Conjunction, branches
from remit.kernel.contract.shapes import INFINITE, Bound, Shape, shape, shapes
from remit.kernel.contract.texts import EXAMPLES, fits_format, matches, text_like

__all__ = [
    "Sampled",
    "accepts",
    "branch_accepts",
    "equal",
    "exact",
    "least_step",
    "no_number",
    "numbers_between",
    "sample",
    "samples",
]

NEGATIONS_MAX = 8  # one in another, over the same value
SAMPLE_LEVELS = 8
SAMPLE_LENGTH_MAX = 400
_SIMPLE = ("number", "string", "boolean", "null", "array", "object")

Sampled = tuple[Any, ...]
"""A value, or none: empty where none was found."""


def equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same: 1 is 1.0, and is not true."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(equal, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _every(verdicts: Iterator[bool | None]) -> bool | None:
    """Whether all hold: False as soon as one does not, None where one is unknown."""
    known: bool | None = True
    for verdict in verdicts:
        if verdict is False:
            return False
        known = known if verdict else None
    return known


def accepts(conjunction: Conjunction, value: Any, negations: int = 0) -> bool | None:
    """Whether a value fits; None where that cannot be said."""
    found: bool | None = False
    for branch in branches(conjunction):
        verdict = branch_accepts(branch, value, negations)
        if verdict:
            return True
        found = None if verdict is None else found
    return found


def branch_accepts(branch: Branch, value: Any, negations: int = 0) -> bool | None:
    """Whether a value fits one alternative."""
    return _every(_verdicts(branch, value, negations))


def _verdicts(branch: Branch, value: Any, negations: int) -> Iterator[bool | None]:
    found = shape(branch, kind_of(value))
    yield found.allowed
    yield from (any(equal(value, each) for each in listed) for listed in found.said.get("enum", ()))
    yield from (equal(value, each) for each in found.said.get("const", ()))
    yield from _OF_KIND[found.kind](found, value)
    for excluded in branch.excluded:
        verdict = accepts(excluded, value, negations + 1) if negations < NEGATIONS_MAX else None
        yield None if verdict is None else not verdict
    if branch.blind or found.written:
        yield None


def _number_fits(found: Shape, value: Any) -> Iterator[bool | None]:
    yield found.low.at < value or (found.low.at == value and not found.low.open)
    yield value < found.high.at or (found.high.at == value and not found.high.open)
    yield from ((exact(value) / step).denominator == 1 for step in found.steps)


def _text_fits(found: Shape, value: str) -> Iterator[bool | None]:
    yield found.shortest <= len(value) <= found.longest
    yield from (matches(each, value) for each in found.patterns)
    yield from (fits_format(each, value) for each in found.formats)


def _list_fits(found: Shape, value: list[Any]) -> Iterator[bool | None]:
    yield found.fewest <= len(value) <= found.greatest
    yield not found.unique or not any(equal(one, other) for at, one in enumerate(value) for other in value[:at])
    yield from (accepts(found.item(at), each) for at, each in enumerate(value))


def _object_fits(found: Shape, value: dict[str, Any]) -> Iterator[bool | None]:
    yield all(name in value for name in found.required)
    yield found.fewest <= len(value) <= found.greatest
    for name, each in value.items():
        yield None if found.doubts(name) else accepts(found.field(name), each)
        if found.names:
            yield accepts(found.names, name)


_OF_KIND: dict[str, Any] = {
    "null": lambda _found, _value: iter(()),
    "boolean": lambda _found, _value: iter(()),
    "number": _number_fits,
    "string": _text_fits,
    "array": _list_fits,
    "object": _object_fits,
}


def sample(conjunction: Conjunction, levels: int = SAMPLE_LEVELS) -> Sampled:
    """A small value that fits, where one is found."""
    if not levels:
        return ()
    simplest_first = sorted(shapes(conjunction), key=lambda each: _SIMPLE.index(each.kind))
    found = (each for one in simplest_first for each in samples(one, levels))
    return next(((each,) for each in found), ())


def samples(found: Shape, levels: int = SAMPLE_LEVELS) -> Iterator[Any]:
    """A few small values of one alternative; only such as certainly fit."""
    made = iter(found.listed) if found.listed is not None else _MADE[found.kind](found, levels)
    return (each for each in made if branch_accepts(found.branch, each))


def exact(number: float) -> Fraction:
    """The number as it is written: 0.1 is a tenth."""
    return Fraction(number) if isinstance(number, int) else Fraction(str(number))


def least_step(steps: tuple[Fraction, ...]) -> Fraction | None:
    """The least number that is a multiple of each."""
    if not steps:
        return None
    return Fraction(math.lcm(*(each.numerator for each in steps)), math.gcd(*(each.denominator for each in steps)))


def no_number(low: Bound, high: Bound, step: Fraction | None) -> bool:
    """Whether no number lies between two ends that is a multiple of `step`."""
    if low.at == -INFINITE or high.at == INFINITE:
        return False
    if step is None:
        return low.at > high.at or (low.at == high.at and (low.open or high.open))
    first = math.floor(exact(low.at) / step) + 1 if low.open else math.ceil(exact(low.at) / step)
    last = math.ceil(exact(high.at) / step) - 1 if high.open else math.floor(exact(high.at) / step)
    return first > last


def numbers_between(low: Bound, high: Bound, step: Fraction | None) -> Iterator[Any]:
    """Numbers that may lie between two ends: the ends, those beside them, and one in the middle."""
    ends = [each.at for each in (low, high) if abs(each.at) != INFINITE]
    if step is None:
        yield from (
            0,
            *ends,
            *(each + more for each in ends for more in (0.5, -0.5, 1, -1)),
            sum(each / 2 for each in ends),
        )
        return
    for end in ends or [0]:
        count = math.floor(exact(end) / step)
        for made in ((count + more) * step for more in (0, 1, -1)):
            yield int(made) if made.denominator == 1 else float(made)


def _numbers(found: Shape, _levels: int) -> Iterator[Any]:
    step = least_step(found.steps)
    yield from numbers_between(found.low, found.high, step)
    yield 0.5


def _texts(found: Shape, _levels: int) -> Iterator[str]:
    yield from (made for each in found.patterns if (made := text_like(each)) is not None)
    yield from (EXAMPLES[each] for each in found.formats if each in EXAMPLES)
    if found.shortest <= SAMPLE_LENGTH_MAX:
        yield "x" * max(found.shortest, 1)
        yield "x" * found.shortest


def _lists(found: Shape, levels: int) -> Iterator[list[Any]]:
    made: list[Any] = []
    for at in range(min(found.fewest, SAMPLE_LENGTH_MAX)):
        options = [each for one in shapes(found.item(at)) for each in samples(one, levels - 1)] if levels > 1 else []
        fresh = [each for each in options if not found.unique or not any(equal(each, other) for other in made)]
        if not fresh:
            break
        made.append(fresh[0])
    yield made


def _objects(found: Shape, levels: int) -> Iterator[dict[str, Any]]:
    made: dict[str, Any] = {}
    for name in found.required:
        for value in sample(found.field(name), levels - 1):
            made[name] = value
    yield dict(made)
    for name in (*found.declared, "other"):  # as many as `minProperties` asks for
        if len(made) < found.fewest and name not in made:
            for value in sample(found.field(name), levels - 1):
                made[name] = value
    yield made


_MADE: dict[str, Any] = {"number": _numbers, "string": _texts, "array": _lists, "object": _objects}

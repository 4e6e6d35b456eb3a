"""Whether nothing can be in two schemas at once, as far as that is plain (L41)."""

from __future__ import annotations

from remit.kernel.contract.schema import Conjunction
from remit.kernel.contract.shapes import Shape, shapes
from remit.kernel.contract.values import branch_accepts, least_step, no_number

__all__ = ["apart"]

_LEVELS = 3


def apart(one: Shape, others: Conjunction, levels: int = _LEVELS) -> bool:
    """Whether no value of an alternative fits a schema; False where it may."""
    return all(_two(one, other, levels) for other in shapes(others))


def _two(one: Shape, other: Shape, levels: int) -> bool:
    if one.kind != other.kind:
        return True
    for listed, holder in ((one.listed, other), (other.listed, one)):
        if listed is not None:
            return all(branch_accepts(holder.branch, value) is False for value in listed)
    match one.kind:
        case "number":
            low, high = max(one.low, other.low), min(one.high, other.high, key=lambda end: (end.at, not end.open))
            return no_number(low, high, least_step((*one.steps, *other.steps)))
        case "string":
            return max(one.shortest, other.shortest) > min(one.longest, other.longest)
        case "array":
            return max(one.fewest, other.fewest) > min(one.greatest, other.greatest)
        case _:
            return _objects(one, other, levels)


def _objects(one: Shape, other: Shape, levels: int) -> bool:
    """A field that every common object has tells them apart."""
    if max(one.fewest, other.fewest) > min(one.greatest, other.greatest):
        return True
    always = dict.fromkeys((*one.required, *other.required))
    return levels > 0 and any(_fields(one.field(name), other.field(name), levels) for name in always)


def _fields(one: Conjunction, other: Conjunction, levels: int) -> bool:
    return all(apart(each, other, levels - 1) for each in shapes(one))

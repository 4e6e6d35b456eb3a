"""What one side gives and the other does not take: a place, words for both, and a value that shows it (L41)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

from remit.kernel.contract.schema import Conjunction
from remit.kernel.contract.shapes import Shape
from remit.kernel.contract.values import Sampled, sample, samples

__all__ = ["Comparing", "Form", "Gap", "merged", "shown_in_list", "shown_in_object", "some", "unclear"]


class Form(StrEnum):
    """What kind of difference a gap is."""

    VALUE = "value"
    MISSING = "missing"
    UNDECLARED = "undeclared"
    EXTRA = "extra"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Gap:
    """`certain`: some value shows it, perhaps `witness`. UNCLEAR: `given` says why it cannot be decided."""

    form: Form
    given: tuple[str, ...]
    taken: str = ""
    witness: Sampled = ()
    certain: bool = True
    path: tuple[str, ...] = ()

    def below(self, name: str, show: Callable[[Any], Sampled]) -> Gap:
        """The same gap, seen from one level further up; `show` puts its witness into a whole value."""
        shown = show(self.witness[0]) if self.witness else ()
        return replace(self, path=(name, *self.path), witness=shown)

    def doubted(self) -> Gap:
        """The same gap, where it may be that the other side takes it after all."""
        return replace(self, certain=False, witness=())


class Comparing(Protocol):
    """What the comparisons of one kind of value need of the whole one."""

    lenient: bool

    def below(self, given: Conjunction, taken: Conjunction) -> list[Gap]:
        """The gaps of a field or an item."""


def some(shape: Shape) -> Sampled:
    """A value of an alternative."""
    if shape.sampled is None:
        shape.sampled = next(((each,) for each in samples(shape)), ())
    return shape.sampled


def shown_in_object(shape: Shape, name: str) -> Callable[[Any], Sampled]:
    """Puts a value for a field into an object that fits otherwise."""
    return lambda value: tuple({**base, name: value} for base in some(shape))


def shown_in_list(shape: Shape, at: int) -> Callable[[Any], Sampled]:
    """Puts a value for an item into a list that fits otherwise, with as many before it as it takes."""

    def show(value: Any) -> Sampled:
        base = some(shape)
        items = list(base[0]) if base else []
        while len(items) < at:
            before = sample(shape.item(len(items)))
            if not before:
                return ()
            items.append(before[0])
        items[at : at + 1] = [value]
        return (items,)

    return show


def unclear(why: str) -> Gap:
    """A gap that may be none."""
    return Gap(Form.UNCLEAR, (why,), certain=False)


def merged(gaps: Iterable[Gap]) -> list[Gap]:
    """Gaps of several alternatives at one place as one."""
    found: dict[tuple[object, ...], Gap] = {}
    for gap in gaps:
        key = (gap.path, gap.form, gap.taken, gap.certain)
        known = found.get(key)
        if known is None:
            found[key] = gap
        else:
            given = tuple(dict.fromkeys((*known.given, *gap.given)))
            found[key] = replace(known, given=given, witness=known.witness or gap.witness)
    return list(found.values())

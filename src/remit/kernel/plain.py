"""Plain data, and how it is read without running any value's own code (L38).

Fields are taken from where pydantic models and dataclasses keep them, never through attributes; enums stand for their
values, UUIDs for their text, models for their fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from functools import lru_cache
from types import GetSetDescriptorType, MemberDescriptorType, NoneType
from typing import Any, NamedTuple

from remit.errors import DomainError

__all__ = ["SCALARS", "ConditionFailed", "Missing", "Work", "described", "plain", "read", "subscript"]

WORK_MAX = 100_000  # elements looked at, 0.1 to 0.4 µs each

SCALARS = frozenset({int, float, str, bool, NoneType})
_MOMENTS = (date, time, timedelta)  # a datetime is a date
_SEQUENCES = (list, tuple)


class ConditionFailed(DomainError):
    """An expression met a value that it cannot use (L38); `details` has the `condition` and the `part` that failed."""

    default_code = "condition_failed"


class Missing(ConditionFailed):
    """A path leads through None or past the end of a list: the failures that `default` stands in for."""


class Work:
    """One evaluation: the part that is being worked out, and how much more it may do."""

    __slots__ = ("left", "part")

    def __init__(self) -> None:
        self.left = WORK_MAX
        self.part = ""

    def spend(self, amount: int) -> None:
        """Take `amount` elements off; raises ConditionFailed where too little is left."""
        self.left -= amount
        if self.left < 0:
            raise self.failure("the values are too large for an expression; work on them in a step")

    def failure(self, message: str, kind: type[ConditionFailed] = ConditionFailed) -> ConditionFailed:
        """The error to raise, which names the part."""
        return kind(f"{self.part}: {message}", part=self.part)


class Shape(NamedTuple):
    """Where the values of one class keep their declared fields."""

    names: frozenset[str]
    slots: dict[str, MemberDescriptorType]
    dictionary: GetSetDescriptorType | None
    extras: MemberDescriptorType | None  # undeclared fields, of a pydantic model that allows them

    def undeclared(self, value: Any) -> dict[str, Any] | None:
        """The undeclared fields of a value; None where its model allows none."""
        kept: dict[str, Any] | None = self.extras.__get__(value) if self.extras else None
        return kept

    def field(self, value: Any, name: str) -> Any:
        """A declared field's value; raises LookupError or AttributeError for one that was never set."""
        slot = self.slots.get(name)
        return slot.__get__(value) if slot else self.dictionary.__get__(value)[name]  # type: ignore[union-attr]

    def fields(self, value: Any) -> dict[str, Any]:
        """All fields that are set, in order of name."""
        kept = self.dictionary.__get__(value) if self.dictionary else {}
        return {name: self.field(value, name) for name in sorted(self.names) if name in kept or name in self.slots} | (
            self.undeclared(value) or {}
        )


@lru_cache(maxsize=4_096)
def shape_of(kind: type) -> Shape | None:
    """How a class keeps its declared fields; None where it declares none, or hides how it keeps them."""
    held: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        held.update(vars(base))
    names = held.get("__pydantic_fields__", held.get("__dataclass_fields__"))
    dictionary = held.get("__dict__")
    if not isinstance(names, dict) or not isinstance(dictionary, GetSetDescriptorType | None):
        return None
    if "__pydantic_fields__" not in held:
        names = [field.name for field in dataclasses.fields(kind)]
    slots = {name: held[name] for name in names if isinstance(held.get(name), MemberDescriptorType)}
    extras = held.get("__pydantic_extra__")
    return Shape(frozenset(names), slots, dictionary, extras if isinstance(extras, MemberDescriptorType) else None)


def described(value: Any) -> str:
    """What a value is, without showing it: it may be secret."""
    return "None" if value is None else type(value).__name__


def read(value: Any, name: str, work: Work) -> Any:
    """A key of a dict, None where it has none; a declared field of a model or dataclass."""
    if isinstance(value, dict):
        return dict.get(value, name)
    shape = shape_of(type(value))
    if shape is not None:
        return _field(shape, value, name, work)
    if value is None:
        raise work.failure(f"there is no {name!r} in None; write `| default(…)` after it if it may be missing", Missing)
    raise work.failure(f"{described(value)} has no field {name!r}; only dicts, models and dataclasses have")


def _field(shape: Shape, value: Any, name: str, work: Work) -> Any:
    if name in shape.names:
        try:
            return shape.field(value, name)
        except (LookupError, AttributeError):
            raise work.failure(f"{name!r} of {described(value)} was never set", Missing) from None
    extras = shape.undeclared(value)
    if extras is not None:
        return extras.get(name)
    near = get_close_matches(name, shape.names, 3) or sorted(shape.names)[:10]
    raise work.failure(f"{described(value)} declares no field {name!r}; it has {', '.join(near) or 'none'}")


def subscript(value: Any, key: Any, work: Work) -> Any:
    """`value[key]`: an element of a list, tuple or text by its number, else what `read` gives."""
    key = plain(key, work)
    if type(key) is str and not isinstance(value, str | list | tuple):
        return read(value, key, work)
    if isinstance(value, dict) and type(key) in SCALARS:
        return dict.get(value, key)
    if value is None:
        raise work.failure("None has no elements; write `| default(…)` after it if it may be missing", Missing)
    if not isinstance(value, str | list | tuple) or type(key) is not int:
        raise work.failure(f"{described(value)} has no element {described(key)}")
    items = plain(value, work)
    if not -len(items) <= key < len(items):
        raise work.failure(f"no element {key}: there are {len(items)}", Missing)
    return items[key]


def plain(value: Any, work: Work) -> Any:
    """A value as built-in data, one level deep; raises ConditionFailed for anything else."""
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    reduce = _reduction(kind)
    if reduce is None:
        raise work.failure(f"{described(value)} is no plain data")
    return reduce(value, work)


_AS_IT_IS = SCALARS | {list, tuple, dict, set, frozenset, Decimal, bytes, date, datetime, time, timedelta}
Reduction = Callable[[Any, Work], Any]


def _copied(copy: Callable[[Any], Any]) -> Reduction:
    def reduce(value: Any, work: Work) -> Any:
        work.spend(len(value) // 16)
        return copy(value)

    return reduce


# What a subclass is reduced to, by methods of the built-in class, which it cannot override.
_REDUCED: Mapping[type, Reduction] = {
    Enum: lambda value, work: plain(object.__getattribute__(value, "_value_"), work),
    str: lambda value, _: str.__str__(value),
    int: lambda value, _: int.__int__(value),
    float: lambda value, _: float.__float__(value),
    Decimal: lambda value, _: Decimal(value),
    list: _copied(lambda value: list.__getitem__(value, slice(None))),
    tuple: _copied(lambda value: tuple.__getitem__(value, slice(None))),
    dict: _copied(dict.copy),
    set: _copied(set.union),
    frozenset: _copied(frozenset.union),
    bytes: lambda value, _: bytes.__getitem__(value, slice(None)),
    date: lambda value, _: value,
    time: lambda value, _: value,
    timedelta: lambda value, _: value,
}


@lru_cache(maxsize=4_096)
def _reduction(kind: type) -> Reduction | None:
    for base, reduce in _REDUCED.items():
        if issubclass(kind, base):
            return reduce
    for base in kind.__mro__:
        if (base.__module__, base.__qualname__) == ("uuid", "UUID"):
            return lambda value, _: base.__str__(value)
    shape = shape_of(kind)
    return None if shape is None else lambda value, _: shape.fields(value)

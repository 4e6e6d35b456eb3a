"""Plain data, and how it is read without running any value's own code (L38).

Fields are taken from where pydantic models and dataclasses keep them, never through attributes; enums stand for their
values, UUIDs for their text, models for their fields.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from types import GetSetDescriptorType, MappingProxyType, MemberDescriptorType, NoneType
from typing import Any, NamedTuple

from remit.errors import DomainError
from remit.kernel.expressions.tokens import nearest, quoted, shortened

__all__ = [
    "SCALARS",
    "ConditionFailed",
    "Guarded",
    "Missing",
    "Work",
    "described",
    "plain",
    "read",
    "shape_of",
    "subscript",
]

WORK_MAX = 20_000  # elements looked at, each in about 1 µs

_DEFAULT = "write `| default(…)` after it if it may be missing"
_SPELT_MAX = 10**18  # Python itself refuses to spell an integer of thousands of digits
_SEQUENCES = (str, list, tuple)
SCALARS = frozenset({int, float, str, bool, NoneType})


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
        part = shortened(self.part)
        return kind(f"{part}: {message}", part=part)


class Guarded(dict[str, Any]):
    """A dict of Remit's own that refuses some keys instead of not having them: `refusals` says why."""

    refusals: Mapping[str, str] = MappingProxyType({})


class Shape(NamedTuple):
    """How the values of one class keep their fields."""

    # Of the declared fields; they raise LookupError or AttributeError for one that was never set.
    readers: Mapping[str, Callable[[Any], Any]]
    # Of those that a pydantic model allows without declaring them; None where it allows none.
    undeclared: Callable[[Any], dict[str, Any] | None]

    def fields(self, value: Any) -> dict[str, Any]:
        """All fields that are set."""
        found = dict(self.undeclared(value) or {})
        for name, reader in self.readers.items():
            with suppress(LookupError, AttributeError):
                found[name] = reader(value)
        return found


@lru_cache(maxsize=4_096)
def shape_of(kind: type) -> Shape | None:
    """How a class keeps its fields; None where it declares none, or hides how it keeps them."""
    held: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        held.update(vars(base))
    declared = held.get("__pydantic_fields__", held.get("__dataclass_fields__"))
    dictionary, extras = held.get("__dict__"), held.get("__pydantic_extra__")
    if not isinstance(declared, dict) or not isinstance(dictionary, GetSetDescriptorType | None):
        return None
    names = declared if "__pydantic_fields__" in held else [field.name for field in dataclasses.fields(kind)]
    return Shape(
        {name: _reader(name, held.get(name), dictionary) for name in names},
        extras.__get__ if isinstance(extras, MemberDescriptorType) else lambda _value: None,
    )


def _reader(name: str, slot: Any, dictionary: Any) -> Callable[[Any], Any]:
    if isinstance(slot, MemberDescriptorType):
        return slot.__get__
    get = dictionary.__get__
    return lambda value: get(value)[name]


def described(value: Any) -> str:
    """What a value is, without showing it: it may be secret."""
    return "None" if value is None else type(value).__name__


def read(value: Any, name: str, work: Work) -> Any:
    """A key of a dict, None where it has none; a declared field of a model or dataclass; `name` or `value` of an enum."""
    kind: Any = type(value)
    if issubclass(kind, dict):
        return _key(value, name, work)
    shape = shape_of(kind)
    if shape is not None:
        return _field(shape, value, name, work)
    if value is None:
        raise work.failure(f"there is no {quoted(name)} in None; {_DEFAULT}", Missing)
    if issubclass(kind, Enum) and name in {"name", "value"}:
        return object.__getattribute__(value, f"_{name}_")
    raise work.failure(f"{described(value)} has no field {quoted(name)}; only dicts, models and dataclasses have")


def _key(value: dict[Any, Any], key: Any, work: Work) -> Any:
    admit(value, key, work)
    return dict.get(value, key)


def admit(value: Any, key: Any, work: Work) -> None:
    """Raise ConditionFailed for a key that a Guarded dict refuses."""
    refusals = value.refusals if issubclass(type(value), Guarded) else {}
    if type(key) is str and key in refusals:
        raise work.failure(refusals[key])


def _field(shape: Shape, value: Any, name: str, work: Work) -> Any:
    reader = shape.readers.get(name)
    if reader is None:
        return _undeclared(shape, value, name, work)
    try:
        return reader(value)
    except (LookupError, AttributeError):
        raise work.failure(f"{quoted(name)} of {described(value)} was never set; {_DEFAULT}", Missing) from None


def _undeclared(shape: Shape, value: Any, name: str, work: Work) -> Any:
    extras = shape.undeclared(value)
    if extras is not None:
        return extras.get(name)
    near = nearest(name, shape.readers, 3) or list(shape.readers)[:10]
    raise work.failure(f"{described(value)} declares no field {quoted(name)}; it has {', '.join(near) or 'none'}")


def subscript(value: Any, key: Any, work: Work) -> Any:
    """`value[key]`: an element of a list, tuple or text by its number, else what `read` gives."""
    which, kind = plain(key, work), type(value)
    if type(which) is str and not issubclass(kind, _SEQUENCES):
        return read(value, which, work)
    if issubclass(kind, dict) and type(which) in SCALARS:
        return _key(value, which, work)
    if value is None:
        raise work.failure(f"None has no elements; {_DEFAULT}", Missing)
    if type(which) is not int or not issubclass(kind, _SEQUENCES):
        raise work.failure(f"{described(value)} has no element {described(key)}")
    items = plain(value, work)
    if not -len(items) <= which < len(items):
        number = which if abs(which) < _SPELT_MAX else "of that number"
        raise work.failure(f"there is no element {number}: there are {len(items)}; {_DEFAULT}", Missing)
    return items[which]


def plain(value: Any, work: Work) -> Any:
    """A value as built-in data, one level deep; raises ConditionFailed for anything else."""
    kind: Any = type(value)
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
        copied = copy(value)
        work.spend(len(copied) // 16)
        return copied

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
}


def _text_of(base: Any) -> Reduction:
    def reduce(value: Any, work: Work) -> Any:
        work.spend(2)
        return base.__str__(value)

    return reduce


@lru_cache(maxsize=4_096)
def _reduction(kind: type) -> Reduction | None:
    for base, reduce in _REDUCED.items():
        if issubclass(kind, base):
            return reduce
    for base in kind.__mro__:
        if (base.__module__, base.__qualname__) == ("uuid", "UUID"):
            return _text_of(base)
    shape = shape_of(kind)
    return None if shape is None else _fields(shape)


def _fields(shape: Shape) -> Reduction:
    def reduce(value: Any, work: Work) -> dict[str, Any]:
        work.spend(len(shape.readers))
        return shape.fields(value)

    return reduce

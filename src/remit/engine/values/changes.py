"""Whether a value came through the seam as it was, in all its parts (L13)."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel

__all__ = ["Change", "Comparison", "change_between", "comparison_of", "field_names"]


class Change(NamedTuple):
    """A part that would arrive otherwise; `path` grows from the part outwards."""

    sent: object
    arrived: object
    path: list[object]


Comparison = Callable[[Any, Any], Change | None]
_ATOMS = frozenset([str, int, float, bool, type(None), bytes, Decimal, date, timedelta, UUID])


def change_between(sent: Any, arrived: Any) -> Change | None:
    """The first part that differs in value or type, or None; an int becomes a float if the type says so."""
    kind: Any = type(sent)
    if kind is not type(arrived):
        if kind is int and type(arrived) is float and sent == arrived:
            return None
        return Change(sent, arrived, [])
    if kind in _ATOMS:
        return None if sent == arrived else Change(sent, arrived, [])
    return comparison_of(kind)(sent, arrived)


def _change_in_model(kind: type[BaseModel]) -> Comparison:
    names = tuple(kind.__pydantic_fields__)

    def change(sent: BaseModel, arrived: BaseModel) -> Change | None:
        ours, theirs = sent.__dict__, arrived.__dict__
        for name in names:
            mine, its = ours.get(name, _MISSING), theirs.get(name, _MISSING)
            if type(mine) in _ATOMS and type(mine) is type(its) and mine == its:
                continue  # what most fields are, without a call for each
            found = change_between(mine, its)
            if found is not None:
                return _under(name, found)
        if sent.__pydantic_extra__ or arrived.__pydantic_extra__:
            return change_between(sent.__pydantic_extra__, arrived.__pydantic_extra__)
        return None

    return change


class _Missing(Enum):
    """What a field holds that was never set."""

    VALUE = "missing"


_MISSING = _Missing.VALUE


@lru_cache(maxsize=4096)
def field_names(kind: type) -> tuple[str, ...]:
    """The names of a dataclass's fields."""
    return tuple(field.name for field in dataclasses.fields(kind))


def _change_in_dataclass(sent: object, arrived: object) -> Change | None:
    kind: Any = type(sent)
    for name in field_names(kind):
        found = change_between(getattr(sent, name, _MISSING), getattr(arrived, name, _MISSING))
        if found is not None:
            return _under(name, found)
    return None


def _change_in_dict(sent: dict[Any, Any], arrived: dict[Any, Any]) -> Change | None:
    if len(sent) != len(arrived):
        return Change(sent, arrived, [])
    keys = arrived if all(type(key) is str for key in sent) else {key: key for key in arrived}
    for key, value in sent.items():
        if key not in arrived:
            return Change(key, "another key", [key])
        if keys is not arrived and (found := change_between(key, keys[key])):
            return _under(key, found)
        if (found := change_between(value, arrived[key])) is not None:
            return _under(key, found)
    same_order = type(sent) is dict or not hasattr(sent, "move_to_end") or list(sent) == list(arrived)
    return None if same_order else Change(sent, arrived, [])


def _change_in_sequence(sent: Any, arrived: Any) -> Change | None:
    if len(sent) != len(arrived) or getattr(sent, "maxlen", None) != getattr(arrived, "maxlen", None):
        return Change(sent, arrived, [])
    kinds = list(map(type, sent))
    if _ATOMS.issuperset(kinds) and kinds == list(map(type, arrived)) and sent == arrived:
        return None
    for index, (ours, theirs) in enumerate(zip(sent, arrived, strict=True)):
        found = change_between(ours, theirs)
        if found is not None:
            return _under(index, found)
    return None


def _change_in_set(sent: Any, arrived: Any) -> Change | None:
    if sent != arrived:
        return Change(sent, arrived, [])
    partners = {member: member for member in arrived}
    for member in sent:
        found = change_between(member, partners[member])
        if found is not None:
            return found
    return None


def _change_in_clock(sent: Any, arrived: Any) -> Change | None:
    """A named zone arrives as its offset at that time; the reading of the clock and the offset stay."""
    same = sent.replace(tzinfo=None) == arrived.replace(tzinfo=None) and sent.utcoffset() == arrived.utcoffset()
    same = (
        same
        and (sent.tzinfo is None) == (arrived.tzinfo is None)
        and (sent.tzinfo is not None or sent.fold == arrived.fold)
    )
    return None if same else Change(sent, arrived, [])


def _change_in_other(sent: object, arrived: object) -> Change | None:
    return None if sent is arrived or sent == arrived else Change(sent, arrived, [])


def _under(part: object, change: Change) -> Change:
    change.path.append(part)
    return change


_COMPARISONS: tuple[tuple[tuple[type, ...], Comparison], ...] = (
    ((dict,), _change_in_dict),
    ((list, tuple, deque), _change_in_sequence),
    ((set, frozenset), _change_in_set),
    ((datetime, time), _change_in_clock),
)


def _find_comparison(kind: type) -> Comparison:
    """How values of a class are compared."""
    if issubclass(kind, BaseModel):
        return _change_in_model(kind)
    if dataclasses.is_dataclass(kind):
        return _change_in_dataclass
    return next((comparison for bases, comparison in _COMPARISONS if issubclass(kind, bases)), _change_in_other)


comparison_of: Callable[[type], Comparison] = lru_cache(maxsize=4096)(_find_comparison)

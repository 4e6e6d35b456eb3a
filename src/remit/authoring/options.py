"""What `@process`, `@step`, `@tool` and `@model` are given beside the function, looked at when it is defined (L48).

A misspelt isolation would isolate nothing, and a single text is a list of its letters: neither shows before it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from remit.engine.definitions import Isolation
from remit.errors import DefinitionError

__all__ = ["flag", "given", "isolated", "named", "words"]

T = TypeVar("T")


def flag(value: object, option: str, where: str) -> bool:
    """True or False; DefinitionError for anything else, a text that says 'no' included."""
    if not isinstance(value, bool):
        raise DefinitionError(f"{where}: {option}={value!r:.80}: give True or False")
    return value


def given(value: object, kind: type[T], option: str, example: str, where: str) -> T | None:
    """A value of that kind, or None."""
    if value is not None and not isinstance(value, kind):
        raise DefinitionError(f"{where}: {option}={value!r:.80}: write {example}, or leave it out")
    return value


def isolated(value: object, where: str) -> Isolation:
    """How code is kept apart from the loop: by a process of its own, or not at all."""
    if value is not None and value != "process":
        raise DefinitionError(f"{where}: isolation={value!r:.80}: write isolation='process', or leave it out")
    return "none" if value is None else "process"


def named(value: object, where: str) -> str:
    """A name that is text and not empty."""
    if not isinstance(value, str) or not value.strip():
        raise DefinitionError(f"{where}: {value!r:.80} is no name: give a text that is not empty")
    return value


def words(values: Any, option: str, where: str) -> tuple[str, ...] | None:
    """A list of names, or None; a single text is none."""
    if values is None:
        return None
    found = None if isinstance(values, str) or not isinstance(values, Iterable) else tuple(values)
    if found is None or not all(isinstance(each, str) and each for each in found):
        shown = f"[{values!r:.80}]" if isinstance(values, str) else "['sales']"
        raise DefinitionError(f"{where}: {option}={values!r:.80} is no list of names: write {option}={shown}")
    return found

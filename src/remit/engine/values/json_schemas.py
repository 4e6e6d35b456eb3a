"""Validating plain data against a JSON Schema, in time that no value can stretch.

Python's own patterns go back and try again: `(a+)+$` holds the loop for seconds at 25 letters. These are matched by the
engine that pydantic brings, whose time is linear in the text (L48).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

__all__ = ["unreadable_pattern", "validator_of"]


def validator_of(schema: dict[str, Any]) -> Any:
    """A validator of jsonschema for that schema (Draft 2020-12) whose patterns take linear time."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    keywords = {"pattern": _pattern, "patternProperties": _pattern_properties}
    return extend(Draft202012Validator, keywords)(schema)  # type: ignore[no-untyped-call]


def unreadable_pattern(schema: Any) -> str | None:
    """The first pattern in a schema that cannot be matched in linear time: one that looks around or back."""
    open_parts = [schema]
    while open_parts:
        part = open_parts.pop()
        if isinstance(part, dict):
            named = part.get("patternProperties")
            written = [part.get("pattern"), *(named if isinstance(named, dict) else ())]
            for pattern in written:
                if isinstance(pattern, str) and _linear(pattern) is None:
                    return pattern
            open_parts.extend(part.values())
        elif isinstance(part, list):
            open_parts.extend(part)
    return None


@lru_cache(maxsize=512)
def _linear(pattern: str) -> SchemaValidator | None:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError:
        return None


def _matches(pattern: str, text: str) -> bool:
    validator = _linear(pattern)
    if validator is None:  # a model's own, for another engine: its author answers for the time it takes
        return re.search(pattern, text) is not None
    try:
        validator.validate_python(text)
    except ValidationError:
        return False
    return True


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError as Problem

    if isinstance(value, str) and not _matches(pattern, value):
        yield Problem(f"{value!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, properties: dict[str, Any], value: Any, _schema: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for pattern, below in properties.items():
            for name, each in value.items():
                if _matches(pattern, name):
                    yield from validator.descend(each, below, path=name, schema_path=pattern)

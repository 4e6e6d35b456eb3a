"""The kinds of value that fields of a workflow have, and the small groups of fields that several steps share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from remit.kernel.durations import milliseconds
from remit.kernel.retry import Retry
from remit.kernel.usage import Budget, micros

__all__ = [
    "Amounts",
    "Duration",
    "Flag",
    "ImportPath",
    "Json",
    "Keyed",
    "Name",
    "OnFailure",
    "OnTimeout",
    "Path",
    "Price",
    "RetryRule",
    "Section",
    "Shouted",
    "Version",
    "Word",
    "any_case",
]


def _duration(value: float | str) -> float | str:
    milliseconds(value)
    return value


def _price(value: str | int) -> str:
    micros(value)
    return str(value)


def _written(value: Any) -> Any:
    """`0.10` and `1.0` without quotes are what YAML makes numbers of; people mean the text."""
    return repr(value) if isinstance(value, float) else value


_END = r"\Z"
_VERSION = re.compile(
    r"(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[.-]?((?:a|b|rc|alpha|beta|dev)[0-9A-Za-z.-]*))?(\+[0-9A-Za-z.-]+)?\Z"
)
_VERSION_WRITTEN = f"^{_VERSION.pattern.removesuffix(_END)}$"


def _version(text: str) -> str:
    """'1.0' → '1.0.0', '1.0.0rc3' → '1.0.0-rc3': existing files write both, versions here are semantic ones."""
    found = _VERSION.match(text)
    if not found:
        raise ValueError(f"{text!r} is no version: write three numbers, such as '1.0.0'")
    major, minor, patch, pre, build = found.groups()
    numbers = ".".join(str(int(part or 0)) for part in (major, minor, patch))
    return numbers + (f"-{pre}" if pre else "") + (build or "")


_FLAGS = {"yes": True, "on": True, "no": False, "off": False}
_SEGMENT = r"[A-Za-z_]\w*"
_IMPORT_PATH = re.compile(rf"{_SEGMENT}(?:\.{_SEGMENT})*[.:]{_SEGMENT}(?:\.{_SEGMENT})*\Z")
_IMPORT_PATH_WRITTEN = f"^{_IMPORT_PATH.pattern.removesuffix(_END)}$"
_PATH = re.compile(rf"{_SEGMENT}(?:\.{_SEGMENT})*\Z")
_ONE_LINE = {"not": {"pattern": "\n"}}
"""`$` stands before a line break at the end too."""
_LONGEST_S = 100 * 365 * 86_400


def any_case(words: Iterable[str]) -> str:
    """A pattern of words in letters of either case."""
    spelled = ("".join(f"[{letter.upper()}{letter.lower()}]" for letter in word) for word in words)
    return f"^({'|'.join(spelled)})$"


def _import_path(text: str) -> str:
    """'package.module:name' is the same as 'package.module.name'."""
    if not _IMPORT_PATH.match(text):
        raise ValueError(f"{text!r} is no import path: write 'module.function'")
    return text.replace(":", ".")


def _path(text: str) -> str:
    if not _PATH.match(text):
        raise ValueError(f"{text!r} is no path into the state: write 'state.items' or 'items'")
    return text


Name = Annotated[str, Field(min_length=1, max_length=200)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.\-]*$", max_length=200, json_schema_extra=_ONE_LINE)]
"""A word that workflows are called, and that policies select by."""
Duration = Annotated[
    float | str,
    BeforeValidator(_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "maximum": _LONGEST_S},
                {"type": "string", "pattern": r"^ *([0-9]+(\.[0-9]+)? *(ms|s|m|h|d|w) *)+$"},
            ]
        }
    ),
]
"""Seconds, or text such as '10m'; checked, not converted."""
Price = Annotated[
    str,
    BeforeValidator(_written),
    BeforeValidator(lambda v: str(v) if type(v) is int else v),
    AfterValidator(_price),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^\s*\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$"},
            ]
        }
    ),
]
"""A decimal string in dollars."""
Version = Annotated[
    str,
    BeforeValidator(_written),
    BeforeValidator(lambda v: str(v) if type(v) is int else v),
    AfterValidator(_version),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": _VERSION_WRITTEN, **_ONE_LINE},
            ]
        }
    ),
]
"""A semantic version."""
ImportPath = Annotated[
    str, AfterValidator(_import_path), WithJsonSchema({"type": "string", "pattern": _IMPORT_PATH_WRITTEN, **_ONE_LINE})
]
"""A dotted path of a function or class: 'package.module.name'."""
Path = Annotated[
    str,
    AfterValidator(_path),
    WithJsonSchema({"type": "string", "pattern": f"^{_PATH.pattern.removesuffix(_END)}$", **_ONE_LINE}),
]
"""A dotted path into the state, `state.` in front or not: existing files write both."""
Flag = Annotated[
    bool,
    BeforeValidator(lambda v: _FLAGS.get(v.lower(), v) if isinstance(v, str) else v),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": any_case(_FLAGS)}]}),
]
"""true or false; YAML 1.1 writes them as yes, no, on and off too."""
Json = Any
Keyed = dict[str, Any]
Shouted = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)


class Section(BaseModel):
    """A group of fields: fixed once read, every key known."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True, validate_by_alias=True)


class RetryRule(Section):
    """How TRANSIENT failures are tried again: `retry: 5` says how often in all."""

    attempts: int = Field(3, ge=1, le=1_000, validation_alias=AliasChoices("attempts", "max_attempts"))
    first: Duration = Field(0.5, validation_alias=AliasChoices("first", "delay", "delay_seconds"))
    longest: Duration = Field(60, validation_alias=AliasChoices("longest", "max_delay", "max_delay_seconds"))
    retry_on_timeout: Flag = False

    @model_validator(mode="before")
    @classmethod
    def _times(cls, value: Any) -> Any:
        return {"attempts": value} if type(value) is int else value

    def policy(self) -> Retry:
        """The same as the kernel's rule."""
        return Retry(self.attempts, self.first, self.longest, self.retry_on_timeout)


class Amounts(Section):
    """Tokens and cost, either or both."""

    tokens: int | None = Field(None, ge=0)
    cost: Price | None = None

    @model_validator(mode="before")
    @classmethod
    def _tokens(cls, value: Any) -> Any:
        return {"tokens": value} if type(value) is int else value

    def budget(self) -> Budget:
        """The same as a budget."""
        return Budget(tokens=self.tokens, cost=self.cost)


class OnFailure(Section):
    """Where the workflow goes on when the step, or its child, failed with a DOMAIN error."""

    target_step: Name

    @model_validator(mode="before")
    @classmethod
    def _name(cls, value: Any) -> Any:
        return {"target_step": value} if isinstance(value, str) else value


class OnTimeout(Section):
    """What happens when time is up: go on at a step, or go on with a value as if it had been the answer."""

    target_step: Name | None = None
    value: Json = None

    @model_validator(mode="before")
    @classmethod
    def _name(cls, value: Any) -> Any:
        return {"target_step": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> OnTimeout:
        if (self.target_step is None) == (not self.has_value):
            raise ValueError("on_timeout says either `target_step` or `value`")
        return self

    @property
    def has_value(self) -> bool:
        """Whether a value is given; it may be null."""
        return "value" in self.model_fields_set

"""The keywords that constrain one kind of value, and what their values must be to be understood (L41)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from remit.kernel.contract.schema import ANNOTATIONS, APPLIED

__all__ = ["COUNTS_OF_CONTAINS", "KEYWORDS", "KINDS", "PASSED_OVER", "WRITTEN", "kind_of"]

KINDS = ("null", "boolean", "number", "string", "array", "object")


def kind_of(value: object) -> str:
    """The kind of a JSON value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _is_number(value: object) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_schema(value: object) -> bool:
    return isinstance(value, Mapping | bool)


def _is_type(value: object) -> bool:
    names = value if isinstance(value, list) else [value]
    return all(isinstance(each, str) and each in {*KINDS, "integer"} for each in names)


def _are_schemas(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_schema, value.values()))


# keyword → the kind it speaks of ("" for all), and what it must be to be understood
KEYWORDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "type": ("", _is_type),
    "enum": ("", lambda value: isinstance(value, list)),
    "const": ("", lambda _value: True),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), ("number", _is_number)),
    "multipleOf": ("number", lambda value: _is_number(value) and value > 0),
    **dict.fromkeys(("minLength", "maxLength"), ("string", _is_count)),
    **dict.fromkeys(("pattern", "format"), ("string", lambda value: isinstance(value, str))),
    "items": ("array", _is_schema),
    "prefixItems": ("array", lambda value: isinstance(value, list) and all(map(_is_schema, value))),
    **dict.fromkeys(("minItems", "maxItems"), ("array", _is_count)),
    "uniqueItems": ("array", lambda value: isinstance(value, bool)),
    **dict.fromkeys(("properties", "patternProperties"), ("object", _are_schemas)),
    **dict.fromkeys(("additionalProperties", "propertyNames"), ("object", _is_schema)),
    "required": ("object", lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value)),
    **dict.fromkeys(("minProperties", "maxProperties"), ("object", _is_count)),
}
# what constrains one kind only and is compared as it is written
WRITTEN = {
    **dict.fromkeys(("contains", "unevaluatedItems"), "array"),
    "unevaluatedProperties": "object",
    **dict.fromkeys(("contentEncoding", "contentMediaType", "contentSchema"), "string"),
}
COUNTS_OF_CONTAINS = ("minContains", "maxContains")  # they say nothing but what `contains` means
PASSED_OVER = ANNOTATIONS | APPLIED | {*COUNTS_OF_CONTAINS}

"""Types whose schema alone shows that JSON gives every value back as it was: written straight, and not read back (L13).

A value of such a type is validated anew, whatever it went through since it was made, and compared with what came
out; it is that copy which is written. What these three steps do not settle is left to the long way, which reads back
what it wrote, and which has the last word on what is refused and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic_core import CoreSchema, PydanticSerializationError, SchemaSerializer, SchemaValidator, ValidationError

from remit.engine.values.changes import Comparison, change_between, comparison_of

__all__ = ["LONGEST", "Straight", "straight_for"]

LONGEST = 4_000
"""Bytes; in a longer text stands, perhaps, a number with more digits than Python reads (4,300)."""

Straight = Callable[[object], bytes | None]
"""The canonical JSON of a value; None where the long way is to be gone."""

_KINDS: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "none": type(None), "list": list}
_WRITTEN = frozenset([str, int, bool, type(None)])
_INNER = ("schema", "items_schema", "fields", "definitions")


def straight_for(schema: CoreSchema) -> Straight | None:
    """The straight way for values of a type; None where its schema does not prove it."""
    kinds = _kinds(schema)
    if not kinds or not _proven(schema):
        return None
    own = _own(schema)
    renew = SchemaValidator(own, _use_prebuilt=False).validate_python
    write = SchemaSerializer(own, _use_prebuilt=False).to_json

    def straight(value: object) -> bytes | None:
        change = kinds.get(type(value))
        if change is None:
            return None
        try:
            renewed = renew(value)
            if change(value, renewed) is not None:
                return None
            payload = write(renewed, round_trip=True)
        except (ValidationError, PydanticSerializationError, RecursionError):
            return None  # the long way says what is wrong with it
        return payload if len(payload) <= LONGEST else None

    return straight


def _kinds(node: Any) -> dict[type, Comparison]:
    """The classes whose values the type takes as they are, with how these are compared; none where that cannot be told here."""
    kind = node["type"]
    if kind in {"nullable", "default", "definitions"}:
        inner = _kinds(node["schema"])
        return {**inner, type(None): change_between} if inner and kind == "nullable" else inner
    if kind == "model":
        return {node["cls"]: comparison_of(node["cls"])}  # what comes out of it is of that very class
    return {_KINDS[kind]: change_between} if kind in _KINDS else {}


def _proven(node: Any) -> bool:
    """Whether a schema and all that is in it are of the plain sort."""
    if isinstance(node, list):
        return all(map(_proven, node))
    if not isinstance(node.get("type"), str):  # fields by name
        return all(map(_proven, node.values()))
    plain = _PLAIN.get(node["type"])
    if plain is None or "serialization" in node or not plain(node):
        return False
    return all(_proven(node[key]) for key in _INNER if isinstance(node.get(key), (dict, list)))


def _any(_node: Any) -> bool:
    return True


def _plain_model(node: Any) -> bool:
    config = node.get("config") or {}
    return not (
        node.get("root_model")
        or node.get("custom_init")
        or node.get("post_init")
        or node.get("extra_behavior", config.get("extra_fields_behavior")) == "allow"
        or config.get("from_attributes")
    )


def _plain_fields(node: Any) -> bool:
    return not node.get("computed_fields") and "extras_schema" not in node and node.get("extra_behavior") != "allow"


def _plain_field(node: Any) -> bool:
    """Written and read under its own name."""
    return not any(key in node for key in ("validation_alias", "serialization_alias", "serialization_exclude", "serialization_exclude_if"))


_PLAIN: dict[str, Callable[[Any], bool]] = {
    "str": _any,
    "int": _any,
    "float": _any,
    "bool": _any,
    "none": _any,
    "list": _any,
    "nullable": _any,
    "date": _any,
    "decimal": _any,
    "uuid": _any,
    "definitions": _any,
    "definition-ref": _any,
    "default": lambda node: not node.get("default_factory_takes_data"),
    "literal": lambda node: _WRITTEN.issuperset(map(type, node["expected"])),
    "enum": lambda node: "missing" not in node and all(type(member.value) is str for member in node["members"]),
    "model": _plain_model,
    "model-fields": _plain_fields,
    "model-field": _plain_field,
}


def _own(node: Any) -> Any:
    """The schema as it is used here: every model is made anew, defaults are checked, fields come in canonical order."""
    if isinstance(node, list):
        return [_own(part) for part in node]
    if not isinstance(node.get("type"), str):
        return {name: _own(node[name]) for name in sorted(node)}
    copy = {key: _own(part) if key in _INNER and isinstance(part, (dict, list)) else part for key, part in node.items()}
    if copy["type"] == "model":
        copy["revalidate_instances"] = "always"
    elif copy["type"] == "default":
        copy["validate_default"] = True
    elif copy["type"] == "float":
        copy["allow_inf_nan"] = False
    return copy

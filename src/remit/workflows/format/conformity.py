"""JSON Schemas that a workflow file gives: whether they are sound, and whether plain data conform to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from remit.engine.values.json_schemas import unreadable_pattern, validator_of
from remit.errors import DefinitionError

__all__ = ["misfit", "problem_finder", "properties_alone", "schema_problem", "with_defaults"]

Place = tuple[str | int, ...]
_TAKES_LONG = ("$ref", "$dynamicRef", "uniqueItems")
_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
"""What applies its schemas to the value itself, and not to a part of it."""


def schema_problem(schema: Mapping[str, Any]) -> tuple[Place, str] | None:
    """Where a JSON Schema is none, reaches out of the file or would never be done with a value, and why."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    for where, reference in _references(schema, ()):
        problem = _reference_problem(schema, where, reference)
        if problem is not None:
            return where, problem
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return tuple(error.path), error.message
    pattern = unreadable_pattern(schema)
    if pattern is not None:
        return (), f"the pattern {pattern!r} cannot be matched in linear time; write it without looking around or back"
    return None


def problem_finder(schema: dict[str, Any], where: str) -> Callable[[Any], tuple[str, str] | None]:
    """What gives the first problem of some data: a JSON pointer and a message; raises DefinitionError for no sound schema."""
    problem = schema_problem(schema)
    if problem is not None:
        raise DefinitionError(f"{where}: this is no JSON Schema: {_pointer(problem[0])}: {problem[1]}")
    validator = validator_of(schema)

    def first_problem(data: Any) -> tuple[str, str] | None:
        found = next(iter(validator.iter_errors(data)), None)
        return None if found is None else (_pointer(found.absolute_path), found.message)

    return first_problem


def misfit(value: Any, schema: dict[str, Any]) -> tuple[Place, str] | None:
    """Where a value does not fit a sound JSON Schema, and why; a schema that could take long is not tried."""
    if any(word in str(schema) for word in _TAKES_LONG):
        return None
    found = next(iter(validator_of(schema).iter_errors(value)), None)
    return None if found is None else (tuple(found.path), found.message)


def with_defaults(schema: Any, data: Any) -> Any:
    """The data, and what the schema's `properties` say where they say nothing; in objects that are there, too."""
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping) or not isinstance(data, dict):
        return data
    stated = {name: part["default"] for name, part in properties.items() if isinstance(part, Mapping) and "default" in part}
    return {name: with_defaults(properties.get(name), value) for name, value in {**stated, **data}.items()}


def properties_alone(schema: Mapping[str, Any] | None) -> frozenset[str] | None:
    """The names that a schema's objects have, where they have no others; None where they may."""
    if schema is None or schema.get("additionalProperties") is not False or "patternProperties" in schema:
        return None
    return frozenset(schema.get("properties", ()))


def _pointer(path: Any) -> str:
    return "/" + "/".join(map(str, path))


def _references(schema: Any, where: Place) -> Iterator[tuple[Place, str]]:
    """Every reference in a schema; what a validator finds outside it would fetch."""
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key in {"$ref", "$dynamicRef", "$schema"} and isinstance(value, str):
                if key != "$schema" or not value.startswith("https://json-schema.org/"):
                    yield (*where, key), value
            else:
                yield from _references(value, (*where, key))
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _references(value, (*where, index))


def _reference_problem(schema: Mapping[str, Any], where: Place, reference: str) -> str | None:
    if not reference.startswith("#"):
        return f"{reference!r:.100} is outside of it: a schema refers to its own parts, such as '#/$defs/item'"
    if where[-1] != "$ref" or _names_parts(schema):
        return None
    target = _part(schema, reference)
    if target is None:
        return f"{reference!r:.100} names no part of it: write the path of one, such as '#/$defs/item'"
    if _comes_back(schema, target, reference):
        return f"{reference!r:.100} comes back to itself before it says anything of a value: say what the value is, and refer to the schema again in a part of it"
    return None


def _names_parts(schema: Any) -> bool:
    """Whether parts of it have names of their own, which references may then use instead of paths."""
    if isinstance(schema, Mapping):
        return any(
            (key in {"$id", "$anchor", "$dynamicAnchor"} and isinstance(value, str)) or _names_parts(value)
            for key, value in schema.items()
        )
    return isinstance(schema, list) and any(map(_names_parts, schema))


def _part(schema: Any, reference: str) -> Any:
    """The part that a local reference names; None where there is none."""
    part = schema
    for name in reference.removeprefix("#").split("/")[1:]:
        key = name.replace("~1", "/").replace("~0", "~").replace("%25", "%")
        if isinstance(part, Mapping) and key in part:
            part = part[key]
        elif isinstance(part, list) and key.isdigit() and int(key) < len(part):
            part = part[int(key)]
        else:
            return None
    return part if reference == "#" or reference.startswith("#/") else None


def _comes_back(schema: Mapping[str, Any], part: Any, reference: str) -> bool:
    """Whether a part leads to the reference again with the same value in hand."""
    seen: set[int] = set()
    waiting = [part]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        if not isinstance(each, Mapping) or id(each) in seen:
            continue
        seen.add(id(each))
        leads = each.get("$ref")
        if leads == reference:
            return True
        if isinstance(leads, str):
            waiting.append(_part(schema, leads))
        waiting += [each[name] for name in _SAME_VALUE if name in each]
    return False

"""Schemas, neighbours of schemas and values made for the properties of the contract check."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from jsonschema import Draft202012Validator

__all__ = ["NAMES", "SCALARS", "closed", "fits", "instances", "neighbours", "schemas"]

NAMES = ["a", "b", "kind"]
PATTERNS = ["^a", "^[0-9]+$", "b"]
TEXTS = ["", "a", "ab", "b", "0", "12", "abc", "x"]
NUMBERS = [-1, 0, 1, 2, 3, 4, 0.5, 1.5, 2.0, 6]
SCALARS = [None, True, False, *TEXTS, *NUMBERS]
COUNTS = st.integers(0, 3)

scalars = st.sampled_from(SCALARS)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "ab", "0", "stray"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def _some(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=parts)


numbers = st.builds(
    lambda kind, rest: {"type": kind, **rest},
    st.sampled_from(["integer", "number"]),
    _some(
        minimum=st.sampled_from(NUMBERS),
        maximum=st.sampled_from(NUMBERS),
        exclusiveMinimum=st.sampled_from(NUMBERS),
        exclusiveMaximum=st.sampled_from(NUMBERS),
        multipleOf=st.sampled_from([1, 2, 3, 0.5]),
    ),
)
texts = _some(minLength=COUNTS, maxLength=COUNTS, pattern=st.sampled_from(PATTERNS)).map(
    lambda rest: {"type": "string", **rest}
)
enums = st.lists(anything, min_size=1, max_size=4).map(lambda values: {"enum": values}) | anything.map(
    lambda value: {"const": value}
)
leaves = st.one_of(
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    numbers,
    texts,
    enums,
    st.booleans(),
    st.just({}),
    st.just({"$ref": "#/$defs/one"}),
    st.just({"$ref": "#/$defs/other"}),
    st.lists(
        st.sampled_from(["null", "integer", "string", "object", "array"]), min_size=1, max_size=3, unique=True
    ).map(lambda names: {"type": names}),
)


def _extended(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = st.builds(
        lambda rest: {"type": "array", **rest},
        _some(
            items=inner,
            prefixItems=st.lists(inner, min_size=1, max_size=2),
            minItems=COUNTS,
            maxItems=COUNTS,
            uniqueItems=st.booleans(),
            contains=inner,
            minContains=st.integers(0, 1),
        ),
    )
    several = st.lists(inner, min_size=1, max_size=3)
    combined = st.one_of(
        several.map(lambda found: {"anyOf": found}),
        several.map(lambda found: {"oneOf": found}),
        several.map(lambda found: {"allOf": found}),
        inner.map(lambda found: {"not": found}),
        st.builds(lambda one, two, three: {"if": one, "then": two, "else": three}, inner, inner, inner),
        st.builds(
            lambda one, two: {**two, **one} if isinstance(one, dict) and isinstance(two, dict) else one,
            objects(inner),
            inner,
        ),
    )
    return st.one_of(lists, objects(inner), objects(inner), combined)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that say what holds for further fields."""
    return st.builds(
        lambda fields, further, rest: {
            "type": "object",
            "properties": fields,
            **rest,
            "additionalProperties": further,
        },
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
        st.one_of(st.just(False), st.just(True), inner),
        _some(
            required=st.lists(st.sampled_from(NAMES), max_size=2, unique=True),
            patternProperties=st.dictionaries(st.sampled_from(PATTERNS), inner, max_size=2),
            propertyNames=texts | enums,
            minProperties=COUNTS,
            maxProperties=COUNTS,
            dependentRequired=st.just({"a": ["b"]}),
            dependentSchemas=inner.map(lambda found: {"b": found}),
            unevaluatedProperties=st.just(False),
        ),
    )


parts = st.recursive(leaves, _extended, max_leaves=5)


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """A schema with two definitions that it, and they, may refer to."""
    root = draw(parts)
    root = root if isinstance(root, dict) else {"allOf": [root]}
    return {**root, "$defs": {"one": draw(_guarded()), "other": draw(_guarded())}}


def _guarded() -> st.SearchStrategy[Any]:
    """Definitions that refer to others only from a field or an item of theirs, so that they end."""
    lists = parts.map(lambda found: {"type": "array", "items": found})
    return st.one_of(objects(parts), lists, numbers, texts, enums)


@st.composite
def neighbours(draw: st.DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema after one to three edits."""
    edited = schema
    for _ in range(draw(st.integers(1, 3))):
        edited = closed(_edited(draw, edited), to=True)
    sound = isinstance(edited, dict) and Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(edited)
    return edited if sound and {"one", "other"} <= edited.get("$defs", {}).keys() else schema


def _edited(draw: st.DrawFn, part: Any) -> Any:
    """One edit somewhere in a part: a keyword dropped, a number moved, a schema replaced or given an alternative."""
    if isinstance(part, dict) and part and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(part)))
        if draw(st.integers(0, 3)) == 0:
            return {each: inner for each, inner in part.items() if each != key}
        return {**part, key: _edited(draw, part[key])}
    if isinstance(part, list) and part:
        at = draw(st.integers(0, len(part) - 1))
        changed = draw(st.sampled_from(["drop", "edit"]))
        return part[:at] + ([] if changed == "drop" and len(part) > 1 else [_edited(draw, part[at])]) + part[at + 1 :]
    if isinstance(part, str):
        refers = part.startswith("#")
        return draw(
            st.sampled_from(["#/$defs/one", "#/$defs/other"] if refers else [*NAMES, *PATTERNS, "integer", "string"])
        )
    if isinstance(part, int | float) and not isinstance(part, bool):
        return draw(st.sampled_from([0, 1, 2, 3]))
    return draw(st.one_of(parts, st.just({"anyOf": [part, draw(leaves)]})))


@st.composite
def instances(draw: st.DrawFn, schema: dict[str, Any]) -> Any:
    """A value that has something to do with a schema, and often fits it."""
    return _like(draw, schema, schema, 5)


def _like(draw: st.DrawFn, part: Any, root: dict[str, Any], levels: int) -> Any:
    if not isinstance(part, dict) or not levels or draw(st.integers(0, 12)) == 0:
        return draw(anything)
    if "$ref" in part and draw(st.integers(0, 5)):
        return _like(draw, root["$defs"].get(part["$ref"].rpartition("/")[2], True), root, levels - 1)
    if "enum" in part or "const" in part:
        return draw(st.sampled_from(part.get("enum") or [part.get("const")]))
    options = [each for key in ("anyOf", "oneOf", "allOf") for each in part.get(key, ())]
    if options and draw(st.integers(0, 3)):
        chosen = draw(st.sampled_from(options))
        return _like(
            draw,
            {**part, "anyOf": [], "oneOf": [], "allOf": [], **chosen} if isinstance(chosen, dict) else part,
            root,
            levels - 1,
        )
    if "then" in part and draw(st.booleans()):
        return _like(draw, part.get(draw(st.sampled_from(["if", "then", "else"])), True), root, levels - 1)
    named = part.get("type", ["object", "array", "null", "integer", "string"])
    kind = draw(st.sampled_from(named)) if isinstance(named, list) and named else named
    return _of_kind(draw, kind, part, root, levels)


def _of_kind(draw: st.DrawFn, kind: Any, part: dict[str, Any], root: dict[str, Any], levels: int) -> Any:
    match kind:
        case "object":
            fields = part.get("properties", {})
            names = draw(st.lists(st.sampled_from([*NAMES, "ab", "0", "x"]), max_size=2))
            wanted = dict.fromkeys(
                [*part.get("required", ()), *(each for each in fields if draw(st.booleans())), *names]
            )
            further = part.get("additionalProperties", True)
            return {each: _like(draw, fields.get(each, further), root, levels - 1) for each in wanted}
        case "array":
            count = draw(
                st.integers(part.get("minItems", 0), max(part.get("minItems", 0), min(part.get("maxItems", 3), 4)))
            )
            first = part.get("prefixItems", [])
            return [
                _like(draw, first[at] if at < len(first) else part.get("items", True), root, levels - 1)
                for at in range(count)
            ]
        case "integer" | "number":
            return draw(st.sampled_from([*NUMBERS, 5, 8, -2, 2.5]))
        case "string":
            return draw(st.sampled_from(TEXTS))
        case "boolean":
            return draw(st.booleans())
        case _:
            return None


def fits(schema: Any, value: Any) -> bool | None:
    """What `jsonschema` says; None where a schema goes round in circles over the same value, which it cannot bear."""
    return None if _goes_round(schema) else Draft202012Validator(schema).is_valid(value)


def _goes_round(schema: Any) -> bool:
    reached = {f"#/$defs/{name}": _referred(part) for name, part in schema["$defs"].items()}
    for _ in reached:
        reached = {name: found.union(*(reached.get(each, set()) for each in found)) for name, found in reached.items()}
    return any(name in found for name, found in reached.items())


def _referred(part: Any) -> set[str]:
    """The references that a part follows before it comes to a field or an item."""
    if not isinstance(part, dict):
        return set()
    inner = [part[key] for key in ("not", "if", "then", "else") if key in part]
    inner += [each for key in ("anyOf", "oneOf", "allOf") for each in part.get(key, ())]
    inner += part.get("dependentSchemas", {}).values()
    own = {part["$ref"]} if "$ref" in part else set()
    return own.union(*map(_referred, inner))


def closed(part: Any, *, to: bool = False) -> Any:
    """The same schema, in which objects that declare fields, and say nothing of others, have no others; or any, with `to`."""
    if isinstance(part, list):
        return [closed(each, to=to) for each in part]
    if not isinstance(part, dict):
        return part
    inner = {key: closed(each, to=to) if key not in {"enum", "const"} else each for key, each in part.items()}
    return {"additionalProperties": to, **inner} if isinstance(part.get("properties"), dict) else inner

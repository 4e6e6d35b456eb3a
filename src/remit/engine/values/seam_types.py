"""Which types may stand at the seam, and how their values are written and read (L13).

pydantic's core schema is the evidence: `_refuse_unfit` walks it and names the first part that cannot come
back from JSON as it went in; `_canonical_schema` copies it with sets written in order and bytes in base64.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar, cast

import orjson
from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUndefinedAnnotation, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, PydanticJsonSchemaWarning
from pydantic_core import CoreSchema, SchemaError, SchemaSerializer, SchemaValidator
from pydantic_core.core_schema import DataclassArgsSchema, ModelFieldsSchema

from remit.errors import DefinitionError

__all__ = ["Coder", "coder_of"]

T = TypeVar("T")
Node = dict[str, Any]

_NESTED = (
    "schema", "items_schema", "keys_schema", "values_schema", "lax_schema", "json_schema", "extras_schema",
    "fields", "choices", "steps", "definitions", "arguments_schema", "var_args_schema", "var_kwargs_schema",
)  # fmt: skip
_SCHEMAS = frozenset([*_NESTED, "python_schema", "strict_schema"])
_BYTES_AS_BASE64 = {"ser_json_bytes": "base64", "val_json_bytes": "base64"}
_UNFIT = {
    "callable": ("a callable cannot be recorded", "name the function as a string and look it up in the body"),
    "is-instance": ("an arbitrary class has no JSON form", "use a pydantic model or a dataclass"),
    "is-subclass": ("a class has no JSON form", "pass its name as a string or an Enum"),
    "generator": ("an iterator can be read only once", "use list[...] instead"),
    "json": ("Json[...] cannot be told from its own text", "annotate the decoded type itself"),
    "call": ("a call's arguments have no JSON form", "use a pydantic model or a dataclass"),
    "arguments": ("a call's arguments have no JSON form", "use a pydantic model or a dataclass"),
}
_KEYS_WITHOUT_TEXT = {
    "tuple",
    "list",
    "set",
    "frozenset",
    "dict",
    "model",
    "dataclass",
    "typed-dict",
    "named-tuple",
}


class Coder(NamedTuple, Generic[T]):
    """What a seam does with a type's values, as bound methods for the hot path."""

    plain: Callable[..., Any]
    read: Callable[..., T]
    validate: Callable[..., T]
    describe: Callable[..., dict[str, Any]]
    schema: CoreSchema


def coder_of(annotation: Any, where: str) -> Coder[Any]:
    """The coder of a type that may stand at the seam; `DefinitionError` names the part that may not."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        complete = adapter.pydantic_complete or adapter.rebuild(raise_errors=True)
    except (PydanticUserError, PydanticUndefinedAnnotation, SchemaError, TypeError, NameError) as error:
        raise _refusal(where, "", _first_sentence(error), "use a pydantic model, a dataclass or plain types") from error
    if not complete:
        raise _refusal(where, "", "a name in the type is not defined", "define it before the process")
    _refuse_unfit(adapter, where)
    schema = _canonical_schema(adapter.core_schema)
    # ready-made serializers of the models inside know nothing of the order of sets and of base64
    prebuilt = schema is adapter.core_schema
    writer = SchemaSerializer(schema, _BYTES_AS_BASE64, _use_prebuilt=prebuilt)  # type: ignore[arg-type]
    reader = SchemaValidator(schema, _BYTES_AS_BASE64, _use_prebuilt=prebuilt)  # type: ignore[arg-type]

    def describe(mode: JsonSchemaMode = "validation") -> dict[str, Any]:
        described = _schema_of(adapter, where, mode)
        return described if prebuilt else _bytes_described(described)

    return Coder(writer.to_python, reader.validate_json, adapter.validator.validate_python, describe, schema)


def _first_sentence(error: Exception) -> str:
    return str(error).split("\n", 1)[0].split(". ", 1)[0].rstrip(".")


def _bytes_described(part: Any) -> Any:
    """The schema with bytes as the seam writes them; pydantic describes what it would write itself."""
    if isinstance(part, list):
        return [_bytes_described(item) for item in part]
    if not isinstance(part, dict):
        return part
    described = {key: _bytes_described(value) for key, value in part.items()}
    if part.get("type") == "string" and part.get("format") == "binary":
        described["format"] = "base64url"
    return described


class _Place(NamedTuple):
    """A part of a type: its schema, the path to it, and whether its fields may be read by name."""

    node: Node
    path: str
    by_name: bool


def _refuse_unfit(adapter: TypeAdapter[Any], where: str) -> None:
    """Raise `DefinitionError` for the first part of the type that does not survive JSON (L13)."""
    has_serializer = False
    for place in _places(_Place(adapter.core_schema, "", False)):  # type: ignore[arg-type]
        reason = _unfit(place)
        if reason is not None:
            raise _refusal(where, place.path, *reason)
        has_serializer = has_serializer or "serialization" in place.node
    if has_serializer:
        _refuse_asymmetric(adapter, where)


def _refusal(where: str, path: str, problem: str, fix: str) -> DefinitionError:
    spot = f", at {path}" if path else ""
    return DefinitionError(f"{where}{spot}: {problem}. Fix: {fix}.", path=path, fix=fix)


def _places(root: _Place) -> Iterator[_Place]:
    """Every part of a type that JSON reaches; what only Python values meet (`python_schema`) is left out."""
    open_places = [root]
    while open_places:
        place = open_places.pop()
        yield place
        config = place.node.get("config") or {}
        by_name = bool(config.get("validate_by_name", config.get("populate_by_name", place.by_name)))
        for label, child in _children(place.node):
            open_places.append(_Place(child, f"{place.path}/{label}" if label else place.path, by_name))


def _children(node: Node) -> Iterator[tuple[str, Node]]:
    """The schemas right below one, each with what it adds to the path."""
    for key in _NESTED:
        inner = node.get(key)
        if isinstance(inner, list):
            members = (member[0] if isinstance(member, tuple) else member for member in inner)
            yield from ((member.get("name", ""), member) for member in members if isinstance(member, dict))
        elif isinstance(inner, dict) and isinstance(inner.get("type"), str):
            yield "*" if key in {"items_schema", "values_schema"} else "", inner
        elif isinstance(inner, dict):
            named = ((name if key == "fields" else "", child) for name, child in inner.items())
            yield from ((label, child) for label, child in named if isinstance(child, dict))


def _unfit(place: _Place) -> tuple[str, str] | None:
    """Why a part of a type cannot cross, and how to mend it."""
    node = place.node
    if _is_secret(node):
        return (
            "a secret would be recorded as asterisks",
            "pass a reference to the secret and read it in a step",
        )
    if node["type"] in _UNFIT:
        return _UNFIT[node["type"]]
    if node["type"].endswith("-field"):
        return _unfit_field(place)
    if (node.get("config") or {}).get("ser_json_inf_nan", "null") != "null":
        return "NaN and Infinity are never recorded", "remove ser_json_inf_nan from the config"
    keys = node.get("keys_schema")
    if isinstance(keys, dict) and keys["type"] in _KEYS_WITHOUT_TEXT:
        return f"a {keys['type']} cannot be a key in JSON", "use text or number keys, or a list of pairs"
    return None


def _is_secret(node: Node) -> bool:
    function = (node.get("serialization") or {}).get("function")
    name = getattr(function, "__name__", "")
    return getattr(function, "__module__", "") == "pydantic.types" and name.startswith("_serialize_secret")


def _unfit_field(place: _Place) -> tuple[str, str] | None:
    node = place.node
    name = place.path.rsplit("/", 1)[-1]
    if node.get("serialization_exclude") or node.get("serialization_exclude_if"):
        return "the field is left out when written", "drop exclude, or pass a model without the field"
    if node.get("init_only"):
        return "an InitVar is not kept, so it cannot be written", "make it an ordinary field"
    if node.get("init") is False:
        return "a field with init=False cannot be read back", "make it a property or an ordinary field"
    written = node.get("serialization_alias", name)
    if written in _read_names(node, name) or (place.by_name and written == name):
        return None
    problem = f"it is written as {written!r} and read under another name"
    return problem, f"use one alias for both: Field(alias={written!r})"


def _read_names(node: Node, name: str) -> list[str]:
    alias = node.get("validation_alias", name)
    if isinstance(alias, str):
        return [alias]
    paths = [[part] if isinstance(part, str) else part for part in alias]
    if alias and not isinstance(alias[0], list):
        paths = [alias]
    return [path[0] for path in paths if len(path) == 1]


class _AsWritten(GenerateJsonSchema):
    """What the seam writes: fields that have a default too, and no computed ones."""

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Whether a field is always there; TypedDicts alone leave some out."""
        written = self.mode == "serialization" and field["type"] != "typed-dict-field"
        return written or super().field_is_required(field, total)

    def model_fields_schema(self, schema: ModelFieldsSchema) -> dict[str, Any]:
        """The fields of a model."""
        fields = cast("ModelFieldsSchema", {**schema, "computed_fields": []})
        return super().model_fields_schema(fields)

    def dataclass_args_schema(self, schema: DataclassArgsSchema) -> dict[str, Any]:
        """The fields of a dataclass."""
        fields = cast("DataclassArgsSchema", {**schema, "computed_fields": []})
        return super().dataclass_args_schema(fields)


def _schema_of(adapter: TypeAdapter[Any], where: str, mode: JsonSchemaMode = "validation") -> dict[str, Any]:
    """The JSON Schema of a type; `DefinitionError` when it has none."""
    try:
        with warnings.catch_warnings():
            # a default without a JSON form is left out of the schema, which is no fault of the type
            warnings.simplefilter("ignore", PydanticJsonSchemaWarning)
            return adapter.json_schema(mode=mode, schema_generator=_AsWritten)
    except PydanticInvalidForJsonSchema as error:
        problem = f"the type has no JSON Schema ({error.message})"
        raise _refusal(where, "", problem, "use types that JSON can describe") from error


def _refuse_asymmetric(adapter: TypeAdapter[Any], where: str) -> None:
    """A custom serializer must write what the validator reads; the two JSON Schemas show whether it can."""
    read, written = _schema_of(adapter, where), _schema_of(adapter, where, "serialization")
    open_pairs: list[tuple[Node, Node, str]] = [(read, written, "")]
    seen: set[tuple[Any, Any]] = set()
    while open_pairs:
        left, right, path = open_pairs.pop()
        refs = (left.get("$ref"), right.get("$ref"))
        if any(refs) and refs in seen:
            continue
        seen.add(refs)
        left, right = _resolved(left, read), _resolved(right, written)
        reads, writes = _json_types(left, read), _json_types(right, written)
        if reads and writes and not reads & writes:
            problem = f"it is written as {'/'.join(sorted(writes))} and read as {'/'.join(sorted(reads))}"
            raise _refusal(where, path, problem, "make the serializer write what the validator reads, or drop it")
        open_pairs += _schema_pairs(left, right, path)


def _schema_pairs(left: Node, right: Node, path: str) -> Iterator[tuple[Node, Node, str]]:
    ours, theirs = left.get("properties", {}), right.get("properties", {})
    yield from ((ours[name], theirs[name], f"{path}/{name}") for name in ours.keys() & theirs.keys())
    for key in ("items", "additionalProperties"):
        if isinstance(left.get(key), dict) and isinstance(right.get(key), dict):
            yield left[key], right[key], f"{path}/*"


def _resolved(part: Node, root: Node) -> Node:
    ref = part.get("$ref", "")
    found: Node = root.get("$defs", {}).get(ref.removeprefix("#/$defs/"), {}) if ref else part
    return found


def _json_types(part: Node, root: Node, depth: int = 0) -> set[str]:
    """The JSON types a schema names; empty when it does not say."""
    part = _resolved(part, root)
    choices = part.get("anyOf") or part.get("oneOf")
    if choices and depth < 8:
        found = [_json_types(choice, root, depth + 1) for choice in choices]
        return set().union(*found) if all(found) else set()
    named = part.get("type")
    types = set(named) if isinstance(named, list) else {named} if named else set()
    return types | {"number"} if "integer" in types else types


def _canonical_schema(schema: Any) -> Any:
    """A copy of a core schema that writes sets in order and bytes as base64; the schema itself without."""
    kinds = {place.node["type"] for place in _places(_Place(schema, "", False))}
    return _rewritten(schema) if kinds & {"set", "frozenset", "bytes"} else schema


def _rewritten(node: Any) -> Any:
    if isinstance(node, list):
        return [_rewritten(part) for part in node]
    if isinstance(node, tuple):
        return tuple(_rewritten(part) for part in node)
    if not isinstance(node, dict):
        return node
    if not isinstance(node.get("type"), str):  # fields by name, choices by tag
        return {key: _rewritten(part) for key, part in node.items()}
    copy = {key: _rewritten(part) if key in _SCHEMAS else part for key, part in node.items()}
    if copy["type"] in ("set", "frozenset") and "serialization" not in copy:
        copy["serialization"] = {"type": "function-wrap", "function": _in_order, "schema": dict(copy)}
    if copy["type"] in ("model", "dataclass", "typed-dict"):
        copy["config"] = {**_BYTES_AS_BASE64, **copy.get("config", {})}
    return copy


def _in_order(value: Any, write: Any) -> Any:
    """The members of a set, sorted by their JSON, so that equal sets give equal bytes."""
    written = write(value)
    return sorted(written, key=_sort_key) if isinstance(written, (list, set, frozenset)) else written


def _sort_key(member: Any) -> bytes:
    try:
        return orjson.dumps(member, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits
        return repr(member).encode()

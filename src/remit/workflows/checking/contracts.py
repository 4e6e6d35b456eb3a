"""What a workflow takes as its state, as far as it can be read without running anything.

From a JSON Schema in the file always; from a pydantic model where its class body is plain: annotated fields, defaults,
`Field(...)`, bases that are as plain. What is not plain is not guessed: then nothing is known of the field, or of the model.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from remit.workflows.importing.functions import ImportPathError, Located, locate

__all__ = [
    "JSON_TYPES",
    "OPEN",
    "Contract",
    "FieldKind",
    "is_no_model",
    "kind_of",
    "model_contract",
    "schema_contract",
]

ANYTHING: frozenset[str] = frozenset({"text", "integer", "number", "boolean", "list", "mapping", "nothing"})
_BY_NAME = {
    "str": {"text"},
    "int": {"integer"},
    "float": {"number", "integer"},
    "bool": {"boolean"},
    "list": {"list"},
    "List": {"list"},
    "tuple": {"list"},
    "Tuple": {"list"},
    "set": {"list"},
    "Set": {"list"},
    "Sequence": {"list"},
    "dict": {"mapping"},
    "Dict": {"mapping"},
    "Mapping": {"mapping"},
    "None": {"nothing"},
}
_BY_SCHEMA = {
    "string": {"text"},
    "integer": {"integer"},
    "number": {"number", "integer"},
    "boolean": {"boolean"},
    "array": {"list"},
    "object": {"mapping"},
    "null": {"nothing"},
}


JSON_TYPES = tuple(_BY_SCHEMA)


@dataclass(frozen=True, slots=True)
class FieldKind:
    """One field: whether it must be given, and the kinds of value it takes."""

    required: bool
    kinds: frozenset[str] = ANYTHING

    def takes(self, value: Any) -> bool:
        """Whether a literal may be a value of it: a text that is a number is let through, as pydantic does."""
        kind = kind_of(value)
        if kind in self.kinds:
            return True
        if kind == "text":
            return "boolean" in self.kinds or bool(self.kinds & {"integer", "number"} and _is_number(value))
        if kind == "number":
            return "integer" in self.kinds and value == int(value)
        return kind == "integer" and "boolean" in self.kinds and value in {0, 1}


@dataclass(frozen=True, slots=True)
class Contract:
    """The fields of a state. `closed`: no others are kept. `exact`: what must be given is known."""

    fields: Mapping[str, FieldKind] = field(default_factory=dict)
    closed: bool = False
    exact: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """The fields that must be given."""
        return tuple(name for name, each in self.fields.items() if each.required) if self.exact else ()


OPEN = Contract()


def kind_of(value: Any) -> str:
    """What a literal is, in words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "text"
        case dict():
            return "mapping"
        case _:
            return "list"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def schema_contract(schema: Mapping[str, Any]) -> Contract:
    """The contract that a sound JSON Schema states in its `properties`."""
    if set(schema) & {"$ref", "allOf", "anyOf", "oneOf", "if", "patternProperties"}:
        return OPEN
    required = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    fields = {name: FieldKind(name in required, _schema_kinds(each)) for name, each in properties.items()}
    fields |= {name: FieldKind(True) for name in required - properties.keys()}
    return Contract(fields, closed=schema.get("additionalProperties") is False, exact=True)


def _schema_kinds(schema: Any) -> frozenset[str]:
    if not isinstance(schema, Mapping) or set(schema) & {"$ref", "allOf", "anyOf", "oneOf", "enum", "const"}:
        return ANYTHING
    named = schema.get("type")
    names = [named] if isinstance(named, str) else named or []
    return frozenset().union(*(_BY_SCHEMA[each] for each in names)) or ANYTHING


def model_contract(found: Located, directory: Path, allow: Iterable[str]) -> Contract:
    """The contract of a pydantic model as its class body states it."""
    if not isinstance(found.node, ast.ClassDef):
        return OPEN
    return _of_class(found.node, found.defined_in, directory, tuple(allow), 8)


_NO_MODELS = frozenset({"object", "TypedDict", "NamedTuple", "Protocol", "Enum", "StrEnum", "IntEnum", "Exception"})


def is_no_model(found: Located) -> bool:
    """Whether a class is plainly none of pydantic's: it inherits nothing, or what is none, and nothing remakes it."""
    node = found.node
    if not isinstance(node, ast.ClassDef) or any(each.arg == "metaclass" for each in node.keywords):
        return False
    made_by = [ast.unparse(each).split("(")[0].split(".")[-1] for each in node.decorator_list]
    inherits = [ast.unparse(each).split(".")[-1] for each in node.bases]
    return set(made_by) <= {"dataclass"} and set(inherits) <= _NO_MODELS


def _of_class(node: ast.ClassDef, file: Path, directory: Path, allow: tuple[str, ...], levels: int) -> Contract:
    known = _bases(node, file, directory, allow, levels)
    if known is None or node.keywords:
        return OPEN
    exact = not any(_decides(each) for each in node.body)
    contract = replace(known, exact=known.exact and exact)
    fields = dict(contract.fields)
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and not each.target.id.startswith("_"):
            name = each.target.id
            stated = _field(each)
            if stated is None:
                return OPEN
            if name != "model_config" and not _is_class_var(each.annotation):
                fields[name] = stated
    config = _config(node)
    if config is None:
        return OPEN
    extra = config.get("extra")
    closed = contract.closed if extra is None else extra != "allow"
    return Contract(fields, closed, contract.exact)


def _bases(node: ast.ClassDef, file: Path, directory: Path, allow: tuple[str, ...], levels: int) -> Contract | None:
    """What a class inherits; None where a base cannot be read."""
    inherited = Contract(closed=True, exact=True)
    if not node.bases:
        return None
    for base in node.bases:
        if ast.unparse(base) in {"BaseModel", "pydantic.BaseModel"}:
            continue
        if not isinstance(base, ast.Name) or not levels:
            return None
        try:
            found = _beside(base.id, file, directory, allow)
        except ImportPathError:
            return None
        if not isinstance(found.node, ast.ClassDef):
            return None
        above = _of_class(found.node, found.defined_in, directory, allow, levels - 1)
        if above is OPEN:
            return None
        fields = {**above.fields, **inherited.fields}
        inherited = Contract(fields, inherited.closed and above.closed, inherited.exact and above.exact)
    return inherited


def _beside(name: str, file: Path, directory: Path, allow: tuple[str, ...]) -> Located:
    """What a name stands for in a module, whose own imports begin at the workflow's directory where it lies below."""
    below = file.is_relative_to(directory)
    module = file.relative_to(directory if below else file.parent).with_suffix("").parts
    named = ".".join(part for part in (*module, name) if part != "__init__")
    return locate(named, directory if below else file.parent, allow)


def _decides(statement: ast.stmt) -> bool:
    """Whether a class body has something that may fill in fields before they are looked at."""
    if not isinstance(statement, ast.FunctionDef):
        return False
    written = " ".join(ast.unparse(each) for each in statement.decorator_list)
    return "validator" in written or statement.name == "__init__"


def _field(statement: ast.AnnAssign) -> FieldKind | None:
    """The field that an annotation states; None where its name outside may be another."""
    value = statement.value
    kinds = _kinds(statement.annotation)
    annotated = [each for each in ast.walk(statement.annotation) if isinstance(each, ast.Call)]
    described = [*annotated, *([value] if isinstance(value, ast.Call) else [])]
    fields = [each for each in described if ast.unparse(each.func).split(".")[-1] == "Field"]
    if any("alias" in (keyword.arg or "alias") for each in fields for keyword in each.keywords):
        return None
    if value is None or (isinstance(value, ast.Constant) and value.value is ...):
        return FieldKind(not any(_has_default(each) for each in fields), kinds)
    if value in fields and isinstance(value, ast.Call):
        return FieldKind(not _has_default(value), kinds)
    return FieldKind(required=False, kinds=kinds)


def _has_default(call: ast.Call) -> bool:
    given = bool(call.args) and not (isinstance(call.args[0], ast.Constant) and call.args[0].value is ...)
    return given or any(each.arg in {"default", "default_factory"} for each in call.keywords)


def _is_class_var(annotation: ast.expr) -> bool:
    return "ClassVar" in ast.unparse(annotation)


def _config(node: ast.ClassDef) -> dict[str, Any] | None:
    """The settings of `model_config`, or of a `class Config`, that are plain; None where one gives fields other names."""
    settings: dict[str, Any] = {}
    for each in node.body:
        value = (
            each.value if isinstance(each, ast.Assign | ast.AnnAssign) and "model_config" in ast.unparse(each) else None
        )
        if isinstance(value, ast.Call):
            settings |= {str(keyword.arg): _constant(keyword.value) for keyword in value.keywords}
        elif isinstance(value, ast.Dict):
            settings |= {
                ast.unparse(key).strip("'\""): _constant(item)
                for key, item in zip(value.keys, value.values, strict=True)
                if key
            }
        if isinstance(each, ast.ClassDef) and each.name == "Config":
            settings |= {
                inner.targets[0].id: _constant(inner.value)
                for inner in each.body
                if isinstance(inner, ast.Assign) and isinstance(inner.targets[0], ast.Name)
            }
    extra = settings.get("extra")
    plain = extra is None or (isinstance(extra, str) and extra in {"allow", "forbid", "ignore"})
    return settings if plain and "alias_generator" not in settings else None


def _constant(value: ast.expr) -> Any:
    return value.value if isinstance(value, ast.Constant) else ast.unparse(value)


def _kinds(annotation: ast.expr) -> frozenset[str]:
    """The kinds of value that an annotation takes; any where it is not one of the plain types."""
    match annotation:
        case ast.Constant(value=None):
            return frozenset({"nothing"})
        case ast.Constant(value=str() as text):
            return _kinds_of_text(text)
        case ast.Name():
            return frozenset(_BY_NAME.get(annotation.id, ANYTHING))
        case ast.Attribute():
            return frozenset(_BY_NAME.get(annotation.attr, ANYTHING))
        case ast.BinOp(op=ast.BitOr()):
            return _kinds(annotation.left) | _kinds(annotation.right)
        case ast.Subscript():
            return _kinds_of_generic(annotation)
        case _:
            return ANYTHING


def _kinds_of_text(text: str) -> frozenset[str]:
    try:
        return _kinds(ast.parse(text, mode="eval").body)
    except SyntaxError:
        return ANYTHING


def _kinds_of_generic(annotation: ast.Subscript) -> frozenset[str]:
    name = ast.unparse(annotation.value).split(".")[-1]
    inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    if name == "Optional":
        return _kinds(inner[0]) | {"nothing"}
    if name == "Union":
        return frozenset().union(*map(_kinds, inner))
    if name == "Annotated":
        return _kinds(inner[0])
    return frozenset(_BY_NAME.get(name, ANYTHING))

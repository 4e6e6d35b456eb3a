"""JSON Schemas as the contract check reads them: documents, parts of them, and the alternatives that parts allow (L41).

A *conjunction* is a tuple of parts that hold together; none of them allows anything. `branches` turns it into alternatives
without `$ref`, `allOf`, `anyOf`, `oneOf`, `not` and `if`: what is left of each is a conjunction of plain parts, and what
it excludes. Where that cannot be worked out, an alternative is *blind*: it allows at most what it says, and perhaps less.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

__all__ = [
    "ANNOTATIONS",
    "APPLIED",
    "Branch",
    "Conjunction",
    "Document",
    "Part",
    "Schema",
    "alike",
    "branches",
    "canonical",
    "followed",
    "impossible",
    "plainly",
]

BRANCHES_MAX = 256
REFERENCES_MAX = 64  # that follow each other without a field or an item between them

APPLIED = frozenset({
    "$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas",
    "$dynamicRef", "$recursiveRef",
})  # fmt: skip
ANNOTATIONS = frozenset({
    "$anchor", "$comment", "$defs", "$dynamicAnchor", "$id", "$schema", "$vocabulary", "default", "definitions",
    "deprecated", "description", "discriminator", "examples", "readOnly", "title", "writeOnly",
})  # fmt: skip
_SILENT = APPLIED | ANNOTATIONS
_BESIDE_REFERENCES = (ANNOTATIONS - {"$id"}) | {"$ref"}

Schema = Mapping[str, Any] | bool


def canonical(value: object) -> str:
    """The JSON text of a value, the same for the same content in another order; 1, 1.0 and true are three."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=repr)


class Document:
    """A schema and what its references lead to. `closed`: its objects hold no field that they do not declare.

    `negative` is the same schema unclosed: what is excluded is excluded as it stands.
    """

    def __init__(self, name: str, root: Schema, *, closed: bool = False) -> None:
        self.name = name
        self.root = root
        self.closed = closed
        self.negative = Document(f"{name}, negated", root) if closed else self
        self.alternatives: dict[int, tuple[Branch, ...]] = {}
        self.being_read: set[int] = set()
        self._made: list[Schema] = []
        self._texts: dict[int, str] = {}

    def text(self, schema: Schema) -> str:
        """The canonical JSON of one of its schemas."""
        found = self._texts.get(id(schema))
        if found is None:
            found = self._texts[id(schema)] = canonical(schema)
        return found

    def part(self, schema: Schema) -> Part:
        """A part of this document."""
        return Part(self, schema)

    def make(self, schema: Schema) -> Part:
        """A part that is not written in the document; kept, since parts are told apart by where they are in memory."""
        self._made.append(schema)
        return Part(self, schema)

    def resolve(self, reference: object) -> Part | None:
        """What `#/$defs/Name` and its like lead to; None for what is elsewhere, or nowhere."""
        if not isinstance(reference, str) or not f"{reference}/".startswith("#/") or "%" in reference:
            return None
        found: Any = self.root
        for step in reference.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping) and key in found:
                found = found[key]
            elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            else:
                return None
        return self.part(found) if isinstance(found, Mapping | bool) else None


class Part(NamedTuple):
    """One schema of a document."""

    document: Document
    schema: Schema

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from every other part, as long as the documents live."""
        return self.document.name, id(self.schema)


Conjunction = tuple[Part, ...]


class Branch:
    """One alternative: plain parts that hold together, what it excludes, and why it may allow less than that."""

    __slots__ = ("blind", "excluded", "fitting", "parts", "shapes")

    def __init__(self, parts: Conjunction = (), excluded: tuple[Conjunction, ...] = (), blind: str = "") -> None:
        self.parts = parts
        self.excluded = excluded
        self.blind = blind
        self.shapes: dict[str, Any] = {}  # by kind; these two are kept by who reads them
        self.fitting: list[Any] | None = None

    def __and__(self, other: Branch) -> Branch:
        return Branch(self.parts + other.parts, self.excluded + other.excluded, self.blind or other.blind)


_ANYTHING: tuple[Branch, ...] = (Branch(),)
_NOTHING: tuple[Branch, ...] = ()


def _blind(why: str) -> tuple[Branch, ...]:
    return (Branch(blind=why),)


def branches(conjunction: Conjunction) -> tuple[Branch, ...]:
    """The alternatives of a conjunction; none where nothing fits it."""
    found = _ANYTHING
    for part in conjunction:
        found = _both(found, _of_part(part))
    return found


def impossible(conjunction: Conjunction) -> bool:
    """Whether a conjunction plainly allows nothing."""
    return not branches(conjunction)


def followed(conjunction: Conjunction) -> Conjunction:
    """The same conjunction with what its references lead to, so that one definition is one part."""
    return tuple(map(_target, conjunction))


def _target(part: Part) -> Part:
    for _ in range(REFERENCES_MAX):
        if not isinstance(part.schema, Mapping) or "$ref" not in part.schema or part.schema.keys() - _BESIDE_REFERENCES:
            break
        target = part.document.resolve(part.schema["$ref"])
        if target is None or (isinstance(target.schema, Mapping) and "$id" in target.schema):
            break
        part = target
    return part


def alike(one: Conjunction, other: Conjunction) -> bool:
    """Whether both are written alike, and mean the same by it: references do not."""
    if len(one) != len(other):
        return False
    for left, right in zip(one, other, strict=True):
        text = left.document.text(left.schema)
        if text != right.document.text(right.schema) or '"$' in text:
            return False
    return True


def plainly(conjunction: Conjunction) -> Conjunction:
    """The same conjunction with nothing closed."""
    return tuple(part.document.negative.part(part.schema) for part in conjunction)


def _both(left: tuple[Branch, ...], right: tuple[Branch, ...]) -> tuple[Branch, ...]:
    if len(left) * len(right) > BRANCHES_MAX:
        return _blind("it has too many alternatives")
    return tuple(one & other for one in left for other in right) if left is not _ANYTHING else right


def _either(alternatives: Iterable[tuple[Branch, ...]]) -> tuple[Branch, ...]:
    found = tuple(branch for each in alternatives for branch in each)
    return found if len(found) <= BRANCHES_MAX else _blind("it has too many alternatives")


def _of_part(part: Part) -> tuple[Branch, ...]:
    document, key = part.document, id(part.schema)
    if key not in document.alternatives:
        if key in document.being_read or len(document.being_read) > REFERENCES_MAX:
            return _blind("it refers to itself without end")
        document.being_read.add(key)
        found = _expanded(part)
        document.being_read.discard(key)
        document.alternatives[key] = found
    return document.alternatives[key]


def _expanded(part: Part) -> tuple[Branch, ...]:
    schema, document = part.schema, part.document
    if isinstance(schema, bool):
        return _ANYTHING if schema else _NOTHING
    if "$id" in schema and schema is not document.root:
        return _blind("a part of it has an `$id` of its own")
    found: tuple[Branch, ...] = (Branch((part,)),) if schema.keys() - _SILENT else _ANYTHING
    for keyword in (each for each in schema if each in APPLIED):
        found = _both(found, _applied(part, keyword, schema[keyword]))
    return found


def _applied(part: Part, keyword: str, value: Any) -> tuple[Branch, ...]:
    """What one of the keywords that combine schemas allows."""
    document = part.document
    if keyword in {"then", "else"}:
        return _ANYTHING  # `if` has dealt with them
    if keyword == "$ref":
        target = document.resolve(value)
        return _of_part(target) if target is not None else _blind(f"{value!r:.80} cannot be followed")
    if keyword in {"allOf", "anyOf", "oneOf"} and _are_schemas(value):
        found = _COMBINED[keyword](tuple(document.part(each) for each in value))
        return _both(found, _tagged(part)) if keyword != "allOf" else found
    if keyword == "not" and _is_schema(value):
        return (Branch(excluded=((document.negative.part(value),),)),)
    if keyword == "if" and _are_schemas([value, *(_branches_of_if(part))]):
        return _conditional(part, value)
    if keyword in {"dependentRequired", "dependentSchemas"} and isinstance(value, Mapping):
        return _dependent(part, value)
    return _blind(f"`{keyword}` cannot be read")


def _tagged(part: Part) -> tuple[Branch, ...]:
    """The field that `discriminator` names is always there, though models with a default for it do not say so."""
    told = part.schema.get("discriminator") if isinstance(part.schema, Mapping) else None
    name = told.get("propertyName") if isinstance(told, Mapping) else None
    return (Branch((part.document.make({"required": [name]}),)),) if isinstance(name, str) else _ANYTHING


def _is_schema(value: object) -> bool:
    return isinstance(value, Mapping | bool)


def _are_schemas(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_schema, value))


def _one_of(parts: Conjunction) -> tuple[Branch, ...]:
    """Exactly one: each excludes the others."""
    negative = plainly(parts)
    alternatives = []
    for at, part in enumerate(parts):
        others = tuple((each,) for number, each in enumerate(negative) if number != at)
        alternatives.append(_both((Branch(excluded=others),), _of_part(part)))
    return _either(alternatives)


_COMBINED = {
    "allOf": branches,
    "anyOf": lambda parts: _either(map(_of_part, parts)),
    "oneOf": _one_of,
}


def _branches_of_if(part: Part) -> list[Any]:
    schema = part.schema
    return [schema.get("then", True), schema.get("else", True)] if isinstance(schema, Mapping) else []


def _conditional(part: Part, condition: Schema) -> tuple[Branch, ...]:
    then, otherwise = (part.document.part(each) for each in _branches_of_if(part))
    test = part.document.part(condition)
    fails = (Branch(excluded=((part.document.negative.part(condition),),)),)
    return _either((_both(_of_part(test), _of_part(then)), _both(fails, _of_part(otherwise))))


def _dependent(part: Part, rules: Mapping[str, Any]) -> tuple[Branch, ...]:
    """Objects that have the field keep to what is said of it; everything else is free."""
    document = part.document
    found = _ANYTHING
    for name, rule in rules.items():
        has = {"type": "object", "required": [name]}
        if not _is_schema(rule) and not isinstance(rule, list):
            return _blind("a dependency cannot be read")
        told = document.make({"type": "object", "required": rule} if isinstance(rule, list) else rule)
        without = Branch(excluded=((document.negative.make(has),),))
        having = _both(_of_part(document.make(has)), _of_part(told))
        found = _both(found, _either(((without,), having)))
    return found

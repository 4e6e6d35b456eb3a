"""One alternative of a schema, narrowed to one kind of value, with its constraints gathered from all parts (L41)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from remit.kernel.contract.keywords import COUNTS_OF_CONTAINS, KEYWORDS, KINDS, PASSED_OVER, WRITTEN, kind_of
from remit.kernel.contract.schema import (
    Branch,
    Conjunction,
    Document,
    Part,
    branches,
    canonical,
    impossible,
)
from remit.kernel.contract.texts import includes_format, matches

__all__ = ["INFINITE", "Bound", "Shape", "kinds", "shape", "shapes"]

INFINITE = math.inf
TAGS_MAX = 32
_LISTED_MAX = 64  # whole numbers between two bounds that are looked at one by one


class Bound(NamedTuple):
    """An end of a range of numbers; `open`: the end itself is outside."""

    at: float
    open: bool = False


def _is_finite(end: float) -> bool:
    return isinstance(end, int) or math.isfinite(end)


class Shape:
    """The values of one kind that one alternative allows, or at most those (`blind`, `written`)."""

    def __init__(self, kind: str, branch: Branch) -> None:
        self.kind = kind
        self.branch = branch
        self.parts = branch.parts
        self.sampled: tuple[Any, ...] | None = None  # kept by who looks for one
        self.said: dict[str, list[Any]] = {}
        self._fields: dict[str, Conjunction] = {}
        self.written: set[tuple[str, str]] = set()
        self._read: list[tuple[Part, dict[str, Any]]] = []
        for part in branch.parts:
            assert isinstance(part.schema, Mapping)  # true and false are no parts of a branch
            understood: dict[str, Any] = {}
            self._read.append((part, understood))
            for keyword in (each for each in part.schema if each not in PASSED_OVER):
                self._take(part.document, part.schema, keyword, understood)

    def _take(self, document: Document, schema: Mapping[str, Any], keyword: str, into: dict[str, Any]) -> None:
        value = schema[keyword]
        if keyword.startswith("x-"):
            return
        kind, understood = KEYWORDS.get(keyword, (WRITTEN.get(keyword, ""), None))
        if kind not in {"", self.kind}:
            return
        if understood is not None and understood(value):
            into[keyword] = value
            self.said.setdefault(keyword, []).append(value)
            return
        text = canonical(
            [value, *(schema.get(each) for each in COUNTS_OF_CONTAINS)] if keyword == "contains" else value
        )
        here = document.name if '"$' in text or keyword.startswith("unevaluated") else ""
        self.written.add((keyword, here + text))

    @property
    def foreign(self) -> frozenset[tuple[str, str]]:
        """Keywords of which it is not even known whether they constrain."""
        return frozenset(each for each in self.written if each[0] not in WRITTEN)

    def _most(self, keyword: str) -> Any:
        return max(self.said.get(keyword, ()), default=0)

    def _least(self, keyword: str) -> Any:
        return min(self.said.get(keyword, ()), default=INFINITE)

    @cached_property
    def allowed(self) -> bool:
        """Whether `type` lets this kind through."""
        wanted = {"integer", "number"} if self.kind == "number" else {self.kind}
        return all(wanted & _names(each) for each in self.said.get("type", ()))

    @cached_property
    def listed(self) -> list[Any] | None:
        """The values to look at one by one, where there are few; some of them may not fit the rest of the schema."""
        lists = [*self.said.get("enum", ()), *([each] for each in self.said.get("const", ()))]
        if lists:
            return [each for each in min(lists, key=len) if kind_of(each) == self.kind]
        if self.kind in {"null", "boolean"}:
            return [None] if self.kind == "null" else [True, False]
        return self._few_numbers() if self.kind == "number" else None

    def _few_numbers(self) -> list[Any] | None:
        low, high = self.low.at, self.high.at
        if not self.integer or not _is_finite(low) or not _is_finite(high) or high - low >= _LISTED_MAX:
            return None
        return list(range(int(low), int(high) + 1))

    # numbers

    @cached_property
    def integer(self) -> bool:
        """Whether only whole numbers are meant."""
        typed = any(
            "integer" in (names := _names(each)) and "number" not in names for each in self.said.get("type", ())
        )
        return typed or any(Fraction(str(each)).denominator == 1 for each in self.said.get("multipleOf", ()))

    @cached_property
    def steps(self) -> tuple[Fraction, ...]:
        """What every number is a multiple of."""
        return (
            *((Fraction(1),) if self.integer else ()),
            *(Fraction(str(each)) for each in self.said.get("multipleOf", ())),
        )

    @cached_property
    def low(self) -> Bound:
        """The lower end; that of whole numbers is one of them."""
        ends = [Bound(each) for each in self.said.get("minimum", ())]
        ends += [Bound(each, open=True) for each in self.said.get("exclusiveMinimum", ())]
        end = max(ends, default=Bound(-INFINITE))
        if self.integer and _is_finite(end.at):
            return Bound(math.floor(end.at) + 1 if end.open else math.ceil(end.at))
        return end

    @cached_property
    def high(self) -> Bound:
        """The upper end; that of whole numbers is one of them."""
        ends = [Bound(each) for each in self.said.get("maximum", ())]
        ends += [Bound(each, open=True) for each in self.said.get("exclusiveMaximum", ())]
        end = min(ends, key=lambda each: (each.at, not each.open), default=Bound(INFINITE))
        if self.integer and _is_finite(end.at):
            return Bound(math.ceil(end.at) - 1 if end.open else math.floor(end.at))
        return end

    # texts

    @cached_property
    def shortest(self) -> int:
        """The least number of characters."""
        return int(self._most("minLength"))

    @cached_property
    def longest(self) -> float:
        """The greatest number of characters."""
        return float(self._least("maxLength"))

    @cached_property
    def patterns(self) -> tuple[str, ...]:
        """What is found in every text."""
        return tuple(dict.fromkeys(self.said.get("pattern", ())))

    @cached_property
    def formats(self) -> tuple[str, ...]:
        """The formats that every text is in."""
        return tuple(dict.fromkeys(self.said.get("format", ())))

    def in_format(self, name: str) -> bool:
        """Whether every text is in that format by what is said of it."""
        return includes_format(name, "") or any(includes_format(name, each) for each in self.formats)

    # arrays

    @cached_property
    def places(self) -> int:
        """The number of first items that have a schema of their own."""
        return max((len(each) for each in self.said.get("prefixItems", ())), default=0)

    def item(self, at: int) -> Conjunction:
        """What holds for the item at a place."""
        found = []
        for part, schema in self._read:
            first = schema.get("prefixItems", ())
            if at < len(first):
                found.append(part.document.part(first[at]))
            elif "items" in schema:
                found.append(part.document.part(schema["items"]))
        return tuple(found)

    @cached_property
    def fewest(self) -> int:
        """The least number of items, or of fields."""
        if self.kind == "object":
            return max(int(self._most("minProperties")), len(self.required))
        return int(self._most("minItems"))

    @cached_property
    def greatest(self) -> float:
        """The greatest number of items, or of fields."""
        if self.kind == "object":
            free = not impossible(self.further(frozenset())) or self.patterns_of_names
            return min(float(self._least("maxProperties")), INFINITE if free else len(self.declared))
        ends = (at for at in range(self.places + 1) if impossible(self.item(at)))
        return min(float(self._least("maxItems")), next(ends, INFINITE))

    @cached_property
    def unique(self) -> bool:
        """Whether no two items are equal."""
        return any(self.said.get("uniqueItems", ()))

    # objects

    @cached_property
    def declared(self) -> tuple[str, ...]:
        """The fields that have a schema of their own, and those that are required."""
        named = [name for each in self.said.get("properties", ()) for name in each]
        return tuple(dict.fromkeys([*named, *self.required]))

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The fields that are always there."""
        return tuple(dict.fromkeys(name for each in self.said.get("required", ()) for name in each))

    @cached_property
    def open_by_silence(self) -> bool:
        """Whether fields are declared and nothing is said of others."""
        return "properties" in self.said and "additionalProperties" not in self.said

    @cached_property
    def patterns_of_names(self) -> tuple[str, ...]:
        """The patterns of names that a schema is given for."""
        return tuple(dict.fromkeys(name for each in self.said.get("patternProperties", ()) for name in each))

    def doubts(self, name: str) -> bool:
        """Whether it is unknown which patterns a name matches."""
        return any(matches(pattern, name) is None for pattern in self.patterns_of_names)

    def field(self, name: str) -> Conjunction:
        """What holds for a field; at least that, where the name is in doubt."""
        if name not in self._fields:
            hit = {pattern: matches(pattern, name) for pattern in self.patterns_of_names}
            self._fields[name] = self._field(name, frozenset(each for each in hit if hit[each] is not False), hit)
        return self._fields[name]

    def further(self, hit: frozenset[str]) -> Conjunction:
        """What holds for fields that are not declared and whose names match just these patterns."""
        return self._field(None, hit, dict.fromkeys(hit, True))

    def _field(self, name: str | None, hit: frozenset[str], sure: Mapping[str, bool | None]) -> Conjunction:
        found: list[Part] = []
        named = name in self.required
        for part, schema in self._read:
            ruled = False
            if name is not None and name in schema.get("properties", ()):
                found.append(part.document.part(schema["properties"][name]))
                named = ruled = True
            for pattern in (each for each in schema.get("patternProperties", ()) if each in hit):
                ruled = named = True
                if sure[pattern]:
                    found.append(part.document.part(schema["patternProperties"][pattern]))
            if not ruled and "additionalProperties" in schema:
                found.append(part.document.part(schema["additionalProperties"]))
        if not named and self.open_by_silence and self.parts[0].document.closed:
            return (self.parts[0].document.part(False),)
        return tuple(found)

    @cached_property
    def names(self) -> Conjunction:
        """What holds for the names of fields."""
        return tuple(
            part.document.part(schema["propertyNames"]) for part, schema in self._read if "propertyNames" in schema
        )

    @cached_property
    def tags(self) -> dict[str, list[Any]]:
        """Fields that are always there and have one of few listed values: what tells alternatives apart."""
        found = {}
        for name in self.required:
            listed = [each.listed for each in shapes(self.field(name))] if name in self._in_properties else [None]
            values = [value for each in listed for value in each or ()]
            if listed and None not in listed and len(values) <= TAGS_MAX:
                found[name] = values
        return found

    @cached_property
    def _in_properties(self) -> frozenset[str]:
        return frozenset(name for each in self.said.get("properties", ()) for name in each)

    @cached_property
    def empty(self) -> bool:
        """Whether it plainly allows no value."""
        match self.kind:
            case "number":
                return self.low.at > self.high.at or (self.low.at == self.high.at and (self.low.open or self.high.open))
            case "string":
                return self.shortest > self.longest
            case "array":
                return self.fewest > self.greatest
            case "object":
                return self.fewest > self.greatest or any(impossible(self.field(each)) for each in self.required)
            case _:
                return False


def _names(named: Any) -> set[str]:
    return set(named) if isinstance(named, list) else {named}


def shape(branch: Branch, kind: str) -> Shape:
    """The values of one kind that an alternative allows."""
    if kind not in branch.shapes:
        branch.shapes[kind] = Shape(kind, branch)
    found: Shape = branch.shapes[kind]
    return found


def shapes(conjunction: Conjunction) -> list[Shape]:
    """Every alternative by kind, without those that plainly allow nothing."""
    return [each for branch in branches(conjunction) for each in _of_branch(branch)]


def _of_branch(branch: Branch) -> list[Shape]:
    if branch.fitting is None:
        found = (shape(branch, kind) for kind in kinds(branch))
        branch.fitting = [each for each in found if each.allowed and not each.empty and each.listed != []]
    return branch.fitting


def kinds(branch: Branch) -> tuple[str, ...]:
    """The kinds worth looking at: most schemas name one."""
    for part in branch.parts:
        named = part.schema.get("type") if isinstance(part.schema, Mapping) else None
        if isinstance(named, str):
            return ("number",) if named == "integer" else (named,) if named in KINDS else KINDS
    return KINDS

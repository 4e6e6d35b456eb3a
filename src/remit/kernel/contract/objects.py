"""Objects that one side gives and the other does not take (L41)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations
from typing import Any

from remit.kernel.contract.gaps import Comparing, Form, Gap, shown_in_object, some, unclear
from remit.kernel.contract.schema import impossible
from remit.kernel.contract.shapes import INFINITE, Shape, shapes
from remit.kernel.contract.texts import matches, text_like
from remit.kernel.contract.values import Sampled, accepts, branch_accepts, sample
from remit.kernel.contract.words import said, text_of

__all__ = ["object_gaps"]

_PATTERNS_MAX = 4
_STRAY = "x"
_WIDE_MAX = 20


def object_gaps(comparing: Comparing, given: Shape, taken: Shape) -> Iterator[Gap]:
    """Fields that are missing, that are too many, or whose values are not taken."""
    yield from _missing(given, taken)
    yield from _counts(given, taken)
    listed = _listed_names(given)
    for name in dict.fromkeys((*given.declared, *taken.declared, *(listed or ()))):
        if not _is_fresh(comparing, given, name) and _may_have(given, name):
            yield from _field(comparing, given, taken, name)
    if listed is None:
        yield from _names(comparing, given, taken)
        yield from _further(comparing, given, taken)


def _missing(given: Shape, taken: Shape) -> Iterator[Gap]:
    for name in taken.required:
        if name in given.required:
            continue
        form = Form.MISSING if name in given.declared or not given.open_by_silence else Form.UNDECLARED
        shown = tuple({key: value for key, value in base.items() if key != name} for base in some(given))
        yield Gap(form, (), said(taken.field(name)), shown, path=(name,))


def _counts(given: Shape, taken: Shape) -> Iterator[Gap]:
    least = max(taken.said.get("minProperties", (0,)))
    if given.fewest < least:
        yield Gap(Form.VALUE, (f"an object of fewer than {least} fields",), f"at least {least}", some(given))
    most = min(taken.said.get("maxProperties", (INFINITE,)))
    if given.greatest > most:
        yield Gap(
            Form.VALUE, (f"an object of more than {most} fields",), f"at most {most}", _wide(given, int(most) + 1)
        )


def _wide(given: Shape, count: int) -> Sampled:
    """An object with so many fields."""
    made: dict[str, Any] = dict(*some(given))
    strays = (f"{_STRAY}{number}" for number in range(min(count, _WIDE_MAX)))
    for name in (*given.declared, *strays):
        for value in sample(given.field(name)) if len(made) < count and name not in made else ():
            made[name] = value
    return (made,)


def _listed_names(given: Shape) -> list[str] | None:
    """The names of all fields there can be, where `propertyNames` lists them."""
    lists = [each.listed for each in shapes(given.names) if each.kind == "string"] if given.names else [None]
    return None if None in lists else [name for each in lists for name in each or ()]


def _is_fresh(comparing: Comparing, given: Shape, name: str) -> bool:
    """Whether nobody gives a field of this name, since what is given said nothing of it."""
    silent = comparing.lenient and given.open_by_silence and name not in given.declared
    return silent and not any(matches(pattern, name) is not False for pattern in given.patterns_of_names)


def _may_have(given: Shape, name: str) -> bool:
    return not impossible(given.field(name)) and not (given.names and accepts(given.names, name) is False)


def _field(comparing: Comparing, given: Shape, taken: Shape, name: str) -> Iterator[Gap]:
    show = shown_in_object(given, name)
    named = accepts(taken.names, name) if taken.names else True
    if taken.doubts(name) or named is None:
        yield unclear("what holds for a field of this name cannot be told").below(name, show)
    elif named is False or impossible(taken.field(name)):
        witness = sample(given.field(name))
        yield Gap(Form.EXTRA, (said(given.field(name)),), "", witness).below(name, show)
    else:
        for gap in comparing.below(given.field(name), taken.field(name)):
            yield gap.below(name, show)


def _names(comparing: Comparing, given: Shape, taken: Shape) -> Iterator[Gap]:
    """Names of further fields that are not taken."""
    further = given.further(frozenset())
    if not taken.names or (impossible(further) and not given.patterns_of_names):
        return
    text = taken.parts[0].document.negative.make({"type": "string"})
    found = comparing.below((text, *given.names), taken.names)
    names = [name for gap in found for name in gap.witness]
    made = [
        (name, {**base, name: value}) for base in some(given) for name in names for value in sample(given.field(name))
    ]
    proofs = [
        each
        for each in made
        if branch_accepts(given.branch, each[1]) and branch_accepts(taken.branch, each[1]) is False
    ]
    for name, shown in proofs[:1]:
        yield Gap(Form.VALUE, (f"a field named {text_of(name)}",), f"a name that is {said(taken.names)}", (shown,))
    if found and not proofs:
        yield unclear("the names of its fields cannot be compared")


def _further(comparing: Comparing, given: Shape, taken: Shape) -> Iterator[Gap]:
    """Fields that neither side declares, by the patterns that their names match."""
    patterns = list(dict.fromkeys((*given.patterns_of_names, *taken.patterns_of_names)))
    if len(patterns) > _PATTERNS_MAX:
        yield unclear("it has too many patterns of names")
        return
    silent = comparing.lenient and given.open_by_silence
    for hit in map(frozenset, chain.from_iterable(combinations(patterns, count) for count in range(len(patterns) + 1))):
        fresh = silent and hit and not hit & set(given.patterns_of_names)
        if fresh or impossible(given.further(hit)):
            continue
        name = _name_of(given, taken, hit, patterns)
        for gap in _rest(comparing, given, taken, hit):
            yield (gap if name is not None else gap.doubted()).below("*", shown_in_object(given, name or ""))


def _rest(comparing: Comparing, given: Shape, taken: Shape, hit: frozenset[str]) -> list[Gap]:
    ours, theirs = given.further(hit), taken.further(hit)
    return [Gap(Form.EXTRA, (said(ours),), "", sample(ours))] if impossible(theirs) else comparing.below(ours, theirs)


def _name_of(given: Shape, taken: Shape, hit: frozenset[str], patterns: list[str]) -> str | None:
    """A name that neither side declares and that matches just these patterns."""
    options = [text_like(each) for each in hit] or [_STRAY, f"{_STRAY}1", "OTHER"]
    known = {*given.declared, *taken.declared}
    for name in options:
        free = name is not None and name not in known and (not given.names or accepts(given.names, name))
        if name is not None and free and all(matches(each, name) is (each in hit) for each in patterns):
            return name
    return None

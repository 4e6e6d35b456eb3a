"""The contract check: what a new version changes for those who know the old one (L41).

A *result* must stay usable for callers of the old version: what the new one may give, the old one might have given. An *input*
may only take more: what callers of the old version send, the new one takes. Schemas are JSON Schema 2020-12, as pydantic
writes it. Nothing is called compatible that is not; what cannot be decided is unknown.

Two things hold for contracts that do not hold for schemas. An object that declares fields and says nothing of others holds no
others in a result, and in an input none that the new version declares. And a format is a promise, not a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from remit.kernel.contract.changes import harmless
from remit.kernel.contract.findings import Finding, Kind, Role, finding_of
from remit.kernel.contract.gaps import Gap, unclear
from remit.kernel.contract.schema import Conjunction, Document, Schema, canonical
from remit.kernel.contract.subset import Comparison
from remit.kernel.contract.values import accepts

__all__ = ["Finding", "Kind", "Role", "compare", "is_compatible"]

NESTING_MAX = 100
INTEGER_BITS_MAX = 512
WITNESSES_MAX = 16  # of one comparison; more than that nobody reads


def is_compatible(findings: Iterable[Finding]) -> bool:
    """Whether nothing breaks and nothing is unknown."""
    return all(each.kind is Kind.COMPATIBLE for each in findings)


def compare(old: Schema, new: Schema, role: Role) -> list[Finding]:
    """What changes from one version of an input or a result to the next, what breaks first; nothing where nothing does."""
    beyond = _beyond(old) or _beyond(new)
    if beyond:
        return [finding_of(unclear(beyond), role)]
    if canonical(old) == canonical(new):
        return []
    before = Document("old", old)
    after = Document("new", new, closed=role == "result")
    given, taken = (after, before) if role == "result" else (before, after)
    both = (given.part(given.root),), (taken.part(taken.root),)
    gaps = Comparison(lenient=role == "input").gaps(*both)
    found = [finding_of(each, role) for each in _shown(gaps, *both)]
    found.sort(key=lambda each: each.kind is Kind.UNKNOWN)
    told = {each.pointer for each in found}
    for each in harmless(Document("old", old, closed=role == "result"), after, role):
        if each.pointer not in told:
            told.add(each.pointer)
            found.append(each)
    return found


def _shown(gaps: list[Gap], given: Conjunction, taken: Conjunction) -> list[Gap]:
    """The gaps with those witnesses that prove them; one whose witness proves the contrary is in doubt."""
    found = []
    for number, gap in enumerate(gaps):
        proved = accepts(taken, gap.witness[0]) if gap.witness and number < WITNESSES_MAX else None
        if proved is False and accepts(given, gap.witness[0]):
            found.append(gap)
        else:
            found.append(gap.doubted() if proved else replace(gap, witness=()))
    return found


def _beyond(schema: Schema) -> str:
    """Why a schema is not looked at: what is nested so deep that Python gives up, or counts so far."""
    open_parts: list[tuple[object, int]] = [(schema, 0)]
    while open_parts:
        part, level = open_parts.pop()
        if level > NESTING_MAX:
            return f"it is nested more than {NESTING_MAX} levels deep"
        if isinstance(part, int) and part.bit_length() > INTEGER_BITS_MAX:
            return "a number in it is too large"
        if isinstance(part, Mapping) and not all(isinstance(key, str) for key in part):
            return "a key in it is no text"
        if isinstance(part, Mapping | list):
            inner = part.values() if isinstance(part, Mapping) else part
            open_parts += [(each, level + 1) for each in inner]
    return "" if isinstance(schema, Mapping | bool) else "it is no JSON Schema"

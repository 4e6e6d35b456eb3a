"""What the contract check finds, as people read it: where, what changed, and why that breaks whom (L41)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

from remit.kernel.contract.gaps import Form, Gap
from remit.kernel.contract.words import alternatives

__all__ = ["Finding", "Kind", "Role", "change", "finding_of", "pointer_of"]

_WITNESS_CHARACTERS_MAX = 2_000

Role = Literal["input", "result"]


class Kind(StrEnum):
    """What a change does to those who know the old version."""

    BREAKS = "breaks"
    UNKNOWN = "unknown"
    COMPATIBLE = "compatible"


@dataclass(frozen=True, slots=True)
class Finding:
    """One change. `pointer` leads into the value, `*` standing for any item or further field; `witness` is JSON."""

    pointer: str
    kind: Kind
    what: str
    why: str
    witness: str | None = None

    def __str__(self) -> str:
        shown = f". For example: {self.witness}" if self.witness is not None else ""
        return f"{self.pointer or '/'}: {self.kind}: {self.what}; {self.why}{shown}"

    def as_dict(self) -> dict[str, str | None]:
        """The finding as plain data."""
        told = {"pointer": self.pointer, "kind": str(self.kind), "what": self.what, "why": self.why}
        return {**told, "witness": self.witness}


class _Said(NamedTuple):
    """How one form of gap is said, with {given} and {taken}."""

    what: str
    why: str


_UNCLEAR = _Said("cannot be compared: {given}", "so every caller must declare that it can do with the new version")
_WORDS: dict[Role, dict[Form, _Said]] = {
    "result": {
        Form.VALUE: _Said("may now be {given}", "callers of the old version expect {taken}"),
        Form.MISSING: _Said("may now be missing", "callers of the old version rely on {taken} there"),
        Form.UNDECLARED: _Said("is gone", "callers of the old version rely on {taken} there"),
        Form.EXTRA: _Said("is a new field ({given})", "the old contract has no other fields than it declares"),
        Form.UNCLEAR: _UNCLEAR,
    },
    "input": {
        Form.VALUE: _Said(
            "may no longer be {given}", "callers of the old version may send it; the new one takes {taken}"
        ),
        Form.MISSING: _Said("is now required", "callers of the old version may leave it out"),
        Form.UNDECLARED: _Said(
            "is a new field that is required ({taken})", "callers of the old version do not know it"
        ),
        Form.EXTRA: _Said("is no longer taken ({given})", "callers of the old version may send it"),
        Form.UNCLEAR: _UNCLEAR,
    },
}


def pointer_of(path: tuple[str, ...]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + each.replace("~", "~0").replace("/", "~1") for each in path)


def finding_of(gap: Gap, role: Role) -> Finding:
    """The finding that a gap is to callers of the old version."""
    words = _WORDS[role][gap.form]
    given = alternatives(gap.given) if gap.given else ""
    what, why = (each.format(given=given, taken=gap.taken) for each in words)
    if not gap.certain and gap.form is not Form.UNCLEAR:
        why = f"{why}, unless what else is said of it keeps it from happening"
    text = json.dumps(gap.witness[0], ensure_ascii=False) if gap.witness else None
    shown = text if text is not None and len(text) <= _WITNESS_CHARACTERS_MAX else None
    return Finding(pointer_of(gap.path), Kind.BREAKS if gap.certain else Kind.UNKNOWN, what, why, shown)


def change(path: tuple[str, ...], what: str, why: str) -> Finding:
    """A change that breaks nobody."""
    return Finding(pointer_of(path), Kind.COMPATIBLE, what, why)

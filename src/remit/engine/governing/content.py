"""Content filters: values looked through as they pass, what is found told by its JSON pointer and taken out (L43).

Most values hold nothing of what is looked for, and one search tells: it runs over the payload itself. Only what may hold
something is read and walked through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from remit.engine.governing.detectors import DETECTORS, Detector, is_secret_member, own
from remit.engine.governing.gates import Gate
from remit.engine.values.plain_json import loads
from remit.engine.values.redaction import REDACTED
from remit.engine.values.seam import canonical
from remit.kernel.policies import Filter

__all__ = ["Found", "Scan", "Scanner"]

_FOUND_MAX = 20


class Found(NamedTuple):
    """One thing that a filter found, without the thing: the filter, its policy and a JSON pointer."""

    policy: str
    filter: str
    path: str
    blocks: bool


class Scan(NamedTuple):
    """What was found in a payload, and the payload with all of it taken out."""

    found: list[Found]
    payload: bytes

    @property
    def blocking(self) -> Found | None:
        """The first thing found that must not pass."""
        return next((each for each in self.found if each.blocks), None)


class _Look(NamedTuple):
    policy: str
    filter: Filter
    detectors: tuple[Detector, ...]


class Scanner:
    """The filters of one place, of all policies that an execution is under."""

    def __init__(self, filters: Sequence[tuple[str, Filter]]) -> None:
        self._looks = [_Look(label, each, _detectors(each)) for label, each in filters]
        self._gate = Gate([each.gate for look in self._looks for each in look.detectors])

    def scan(self, payload: bytes) -> Scan | None:
        """What the filters find in a JSON payload; None where they find nothing."""
        if b"\\" not in payload:
            if not self._gate.opens_for(payload):
                return None
            data = loads(payload)
        else:  # what stands escaped must be read first
            data = loads(payload)
            if not self._gate.opens_for_texts(_texts(data)):
                return None
        walk = _Walk(self._looks)
        cleared = walk.of(data, "")
        return Scan(walk.found, canonical(cleared, "a filtered value")) if walk.found else None


def _detectors(wanted: Filter) -> tuple[Detector, ...]:
    if wanted.pattern is not None:
        return (own(wanted.pattern),)
    return tuple(DETECTORS[kind] for kind in wanted.find)


def _texts(data: Any) -> Iterable[str]:
    """All texts of plain data, keys and numbers too."""
    open_parts = [data]
    while open_parts:
        part = open_parts.pop()
        if isinstance(part, dict):
            yield from part
            open_parts.extend(part.values())
        elif isinstance(part, list):
            open_parts.extend(part)
        elif part is not None:
            yield part if isinstance(part, str) else str(part)


class _Walk:
    """One way through a value; `found` has the first things that were found."""

    def __init__(self, looks: list[_Look]) -> None:
        self._looks = looks
        self.found: list[Found] = []

    def of(self, value: Any, path: str) -> Any:
        """The value without what filters find in it."""
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, dict):
            return self._members(value, path)
        if isinstance(value, list):
            return [self.of(each, f"{path}/{index}") for index, each in enumerate(value)]
        if isinstance(value, int | float) and not isinstance(value, bool):
            written = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
            return value if self._text(written, path) == written else REDACTED
        return value

    def _members(self, members: dict[str, Any], path: str) -> dict[str, Any]:
        cleared: dict[str, Any] = {}
        for key, value in members.items():
            shown = self._text(key, path)  # what a key holds is told by the place of its object
            while shown != key and shown in cleared:
                shown += "'"
            here = f"{path}/{shown.replace('~', '~0').replace('/', '~1')}"
            secret = isinstance(value, str) and self._is_secret(key, value, here)
            cleared[shown] = REDACTED if secret else self.of(value, here)
        return cleared

    def _is_secret(self, key: str, value: str, path: str) -> bool:
        looks = [look for look in self._looks if "secrets" in look.filter.find]
        if not looks or not is_secret_member(key, value):
            return False
        for look in looks:
            self._note(look, path)
        return True

    def _text(self, text: str, path: str) -> str:
        encoded = text.encode()
        spans = []
        for look in self._looks:
            found = [span for each in look.detectors for span in each.find(encoded)]
            if found:
                self._note(look, path)
                spans += found
        return _without(encoded, spans) if spans else text

    def _note(self, look: _Look, path: str) -> None:
        found = Found(look.policy, look.filter.name, path, not look.filter.redacts)
        room = len(self.found) < _FOUND_MAX or (found.blocks and not any(each.blocks for each in self.found))
        if room and found not in self.found:
            self.found.append(found)


def _without(text: bytes, spans: list[tuple[int, int]]) -> str:
    """A text with these places taken out; where they overlap, together."""
    parts, at = [], 0
    for start, end in sorted(spans):
        if start >= at:
            parts += [text[at:start], REDACTED.encode()]
        at = max(at, end)
    return b"".join([*parts, text[at:]]).decode()

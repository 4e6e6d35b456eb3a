"""Content filters: values looked through as they pass, what is found told by its JSON pointer and taken out (L43).

Most values hold nothing of what is looked for, and one search tells: it runs over the payload itself. Only what may hold
something is read and walked through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from remit.engine.governing.detectors import DETECTORS, Detector, is_secret_member, own
from remit.engine.governing.gates import Gate, rest_search
from remit.engine.governing.patterns import MATCHES_MAX, states
from remit.engine.values.plain_json import loads
from remit.engine.values.redaction import REDACTED
from remit.engine.values.seam import canonical
from remit.errors import LimitExceeded
from remit.kernel.policies import Filter

__all__ = ["Found", "Scan", "Scanner"]

_FOUND_MAX = 20
_AT_ONCE_NS = 20_000_000
"""How long a scan may keep the loop: a value of a kilobyte or two is then never searched ahead, which takes a call 2 µs."""
_STATE_NS = 11
_GATE_NS = 13
_KIND_NS = {"email": 20, "card": 700, "iban": 2_000, "secrets": 700}
"""What a byte costs at worst: for each state of an own pattern, for the gates of the kinds together, and for each kind where
a gate opens; measured with texts made for them."""


class Found(NamedTuple):
    """One thing that a filter found, without the thing: the filter, its policy and a JSON pointer."""

    policy: str
    filter: str
    path: str
    blocks: bool


class Scan(NamedTuple):
    """What was found in a payload, and the payload with all of it taken out; where that is longer than a value may be, nothing is left."""

    found: list[Found]
    payload: bytes
    fits: bool = True

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
        gates = [each.gate for look in self._looks for each in look.detectors]
        self._gate = Gate(gates)
        self._gates = tuple(dict.fromkeys(gates))
        own_states = sum(states(each.pattern) for _, each in filters if each.pattern is not None)
        self._gate_at_once = _AT_ONCE_NS // (_GATE_NS + own_states * _STATE_NS)
        kinds = {kind for _, each in filters for kind in each.find}
        self._walk_at_once = _AT_ONCE_NS // (sum(_KIND_NS[kind] for kind in kinds) + own_states * _STATE_NS * MATCHES_MAX + 1)
        self._known: tuple[bytes, Scan | None] | None = None

    def is_soon_done(self, payload: bytes) -> bool:
        """Whether a scan keeps the loop no longer than _AT_ONCE_NS, whatever the payload; what one search tells is kept for it."""
        if len(payload) <= self._walk_at_once:
            return True
        if len(payload) > self._gate_at_once or self._suspect(payload) is not None:
            return False
        self._known = payload, None
        return True

    def search(self, payload: bytes) -> Scan | None:
        """A scan for a thread: only by the engine that leaves the interpreter to others meanwhile."""
        data = loads(payload)
        lines = "\n".join(_texts(data)).encode()
        return self._walked(data) if rest_search(self._gates)(lines) else None

    def keep(self, payload: bytes, found: Scan | None) -> None:
        """What the next scan says of that payload."""
        self._known = payload, found

    def scan(self, payload: bytes) -> Scan | None:
        """What the filters find in a JSON payload; None where they find nothing."""
        if self._known is not None:
            known, self._known = self._known, None
            if known[0] == payload:
                return known[1]
        data = self._suspect(payload)
        return None if data is None else self._walked(data)

    def _suspect(self, payload: bytes) -> Any:
        """The value, where it may hold something; None where it does not.

        What stands escaped must be read first, and so must beginnings and ends of texts: a number has no quotes to tell them by.
        """
        if b"\\" not in payload and not self._gate.by_ends:
            return loads(payload) if self._gate.opens_for(payload) else None
        data = loads(payload)
        return data if self._gate.opens_for_texts(_texts(data)) else None

    def _walked(self, data: Any) -> Scan | None:
        walk = _Walk(self._looks)
        cleared = walk.of(data, "")
        if not walk.found:
            return None
        try:
            return Scan(walk.found, canonical(cleared, "a filtered value"))
        except LimitExceeded:
            return Scan(walk.found, canonical(REDACTED, "a filtered value"), fits=False)


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
            yield part if isinstance(part, str) else _written(part)


def _written(number: float) -> str:
    """A number as filters see it."""
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


class _Walk:
    """One way through a value; `found` has the first things that were found."""

    def __init__(self, looks: list[_Look]) -> None:
        self._looks = looks
        self._own = [look for look in looks if look.filter.pattern is not None]
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
            whole = isinstance(value, int) or value.is_integer()
            written = _written(value)
            looks = self._looks if whole else self._own  # the digits behind a point are no card's
            return value if self._text(written, path, looks) == written else REDACTED
        return value

    def _members(self, members: dict[str, Any], path: str) -> dict[str, Any]:
        cleared: dict[str, Any] = {}
        alike: Counter[str] = Counter()
        for key, value in members.items():
            left = shown = self._text(key, path)  # what a key holds is told by the place of its object
            while shown != key and (shown in cleared or shown in members):
                alike[left] += 1
                shown = f"{left}'{alike[left] if alike[left] > 1 else ''}"
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

    def _text(self, text: str, path: str, looks: Sequence[_Look] | None = None) -> str:
        encoded = text.encode()
        spans = []
        for look in self._looks if looks is None else looks:
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

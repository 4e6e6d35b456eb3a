"""What an execution has recorded, as answers for other code: an effect by kind, name and parameters, the n-th time as the n-th.

Order does not matter, as it does in replay (L11): the code that asks is another version, which may come to the same effects
on another way.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from remit.engine.body.history import effect_of
from remit.engine.values.differences import between
from remit.engine.values.plain_json import loads
from remit.engine.values.seam import digest
from remit.errors import SystemFailure
from remit.kernel.usage import Amount, Usage, micros
from remit.store.records import EffectKind, ExecutionRecord, JournalRecord

__all__ = ["CALL", "Recorded", "Recording", "took_ms"]

CALL = "call"
Recorded = JournalRecord | ExecutionRecord

_ON_ITS_OWN = frozenset({EffectKind.SLEEP, EffectKind.CHARGE, EffectKind.CHANGED, EffectKind.COMPENSATION})
"""What other code does anew: none of it reaches the world, or it belongs to the end of what was recorded."""
_OF_PEOPLE = frozenset({EffectKind.ASK, EffectKind.EVENT})


class Recording:
    """The recorded effects that are left, and what was made of them so far.

    A row without parameters (None, or a digest of b"") answers whatever its effect is done with.
    """

    def __init__(self, entries: Iterable[JournalRecord], calls: Iterable[ExecutionRecord]) -> None:
        self._left: dict[tuple[str, str], dict[bytes | None, deque[Recorded]]] = defaultdict(dict)
        self.made: list[str] = []
        """Each effect that was asked for, as 'tool erp.lookup'."""
        self.missing: list[SystemFailure] = []
        self.took_ms = 0
        self.below = Amount(0, 0)
        """What the calls that were answered used, in tokens and micro-dollars."""
        for entry in entries:
            if entry.kind is EffectKind.REJECTED:
                self._keep(CALL, entry.name, digest(entry.params or b"null"), entry)
            elif entry.kind not in _ON_ITS_OWN:
                params = None if entry.params is None or entry.kind is EffectKind.ASK else digest(entry.params)
                self._keep(str(entry.kind), entry.name, params, entry)
        for call in calls:
            self._keep(CALL, call.process, call.digest or None, call)

    def _keep(self, kind: str, name: str, params: bytes | None, recorded: Recorded) -> None:
        self._left[kind, name].setdefault(params, deque()).append(recorded)

    def take(self, kind: str, name: str, params: bytes) -> Recorded | None:
        """What was recorded of the next effect of that kind, name and parameters (canonical JSON); each is taken once."""
        self.made.append(f"{kind} {name}")
        return self.noted(kind, name, params)

    def noted(self, kind: str, name: str, params: bytes) -> Recorded | None:
        """The same, of what is no effect for people to see: the time, a random number."""
        of_name = self._left.get((kind, name), {})
        found = of_name.get(digest(params)) or of_name.get(None)
        recorded = found.popleft() if found else None
        if recorded is not None:
            self.took_ms += took_ms(recorded)
        return recorded

    def used(self, usage: Usage) -> None:
        """A call was answered that had used so much."""
        self.below = Amount(self.below.tokens + usage.tokens, self.below.cost + micros(usage.cost))

    def unmade(self) -> list[str]:
        """The recorded effects that nobody asked for."""
        return [
            f"{kind} {name}"
            for (kind, name), of_name in self._left.items()
            for left in of_name.values()
            for _ in left
            if kind not in (EffectKind.VALUE, EffectKind.WAIT)
        ]

    def lacks(self, kind: str, name: str, params: bytes, why: str | None = None) -> SystemFailure:
        """The failure of code that does what was not recorded: nothing runs in its place."""
        effect = effect_of(kind, name, params)["effect"]
        closest = self._closest(kind, name, params)
        message = f"The recording has no {effect}{f': {why}' if why else ''}{closest}. It is not run; `--live` runs a step."
        failure = SystemFailure(message, code="unrecorded_effect", effect=effect)
        failure.usage = Usage()  # type: ignore[attr-defined]  # what was not done costs nothing (L27)
        self.missing.append(failure)
        return failure

    def _closest(self, kind: str, name: str, params: bytes) -> str:
        """What was recorded of that name and differs."""
        left = [each for found in self._left.get((kind, name), {}).values() for each in found]
        if not left:
            return ""
        recorded = left[0].input if isinstance(left[0], ExecutionRecord) else left[0].params
        places = [each.pointer or "/" for each in between(loads(recorded or b"null"), loads(params))]
        return f"; what was recorded of it differs at {', '.join(places[:5])}" if places else ""


def took_ms(recorded: Recorded) -> int:
    """How long it took; waits for people and events count nothing."""
    if isinstance(recorded, JournalRecord) and recorded.kind in _OF_PEOPLE:
        return 0
    began = recorded.created_at if isinstance(recorded, ExecutionRecord) else recorded.started_at
    return max((recorded.ended_at or began) - began, 0)

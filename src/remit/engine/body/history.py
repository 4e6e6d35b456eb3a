"""What an execution has recorded, claimed by identity as the body runs again (L9, L11).

Keys are made of what is done and with what, and the n-th occurrence of that; so concurrent branches may come in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from remit.errors import LimitExceeded
from remit.kernel.trace import CallKeys
from remit.store.records import EffectKind, ExecutionRecord, JournalRecord

__all__ = ["MAX_BYTES", "MAX_ENTRIES", "CallIdentity", "History", "Recorded", "effect_of", "target_of"]

MAX_ENTRIES = 10_000
MAX_BYTES = 32 * 1024 * 1024

Recorded = JournalRecord | ExecutionRecord


class CallIdentity:
    """Which of an execution's calls this is (L9)."""

    __slots__ = ("_key", "_keys", "digest", "explicit", "look", "occurrence", "target")

    def __init__(self, keys: CallKeys, target: str, digest: bytes, occurrence: int, explicit: str | None) -> None:
        self._keys = keys
        self._key: bytes | None = None
        self.target = target
        self.digest = digest
        self.occurrence = occurrence
        self.explicit = explicit
        self.look: bytes | None = None
        """The key of the wait for filters that is its next, where one was sought."""

    @property
    def key(self) -> bytes:
        """Its idempotency key, hashed once something is looked for under it, or put there: hashing takes a fifth of a pre-flight."""
        if self._key is None:
            self._key = self._keys.of(self.target, self.digest, self.occurrence, self.explicit)
        return self._key


class History:
    """The recorded effects of one generation of one execution, and how far the body has claimed them."""

    __slots__ = (
        "_count",
        "_keys",
        "_occurrences",
        "_position",
        "_whose",
        "bytes",
        "markers",
        "recorded",
        "taken_otherwise",
        "unclaimed_targets",
    )

    def __init__(self, tenant: str, execution_id: str, generation: int) -> None:
        self._whose = (tenant, execution_id, generation)
        self._keys: CallKeys | None = None  # most executions call nothing
        self.recorded: dict[bytes, Recorded] = {}
        self.unclaimed_targets: dict[str, int] = {}
        self.taken_otherwise: dict[str, dict[bytes | None, list[bytes]]] = {}
        """By target: the keys of calls of its other versions, by their inputs' digests as today's version takes them."""
        self._occurrences: dict[tuple[str, bytes], int] = {}
        self._count = 0
        self._position = 0
        self.bytes = 0
        self.markers: frozenset[bytes] = frozenset()  # the empty one is the same for all

    def load(self, entries: Iterable[JournalRecord], children: Iterable[ExecutionRecord], next_position: int) -> None:
        """Take what was recorded."""
        self._position = next_position
        for entry in entries:
            if entry.kind is EffectKind.CHANGED:
                self.markers |= {entry.key}
                continue
            if entry.kind is EffectKind.COMPENSATION:
                continue
            self._remember(entry.key, entry, target_of(entry))
        for child in children:
            if child.key is not None:
                self._remember(child.key, child, target_of(child))

    def _remember(self, key: bytes, record: Recorded, target: str) -> None:
        self.recorded[key] = record
        self.unclaimed_targets[target] = self.unclaimed_targets.get(target, 0) + 1
        self._count += 1
        self.bytes += size_of(record)

    @property
    def replaying(self) -> bool:
        """Whether recorded effects are left that the body has not come to."""
        return bool(self.recorded)

    @property
    def next_position(self) -> int:
        """Where the next entry goes."""
        return self._position

    def effect_key(self, kind: EffectKind, name: str, digest: bytes) -> bytes:
        """The key of the next effect of that kind, name and input."""
        target = f"{kind}:{name}"
        occurrence = self._next(target, digest)
        return blake2b(b"%s\0%d\0" % (target.encode(), occurrence) + digest, digest_size=16).digest()

    def identify(self, target: str, digest: bytes, explicit: str | None) -> CallIdentity:
        """The next call of that target with that input, or the one that its caller named (L9)."""
        if self._keys is None:
            self._keys = CallKeys(*self._whose)
        occurrence = 0 if explicit is not None else self._next(target, digest)
        return CallIdentity(self._keys, target, digest, occurrence, explicit)

    def _next(self, target: str, digest: bytes) -> int:
        identity = (target, digest)
        occurrence = self._occurrences.get(identity, 0)
        self._occurrences[identity] = occurrence + 1
        return occurrence

    def claim(self, key: bytes) -> Recorded | None:
        """What was recorded under the key, once."""
        record = self.recorded.pop(key, None)
        if record is not None:
            target = target_of(record)
            left = self.unclaimed_targets[target] - 1
            if left:
                self.unclaimed_targets[target] = left
            else:
                del self.unclaimed_targets[target]
        return record

    def admit(self, size: int) -> int:
        """The position of a new entry of that size in bytes; raises LimitExceeded where the history is full (L48)."""
        if self._count >= MAX_ENTRIES:
            raise LimitExceeded(
                f"This execution has recorded {self._count} effects; the limit is {MAX_ENTRIES}. Use continue_as(input) to start a fresh history."
            )
        if self.bytes + size > MAX_BYTES:
            raise LimitExceeded(
                f"This execution's history would exceed {MAX_BYTES} bytes. Use continue_as(input) to start a fresh history."
            )
        self.bytes += size
        self._count += 1
        self._position += 1
        return self._position - 1


def effect_of(kind: str, name: str, params: bytes) -> dict[str, Any]:
    """An effect as people are shown it when code and history disagree (L11)."""
    return {"effect": f"{kind} {name}({params[:500].decode('utf-8', 'replace')})", "target": name}


def target_of(record: Recorded) -> str:
    """What a recorded effect was done to, as it is held back for."""
    if isinstance(record, ExecutionRecord):
        return record.process
    return record.name if record.kind is EffectKind.REJECTED else f"{record.kind}:{record.name}"


def size_of(record: Recorded) -> int:
    """Roughly how many bytes of payload the record holds."""
    payloads = (
        (record.input, record.result, record.error)
        if isinstance(record, ExecutionRecord)
        else (record.params, record.result, record.error)
    )
    return sum(len(payload) for payload in payloads if payload) + 64

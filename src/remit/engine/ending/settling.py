"""How waits end: by an answer, an event, a timer; for executions in memory and for those that must be woken (L46, L50)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from remit.engine.ending.faults import encode_error
from remit.engine.ending.intents import leave
from remit.engine.node import Node
from remit.engine.values.seam import digest
from remit.errors import ErrorClass, ErrorInfo
from remit.kernel.states import Status
from remit.store import boundaries
from remit.store.records import EffectKind, EventRecord, JournalRecord

if TYPE_CHECKING:
    from remit.engine.body.run import Run
    from remit.engine.engine import Engine
    from remit.engine.waits import Wait

__all__ = ["Settling"]

_LOOK_AGAIN_MS = 100


class Settling:
    """Records what a wait has brought, and lets the branch go on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due(self, execution_id: str, position: int | None) -> None:
        """A durable timer has run out: a pause before a retry or until a budget's next period, or a wait."""
        node = self._engine.traces.load(execution_id)
        if node is None or node.ended:
            return
        if position is None:
            self._pause_is_over(node)
            return
        entry = self.entry_of(node, position)
        if entry is not None and entry.ended_at is None:
            self._wait_is_over(node, entry)

    def _pause_is_over(self, node: Node) -> None:
        """The next attempt begins, unless something below is still being undone: that comes first (L34)."""
        engine, record = self._engine, node.record
        if record.status is Status.PAUSED:  # for want of a department's budget, and its next period has begun (L45)
            engine.resume(node)
            return
        record.wake_at = None
        if engine.store.rolling_back(node.id):
            record.wake_at = engine.clock.now() + _LOOK_AGAIN_MS
            engine.timers.expect(record.wake_at)
        engine.durability.touch(node)
        engine.wake(node)

    def _wait_is_over(self, node: Node, entry: JournalRecord) -> None:
        if entry.kind is EffectKind.SLEEP:
            self.settle(node, entry, b"null", None)
            return
        if entry.kind is EffectKind.ASK:
            self._engine.audit.entry(node.id, "unanswered", {"ask": entry.name, "position": entry.position})
        default = orjson.loads(entry.terms).get("on_timeout") if entry.terms else None
        if default is not None:
            self.settle(node, entry, default.encode(), None)
            return
        code = "ask_timeout" if entry.kind is EffectKind.ASK else "event_timeout"
        what = (
            f"Nobody answered {entry.name!r}"
            if entry.kind is EffectKind.ASK
            else f"Event {entry.name!r} did not arrive"
        )
        self.settle(
            node,
            entry,
            None,
            ErrorInfo(ErrorClass.DOMAIN, code, f"{what} in time", {"name": entry.name}, node.id, node.record.attempt),
        )

    def entry_of(self, node: Node, position: int) -> JournalRecord | None:
        """A journal entry, as the run holds it where there is one."""
        if node.run is not None:
            wait = node.run.waits.get(position)
            if wait is not None:
                return wait.entry
            for record in node.run.history.recorded.values():
                if isinstance(record, JournalRecord) and record.position == position:
                    return record
        self._engine.durability.flush()
        return self._engine.store.journal_entry(node.record.n, node.record.generation, position)

    def settle(self, node: Node, entry: JournalRecord, result: bytes | None, error: ErrorInfo | None) -> None:
        """A wait has its end: record it and let the branch go on."""
        entry.result = result
        entry.error = encode_error(error) if error is not None else None
        entry.ended_at = self._engine.clock.now()
        self._engine.durability.amend(entry)
        if entry.kind is EffectKind.ASK:
            node.asks -= 1
        if boundaries.reach is not None:
            boundaries.reach("wait.settled")
        wait: Wait | None = node.run.waits.pop(entry.position, None) if node.run is not None else None
        if wait is not None:
            wait.run.delivery.complete(wait)
        elif node.run is None:
            self._engine.waiting.refresh(node)
            self._engine.wake(node)

    def withdraw(self, run: Run, entry: JournalRecord) -> None:
        """A branch that waited was cancelled: nobody needs the answer any more."""
        leave(run.node, entry, "The branch that waited was cancelled", self._engine.clock.now())
        self._engine.durability.amend(entry)
        if entry.kind is EffectKind.ASK:
            run.node.asks -= 1

    def take_early_event(self, node: Node, entry: JournalRecord) -> None:
        """An event that came before it was waited for is taken now (L50)."""
        self._engine.durability.flush()
        event = self._engine.store.untaken_event(node.id, entry.name)
        if event is not None:
            event.taken_by = entry.position
            self._engine.durability.event(event)
            entry.result, entry.ended_at = event.payload, self._engine.clock.now()

    def send(self, node: Node, name: str, payload: bytes, dedupe: str | None, by: str | None = None) -> bool:
        """Deliver an event to the oldest wait for it, or keep it; False where its deduplication key was seen before."""
        if self.has_come(node, name, dedupe):
            return False
        event = EventRecord(node.id, name, payload, self._engine.clock.now(), dedupe)
        audit = self._engine.audit
        audit.entry(node.id, "sent", {"event": name, "payload": audit.mark(node.record.tenant, digest(payload))}, by)
        entry = self._waiting_for(node, name)
        if entry is not None:
            event.taken_by = entry.position
        self._engine.durability.event(event)
        if entry is not None:
            self.settle(node, entry, payload, None)
        self._engine.durability.flush()
        return True

    def has_come(self, node: Node, name: str, dedupe: str | None) -> bool:
        """Whether an event of that deduplication key came before; without one it is never the same."""
        self._engine.durability.flush()
        return dedupe is not None and self._engine.store.has_event(node.id, name, dedupe)

    def _waiting_for(self, node: Node, name: str) -> JournalRecord | None:
        durable = self._engine.store.journal(node.record.n, node.record.generation)
        positions = [
            entry.position
            for entry in durable
            if entry.kind is EffectKind.EVENT and entry.name == name and entry.ended_at is None
        ]
        entry = self.entry_of(node, positions[0]) if positions else None
        return entry if entry is not None and entry.ended_at is None else None

"""What an execution shows while it waits, and how that shows on its ancestors: statuses, clocks and slots (L15, L21, L33)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.engine.node import Node
from remit.engine.terms import note
from remit.kernel.states import TERMINAL, Status, Waits, parked_status

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Waiting"]


class Waiting:
    """Keeps statuses, TTL clocks and the slots of a trace in step with what executions do."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def park(self, node: Node) -> None:
        """Every branch of the execution waits."""
        if not node.parked:
            node.parked = True
            self.refresh(node)
            self.release_slot(node)

    def claim_slot(self, node: Node) -> bool:
        """Take one of the trace's slots, or stand in its queue (L15)."""
        if node.slot:
            return True
        if node.queued:
            return False
        trace = node.trace
        if trace.active < self._engine.limits.max_active:
            self._grant(node)
            return True
        node.queued = True
        trace.queue.append(node)
        if node.parked or node.ticking or node.record.status is not Status.PENDING:  # a new one shows it already
            self.refresh(node)
        return False

    def _grant(self, node: Node) -> None:
        node.trace.active += 1
        node.slot, node.queued, node.parked = True, False, False
        self.refresh(node)

    def release_slot(self, node: Node) -> None:
        """Give the slot back; the first in the queue gets it."""
        trace = node.trace
        if node.slot:
            node.slot = False
            trace.active -= 1
        while trace.queue and trace.active < self._engine.limits.max_active:
            waiting = trace.queue.popleft()
            if waiting.queued and not waiting.ended:
                self._grant(waiting)
                self._engine.proceed(waiting)

    def work_begins(self, node: Node) -> None:
        """A step is about to run that shows as PENDING_ASYNC; noted, so that the next owner does not take it for a sleep."""
        node.at_work += 1
        note(node.record, {"at_work": True})
        self._engine.durability.touch(node)
        self.refresh(node)

    def work_ends(self, node: Node) -> None:
        """Such a step has its end."""
        node.at_work -= 1
        if not node.at_work:
            note(node.record, {"at_work": None})
            self._engine.durability.touch(node)
        self.refresh(node)

    def stand_by(self, node: Node) -> None:
        """It could go on, and no code for it is hosted here: it shows PENDING, and the next owner that has its code drives it."""
        record = node.record
        if record.status is not Status.PENDING:
            record.status, record.updated_at = Status.PENDING, self._engine.clock.now()
            self._engine.durability.touch(node)
        if self._propagate(node, node.ticking_children > 0, False) and node.parent is not None:
            self.refresh(node.parent)

    def refresh(self, node: Node) -> None:
        """Bring status and clock up to date, and the ancestors' along awaited edges."""
        current: Node | None = node
        while current is not None and self._refresh_one(current):
            current = current.parent

    def _refresh_one(self, node: Node) -> bool:
        """Update one node; whether its parent's counters changed."""
        before = node.record.status
        idle = before in TERMINAL or before is Status.PAUSED
        if idle:
            ticking = human = False
        else:
            running = not node.parked and not node.queued
            human = not running and bool(node.asks or node.humans)
            ticking = running or node.ticking_children > 0 or node.record.wake_at is not None
            if running:
                after = Status.PENDING_ASYNC if node.at_work else Status.ACTIVE
            else:
                after = Status.PENDING if node.queued else parked_status(Waits(node.asks, node.awaiting, node.humans))
            if after is not before:
                node.record.status = after
                node.record.updated_at = self._engine.clock.now()
                self._engine.durability.touch_status(node)
        return self._propagate(node, ticking, human)

    def _propagate(self, node: Node, ticking: bool, human: bool) -> bool:
        if ticking is node.ticking and human is node.human:
            return False
        now = self._engine.clock.now()
        parent = node.parent if node.record.awaited else None
        if ticking is not node.ticking:
            node.ticking = ticking
            self._engine.durability.touch_status(node)
            if ticking:
                node.clock.start(now)
                self._engine.leases.watch(node)
            else:
                node.clock.stop(now)
                self._engine.leases.forget(node)
            if parent is not None:
                parent.ticking_children += 1 if ticking else -1
        if human is not node.human:
            node.human = human
            if parent is not None:
                parent.humans += 1 if human else -1
        return parent is not None

    def ended(self, node: Node) -> None:
        """The execution has its terminal status: its clock stops, its slot is free, its parent awaits one less."""
        self._refresh_one(node)
        parent = node.parent
        if parent is not None:
            parent.open_children -= 1
            if node.record.awaited:
                parent.awaiting -= 1
                if parent.run is None or node.record.n not in parent.run.children:
                    self.refresh(parent)  # else the caller is told in a moment, and shows what it does then
        node.queued = False
        self.release_slot(node)

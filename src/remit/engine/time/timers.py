"""Durable timers: sleeps, pauses before a retry, and the longest wait of asks and events; they live in the store's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remit.engine.engine import Engine
    from remit.engine.time.clock import Timer

__all__ = ["Timers"]

_BATCH = 500


class Timers:
    """One timer for the earliest due row; executions that wait cost no memory here."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._timer: Timer | None = None
        self._due_at: int | None = None

    def expect(self, due_at: int) -> None:
        """A row due then has been decided."""
        if self._due_at is None or due_at < self._due_at:
            self._arm(due_at)

    def _arm(self, due_at: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due_at = due_at
        clock = self._engine.clock
        self._timer = clock.call_later(max(0, due_at - clock.now()), self.fire)

    def fire(self) -> None:
        """Deliver what is due, and arm for the next."""
        self._timer, self._due_at = None, None
        engine = self._engine
        engine.durability.flush()
        if engine.durability.failure is not None:
            self._arm(engine.clock.now() + 250)
            return
        for execution_id, place in engine.store.due(engine.clock.now(), _BATCH):
            engine.settling.due(execution_id, place - 1 if place else None)
        engine.schedules.fire()
        engine.durability.flush()
        self.expect_next()

    def expect_next(self) -> None:
        """Arm for the earliest of all that is to come."""
        for following in (self._engine.store.next_due(), self._engine.schedules.next_look()):
            if following is not None:
                self.expect(following)

    def close(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()

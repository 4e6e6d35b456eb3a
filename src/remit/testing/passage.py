"""How an app comes to rest, and how time passes for what is awaited of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

from remit.engine.engine import Engine
from remit.testing.clock import VirtualClock
from remit.testing.holds import Holds
from remit.testing.rest import at_work
from remit.testing.scripts import Script

__all__ = ["Passage", "Stuck"]

_QUIET_TURNS = 10
"""So many turns of the loop in a row without anything to do: who was told something has taken note of it by then."""
_QUICK_TURNS = 300
_PAUSE_S = 0.001
_PATIENCE_S = 10.0
_FORCED_S = 0.05
_STUCK_S = 2.0
_LONGEST = timedelta(days=366)


class Stuck(AssertionError):
    """What a test waits for cannot come any more."""


class Opened(Protocol):
    """An app that is open."""

    @property
    def engine(self) -> Engine:
        """Its engine."""


class Passage:
    """Watches one app, plays its scripts, and moves its clock."""

    def __init__(self, app: Opened, clock: VirtualClock, holds: Holds, scripts: Sequence[Script]) -> None:
        self._app = app
        self._clock = clock
        self._holds = holds
        self._scripts = scripts

    async def settle(self, patience_s: float | None = None, *, force: bool = False) -> None:
        """Return once nothing happens any more unless time passes; raises Stuck where executions stay at work too long."""
        loop = asyncio.get_running_loop()
        limit_s = _FORCED_S if force else _PATIENCE_S if patience_s is None else patience_s
        until, turns, quiet = loop.time() + limit_s, 0, 0
        while quiet < _QUIET_TURNS:
            busy = await self._busy()
            quiet = 0 if busy else quiet + 1
            if busy and loop.time() > until:
                if force:
                    return
                raise Stuck(f"{', '.join(busy)} at work for {limit_s} s: fake what it waits for, or pass force=True")
            turns += 1
            await asyncio.sleep(0 if turns < _QUICK_TURNS else _PAUSE_S)

    async def until(self, done: asyncio.Future[Any], *, patient: bool) -> None:
        """Let time pass whenever nothing else can happen, until that is done.

        Raises Stuck where nothing is left that time could bring, unless `patient`, and where a year has gone by.
        """
        loop = asyncio.get_running_loop()
        began, idle_since, turns, quiet = self._clock.elapsed, loop.time(), 0, 0
        while not done.done():
            quiet = 0 if await self._busy() else quiet + 1
            turns += 1
            if not quiet or self._clock.next_due_ms() is not None:
                idle_since = loop.time()
            if quiet >= _QUIET_TURNS and not done.done() and self._moved():
                turns = quiet = 0
            elif not patient and loop.time() - idle_since > _STUCK_S:
                raise Stuck("nothing happens any more, and no timer is left that would bring it on")
            if self._clock.elapsed - began > _LONGEST:
                raise Stuck(f"{_LONGEST.days} days have gone by on the app's clock")
            await asyncio.sleep(0 if turns < _QUICK_TURNS else _PAUSE_S)

    def _moved(self) -> bool:
        """Move the clock to what is due next, where it stands still for all who live by it."""
        due = self._clock.next_due_ms()
        if due is None or not all(each.is_at_rest() for each in self._clock.inhabitants):
            return False
        self._clock.move_to(due)
        return True

    def at_rest(self) -> bool:
        """Whether nothing goes on by itself, and all that was decided is durable."""
        engine = self._app.engine
        return engine.durability.clean and next(at_work(engine, self._holds.futures), None) is None

    async def _busy(self) -> list[str]:
        """Who goes on by itself; where nobody does, what was decided is made durable, and those who wait get what is theirs."""
        engine = self._app.engine
        working = list(at_work(engine, self._holds.futures))
        if working:
            return working
        if not engine.durability.clean:
            engine.durability.flush()
            return ["the store"]
        return ["a script"] if [script for script in self._scripts if await script.play(engine)] else []

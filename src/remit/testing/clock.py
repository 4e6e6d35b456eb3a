"""Time that a test holds in its hand: two days pass in milliseconds, for one app and for nobody else."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context, copy_context
from datetime import UTC, datetime, timedelta
from typing import Protocol

from remit.engine.time.clock import Timer
from remit.engine.values.texts import optional_ms

__all__ = ["Duration", "Inhabitant", "VirtualClock"]

Duration = int | float | str | timedelta


class Inhabitant(Protocol):
    """An app that lives by the clock."""

    async def settle(self, patience_s: float | None = ..., *, force: bool = ...) -> None:
        """Return once nothing happens any more unless time passes."""

    def is_at_rest(self) -> bool:
        """Whether nothing goes on by itself."""


class _Pending:
    """A call that is due at some time; a `Timer`."""

    __slots__ = ("call", "context")

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call
        self.context: Context = copy_context()

    def cancel(self) -> None:
        self.call = None


class VirtualClock:
    """Stands still until it is moved: by hand, or by the app that waits for an outcome with nothing left to do.

    It starts at `start` (a datetime with its zone, or ISO 8601 text), else at the time it is made. It may outlive an app:
    the next one that is opened with it goes on where the first one left off. It belongs to one event loop at a time.
    """

    def __init__(self, start: datetime | str | None = None) -> None:
        self._start = self._now = _milliseconds(start) if start is not None else _milliseconds(datetime.now(UTC))
        self._pending: list[tuple[int, int, _Pending]] = []
        self._count = 0
        self._inhabitants: list[Inhabitant] = []

    # -- what the engine asks -----------------------------------------------------------------------------------------

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self._now

    def date(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self._now / 1_000, UTC)

    def call_later(self, delay_ms: int, call: Callable[[], None]) -> Timer:
        """Call once the clock has been moved on by so many milliseconds; with none, on the loop's next turn."""
        if delay_ms <= 0:
            return asyncio.get_running_loop().call_soon(call)
        pending = _Pending(call)
        self._count += 1
        heapq.heappush(self._pending, (self._now + delay_ms, self._count, pending))
        return pending

    # -- what a test asks ---------------------------------------------------------------------------------------------

    @property
    def elapsed(self) -> timedelta:
        """How far the clock has been moved since its start."""
        return timedelta(milliseconds=self._now - self._start)

    @property
    def next_due(self) -> datetime | None:
        """When the next timer is due: a sleep, a timeout, a retry, the end of a TTL; None where nothing waits for time."""
        due = self.next_due_ms()
        return None if due is None else datetime.fromtimestamp(due / 1_000, UTC)

    async def advance(self, by: Duration, *, force: bool = False) -> None:
        """Let time pass: whatever is due on the way happens in order, each at its own time.

        Before each of them it waits until every execution is at rest; one that is at work for ten seconds is an error
        that names it. `force`: time passes for executions at work too, and so their TTL runs.
        """
        await self._advance_to(self._now + (optional_ms(by, "advance") or 0), force=force)

    async def advance_to(self, moment: datetime | str, *, force: bool = False) -> None:
        """Let time pass until then; raises ValueError for a moment that is past."""
        target = _milliseconds(moment)
        if target < self._now:
            raise ValueError(
                f"advance_to({moment!r}): it is {self.date().isoformat()} already, and time does not go back"
            )
        await self._advance_to(target, force=force)

    async def _advance_to(self, target: int, *, force: bool) -> None:
        await self._settle(force=force)
        while (due := self.next_due_ms()) is not None and due <= target:
            self.move_to(due)
            await self._settle(force=force)
        self._now = target

    async def _settle(self, *, force: bool) -> None:
        for inhabitant in tuple(self._inhabitants):
            await inhabitant.settle(force=force)

    # -- what an app asks ---------------------------------------------------------------------------------------------

    def enter(self, inhabitant: Inhabitant) -> None:
        """An app lives by this clock from now on."""
        self._inhabitants.append(inhabitant)

    def leave(self, inhabitant: Inhabitant) -> None:
        """The app is closed."""
        self._inhabitants.remove(inhabitant)

    @property
    def inhabitants(self) -> tuple[Inhabitant, ...]:
        """The apps that live by this clock."""
        return tuple(self._inhabitants)

    def next_due_ms(self) -> int | None:
        """When the next timer is due, in milliseconds since 1970."""
        while self._pending and self._pending[0][2].call is None:
            heapq.heappop(self._pending)
        return self._pending[0][0] if self._pending else None

    def move_to(self, moment_ms: int) -> None:
        """It is that time now; what is due is called on the loop's next turn, in order."""
        self._now = max(self._now, moment_ms)
        loop = asyncio.get_running_loop()
        while self._pending and self._pending[0][0] <= self._now:
            pending = heapq.heappop(self._pending)[2]
            if pending.call is not None:
                loop.call_soon(_call, pending, context=pending.context)

    def __repr__(self) -> str:
        return f"<VirtualClock {self.date().isoformat()}>"


def _call(pending: _Pending) -> None:
    """Unless it was cancelled in the same turn."""
    if pending.call is not None:
        pending.call()


def _milliseconds(moment: datetime | str) -> int:
    """Milliseconds since 1970; raises ValueError for a moment without a time zone."""
    when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    if when.tzinfo is None:
        raise ValueError(
            f"{moment!r} has no time zone: write '2026-03-01T09:00:00+00:00', or datetime(..., tzinfo=UTC)"
        )
    return round(when.timestamp() * 1_000)

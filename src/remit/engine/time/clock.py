"""The one door through which time comes in: what the engine asks of a clock, and the clock of the real world (L21)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock", "Timer"]


class Timer(Protocol):
    """A call that is yet to come."""

    def cancel(self) -> None:
        """Let it not come."""


class Clock(Protocol):
    """Time as executions live it: sleeps, timeouts, TTLs, backoff, schedules. A test brings one of its own.

    How long the engine itself takes over something (a commit, a look at its branches) is no business of this clock.
    """

    def now(self) -> int:
        """Milliseconds since 1970; never earlier than before."""

    def call_later(self, delay_ms: int, call: Callable[[], None]) -> Timer:
        """Call on the running event loop after so many milliseconds."""

    def date(self) -> datetime:
        """What calendars show, in UTC."""


class SystemClock:
    """The wall clock once, at the start, and a monotonic clock from then on, whatever the wall clock does; a `Clock`."""

    __slots__ = ("_offset",)

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int((time.monotonic() + self._offset) * 1_000)

    def call_later(self, delay_ms: int, call: Callable[[], None]) -> Timer:
        """Call on the running event loop after so many milliseconds."""
        return asyncio.get_running_loop().call_later(delay_ms / 1_000, call)

    def date(self) -> datetime:
        """The wall clock as it is set now."""
        return datetime.now(UTC)

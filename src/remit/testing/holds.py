"""Where fakes wait: futures that an app knows of, so that hanging is told from being at work."""

from __future__ import annotations

import asyncio

from remit.engine.time.clock import Clock

__all__ = ["Holds"]


class Holds:
    """The futures in which fakes hang or wait for the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.futures: set[asyncio.Future[None]] = set()

    async def wait(self, delay_ms: int | None, limit_ms: int | None = None, what: str = "") -> None:
        """Wait so long, or for ever; raises TimeoutError where `limit_ms` is up first."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timers = []
        if delay_ms is not None and (limit_ms is None or delay_ms <= limit_ms):
            timers.append(self._clock.call_later(delay_ms, lambda: _give(future, None)))
        elif limit_ms is not None:
            late = TimeoutError(f"{what} took longer than its timeout of {limit_ms} ms")
            timers.append(self._clock.call_later(limit_ms, lambda: _give(future, late)))
        self.futures.add(future)
        try:
            await future
        finally:
            self.futures.discard(future)
            for timer in timers:
                timer.cancel()


def _give(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)

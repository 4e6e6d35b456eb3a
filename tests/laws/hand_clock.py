"""A clock that a test moves by hand, and an app that lives by it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

from remit import Remit

__all__ = ["HandClock", "by_hand"]


class _Call:
    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class HandClock:
    """Stands still between two moves; what is due on the way of a move is called at its own time."""

    def __init__(self, start: str) -> None:
        self._now = int(datetime.fromisoformat(start).timestamp() * 1_000)
        self._calls: list[tuple[int, int, _Call]] = []
        self._order = count()

    def now(self) -> int:
        return self._now

    def date(self) -> datetime:
        return datetime.fromtimestamp(self._now / 1_000, UTC)

    def call_later(self, delay_ms: int, call: Callable[[], None]) -> _Call:
        pending = _Call(call)
        heapq.heappush(self._calls, (self._now + delay_ms, next(self._order), pending))
        return pending

    async def to(self, moment: str) -> None:
        """Move on to that time; whatever begins on the way has real time to run."""
        target = int(datetime.fromisoformat(moment).timestamp() * 1_000)
        while self._calls and self._calls[0][0] <= target:
            due, _, pending = heapq.heappop(self._calls)
            self._now = max(self._now, due)
            if pending.call is not None:
                pending.call()
                await asyncio.sleep(0.002)
        self._now = target
        await asyncio.sleep(0.01)


def by_hand(clock: HandClock, store: str = ":memory:", **options: Any) -> Remit:
    """An app that lives by the clock."""

    class ByHand(Remit):
        def _clock(self) -> HandClock:
            return clock

    return ByHand(store, **options)

"""Which running executions reach the end of their TTL when: buckets of time, so that a child costs one set entry (L21, L22)."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from remit.engine.node import Node
from remit.engine.time.clock import Clock, Timer

__all__ = ["Leases"]

_BUCKET_MS = 100


class Leases:
    """Running TTL clocks. `on_expiry` is called at most two buckets (0.2 s) after a clock ran out."""

    def __init__(self, clock: Clock, on_expiry: Callable[[Node], None]) -> None:
        self._clock = clock
        self._on_expiry = on_expiry
        self._buckets: dict[int, dict[int, Node]] = {}
        self._bucket_of: dict[int, int] = {}
        self._order: list[int] = []
        self._timer: Timer | None = None
        self._armed_for = 0

    def watch(self, node: Node) -> None:
        """The execution's clock runs."""
        expires_at = node.clock.expires_at()
        if expires_at is None:
            return
        self.forget(node)
        number = expires_at // _BUCKET_MS + 1
        self._bucket_of[node.record.n] = number
        bucket = self._buckets.get(number)
        if bucket is not None:
            bucket[node.record.n] = node
            return
        self._buckets[number] = {node.record.n: node}
        heapq.heappush(self._order, number)
        if self._timer is None or number < self._armed_for:
            self._arm()

    def forget(self, node: Node) -> None:
        """The execution's clock stands still."""
        number = self._bucket_of.pop(node.record.n, None)
        bucket = self._buckets.get(number) if number is not None else None
        if bucket is not None:
            bucket.pop(node.record.n, None)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._order and not self._buckets[self._order[0]]:
            del self._buckets[heapq.heappop(self._order)]
        if self._order:
            self._armed_for = self._order[0]
            delay_ms = max(0, self._armed_for * _BUCKET_MS - self._clock.now())
            self._timer = self._clock.call_later(delay_ms, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._clock.now()
        while self._order and self._order[0] * _BUCKET_MS <= now:
            number = heapq.heappop(self._order)
            # Out of the table first: settling one expiry starts and stops the clocks of others.
            for node in list(self._buckets.pop(number).values()):
                if self._bucket_of.get(node.record.n) == number:
                    del self._bucket_of[node.record.n]
                if not node.clock.left(now):  # also where the end of another in this bucket has just stopped the clock
                    self._on_expiry(node)
        self._arm()

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()

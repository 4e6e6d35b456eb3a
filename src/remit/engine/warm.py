"""Which parked executions stay in memory: the most recent; the others are replayed when they are woken."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remit.engine.body.run import Run
    from remit.engine.engine import Engine

__all__ = ["WARM_LIMIT", "Warm"]

WARM_LIMIT = 2_000


class Warm:
    """Parked runs, least recently parked first."""

    def __init__(self, engine: Engine, limit: int = WARM_LIMIT) -> None:
        self._engine = engine
        self._limit = limit
        self._runs: dict[Run, None] = {}
        self._scheduled = False

    def parked(self, run: Run) -> None:
        """The run has parked; if nothing below it runs either, it may leave memory some time."""
        self._runs.pop(run, None)
        self._runs[run] = None
        if len(self._runs) > self._limit and not self._scheduled:
            self._scheduled = True
            self._engine.loop.call_soon(self._evict)

    def forget(self, run: Run) -> None:
        """The run is over."""
        self._runs.pop(run, None)

    def _evict(self) -> None:
        self._scheduled = False
        for run in list(self._runs)[: len(self._runs) - self._limit]:
            del self._runs[run]
            node = run.node
            if not run.valid:
                continue
            if node.parked and not node.ticking and not run.delivery.owing:
                self._engine.evict(run)
            else:
                self._runs[run] = None

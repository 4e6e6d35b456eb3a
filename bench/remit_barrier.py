"""How long an execution waits for durability before each step, alone and among tasks that keep the loop busy.

The wait is timed around the engine's own barrier; the gaps between steps are what the body sees of it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

from measure import arguments, percentile, report, scratch
from work import meter, opened, run, steps_only

from remit.engine.durability import Durability

BUSY_TASKS = 20
BURN_S = 35e-6


class Waits:
    """Times every wait at the barrier once installed; a barrier with nothing to wait for is not counted."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._barrier = Durability.barrier

    def install(self) -> None:
        async def timed(durability: Durability) -> None:
            if durability.clean:
                return
            start = time.perf_counter()
            await self._barrier(durability)
            self.seconds.append(time.perf_counter() - start)

        Durability.barrier = timed  # type: ignore[method-assign]

    def taken(self) -> list[float]:
        """The waits since this was last asked."""
        taken, self.seconds = self.seconds, []
        return taken


async def burn() -> None:
    """Hold the loop for 35 microseconds, let the others have it, and again."""
    while True:
        until = time.perf_counter() + BURN_S
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0)


async def measure(path: Path, count: int) -> tuple[list[float], list[float], list[float]]:
    """Waits when idle, waits under load, and times of whole steps under load, in seconds."""
    waits = Waits()
    waits.install()
    async with opened(path) as app:
        await run(app, steps_only, min(count, 50))
        waits.taken()
        await run(app, steps_only, count)
        idle = waits.taken()
        busy = [asyncio.create_task(burn()) for _ in range(BUSY_TASKS)]
        meter.calls.clear()
        await run(app, steps_only, count)
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        return idle, waits.taken(), meter.calls


def main() -> None:
    options = arguments(__doc__, count=2000)
    with scratch() as folder:
        idle, loaded, steps = asyncio.run(measure(folder / "remit.db", options.count))
    report(
        p50_ms=statistics.median(loaded) * 1e3,
        p99_ms=percentile(loaded, 0.99) * 1e3,
        max_ms=max(loaded) * 1e3,
        idle_p50_ms=statistics.median(idle) * 1e3,
        idle_p99_ms=percentile(idle, 0.99) * 1e3,
        step_p50_ms=statistics.median(steps) * 1e3,
        step_p99_ms=percentile(steps, 0.99) * 1e3,
        barriers=len(loaded),
    )


if __name__ == "__main__":
    main()

"""How long an execution waits for durability before each step, alone and among tasks that keep the loop busy.

The wait is timed around the engine's own barrier; the gaps between steps are what the body sees of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
from measure import arguments, percentile, report, scratch
from work import meter, opened, run, steps_only

from remit.engine.durability import Durability

BUSY_TASKS = 20
BURN_S = 35e-6
TURNS = 5  # that Remit and the bare commits take, so that noise hits both


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


async def bare_commits(path: Path, count: int) -> list[float]:
    """Seconds of one small commit and one turn of the loop: what disk and busy tasks take without Remit."""
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL").fetchall()
    connection.execute("CREATE TABLE IF NOT EXISTS rows (number INTEGER PRIMARY KEY, payload BLOB)")
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        connection.execute("INSERT INTO rows (payload) VALUES (zeroblob(400))")
        await asyncio.sleep(0)
        seconds.append(time.perf_counter() - start)
    connection.close()
    return seconds


@asynccontextmanager
async def busy_loop() -> AsyncIterator[None]:
    busy = [asyncio.create_task(burn()) for _ in range(BUSY_TASKS)]
    yield
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)


async def measure(folder: Path, count: int) -> dict[str, list[float]]:
    """Waits when idle and under load, times of whole steps, and of bare commits in turn with them, in seconds."""
    waits = Waits()
    waits.install()
    loaded: list[float] = []
    bare: list[float] = []
    async with opened(folder / "remit.db") as app:
        await run(app, steps_only, min(count, 50))
        waits.taken()
        await run(app, steps_only, count)
        idle = waits.taken()
        meter.calls.clear()
        async with busy_loop():
            for _ in range(TURNS):
                await run(app, steps_only, count // TURNS)
                loaded += waits.taken()
                bare += await bare_commits(folder / "bare.db", count // TURNS)
    return {"": loaded, "idle_": idle, "step_": meter.calls, "bare_": bare}


def main() -> None:
    options = arguments(__doc__, count=2000)
    with scratch() as folder:
        measured = asyncio.run(measure(folder, options.count))
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    report(**{
        f"{prefix}{name}_ms": percentile(seconds, share) * 1e3
        for prefix, seconds in measured.items()
        for name, share in shares.items()
    })  # fmt: skip


if __name__ == "__main__":
    main()

"""Memory that executions add which wait for a human, in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import time
from pathlib import Path

import apsw
from measure import arguments, report, scratch
from work import Number, approval, opened

from remit import Remit

WAITING = "WAITING_HUMAN_INPUT"
WAVE = 1000  # starts in flight at once


def resident_mb() -> float:
    """This process's resident memory, as the operating system counts it."""
    gc.collect()
    listed = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, check=True)
    return int(listed.stdout) / 1024


async def park(app: Remit, count: int) -> None:
    """Start `count` executions, wave after wave, and let each wave come to rest."""
    for first in range(0, count, WAVE):
        numbers = range(first, min(first + WAVE, count))
        started = await asyncio.gather(*(app.start(approval, Number(number=n)) for n in numbers))
        while (await started[-1].record()).status != WAITING:  # noqa: ASYNC110 - a status has no event to wait for
            await asyncio.sleep(0.001)


def waiting_in(path: Path) -> int:
    """How many executions the file says are waiting."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(connection.execute("SELECT count(*) FROM executions WHERE status = ?", (WAITING,)).get)
    finally:
        connection.close()


async def measure(path: Path, count: int) -> tuple[float, float, float]:
    async with opened(path) as app:
        await park(app, 1)
        before = resident_mb()
        start = time.perf_counter()
        await park(app, count)
        seconds = time.perf_counter() - start
        await asyncio.sleep(0.5)
        if waiting_in(path) != count + 1:
            raise RuntimeError(f"{waiting_in(path)} executions wait, not the {count + 1} that were started")
        return before, resident_mb(), seconds


def main() -> None:
    options = arguments(__doc__, count=100_000)
    with scratch() as folder:
        before, after, seconds = asyncio.run(measure(folder / "remit.db", options.count))
    rate = options.count / seconds
    report(added_mb=after - before, before_mb=before, waiting=options.count, started_per_s=rate)


if __name__ == "__main__":
    main()

"""From opening the store of a process that died to its parent being live again behind its recorded calls."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from measure import arguments, report, scratch
from work import PATIENCE, Children, long_history, meter, opened

DIED = 9


async def build(path: Path, count: int) -> None:
    """Make the history, let its last commit reach the disk, and die without a word."""
    async with opened(path) as app:
        await app.start(long_history, Children(count=count))
        await asyncio.wait_for(meter.live.wait(), PATIENCE)
        await asyncio.sleep(1)
        os._exit(DIED)


async def recover(path: Path) -> tuple[float, float]:
    """Seconds until the store is open, and until the parent is live."""
    start = time.perf_counter()
    async with opened(path):
        opening = time.perf_counter() - start
        await asyncio.wait_for(meter.live.wait(), PATIENCE)
        return opening, time.perf_counter() - start


def main() -> None:
    options = arguments(__doc__, count=10_000, store="")
    if options.store:
        asyncio.run(build(Path(options.store), options.count))
    with scratch() as folder:
        path = folder / "remit.db"
        builder = [sys.executable, __file__, f"--count={options.count}", f"--store={path}"]
        died = subprocess.run(builder, check=False).returncode
        if died != DIED:
            raise RuntimeError(f"the process that was to make the history ended with {died}")
        opening, live = asyncio.run(recover(path))
    report(live_s=live, opening_s=opening, calls=options.count, steps_run_again=meter.steps)


if __name__ == "__main__":
    main()

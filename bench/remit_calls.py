"""The sequential and the fan-out rows on Remit, with the syncs that the file took, counted below SQLite."""

from __future__ import annotations

import asyncio
import shutil
import statistics
from pathlib import Path
from typing import Any

from measure import arguments, report, scratch, timings
from stored import rows_in
from work import all_at_once, one_after_another, opened, run

from remit import Remit
from remit.testing.faults import CountingVFS, FileKind

SHAPES = {"sequential": one_after_another, "fanout": all_at_once}


async def measure(path: Path, shape: str, count: int, seconds: float, least: int) -> list[float]:
    async with opened(path) as app:
        await run(app, SHAPES[shape], min(count, 20))
        return await timings(lambda: run(app, SHAPES[shape], count), seconds, least)


async def syncs_per_child(path: Path, shape: str, count: int) -> float:
    """Syncs of `count` children less those of one, so that opening, starting and ending do not count.

    A run of its own, because counting costs time; the least of three, because the engine commits what has
    waited too long, and so a pause of the machine adds a sync.
    """
    with CountingVFS() as vfs:
        async with opened(path, vfs=vfs.name) as app:
            await run(app, SHAPES[shape], 1)
            few, many = [
                min([await syncs_of(vfs, app, SHAPES[shape], children) for _ in range(3)])
                for children in (1, count)
            ]
    return (many - few) / (count - 1)


async def syncs_of(vfs: CountingVFS, app: Remit, parent: Any, count: int) -> int:
    with vfs.counting() as counts:
        await run(app, parent, count)
    return counts.syncs[FileKind.WAL]


def main() -> None:
    options = arguments(__doc__, shape="sequential", count=200, seconds=1.0, least=3, keep="")
    with scratch() as folder:
        path = folder / "remit.db"
        durations = asyncio.run(measure(path, options.shape, options.count, options.seconds, options.least))
        children = min(options.count, 20) + options.count * len(durations)
        rows = sum(rows_in(path).values()) / children
        if options.keep:
            shutil.copyfile(path, options.keep)
        syncs = asyncio.run(syncs_per_child(folder / "counted.db", options.shape, options.count))
    each = statistics.median(durations) / options.count
    report(
        ms_per_child=each * 1e3,
        children_per_s=1 / each,
        parents=len(durations),
        syncs_per_child=syncs,
        rows_per_s=rows / each,
    )


if __name__ == "__main__":
    main()

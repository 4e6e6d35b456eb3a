"""Whether a call of ten thousand at once costs what one of a thousand does.

One parent of ten times the children against ten parents one after the other, in turns in one process: the
same number of calls on either side, and what the machine does from second to second hits both. The ratio is
the median of the pairs' own.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path

from measure import arguments, report, scratch
from work import all_at_once, opened, run

from remit import Remit

TIMES = 10


async def seconds_of(app: Remit, parents: int, count: int) -> float:
    start = time.perf_counter()
    for _ in range(parents):
        await run(app, all_at_once, count)
    return time.perf_counter() - start


async def measure(path: Path, count: int, pairs: int) -> tuple[list[float], list[float]]:
    """Seconds for `TIMES * count` children, pair by pair: of several parents, and of one."""
    several: list[float] = []
    one: list[float] = []
    async with opened(path) as app:
        await run(app, all_at_once, count)
        sides = ((several, TIMES, count), (one, 1, TIMES * count))
        for turn in range(pairs):
            for kept, parents, children in sides if turn % 2 else reversed(sides):
                kept.append(await seconds_of(app, parents, children))
    return several, one


def main() -> None:
    options = arguments(__doc__, count=1_000, pairs=12)
    with scratch() as folder:
        several, one = asyncio.run(measure(folder / "remit.db", options.count, options.pairs))
    children = TIMES * options.count
    report(
        children_per_s=children / statistics.median(one),
        children_per_s_of_several=children / statistics.median(several),
        rate_ratio=statistics.median(few / many for few, many in zip(several, one, strict=True)),
    )


if __name__ == "__main__":
    main()

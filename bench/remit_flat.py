"""What a call costs in a file with many finished executions and in an empty one, alternately in one process.

The large file is built by the engine itself, once per schema, and kept beside the environments.
"""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path

from measure import STORES, arguments, percentile, report, scratch
from stored import rows_in, schema_digest
from work import all_at_once, meter, one_after_another, opened, run

from remit import Remit

FAMILY = 9_999  # children of one root: ten thousand executions with it
BLOCK = 50  # calls in one file before the other has its turn


async def fill(path: Path, executions: int) -> None:
    """Add families of finished executions until the file holds as many as asked for."""
    async with opened(path) as app:
        while (missing := executions - rows_in(path)["executions"]) > 0:
            await run(app, all_at_once, min(FAMILY, missing))


async def calls(app: Remit) -> list[float]:
    """Seconds of each call in one block, seen from the caller's body."""
    meter.calls.clear()
    await run(app, one_after_another, BLOCK)
    return list(meter.calls)


async def measure(large: Path, empty: Path, blocks: int) -> tuple[list[float], list[float]]:
    seconds: tuple[list[float], list[float]] = ([], [])
    async with opened(large) as full, opened(empty) as fresh:
        for app in (full, fresh):
            await calls(app)
        for turn in range(blocks):
            pair = [(full, seconds[0]), (fresh, seconds[1])]
            for app, kept in pair if turn % 2 else reversed(pair):
                kept.extend(await calls(app))
    return seconds


async def schema(folder: Path) -> str:
    async with opened(folder / "schema.db"):
        return schema_digest(folder / "schema.db")


def main() -> None:
    options = arguments(__doc__, executions=1_000_000, blocks=80, cache=str(STORES))
    with scratch() as folder:
        large = Path(options.cache, f"finished-{options.executions}-{asyncio.run(schema(folder))}.db")
        asyncio.run(fill(large, options.executions))
        full, fresh = asyncio.run(measure(large, folder / "empty.db", options.blocks))
        finished = rows_in(large)["executions"]
    report(
        finished=finished,
        mean_ratio=statistics.mean(full) / statistics.mean(fresh),
        p99_ratio=percentile(full, 0.99) / percentile(fresh, 0.99),
        full_mean_ms=statistics.mean(full) * 1e3,
        empty_mean_ms=statistics.mean(fresh) * 1e3,
        full_p99_ms=percentile(full, 0.99) * 1e3,
        empty_p99_ms=percentile(fresh, 0.99) * 1e3,
    )


if __name__ == "__main__":
    main()

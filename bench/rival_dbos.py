"""The sequential and the fan-out rows on DBOS, its system database in SQLite (WAL, synchronous=FULL)."""

from __future__ import annotations

import asyncio
import statistics
from typing import Any

import sqlalchemy
from dbos import DBOS
from measure import arguments, report, scratch, timings

pragmas_seen: set[tuple[str, int]] = set()


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def make_durable(connection: Any, _record: object) -> None:
    """Every connection of every engine is switched, and asked what it now does."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    journal = connection.execute("PRAGMA journal_mode").fetchone()[0]
    synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
    pragmas_seen.add((journal, synchronous))


@DBOS.step()
async def add_one(number: int) -> int:
    return number + 1


@DBOS.workflow()
async def child(number: int) -> int:
    return await add_one(number)


@DBOS.workflow()
async def one_after_another(count: int) -> int:
    return sum([await child(number) for number in range(count)])


@DBOS.workflow()
async def all_at_once(count: int) -> int:
    return sum(await asyncio.gather(*(child(number) for number in range(count))))


SHAPES = {"sequential": one_after_another, "fanout": all_at_once}


async def measure(shape: str, count: int, seconds: float, least: int) -> list[float]:
    async def parent() -> None:
        total = await SHAPES[shape](count)
        if total != count * (count + 1) // 2:
            raise RuntimeError(f"DBOS answered {total} for {count} children")

    await SHAPES[shape](min(count, 20))
    return await timings(parent, seconds, least)


def main() -> None:
    options = arguments(__doc__, shape="sequential", count=200, seconds=1.0, least=1)
    with scratch() as folder:
        url = f"sqlite:///{folder / 'dbos.db'}"
        DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
        DBOS.launch()
        durations = asyncio.run(measure(options.shape, options.count, options.seconds, options.least))
        DBOS.destroy()
    if pragmas_seen != {("wal", 2)}:
        raise RuntimeError(f"DBOS connections were not all WAL and FULL: {pragmas_seen}")
    each = statistics.median(durations) / options.count
    report(ms_per_child=each * 1e3, children_per_s=1 / each, parents=len(durations))


if __name__ == "__main__":
    main()

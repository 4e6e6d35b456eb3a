"""The floor of the sequential row: one small commit after another (WAL, synchronous=FULL), with no engine."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import apsw
from measure import arguments, report, scratch


def commits(path: Path, count: int) -> list[float]:
    """Seconds of each commit of one row of 400 bytes."""
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL").fetchall()
    connection.execute("CREATE TABLE rows (number INTEGER PRIMARY KEY, payload BLOB)")
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        connection.execute("INSERT INTO rows (payload) VALUES (zeroblob(400))")
        seconds.append(time.perf_counter() - start)
    connection.close()
    return seconds


def main() -> None:
    options = arguments(__doc__, count=1000)
    with scratch() as folder:
        report(ms_per_commit=statistics.median(commits(folder / "raw.db", options.count)) * 1e3)


if __name__ == "__main__":
    main()

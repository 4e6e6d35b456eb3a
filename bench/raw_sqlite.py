"""The yardstick: the rows that Remit wrote, inserted by apsw in groups (WAL, FULL), with no engine."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import apsw
from measure import arguments, report, scratch
from stored import schema_of, tables_in

Rows = list[tuple[Any, ...]]


def read(like: str) -> tuple[list[str], dict[str, Rows]]:
    """The schema, and table → rows, of a file that Remit left."""
    connection = apsw.Connection(like, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        tables = tables_in(connection)
        rows = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}
        return schema_of(connection), rows
    finally:
        connection.close()


def write(path: Path, schema: list[str], tables: dict[str, Rows], group: int) -> float:
    """Seconds that the inserts take, `group` rows to a transaction."""
    connection = apsw.Connection(str(path))
    if connection.execute("PRAGMA journal_mode=WAL").get != "wal":
        raise RuntimeError("SQLite refused WAL")
    connection.execute("PRAGMA synchronous=FULL")
    for statement in schema:
        connection.execute(statement)
    start = time.perf_counter()
    for name, rows in tables.items():
        if rows:
            insert = f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(rows[0]))})'
            for first in range(0, len(rows), group):
                with connection:
                    connection.executemany(insert, rows[first : first + group])
    seconds = time.perf_counter() - start
    connection.close()
    return seconds


def main() -> None:
    options = arguments(__doc__, like="", group=1000, least=3)
    schema, tables = read(options.like)
    count = sum(map(len, tables.values()))
    with scratch() as folder:
        durations = [write(folder / f"{n}.db", schema, tables, options.group) for n in range(options.least)]
    report(rows_per_s=count / statistics.median(durations), rows=count)


if __name__ == "__main__":
    main()

"""What a closed SQLite file holds: rows by table, bytes, its schema; read with apsw, as Remit reads it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import apsw

__all__ = ["compact_bytes", "rows_in", "schema_digest", "schema_of", "tables_in"]


def tables_in(connection: apsw.Connection) -> list[str]:
    """The tables with rows of their own, in order of creation."""
    listing = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    return [str(name) for (name,) in connection.execute(listing)]


def schema_of(connection: apsw.Connection) -> list[str]:
    """The statements that make the same tables and indexes elsewhere."""
    listing = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    return [str(sql) for (sql,) in connection.execute(listing)]


def rows_in(path: Path) -> dict[str, int]:
    """Table → number of rows."""
    connection = apsw.Connection(str(path))
    try:
        counts = {
            name: connection.execute(f'SELECT count(*) FROM "{name}"') for name in tables_in(connection)
        }
        return {name: int(count.get) for name, count in counts.items()}
    finally:
        connection.close()


def compact_bytes(path: Path) -> int:
    """The size of the file once nothing in it is free: a copy made by VACUUM INTO."""
    copy = path.with_suffix(".compact")
    connection = apsw.Connection(str(path))
    try:
        connection.execute("VACUUM INTO ?", (str(copy),))
    finally:
        connection.close()
    size = copy.stat().st_size
    copy.unlink()
    return size


def schema_digest(path: Path) -> str:
    """Eight hex digits that change with the file's tables and indexes."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return hashlib.sha256("\n".join(schema_of(connection)).encode()).hexdigest()[:8]
    finally:
        connection.close()

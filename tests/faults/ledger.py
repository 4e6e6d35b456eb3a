"""A tiny ledger on plain apsw: the application with which the fault harness is itself put to the test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw

__all__ = ["DATABASE", "check_books", "entries", "open_ledger", "post", "post_all", "recovered_entries"]

DATABASE = "ledger.db"
_ACCOUNTS = 12
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS balance (account INTEGER PRIMARY KEY, amount INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, source INTEGER, target INTEGER, memo TEXT);
    CREATE INDEX IF NOT EXISTS entry_by_target ON entry (target, memo);
"""
_ADD = "INSERT INTO balance VALUES (?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"


def open_ledger(
    directory: Path, vfs: str | None = None, journal: str = "wal", synchronous: str = "full"
) -> apsw.Connection:
    """Opens or creates the ledger; it checkpoints often, so that every kind of write falls under a cut."""
    connection = apsw.Connection(str(directory / DATABASE), vfs=vfs)
    try:
        connection.pragma("synchronous", synchronous)
        connection.pragma("journal_mode", journal)
        connection.pragma("wal_autocheckpoint", 12)
        connection.execute(_SCHEMA)
    except apsw.Error:
        connection.close()
        raise
    return connection


def post(connection: apsw.Connection, number: int) -> None:
    """Moves one unit between two accounts and records it, in one transaction; returns once committed."""
    source, target = number % _ACCOUNTS, number * 7 % _ACCOUNTS
    with connection:
        connection.execute(_ADD, (source, -1))
        connection.execute(_ADD, (target, 1))
        row = (number, source, target, "memo " * (number % 90))
        connection.execute("INSERT INTO entry VALUES (?, ?, ?, ?)", row)


def post_all(connection: apsw.Connection, count: int, acknowledge: Callable[[int], None]) -> None:
    """Posts entries 1 to `count`, acknowledging each when its commit has returned."""
    for number in range(1, count + 1):
        post(connection, number)
        acknowledge(number)


def entries(connection: apsw.Connection) -> set[int]:
    """The numbers of all entries."""
    return {number for (number,) in connection.execute("SELECT id FROM entry")}


def check_books(connection: apsw.Connection) -> None:
    """Asserts that the file is intact and that no entry was booked by half."""
    assert connection.pragma("integrity_check") == "ok"
    expected: Counter[int] = Counter()
    for source, target in connection.execute("SELECT source, target FROM entry"):
        expected[source] -= 1
        expected[target] += 1
    assert dict(connection.execute("SELECT account, amount FROM balance")) == expected


def recovered_entries(directory: Path, journal: str = "wal") -> set[int]:
    """The entries that a program finds in what a cut left behind; checks the books, and that work goes on."""
    with closing(open_ledger(directory, journal=journal)) as connection:
        check_books(connection)
        found = entries(connection)
        post(connection, 1_000_000)
        return found

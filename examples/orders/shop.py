"""What the departments' steps work with, given to Remit as `resources`: the shop's books, and where others are reached."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from remit import current

__all__ = ["Shop", "note", "the_shop"]

_SETTINGS = "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000;"


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop's books in one SQLite file, and where the payment provider and the carriers are, with the shop's token there."""

    books: Path
    outside: str
    token: str

    def open(self) -> None:
        """Begin the books where there are none; half-made ones are never seen."""
        if self.books.exists():
            return
        self.books.parent.mkdir(parents=True, exist_ok=True)
        draft = self.books.with_name(f"{self.books.name}.{os.getpid()}.draft")
        draft.unlink(missing_ok=True)
        script = Path(__file__).with_name("shop.sql").read_text(encoding="utf-8")
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.executescript(f"BEGIN; {script} COMMIT;")
        draft.replace(self.books)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One write transaction: committed and on disk when the block ends, undone when it raises."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the books."""
        with self._connected() as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        uri = f"{self.books.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            connection.executescript(_SETTINGS)
            yield connection


def the_shop() -> Shop:
    """The shop that the running step belongs to."""
    return cast("Shop", current().resources)


def note(books: sqlite3.Connection, ref: str, what: str) -> None:
    """Write a line of the diary, in the transaction of what it speaks of."""
    books.execute("INSERT INTO diary (ref, what) VALUES (?, ?)", (ref, what))

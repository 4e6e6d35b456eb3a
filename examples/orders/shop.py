"""What the departments' steps work with, given to Remit as `resources`: the shop's books, and where others are reached."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from examples import books
from remit import current

__all__ = ["Shop", "note", "the_shop"]


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop's books in one SQLite file, and where the payment provider and the carriers are, with the shop's token there."""

    books: Path
    outside: str
    token: str

    def open(self) -> None:
        """Begin the books where there are none."""
        books.begin(self.books, Path(__file__).with_name("shop.sql").read_text(encoding="utf-8"))

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """One write transaction: committed and on disk when the block ends, undone when it raises."""
        return books.writing(self.books)

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """One consistent view of the books."""
        return books.reading(self.books)


def the_shop() -> Shop:
    """The shop that the running step belongs to."""
    return cast("Shop", current().resources)


def note(books: sqlite3.Connection, ref: str, what: str) -> None:
    """Write a line of the diary, in the transaction of what it speaks of."""
    books.execute("INSERT INTO diary (ref, what) VALUES (?, ?)", (ref, what))

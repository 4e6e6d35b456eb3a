"""Books in one SQLite file, as the examples keep them: begun whole or not at all, written and read in transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

__all__ = ["begin", "connected", "reading", "writing"]

_SETTINGS = "PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000;"


def begin(books: Path, script: str) -> None:
    """Create the books with a script of SQL where there are none yet; half-made ones are never seen."""
    if books.exists():
        return
    books.parent.mkdir(parents=True, exist_ok=True)
    draft = books.with_name(f"{books.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.executescript(f"BEGIN; {script} COMMIT;")
    draft.replace(books)


@contextmanager
def writing(books: Path) -> Iterator[sqlite3.Connection]:
    """One write transaction: committed and on disk when the block ends, undone when it raises."""
    with connected(books) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


@contextmanager
def reading(books: Path) -> Iterator[sqlite3.Connection]:
    """One consistent view of the books."""
    with connected(books) as connection:
        connection.execute("BEGIN")
        yield connection


@contextmanager
def connected(books: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose statements are committed one by one; raises where there are no books."""
    with closing(sqlite3.connect(f"{books.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.executescript(_SETTINGS)
        yield connection

"""The embedded store: one SQLite file through apsw, one owner per file."""

from __future__ import annotations

from remit.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]

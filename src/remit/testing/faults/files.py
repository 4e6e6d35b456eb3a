"""What every fault-injecting VFS shares: kinds of database files, and registration for one block."""

from __future__ import annotations

import itertools
from enum import StrEnum
from types import TracebackType
from typing import Self

import apsw

__all__ = ["CREATED_DURABLY", "FileKind", "ScopedVFS", "file_kind", "file_name"]

_KIND_FLAGS = (
    (apsw.SQLITE_OPEN_MAIN_DB, "main"),
    (apsw.SQLITE_OPEN_WAL, "wal"),
    (apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL, "journal"),
)
_serial = itertools.count(1)


class FileKind(StrEnum):
    """The role of a file that SQLite opens through a VFS (it does not open `-shm` through one)."""

    MAIN = "main"
    WAL = "wal"
    JOURNAL = "journal"
    TEMPORARY = "temporary"


#: The kinds whose first sync after creation also syncs the directory, as SQLite's unix VFS does it.
CREATED_DURABLY = frozenset({FileKind.WAL, FileKind.JOURNAL})


def file_kind(flags: int) -> FileKind:
    """The kind that the input flags of `xOpen` stand for."""
    for mask, kind in _KIND_FLAGS:
        if flags & mask:
            return FileKind(kind)
    return FileKind.TEMPORARY


def file_name(name: str | apsw.URIFilename | None) -> str | None:
    """The absolute path that `xOpen` received; None for a nameless temporary file."""
    return name.filename() if isinstance(name, apsw.URIFilename) else name


class ScopedVFS(apsw.VFS):
    """A registered VFS over `base` ("" is the default one) that is unregistered when its `with` block ends.

    `name` is what `apsw.Connection(path, vfs=name)` and `sqlite:///path?vfs=name` take; by default it
    is unique in the process. Close every connection before the block ends.
    """

    def __init__(self, name: str | None = None, base: str = "") -> None:
        self.name = name or f"{type(self).__name__.lower()}-{next(_serial)}"
        self.base = base
        super().__init__(self.name, base)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unregister()

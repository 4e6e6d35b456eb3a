"""The ordered record of everything a database did to its disk, with the caller's acknowledgements between."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

__all__ = [
    "Create",
    "Delete",
    "DirectorySync",
    "DiskLog",
    "DiskOperation",
    "Sync",
    "Truncate",
    "Write",
]


@dataclass(frozen=True, slots=True)
class Create:
    """A name was bound to a new, empty file; durable with the next sync of the directory."""

    name: str
    inode: int


@dataclass(frozen=True, slots=True)
class Delete:
    """A name was removed; durable with the next sync of the directory."""

    name: str


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes were written at an offset; durable with the next sync of the file."""

    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file was cut to a size in bytes; durable with the next sync of the file."""

    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """All earlier writes and truncations of the file became durable."""

    inode: int


@dataclass(frozen=True, slots=True)
class DirectorySync:
    """All earlier creations and deletions became durable."""


DiskOperation = Create | Delete | Write | Truncate | Sync | DirectorySync


@dataclass(slots=True)
class DiskLog:
    """Operations in order, the files that were there before them, and marks set between them.

    A *point* n is the instant after the first n operations: 0 is before all, `len(log.operations)` after all.
    `baseline` maps a file's name to its inode and to the bytes it held, durably, before the log began.
    """

    operations: list[DiskOperation] = field(default_factory=list)
    baseline: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    _mark_points: list[int] = field(default_factory=list)
    _marks: list[object] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.operations)

    def mark(self, value: object) -> None:
        """Notes at the present point that `value` was acknowledged to somebody."""
        self._mark_points.append(len(self.operations))
        self._marks.append(value)

    def marks_until(self, point: int) -> list[object]:
        """The values that were acknowledged at or before `point`, in order."""
        return self._marks[: bisect_right(self._mark_points, point)]

"""A VFS that counts what reaches the disk, so that a test can say "exactly one sync"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import apsw
from typing_extensions import Buffer, override

from remit.testing.faults.files import FileKind, ScopedVFS, file_kind

__all__ = ["CountingVFS", "DiskCounts"]


@dataclass(slots=True)
class DiskCounts:
    """Calls of `xSync` and `xWrite`, and bytes written, by kind of file; a kind never touched is absent."""

    syncs: Counter[FileKind] = field(default_factory=Counter)
    writes: Counter[FileKind] = field(default_factory=Counter)
    bytes_written: Counter[FileKind] = field(default_factory=Counter)

    @property
    def total_syncs(self) -> int:
        """The syncs of all kinds together."""
        return self.syncs.total()


class CountingVFS(ScopedVFS):
    """Counts the syncs and writes of every connection that is opened through it.

    `counts` holds the totals since registration; `counting()` those of one block.
    """

    def __init__(self, name: str | None = None, base: str = "") -> None:
        self.counts = DiskCounts()
        self._listeners: list[DiskCounts] = [self.counts]
        super().__init__(name, base)

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        kind = file_kind(flags[0])
        return _CountingFile(self.base, name, flags, kind, self._listeners)

    @contextmanager
    def counting(self) -> Iterator[DiskCounts]:
        """Yields the counts of the block alone; they stand still when it ends."""
        block = DiskCounts()
        self._listeners.append(block)
        try:
            yield block
        finally:
            self._listeners[:] = [each for each in self._listeners if each is not block]


class _CountingFile(apsw.VFSFile):
    def __init__(
        self,
        base: str,
        name: str | apsw.URIFilename | None,
        flags: list[int],
        kind: FileKind,
        listeners: list[DiskCounts],
    ) -> None:
        self._kind = kind
        self._listeners = listeners
        super().__init__(base, name, flags)

    @override
    def xSync(self, flags: int) -> None:
        for counts in self._listeners:
            counts.syncs[self._kind] += 1
        super().xSync(flags)

    @override
    def xWrite(self, data: Buffer, offset: int) -> None:
        for counts in self._listeners:
            counts.writes[self._kind] += 1
            counts.bytes_written[self._kind] += memoryview(data).nbytes
        super().xWrite(data, offset)

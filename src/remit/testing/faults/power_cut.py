"""A VFS that records every disk operation, from which the disks after a power cut are derived."""

from __future__ import annotations

import itertools
from pathlib import Path

import apsw
from typing_extensions import Buffer, override

from remit.testing.faults.disk_log import Create, Delete, DirectorySync, DiskLog, Sync, Truncate, Write
from remit.testing.faults.files import CREATED_DURABLY, FileKind, ScopedVFS, file_kind, file_name

__all__ = ["PowerCutVFS"]


class PowerCutVFS(ScopedVFS):
    """Records writes, truncations, syncs, creations and deletions of one directory's database files in `log`.

    The files stay real (so WAL's shared memory works), but nothing is really synced: `log` says what is
    durable, and `images(log, cuts, …)` gives the disks. The directory counts as synced when SQLite's own VFS
    syncs it: at the first sync of a journal or WAL opened for creation, and at a deletion that asks for it.

    Raises ValueError when a database of a second directory is opened through it.
    """

    def __init__(self, name: str | None = None, base: str = "") -> None:
        self.log = DiskLog()
        self._directory: Path | None = None
        self._inodes = itertools.count(1)
        self._bound: dict[str, int] = {}
        super().__init__(name, base)

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        path, kind = file_name(name), file_kind(flags[0])
        if path is None or kind is FileKind.TEMPORARY:
            return apsw.VFSFile(self.base, name, flags)
        existed = Path(path).exists()
        file = _RecordingFile(self.base, name, flags, self.log)
        dirsync = kind in CREATED_DURABLY and bool(flags[0] & apsw.SQLITE_OPEN_CREATE)
        file.record(self._inode(path, existed), dirsync)
        return file

    @override
    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        name = self._relative(filename)
        self._bound.pop(name, None)
        self.log.operations.append(Delete(name))
        if syncdir:
            self.log.operations.append(DirectorySync())

    def _inode(self, path: str, existed: bool) -> int:
        name = self._relative(path)
        if existed and name in self._bound:
            return self._bound[name]
        inode = self._bound[name] = next(self._inodes)
        if existed:
            self.log.baseline[name] = (inode, Path(path).read_bytes())
        else:
            self.log.operations.append(Create(name, inode))
        return inode

    def _relative(self, path: str) -> str:
        directory, name = Path(path).parent, Path(path).name
        self._directory = self._directory or directory
        if directory != self._directory:
            raise ValueError(f"PowerCutVFS {self.name!r} records {self._directory}; use another one for {directory}")
        return name


class _RecordingFile(apsw.VFSFile):
    _log: DiskLog
    _inode: int
    _dirsync: bool

    def __init__(self, base: str, name: str | apsw.URIFilename | None, flags: list[int], log: DiskLog) -> None:
        self._log = log
        super().__init__(base, name, flags)

    def record(self, inode: int, dirsync: bool) -> None:
        self._inode = inode
        self._dirsync = dirsync

    @override
    def xWrite(self, data: Buffer, offset: int) -> None:
        self._log.operations.append(Write(self._inode, offset, bytes(data)))
        super().xWrite(data, offset)

    @override
    def xTruncate(self, newsize: int) -> None:
        self._log.operations.append(Truncate(self._inode, newsize))
        super().xTruncate(newsize)

    @override
    def xSync(self, flags: int) -> None:
        # The base is not called: these files are scratch, and a real sync would only cost time.
        self._log.operations.append(Sync(self._inode))
        if self._dirsync:
            self._log.operations.append(DirectorySync())
            self._dirsync = False

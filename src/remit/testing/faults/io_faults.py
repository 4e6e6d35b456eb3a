"""A VFS whose n-th disk operation fails: once, or from there on until the fault is repaired."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import apsw
from typing_extensions import Buffer, override

from remit.testing.faults.files import ScopedVFS
from remit.testing.faults.survival import SECTOR_BYTES

__all__ = ["Fault", "FaultyVFS", "Operation", "disk_full", "io_error", "torn_write"]


class Operation(StrEnum):
    """A disk operation that can be made to fail."""

    OPEN = "open"
    READ = "read"
    WRITE = "write"
    SYNC = "sync"
    TRUNCATE = "truncate"
    SIZE = "size"
    DELETE = "delete"


_CODES = {
    Operation.OPEN: apsw.SQLITE_CANTOPEN,
    Operation.READ: apsw.SQLITE_IOERR_READ,
    Operation.WRITE: apsw.SQLITE_IOERR_WRITE,
    Operation.SYNC: apsw.SQLITE_IOERR_FSYNC,
    Operation.TRUNCATE: apsw.SQLITE_IOERR_TRUNCATE,
    Operation.SIZE: apsw.SQLITE_IOERR_FSTAT,
    Operation.DELETE: apsw.SQLITE_IOERR_DELETE,
}
_NAMES = {**apsw.mapping_result_codes, **apsw.mapping_extended_result_codes}
_GROWING = frozenset({Operation.WRITE})
_ALL = frozenset(Operation)


@dataclass(frozen=True, slots=True)
class Fault:
    """Fails the `at`-th (1-based) of `operations` after arming and, if `lasting`, every later one too.

    `code` is an SQLite result code; None gives the operation's own. `torn` lets the first half of a write's
    sectors through before the error.
    """

    at: int
    operations: frozenset[Operation] = _ALL
    code: int | None = None
    lasting: bool = False
    torn: bool = False


def io_error(at: int, *, lasting: bool = False, operations: frozenset[Operation] = _ALL) -> Fault:
    """The `at`-th operation fails with its SQLITE_IOERR_* code (an open: SQLITE_CANTOPEN)."""
    return Fault(at, operations, lasting=lasting)


def disk_full(at: int) -> Fault:
    """Every write from the `at`-th on fails with SQLITE_FULL, until `FaultyVFS.repair()` frees space."""
    return Fault(at, _GROWING, apsw.SQLITE_FULL, lasting=True)


def torn_write(at: int, *, lasting: bool = False) -> Fault:
    """The `at`-th write reaches the disk by half, in whole sectors, and fails with SQLITE_IOERR_WRITE."""
    return Fault(at, _GROWING, lasting=lasting, torn=True)


class FaultyVFS(ScopedVFS):
    """Works normally until `arm(fault)`, and again after `repair()`.

    `seen` counts the operations since arming that the fault looks at, `fired` those that failed: one run
    with a fault too far away to strike tells how many points there are.
    """

    def __init__(self, name: str | None = None, base: str = "") -> None:
        self._fault: Fault | None = None
        self.seen = 0
        self.fired = 0
        super().__init__(name, base)

    def arm(self, fault: Fault) -> None:
        """Starts counting towards `fault`, which replaces an earlier one."""
        self.seen = self.fired = 0
        self._fault = fault

    def repair(self) -> None:
        """Lets every operation succeed again (the disk has room, the cable is back); the counts stay."""
        self._fault = None

    @override
    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        self.perhaps_fail(Operation.OPEN)
        return _FaultyFile(self, name, flags)

    @override
    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.perhaps_fail(Operation.DELETE)
        super().xDelete(filename, syncdir)

    def perhaps_fail(self, operation: Operation) -> None:
        """Raises the armed fault's error if this operation is the one."""
        fault = self.due(operation)
        if fault is not None:
            raise self.error(fault, operation)

    def due(self, operation: Operation) -> Fault | None:
        """Counts the operation, and gives the fault if it strikes here."""
        fault = self._fault
        if fault is None or operation not in fault.operations:
            return None
        self.seen += 1
        if self.seen < fault.at or (self.seen > fault.at and not fault.lasting):
            return None
        self.fired += 1
        return fault

    @staticmethod
    def error(fault: Fault, operation: Operation) -> Exception:
        """The exception that SQLite turns into the fault's result code."""
        code = _CODES[operation] if fault.code is None else fault.code
        error = apsw.exception_for(code)
        error.args = (f"injected {_NAMES.get(code, code)}",)
        return error


class _FaultyFile(apsw.VFSFile):
    def __init__(self, vfs: FaultyVFS, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._vfs = vfs
        super().__init__(vfs.base, name, flags)

    @override
    def xRead(self, amount: int, offset: int) -> bytes:
        self._vfs.perhaps_fail(Operation.READ)
        return super().xRead(amount, offset)

    @override
    def xWrite(self, data: Buffer, offset: int) -> None:
        fault = self._vfs.due(Operation.WRITE)
        if fault is None:
            super().xWrite(data, offset)
            return
        if fault.torn:
            half = memoryview(data).nbytes // 2 // SECTOR_BYTES * SECTOR_BYTES
            super().xWrite(memoryview(data)[:half], offset)
        raise self._vfs.error(fault, Operation.WRITE)

    @override
    def xSync(self, flags: int) -> None:
        self._vfs.perhaps_fail(Operation.SYNC)
        super().xSync(flags)

    @override
    def xTruncate(self, newsize: int) -> None:
        self._vfs.perhaps_fail(Operation.TRUNCATE)
        super().xTruncate(newsize)

    @override
    def xFileSize(self) -> int:
        self._vfs.perhaps_fail(Operation.SIZE)
        return super().xFileSize()

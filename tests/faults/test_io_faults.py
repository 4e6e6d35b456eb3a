"""The ledger under failing disks: whatever fails, books stay whole, and work goes on when the disk does."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from remit.testing.faults import Fault, FaultyVFS, Operation, disk_full, io_error, torn_write
from tests.faults.ledger import DATABASE, check_books, entries, open_ledger, post, recovered_entries

_POSTS = 12


def _post_under(vfs: FaultyVFS, fault: Fault, directory: Path) -> set[int]:
    """Posts while `fault` is armed, reopening on errors as a program would; gives what was acknowledged."""
    acknowledged = set()
    vfs.arm(fault)
    for number in range(1, _POSTS + 1):
        try:
            with closing(open_ledger(directory, vfs.name)) as connection:
                post(connection, number)
            acknowledged.add(number)
        except apsw.Error:
            assert vfs.fired
    vfs.repair()
    return acknowledged


def _points(directory: Path) -> int:
    """How many operations the workload has when nothing fails."""
    directory.mkdir()
    with FaultyVFS() as vfs:
        assert _post_under(vfs, io_error(10**9), directory) == set(range(1, _POSTS + 1))
        return vfs.seen


@pytest.mark.parametrize("make", [io_error, torn_write])
@pytest.mark.parametrize("lasting", [False, True])
def test_L46_every_operation_may_fail_and_nothing_acknowledged_is_lost(make, lasting, tmp_path, figure):
    points = _points(tmp_path / "measure")
    assert points > 100
    struck = 0
    for at in range(1, points + 1, figure(5, 1)):
        directory = tmp_path / str(at)
        directory.mkdir()
        with FaultyVFS() as vfs:
            acknowledged = _post_under(vfs, make(at, lasting=lasting), directory)
            struck += bool(vfs.fired)
        assert recovered_entries(directory).issuperset(acknowledged)
    assert struck > 10


def test_L48_a_full_disk_is_survived_and_work_goes_on_when_space_is_freed(tmp_path):
    with FaultyVFS() as vfs, closing(open_ledger(tmp_path, vfs.name)) as connection:
        post(connection, 1)
        for at in range(1, 9):
            kept = entries(connection)
            vfs.arm(disk_full(at))
            with pytest.raises(apsw.FullError):
                for number in range(100 * at, 100 * at + 50):
                    post(connection, number)
                    kept.add(number)
            assert entries(connection) >= kept
            with pytest.raises(apsw.FullError):
                post(connection, 100 * at + 90)
            vfs.repair()
            post(connection, 100 * at + 91)
            check_books(connection)
        acknowledged = entries(connection)
    assert recovered_entries(tmp_path) >= acknowledged


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        (Operation.OPEN, apsw.CantOpenError),
        (Operation.READ, apsw.IOError),
        (Operation.WRITE, apsw.IOError),
        (Operation.SYNC, apsw.IOError),
        (Operation.SIZE, apsw.IOError),
    ],
)
def test_each_operation_fails_with_its_own_code(operation, error, tmp_path):
    with FaultyVFS() as vfs:
        vfs.arm(io_error(1, operations=frozenset({operation})))
        with pytest.raises(error), closing(open_ledger(tmp_path, vfs.name)) as connection:
            post(connection, 1)
        assert vfs.fired == 1


def test_a_single_fault_strikes_once_and_a_lasting_one_until_repaired(tmp_path):
    writes = frozenset({Operation.WRITE})
    with FaultyVFS() as vfs, closing(open_ledger(tmp_path, vfs.name)) as connection:
        vfs.arm(io_error(1, operations=writes))
        with pytest.raises(apsw.IOError):
            post(connection, 1)
        post(connection, 2)
        assert vfs.fired == 1
        vfs.arm(io_error(1, lasting=True, operations=writes))
        for number in (3, 4, 5):
            with pytest.raises(apsw.IOError):
                post(connection, number)
        assert vfs.fired >= 3
        vfs.repair()
        post(connection, 6)


def test_a_torn_write_reaches_the_disk_by_half(tmp_path):
    page = bytes([7]) * 4096
    with FaultyVFS() as vfs:
        name = str(tmp_path / DATABASE)
        file = vfs.xOpen(name, [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_READWRITE, 0])
        vfs.arm(torn_write(1))
        with pytest.raises(apsw.IOError):
            file.xWrite(page, 0)
        file.xClose()
    assert (tmp_path / DATABASE).read_bytes() == page[:2048]

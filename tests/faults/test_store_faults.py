"""The SQLite store on disks that lose power, fail and fill up: whole batches, none of them lost (L8, L46)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from remit.errors import StoreError, StoreOwned
from remit.store.sqlite import store as sqlite_store
from remit.testing.faults import (
    CountingVFS,
    Cut,
    DiskLog,
    Fault,
    FaultyVFS,
    FileKind,
    PowerCutVFS,
    disk_full,
    images,
    io_error,
    spread_cuts,
    torn_write,
)
from tests.faults.batches import batch, check_whole, numbers, open_store

_BATCHES = 60


@pytest.fixture
def early_checkpoints(monkeypatch):
    """Copies the WAL back after a few pages, so that checkpoints fall under the faults too."""
    monkeypatch.setattr(sqlite_store, "CHECKPOINT_PAGES", 40)


def _url(directory: Path, vfs: str | None = None, synchronous: str = "FULL") -> str:
    vfs_option = f"&vfs={vfs}" if vfs else ""
    return f"sqlite:///{directory / 'remit.db'}?synchronous={synchronous}{vfs_option}"


def _record(directory: Path, synchronous: str) -> DiskLog:
    directory.mkdir()
    with PowerCutVFS() as vfs:
        with closing(open_store(_url(directory, vfs.name, synchronous))) as store:
            for number in range(1, _BATCHES + 1):
                store.commit(batch(number))
                vfs.log.mark(number)
        return vfs.log


def _lost(log: DiskLog, cuts: list[Cut], directory: Path) -> list[Cut]:
    lost = []
    for image in images(log, cuts, directory):
        with closing(open_store(_url(directory, synchronous="OFF"))) as store:
            if not check_whole(store).issuperset(image.acknowledged):
                lost.append(image.cut)
        with closing(apsw.Connection(str(directory / "remit.db"))) as connection:
            assert connection.pragma("integrity_check") == "ok"
    return lost


def test_L46_no_committed_batch_is_lost_or_torn_in_a_power_cut(early_checkpoints, tmp_path, seed, figure):
    log = _record(tmp_path / "run", "FULL")
    assert _lost(log, spread_cuts(log, figure(200, 2_000), seed), tmp_path / "image") == []


def test_L46_synchronous_normal_is_caught(early_checkpoints, tmp_path, seed):
    log = _record(tmp_path / "run", "NORMAL")
    assert _lost(log, spread_cuts(log, 60, seed), tmp_path / "image")


def test_L46_a_batch_is_one_sync(tmp_path):
    with CountingVFS() as vfs, closing(open_store(_url(tmp_path, vfs.name))) as store:
        store.commit(batch(1))
        for number in range(2, 20):
            with vfs.counting() as counts:
                store.commit(batch(number))
            assert counts.syncs == {FileKind.WAL: 1}


@pytest.mark.parametrize("make", [io_error, torn_write])
def test_L46_a_commit_that_fails_writes_nothing_and_succeeds_again(make, early_checkpoints, tmp_path, figure):
    """As the engine does it: the same batch is tried again until it is written."""
    with FaultyVFS() as vfs, closing(open_store(_url(tmp_path, vfs.name))) as store:
        failures = 0
        for number in range(1, figure(150, 3_000)):
            before = numbers(store)
            vfs.arm(make(number % 17 + 1, lasting=number % 2 == 0))
            try:
                store.commit(batch(number))
            except StoreError:
                failures += 1
                vfs.repair()
                assert numbers(store) == before
                store.commit(batch(number))
            vfs.repair()
        assert failures > 20
        assert check_whole(store) == set(range(1, number + 1))


def test_L48_a_full_disk_refuses_the_batch_and_takes_it_when_space_is_freed(tmp_path):
    with FaultyVFS() as vfs, closing(open_store(_url(tmp_path, vfs.name))) as store:
        store.commit(batch(1))
        vfs.arm(disk_full(1))
        for _ in range(3):
            with pytest.raises(StoreError, match=r"disk is full.*Free some space"):
                store.commit(batch(2))
            assert check_whole(store) == {1}
        vfs.repair()
        store.commit(batch(2))
        assert check_whole(store) == {1, 2}


def _open_under(vfs: FaultyVFS, fault: Fault, database: Path) -> tuple[bool, StoreError | None]:
    """Opens the store while `fault` is armed: whether it struck, and how the open was refused."""
    vfs.arm(fault)
    try:
        store = open_store(_url(database.parent, vfs.name))
    except StoreError as error:
        return bool(vfs.fired), error
    finally:
        vfs.repair()
    with closing(store), closing(apsw.Connection(str(database))) as connection:
        # SQLite reports no error where it fails to change the mode: it stays in rollback mode, in which
        # FULL does not make a commit durable (test_power_cut.py shows the loss).
        assert connection.pragma("journal_mode") == "wal"
    return bool(vfs.fired), None


# apsw warns of each error of a Python VFS that SQLite itself passes over.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("prepared", [False, True])
def test_L48_an_open_that_fails_says_why_and_leaves_the_store_free_to_be_opened(prepared, tmp_path):
    """Every operation of creating a store, or of opening one again, fails in turn."""
    refused, at, struck = 0, 0, True
    while struck:
        at += 1
        directory = tmp_path / str(at)
        directory.mkdir()
        if prepared:
            with closing(open_store(_url(directory))) as store:
                store.commit(batch(1))
        with FaultyVFS() as vfs:
            struck, error = _open_under(vfs, io_error(at), directory / "remit.db")
            if error is not None:
                refused += 1
                assert struck
                assert str(directory) in str(error)
            with closing(open_store(_url(directory, vfs.name))) as store:
                assert check_whole(store) == ({1} if prepared else set())
    assert refused > 10


def test_L23_only_the_owner_changes_the_schema_of_a_file_in_use(tmp_path):
    """A newer release that finds an older one at work is refused before it has changed anything."""
    with closing(open_store(_url(tmp_path))):
        other = apsw.Connection(str(tmp_path / "remit.db"))
        older = other.pragma("user_version") - 1
        other.pragma("user_version", older)
        with pytest.raises(StoreOwned):
            open_store(_url(tmp_path))
        assert other.pragma("user_version") == older
        other.close()

"""The power-cut harness on a plain SQLite ledger: it must find loss where there is some, and only there."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from remit.testing.faults import Cut, DiskLog, PowerCutVFS, Survival, images, spread_cuts
from remit.testing.faults.disk_log import Create, DirectorySync, Sync
from tests.faults.ledger import DATABASE, check_books, entries, open_ledger, post_all, recovered_entries

_POSTS = 120


def _record(directory: Path, journal: str, synchronous: str) -> DiskLog:
    """Runs the ledger once, from an empty directory to a closed database; gives what it did to the disk."""
    directory.mkdir()
    with PowerCutVFS() as vfs:
        with closing(open_ledger(directory, vfs.name, journal, synchronous)) as connection:
            post_all(connection, _POSTS, vfs.log.mark)
        return vfs.log


def _lost(log: DiskLog, cuts: list[Cut], directory: Path, journal: str = "wal") -> list[Cut]:
    """The cuts after which an acknowledged entry was missing."""
    return [
        image.cut
        for image in images(log, cuts, directory)
        if not recovered_entries(image.directory, journal).issuperset(image.acknowledged)
    ]


@pytest.mark.parametrize(("journal", "synchronous"), [("wal", "full"), ("wal", "extra"), ("delete", "extra")])
def test_L46_no_acknowledged_entry_is_lost_in_a_power_cut(journal, synchronous, tmp_path, seed, figure):
    log = _record(tmp_path / "run", journal, synchronous)
    cuts = spread_cuts(log, figure(300, 2_000), seed)
    assert _lost(log, cuts, tmp_path / "image", journal) == []


def test_L46_the_harness_finds_what_synchronous_normal_loses(tmp_path, seed):
    log = _record(tmp_path / "run", "wal", "normal")
    assert _lost(log, spread_cuts(log, 90, seed), tmp_path / "image")


def test_L46_the_harness_finds_what_an_unsynced_directory_loses(tmp_path, seed):
    """In rollback mode FULL leaves the journal's deletion unsynced; a journal that is back undoes commits."""
    log = _record(tmp_path / "run", "delete", "full")
    lost = _lost(log, spread_cuts(log, 300, seed), tmp_path / "image", "delete")
    assert lost


def test_torn_writes_corrupt_a_database_that_never_syncs(tmp_path, seed):
    """What makes "integrity_check says ok" worth something: it says otherwise where nothing is synced."""
    log = _record(tmp_path / "run", "delete", "off")
    damaged = 0
    for image in images(log, spread_cuts(log, 300, seed), tmp_path / "image"):
        with closing(apsw.Connection(str(image.directory / DATABASE))) as connection:
            try:
                damaged += connection.pragma("integrity_check") != "ok"
            except (apsw.CorruptError, apsw.NotADBError):
                damaged += 1
    assert damaged


def test_L46_a_second_cut_during_recovery_loses_nothing(tmp_path, seed):
    """Recovery is recorded too, on the image of the first cut, and cut again."""
    log = _record(tmp_path / "run", "wal", "full")
    for first in images(log, spread_cuts(log, 12, seed), tmp_path / "first"):
        with PowerCutVFS() as vfs:
            with closing(open_ledger(first.directory, vfs.name)) as connection:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            for second in images(vfs.log, spread_cuts(vfs.log, 12, first.cut.seed), tmp_path / "second"):
                assert recovered_entries(second.directory).issuperset(first.acknowledged)


def test_everything_is_there_when_the_power_stays_on(tmp_path):
    log = _record(tmp_path / "run", "wal", "full")
    end = Cut(len(log), Survival.DROPPED, seed=0)
    (image,) = images(log, [end], tmp_path / "image")
    with closing(open_ledger(image.directory)) as connection:
        check_books(connection)
        assert entries(connection) == set(range(1, _POSTS + 1)) == set(image.acknowledged)


def test_an_image_holds_the_same_bytes_as_the_real_files(tmp_path):
    """With everything kept, the derived disk is the real one: the log has missed no operation."""
    (tmp_path / "run").mkdir()
    with (
        PowerCutVFS() as vfs,
        closing(open_ledger(tmp_path / "run", vfs.name, synchronous="off")) as connection,
    ):
        post_all(connection, 30, vfs.log.mark)
        created = [Sync(each.inode) for each in vfs.log.operations if isinstance(each, Create)]
        vfs.log.operations.extend([DirectorySync(), *created])
        (image,) = images(vfs.log, [Cut(len(vfs.log), Survival.DROPPED, seed=0)], tmp_path / "image")
        names = {path.name for path in image.directory.iterdir()}
        assert names == {DATABASE, f"{DATABASE}-wal"}
        for name in names:
            assert (image.directory / name).read_bytes() == (tmp_path / "run" / name).read_bytes()

"""Counting what reaches the disk, against workloads whose count is known."""

from __future__ import annotations

from contextlib import closing

import apsw

from remit.testing.faults import CountingVFS, FileKind
from tests.faults.ledger import open_ledger, post


def _quiet_ledger(directory, vfs, **settings):
    connection = open_ledger(directory, vfs.name, **settings)
    connection.pragma("wal_autocheckpoint", 0)
    post(connection, 1)
    return connection


def test_L46_a_commit_with_full_is_exactly_one_sync_of_the_wal(tmp_path):
    with CountingVFS() as vfs, closing(_quiet_ledger(tmp_path, vfs)) as connection:
        for number in range(2, 12):
            with vfs.counting() as counts:
                post(connection, number)
            assert counts.syncs == {FileKind.WAL: 1}
            assert counts.total_syncs == 1
            assert counts.writes[FileKind.MAIN] == 0


def test_ten_posts_in_one_transaction_are_one_sync(tmp_path):
    with CountingVFS() as vfs, closing(_quiet_ledger(tmp_path, vfs)) as connection:
        with vfs.counting() as counts, connection:
            for number in range(2, 12):
                post(connection, number)
        assert counts.syncs == {FileKind.WAL: 1}


def test_synchronous_normal_does_not_sync_at_a_commit(tmp_path):
    with CountingVFS() as vfs, closing(_quiet_ledger(tmp_path, vfs, synchronous="normal")) as connection:
        with vfs.counting() as counts:
            post(connection, 2)
        assert counts.syncs == {}
        assert counts.writes[FileKind.WAL] > 0


def test_a_checkpoint_syncs_the_main_file_too(tmp_path):
    with CountingVFS() as vfs, closing(_quiet_ledger(tmp_path, vfs)) as connection:
        with vfs.counting() as counts:
            connection.wal_checkpoint()
        assert counts.syncs == {FileKind.WAL: 1, FileKind.MAIN: 1}
        assert counts.bytes_written[FileKind.MAIN] == 4096 * counts.writes[FileKind.MAIN] > 0


def test_a_rollback_journal_is_counted_apart(tmp_path):
    with CountingVFS() as vfs, closing(open_ledger(tmp_path, vfs.name, "delete")) as connection:
        with vfs.counting() as counts:
            post(connection, 1)
        assert counts.syncs == {FileKind.JOURNAL: 2, FileKind.MAIN: 1}


def test_a_block_counts_itself_alone_and_the_total_goes_on(tmp_path):
    with CountingVFS() as vfs, closing(_quiet_ledger(tmp_path, vfs)) as connection:
        before = vfs.counts.total_syncs
        with vfs.counting() as outer:
            post(connection, 2)
            with vfs.counting() as inner:
                post(connection, 3)
        post(connection, 4)
        assert (inner.total_syncs, outer.total_syncs, vfs.counts.total_syncs - before) == (1, 2, 3)


def test_a_vfs_is_gone_after_its_block():
    with CountingVFS() as vfs:
        assert vfs.name in apsw.vfs_names()
    assert vfs.name not in apsw.vfs_names()

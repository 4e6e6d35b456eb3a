"""What survives a cut, on logs short enough to be worked out by hand."""

from __future__ import annotations

import pytest

from remit.testing.faults import Cut, DiskLog, Survival, images, spread_cuts
from remit.testing.faults.disk_image import Disk
from remit.testing.faults.disk_log import Create, Delete, DirectorySync, Sync, Truncate, Write
from remit.testing.faults.survival import SECTOR_BYTES, sectors

_SEEDS = range(40)


def _disks(log: DiskLog, survival: Survival) -> set[tuple[tuple[str, bytes], ...]]:
    """All the disks that a cut at the end of the log may leave, over many seeds."""
    disk = Disk(log)
    disk.advance(len(log))
    found = [disk.after(Cut(len(log), survival, seed)) for seed in _SEEDS]
    return {tuple(sorted((name, bytes(content)) for name, content in files.items())) for files in found}


def test_what_is_synced_is_there_and_what_is_not_is_dropped():
    synced = [Create("a", 1), Write(1, 0, b"old"), Sync(1), DirectorySync()]
    log = DiskLog([*synced, Write(1, 0, b"new"), Create("b", 2), Delete("a")])
    assert _disks(log, Survival.DROPPED) == {(("a", b"old"),)}


def test_a_file_whose_directory_was_never_synced_is_not_found():
    log = DiskLog([Create("a", 1), Write(1, 0, b"old"), Sync(1)])
    assert _disks(log, Survival.DROPPED) == {()}
    assert _disks(log, Survival.PREFIX) == {(), (("a", b"old"),)}


def test_a_deleted_file_comes_back_until_the_directory_is_synced():
    log = DiskLog([Delete("a")], baseline={"a": (1, b"old")})
    assert _disks(log, Survival.DROPPED) == {(("a", b"old"),)}
    assert _disks(log, Survival.SUBSET) == {(("a", b"old"),), ()}
    assert _disks(DiskLog([Delete("a"), DirectorySync()], log.baseline), Survival.PREFIX) == {()}


def test_a_name_that_is_reused_never_shows_the_new_file_under_the_old_name():
    log = DiskLog([Delete("a"), Create("a", 2), Write(2, 0, b"new"), Sync(2)], baseline={"a": (1, b"old")})
    assert _disks(log, Survival.PREFIX) == {(("a", b"old"),), (), (("a", b"new"),)}


def test_a_prefix_keeps_the_order_and_a_subset_does_not():
    log = DiskLog([Write(1, 0, b"x"), Write(1, 1, b"y")], baseline={"a": (1, b"..")})
    ordered = {(("a", content),) for content in (b"..", b"x.", b"xy")}
    assert _disks(log, Survival.PREFIX) == ordered
    assert _disks(log, Survival.SUBSET) == ordered | {(("a", b".y"),)}


def test_writes_tear_between_sectors_and_never_within():
    write = Write(1, 500, bytes(range(256)) * 6)
    parts = sectors(write)
    assert [(part.offset, len(part.data)) for part in parts] == [
        (500, 12),
        (512, 512),
        (1024, 512),
        (1536, 500),
    ]
    assert b"".join(part.data for part in parts) == write.data
    log = DiskLog([Write(1, 0, b"n" * 2 * SECTOR_BYTES)], baseline={"a": (1, b"o" * 2 * SECTOR_BYTES)})
    halves = {(b[:1], b[-1:]) for ((_, b),) in _disks(log, Survival.SUBSET)}
    assert halves == {(b"o", b"o"), (b"n", b"o"), (b"o", b"n"), (b"n", b"n")}


def test_holes_are_zero_and_truncation_cuts_and_extends():
    log = DiskLog([Write(1, 4, b"x"), Sync(1)], baseline={"a": (1, b"ab")})
    assert _disks(log, Survival.DROPPED) == {(("a", b"ab\0\0x"),)}
    log.operations += [Truncate(1, 1), Truncate(1, 3), Sync(1)]
    assert _disks(log, Survival.DROPPED) == {(("a", b"a\0\0"),)}


def test_marks_belong_to_the_point_at_which_they_were_set(tmp_path):
    log = DiskLog([Create("a", 1), DirectorySync()])
    log.mark("first")
    log.operations += [Write(1, 0, b"x"), Sync(1)]
    log.mark("second")
    cuts = [Cut(point, Survival.DROPPED, 0) for point in range(5)]
    seen = [image.acknowledged for image in images(log, cuts, tmp_path / "image")]
    assert seen == [[], [], ["first"], ["first"], ["first", "second"]]


def test_cuts_are_spread_over_the_whole_log_and_repeat_with_their_seed():
    log = DiskLog([DirectorySync()] * 99)
    cuts = spread_cuts(log, 300, seed=5)
    assert [cut.point for cut in cuts] == sorted(cut.point for cut in cuts)
    assert {cut.point for cut in cuts} == set(range(100))
    assert {cut.survival for cut in cuts} == set(Survival)
    assert cuts == spread_cuts(log, 300, seed=5) != spread_cuts(log, 300, seed=6)
    assert min(cut.point for cut in spread_cuts(log, 30, seed=5, start=60)) >= 60


def test_L48_cuts_out_of_order_are_refused_with_both_points():
    disk = Disk(DiskLog([DirectorySync()] * 3))
    disk.advance(2)
    with pytest.raises(ValueError, match="1 after 2 in a log of 3"):
        disk.advance(1)
    with pytest.raises(ValueError, match="4 after 2 in a log of 3"):
        disk.advance(4)

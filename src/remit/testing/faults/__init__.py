"""Faults on purpose: disks that lose power, fail or fill up, and processes that die at a chosen instant."""

from __future__ import annotations

from remit.testing.faults.disk_image import Cut, Image, images, spread_cuts
from remit.testing.faults.disk_log import DiskLog
from remit.testing.faults.files import FileKind
from remit.testing.faults.io_faults import Fault, FaultyVFS, Operation, disk_full, io_error, torn_write
from remit.testing.faults.kill import Exited, Killed, child_argv, run_until_killed
from remit.testing.faults.power_cut import PowerCutVFS
from remit.testing.faults.survival import Survival
from remit.testing.faults.sync_counter import CountingVFS, DiskCounts

__all__ = [
    "CountingVFS",
    "Cut",
    "DiskCounts",
    "DiskLog",
    "Exited",
    "Fault",
    "FaultyVFS",
    "FileKind",
    "Image",
    "Killed",
    "Operation",
    "PowerCutVFS",
    "Survival",
    "child_argv",
    "disk_full",
    "images",
    "io_error",
    "run_until_killed",
    "spread_cuts",
    "torn_write",
]

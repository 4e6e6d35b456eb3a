"""The whole engine on a disk that fails or fills up under it: work waits, and goes on when the disk does (L48)."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import apsw
import pytest

from remit import Remit
from remit.testing.faults import Fault, FaultyVFS, Operation, io_error, torn_write
from tests.faults.findings import History, findings
from tests.faults.workload import PROCESSES, Answers, Seen, drive, watch

_ROOTS = ("north", "south")
_ANSWERS = Answers("yes", "go")
_COMMITTING = frozenset({Operation.WRITE, Operation.SYNC})
_REPAIRED_AFTER_S = 0.1


def _full(at: int, *, lasting: bool) -> Fault:
    return Fault(at, frozenset({Operation.WRITE}), apsw.SQLITE_FULL, lasting)


async def _broken_promises(directory: Path, fault: Fault) -> tuple[int, list[str]]:
    """Drives all roots while the disk fails for a while: how often it failed, and every promise broken by it."""
    seen: list[Seen] = []
    watch(seen.append)
    with FaultyVFS() as vfs:
        async with Remit(f"sqlite:///{directory / 'remit.db'}?vfs={vfs.name}", processes=PROCESSES) as app:
            vfs.arm(fault)
            asyncio.get_running_loop().call_later(_REPAIRED_AFTER_S, vfs.repair)
            async with asyncio.timeout(20):
                await drive(app, _ROOTS, _ANSWERS)
            vfs.repair()
            return vfs.fired, await findings(app, _ROOTS, History([], seen, _ANSWERS))


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize(
    "make", [_full, torn_write, partial(io_error, operations=_COMMITTING)], ids=["full", "torn", "error"]
)
async def test_L48_work_outlives_a_disk_that_fails_for_a_while(make, lasting, tmp_path, seed, figure):
    fired = 0
    for at in range(1 + seed % 20, 100, figure(20, 1)):
        directory = tmp_path / str(at)
        directory.mkdir()
        times, broken = await _broken_promises(directory, make(at, lasting=lasting))
        assert broken == [], at
        fired += times
    assert fired >= 3

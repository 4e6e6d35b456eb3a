"""Power cuts under the whole engine: recovery on every disk that a cut may leave keeps every promise."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from remit import Remit
from remit.engine.durability import Durability
from remit.store.sqlite import store as sqlite_store
from remit.testing.faults import Cut, DiskLog, Image, PowerCutVFS, images, spread_cuts
from tests.faults.findings import History, findings
from tests.faults.workload import PROCESSES, Answers, Seen, drive, watch

_ROOTS = ("north", "south")
_STUCK = "is stuck as"
_BEFORE, _AFTER, _LAST = Answers("yes", "go"), Answers("later", "late"), Answers("last", "end")


@pytest.fixture(autouse=True)
def early_checkpoints(monkeypatch):
    """Copies the WAL back after a few pages, so that checkpoints fall under the cuts too."""
    monkeypatch.setattr(sqlite_store, "CHECKPOINT_PAGES", 40)


@pytest.fixture
def run(tmp_path):
    """Where the recorded run has its files."""
    directory = tmp_path / "run"
    directory.mkdir()
    return directory


def _url(directory: Path, synchronous: str, vfs: str | None = None) -> str:
    through = f"&vfs={vfs}" if vfs else ""
    return f"sqlite:///{directory / 'remit.db'}?synchronous={synchronous}{through}"


async def _record(directory: Path, answers: Answers, synchronous: str = "FULL") -> DiskLog:
    """Drives all roots to their end on a recorded disk; what the world sees is marked in the log."""
    with PowerCutVFS() as vfs:
        watch(vfs.log.mark)
        async with Remit(_url(directory, synchronous, vfs.name), processes=PROCESSES) as app:
            await drive(app, _ROOTS, answers)
        return vfs.log


async def _recover(directory: Path, before: list[Seen], answers: Answers = _AFTER) -> list[str]:
    """Opens the disk that a cut left, drives all roots to their end, and names every broken promise."""
    after: list[Seen] = []
    watch(after.append)
    async with Remit(_url(directory, "OFF"), processes=PROCESSES) as app:
        try:
            async with asyncio.timeout(10):
                await drive(app, _ROOTS, answers)
        except TimeoutError:
            open_ones = [record for record in await app.list() if record.ended_at is None]
            return [f"{record.execution_id} ({record.process}) {_STUCK} {record.status}" for record in open_ones]
        return await findings(app, _ROOTS, History(before, after, answers))


def _before(image: Image) -> list[Seen]:
    return [seen for seen in image.acknowledged if isinstance(seen, Seen)]


async def _broken(log: DiskLog, cuts: list[Cut], directory: Path) -> list[tuple[Cut, str]]:
    """The broken promises of every cut; a recovery that gets stuck is the last one looked at, for each costs time."""
    broken: list[tuple[Cut, str]] = []
    for image in images(log, cuts, directory):
        found = await _recover(image.directory, _before(image))
        broken += [(image.cut, finding) for finding in found]
        if any(_STUCK in finding for finding in found):
            break
    return broken


@pytest.mark.timeout(900)
async def test_L46_no_acknowledged_work_is_lost_and_none_is_done_twice(run, tmp_path, seed, figure):
    log = await _record(run, _BEFORE)
    cuts = spread_cuts(log, figure(150, 2_000), seed)
    assert await _broken(log, cuts, tmp_path / "image") == []


@pytest.mark.timeout(900)
async def test_L46_a_cut_during_recovery_breaks_no_promise_either(run, tmp_path, seed, figure):
    log = await _record(run, _BEFORE)
    for first in images(log, spread_cuts(log, figure(8, 60), seed), tmp_path / "first"):
        again = await _record(first.directory, _AFTER)
        for second in images(again, spread_cuts(again, figure(6, 20), first.cut.seed), tmp_path / "second"):
            before = [*_before(first), *_before(second)]
            assert await _recover(second.directory, before, _LAST) == [], (first.cut, second.cut)


async def test_L46_a_removed_barrier_is_caught(run, tmp_path, seed, monkeypatch):
    async def no_barrier(self):
        return None

    with monkeypatch.context() as broken:
        broken.setattr(Durability, "barrier", no_barrier)
        log = await _record(run, _BEFORE)
    found = await _broken(log, spread_cuts(log, 60, seed), tmp_path / "image")
    assert any("which ran again" in finding for _, finding in found)


async def test_L46_synchronous_normal_is_caught(run, tmp_path, seed):
    log = await _record(run, _BEFORE, "NORMAL")
    found = await _broken(log, spread_cuts(log, 60, seed), tmp_path / "image")
    assert any("which ran again" in finding for _, finding in found)
    assert any("was accepted" in finding for _, finding in found)

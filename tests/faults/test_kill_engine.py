"""kill -9 at every boundary, in a first run and in recovery: what was acknowledged holds, and nothing is done twice."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from random import Random

import pytest

from remit import Remit
from remit.testing import boundaries
from remit.testing.faults import Exited, Killed, child_argv, run_until_killed
from tests.faults import victim
from tests.faults.findings import History, findings
from tests.faults.workload import PROCESSES, Answers, Seen, drive, watch

_PROJECT = Path(__file__).parents[2]
_EVERYWHERE = {name for name in boundaries() if not name.startswith(("erasure.", "retention."))}
"""What deletes and erases has boundaries of its own: tests/laws/test_erasure_broken_off.py."""
_IN_RECOVERY_ONLY = {name for name in boundaries() if name.startswith("recovery.")}
_LATER = Answers("later", "late")


def _run_victim(directory: Path, boundary: str, nth: int, answers: Answers) -> Killed | Exited:
    argv = child_argv("tests.faults.victim:run", str(directory), answers.verdict, answers.word)
    return run_until_killed(argv, boundary, nth, cwd=_PROJECT)


async def _broken_promises(directory: Path) -> list[str]:
    """Sees all roots through in this process, and names every promise that the killed ones have broken."""
    before, after = victim.seen_so_far(directory), list[Seen]()
    watch(after.append)
    async with Remit(victim.url(directory), processes=PROCESSES) as app:
        async with asyncio.timeout(20):
            await drive(app, victim.ROOTS, _LATER)
        return await findings(app, victim.ROOTS, History(before, after, _LATER))


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """What a victim leaves that was killed in the middle of its work."""
    directory = tmp_path_factory.mktemp("crashed")
    ending = _run_victim(directory, "step.after", 5, Answers("yes", "go"))
    assert isinstance(ending, Killed), ending
    return directory


@pytest.mark.parametrize("nth", [1, 4])
@pytest.mark.parametrize("boundary", sorted(_EVERYWHERE - _IN_RECOVERY_ONLY))
async def test_L46_a_kill_at_any_boundary_breaks_no_promise(boundary, nth, tmp_path):
    ending = _run_victim(tmp_path, boundary, nth, Answers("yes", "go"))
    if nth == 1:
        assert isinstance(ending, Killed), ending
    else:
        assert isinstance(ending, Killed) or ending.code == 0, ending
    assert await _broken_promises(tmp_path) == []


@pytest.mark.parametrize("nth", [2, 5, 9, 12])
@pytest.mark.parametrize("boundary", ["saga.before", "saga.compensated", "saga.recorded"])
async def test_L37_a_kill_in_the_middle_of_a_rollback_undoes_everything_once_and_in_order(boundary, nth, tmp_path):
    ending = _run_victim(tmp_path, boundary, nth, Answers("yes", "go"))
    assert isinstance(ending, Killed), ending
    assert await _broken_promises(tmp_path) == []


@pytest.mark.parametrize("boundary", sorted(_EVERYWHERE))
async def test_L47_a_kill_at_any_boundary_of_recovery_breaks_no_promise(boundary, crashed, tmp_path):
    directory = shutil.copytree(crashed, tmp_path / "copy")
    ending = _run_victim(directory, boundary, 1, Answers("again", "anew"))
    assert isinstance(ending, Killed), ending
    assert await _broken_promises(directory) == []


@pytest.mark.timeout(3_600)
async def test_L47_kills_one_after_another_break_no_promise(tmp_path, seed, figure):
    """Several victims die on one store, each somewhere else, before one lives to see the end."""
    random, deaths, rounds = Random(seed), 0, figure(2, 300)
    for round_ in range(rounds):
        directory = tmp_path / str(round_)
        directory.mkdir()
        for death in range(4):
            boundary, nth = random.choice(sorted(_EVERYWHERE)), random.choice((1, 1, 2, 3, 5, 8, 13, 21))
            if death == 0:  # this one dies for certain, however the others end
                boundary, nth = random.choice(sorted(_EVERYWHERE - _IN_RECOVERY_ONLY)), 1
            ending = _run_victim(directory, boundary, nth, Answers(f"yes {death}", f"go {death}"))
            assert isinstance(ending, Killed) or ending.code == 0, (boundary, nth, ending)
            deaths += isinstance(ending, Killed)
        assert await _broken_promises(directory) == [], f"round {round_}"
    assert deaths >= rounds

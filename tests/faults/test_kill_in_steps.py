"""kill -9 in the midst of a step of a workflow: started again it completes, and nothing that was recorded is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path

import pytest

from remit import Execution, Remit
from remit.testing.faults import Killed, child_argv, run_until_killed
from tests.faults.steps_that_wait import hosted, runs
from tests.laws.scene import Victim, look_at, open_store, until, wait_until
from tests.workflows.http_server import Server, Taken, answer, serving

_PROJECT = Path(__file__).parents[2]
_DIES = """
    import sys
    from tests.faults.steps_that_wait import wait_in

    wait_in(*sys.argv[1:])
"""


def dying(directory: Path, *arguments: str) -> Victim:
    """A program that starts a workflow or goes on with it."""
    return Victim(directory / "victim.py", _DIES, str(directory), *arguments)


@asynccontextmanager
async def revived(directory: Path, name: str, url: str = "http://127.0.0.1:1") -> AsyncIterator[tuple[Remit, Execution[dict]]]:
    """The same workflow in a program that lives."""
    async with Remit(open_store(directory), processes=hosted(directory, url)) as app:
        yield app, await app.start(name, {}, key=name)


async def killed(directory: Path, *arguments: str, times: int = 2) -> None:
    """That many programs one after the other, each killed once it waits."""
    for _ in range(times):
        victim = dying(directory, *arguments)
        try:
            await asyncio.to_thread(victim.says)
        finally:
            victim.kill()


async def test_L47_a_question_outlives_its_program_and_is_asked_once(tmp_path: Path) -> None:
    await killed(tmp_path, "HUMAN_IN_LOOP", "http://127.0.0.1:1", "WAITING_HUMAN_INPUT")
    async with revived(tmp_path, "HUMAN_IN_LOOP") as (app, execution):
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        assert [entry.name for entry in await app.journal(execution.id) if entry.kind == "ask"] == ["Ask"]
        await app.answer(execution.id, {"yes": True})
        assert (await execution.outcome(timeout=5)).unwrap()["yes"] is True
    assert runs(tmp_path) == ["Before", "After"]


async def test_L47_a_response_that_was_recorded_is_not_asked_for_again(tmp_path: Path) -> None:
    alive = asyncio.Event()

    def told(taken: Taken) -> bytes:
        return answer({"path": taken.line})

    async with serving(told) as server:
        server.waits_for = {"/second": alive}
        for _ in range(2):
            before = _asked(server, "/second")
            victim = dying(tmp_path, "HTTP", server.url)
            try:
                await until(lambda before=before: asyncio.sleep(0, _asked(server, "/second") > before), seconds=20)
            finally:
                victim.kill()
        alive.set()
        async with revived(tmp_path, "HTTP", server.url) as (_, execution):
            assert (await execution.outcome(timeout=5)).ok
        assert (_asked(server, "/first"), _asked(server, "/second")) == (1, 3)
    assert runs(tmp_path) == ["Before", "After"]


def _asked(server: Server, path: str) -> int:
    return sum(taken.line.split()[1] == path for taken in server.taken)


async def test_L14_a_child_that_is_awaited_outlives_its_program_and_is_started_once(tmp_path: Path) -> None:
    await killed(tmp_path, "AWAIT", "http://127.0.0.1:1", "PENDING_SUB_WORKFLOW")
    async with revived(tmp_path, "AWAIT") as (app, execution):
        await wait_until(app, f"{execution.id}.1", "PENDING_ASYNC")
        await app.send(f"{execution.id}.1", "go")
        found = (await execution.outcome(timeout=5)).unwrap()
        assert len((await app.tree(execution.id)).children) == 1
    assert found["spawned_workflow_id"] == f"{execution.id}.1"
    assert runs(tmp_path) == ["Before", "Inside", "Inside_after", "After"]


@pytest.mark.parametrize(
    ("boundary", "nth"), [*product(("commit.before", "commit.written", "commit.after"), (1, 2, 3)), *product(("step.recorded",), (1, 2))]
)
async def test_L54_a_schedule_is_set_up_once_wherever_its_program_is_killed(boundary: str, nth: int, tmp_path: Path) -> None:
    argv = child_argv("tests.faults.steps_that_wait:see_through", str(tmp_path), "CRON_SCHEDULE")
    ending = run_until_killed(argv, boundary, nth, cwd=_PROJECT)
    assert isinstance(ending, Killed), ending
    recorded = look_at(tmp_path, "SELECT name FROM journal WHERE kind = 'step' AND ended_at IS NOT NULL ORDER BY position")
    async with revived(tmp_path, "CRON_SCHEDULE") as (app, execution):
        assert (await execution.outcome(timeout=5)).unwrap()["schedule_name"] == "nightly"
        assert [each.name for each in await app.schedules()] == ["nightly"]
        assert len(await app.list(process="CRON_SCHEDULE")) == 1
    assert [runs(tmp_path).count(name) for (name,) in recorded] == [1] * len(recorded)
    assert [name for at, name in enumerate(runs(tmp_path)) if name not in runs(tmp_path)[:at]] == ["Before", "After"]

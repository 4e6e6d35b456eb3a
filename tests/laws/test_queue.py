"""What stands in a trace's queue for a slot, and what of its start is on disk when (L11, L15, L33)."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from remit import Limits, Remit, ask, call_process, process, step
from remit.engine import durability
from remit.kernel.states import Status
from tests.laws.scene import look_at, open_store, until, wait_until

marked: list[int] = []
gates: dict[int, asyncio.Event] = {}
THREE = range(3)
NEVER_S = 3_600.0


@pytest.fixture(autouse=True)
def _afresh():
    marked.clear()
    gates.clear()
    gates.update((place, asyncio.Event()) for place in THREE)


@pytest.fixture
def starts_unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a queued execution runs is written with what comes next of it only, however slow the machine."""
    monkeypatch.setattr(durability, "_STARTS_DELAY_S", NEVER_S)


@step
async def mark(place: int) -> int:
    marked.append(place)
    return place


@process("marks")
async def marks(place: int) -> int:
    await mark(place)
    await gates[place].wait()
    return place


@process("holds")
async def holds(place: int) -> int:
    await gates[place].wait()
    return place


@process("asks")
async def asks(place: int) -> int:
    return place + await ask(int, name="more")


@process("calls_three", calls=[marks, holds, asks])
async def calls_three(name: str) -> list[int]:
    outcomes = await asyncio.gather(*(call_process(name, place) for place in THREE))
    return [outcome.unwrap() for outcome in outcomes]


def one_at_a_time(directory: Path) -> Remit:
    return Remit(
        open_store(directory), processes=[calls_three, marks, holds, asks], limits=Limits(max_active=1)
    )


def in_file(directory: Path, child: str) -> tuple[Any, ...]:
    """Status and start of a child, and how many ended effects it has, as another program sees them."""
    ended = "SELECT count(*) FROM journal WHERE execution_n = executions.n AND ended_at IS NOT NULL"
    (row,) = look_at(directory, f"SELECT status, started_at IS NOT NULL, ({ended}) FROM executions WHERE id = ?", child)
    return row


async def queued(app: Remit, directory: Path, name: str) -> str:
    """The root, once the first of its children runs and the two others are on disk as queued behind it."""
    root = (await app.start(calls_three, name)).id

    async def are_queued() -> bool:
        found = look_at(directory, "SELECT id FROM executions WHERE status = 'PENDING'")
        return {(f"{root}.2",), (f"{root}.3",)} <= set(found)

    await until(are_queued)
    return root


@pytest.mark.usefixtures("starts_unwritten")
async def test_L11_what_ran_from_the_queue_is_replayed_though_its_start_was_not_written(tmp_path: Path) -> None:
    live, left = tmp_path / "live", tmp_path / "left"
    live.mkdir()
    async with one_at_a_time(live) as app:
        root = await queued(app, live, "marks")
        gates[0].set()
        second = f"{root}.2"

        async def step_is_durable() -> bool:
            return bool(in_file(live, second)[2])

        await until(step_is_durable)
        assert in_file(live, second) == ("PENDING", 0, 1)
        shutil.copytree(live, left)
        gates[1].set()
        gates[2].set()
        assert (await app.outcome(root, 5)).unwrap() == [0, 1, 2]
    assert marked == [0, 1, 2]
    marked.clear()
    async with one_at_a_time(left) as app:
        assert (await app.outcome(root, 5)).unwrap() == [0, 1, 2]
    assert marked == [2]


async def test_L33_what_runs_from_the_queue_and_does_nothing_else_is_seen_running(tmp_path: Path) -> None:
    async with one_at_a_time(tmp_path) as app:
        root = await queued(app, tmp_path, "holds")
        gates[0].set()
        record = await wait_until(app, f"{root}.2", "ACTIVE")
        assert record.started_at is not None
        assert in_file(tmp_path, f"{root}.3") == ("PENDING", 0, 0)
        gates[1].set()
        gates[2].set()
        assert (await app.outcome(root, 5)).unwrap() == [0, 1, 2]


async def test_L33_also_one_that_began_a_little_after_another_is_seen_running(tmp_path: Path) -> None:
    async with one_at_a_time(tmp_path) as app:
        root = await queued(app, tmp_path, "holds")
        gates[0].set()
        asyncio.get_running_loop().call_later(durability._STARTS_DELAY_S / 2, gates[1].set)
        await wait_until(app, f"{root}.3", "ACTIVE")
        gates[2].set()
        assert (await app.outcome(root, 5)).unwrap() == [0, 1, 2]


@pytest.mark.usefixtures("starts_unwritten")
async def test_L33_what_runs_from_the_queue_and_waits_for_a_human_is_seen_at_once(tmp_path: Path) -> None:
    async with one_at_a_time(tmp_path) as app:
        root = (await app.start(calls_three, "asks")).id
        for place in THREE:
            record = await wait_until(app, f"{root}.{place + 1}", "WAITING_HUMAN_INPUT")
            assert record.started_at is not None
            await app.answer(record.execution_id, 10)
        assert (await app.outcome(root, 5)).unwrap() == [10, 11, 12]


@pytest.mark.usefixtures("starts_unwritten")
async def test_L15_an_execution_that_leaves_the_queue_and_ends_is_written_with_its_end(tmp_path: Path) -> None:
    async with one_at_a_time(tmp_path) as app:
        shown: list[tuple[str, Status]] = []
        commit = app.engine.store.commit

        def noted(batch: Any) -> None:
            shown.extend((record.process, record.status) for record in batch.changed.values())
            commit(batch)

        app.engine.store.commit = noted  # type: ignore[method-assign]
        root = await queued(app, tmp_path, "marks")
        for gate in gates.values():
            gate.set()
        assert (await app.outcome(root, 5)).unwrap() == [0, 1, 2]
    assert ("marks", Status.COMPLETED) in shown
    assert ("marks", Status.ACTIVE) not in shown


@pytest.mark.usefixtures("starts_unwritten")
async def test_L46_who_asks_for_all_that_was_decided_finds_starts_from_the_queue_too(tmp_path: Path) -> None:
    async with one_at_a_time(tmp_path) as app:
        root = await queued(app, tmp_path, "holds")
        gates[0].set()
        second = f"{root}.2"

        async def runs() -> bool:
            node = app.engine.traces.nodes.get(second)
            return node is not None and node.run is not None

        await until(runs)
        assert in_file(tmp_path, second) == ("PENDING", 0, 0)
        await app.engine.durability.settled()
        assert in_file(tmp_path, second) == ("ACTIVE", 1, 0)
        gates[1].set()
        gates[2].set()
        assert (await app.outcome(root, 5)).unwrap() == [0, 1, 2]

"""The operator's retry of what was rolled back (L34)."""

from __future__ import annotations

import asyncio

import pytest

from remit import (
    DomainError,
    MisuseError,
    Remit,
    call_process,
    process,
    step,
)
from tests.laws.saga_scene import (
    PARTS,
    afresh,
    broken,
    do,
    done,
    fails_unless_mended,
    look,
    part,
    rolled_back,
    undo,
)
from tests.laws.scene import every, open_store


@pytest.fixture(autouse=True)
def _nothing_done():
    yield from afresh()


async def test_L34_after_a_rollback_a_retry_is_a_full_rerun_in_the_next_generation(tmp_path) -> None:
    async def body(name: str) -> None:
        await do("a")
        (await call_process(part, "child")).unwrap()
        await look("moody")

    @process("retried", saga=True, calls=[part])
    async def retried(name: str) -> str:
        await body(name)
        return "at last"

    broken.add("moody")
    async with Remit(open_store(tmp_path), processes=[retried, *PARTS]) as app:
        record = await rolled_back(app, retried)
        with pytest.raises(MisuseError, match="rolled back") as refused:
            await app.retry(record.execution_id, from_step="look")
        assert refused.value.code == "wrong_state"
    broken.clear()
    done.clear()
    async with Remit(open_store(tmp_path), processes=[retried, *PARTS]) as app:
        await app.retry(record.execution_id)
        assert (await app.outcome(record.execution_id, timeout=5)).value == "at last"
        assert done == ["do a", "do child 1", "do child 2"]
        record = await app.get(record.execution_id)
        assert (record.generation, record.attempt, record.compensation, record.status) == (1, 2, "none", "COMPLETED")
        family = await every(app, record.execution_id)
        assert {place: each.shown_status for place, each in family.items()} == {
            "": "COMPLETED",
            ".1": "COMPLETED",
            ".2": "COMPLETED",
        }
        assert {place: str(each.compensation) for place, each in family.items()} == {
            "": "none",
            ".1": "done",
            ".2": "none",
        }
        assert [(entry.generation, entry.kind) for entry in await app.journal(record.execution_id)] == [
            (0, "step"),
            (0, "child"),
            (0, "step"),
            (0, "compensation"),
            (1, "step"),
            (1, "child"),
            (1, "step"),
        ]


async def test_L34_a_rerun_that_fails_is_rolled_back_again_and_what_it_did_then_is_undone() -> None:
    @process("fails_twice", saga=True, calls=[part])
    async def fails_twice(name: str) -> str:
        await do("work")
        await call_process(part, "child")
        return await look(name)

    broken.add("x")
    async with Remit(":memory:", processes=[fails_twice, *PARTS]) as app:
        first = await rolled_back(app, fails_twice)
        once = len(done)
        await app.retry(first.execution_id)
        await app.outcome(first.execution_id, timeout=5)
        second = await app.compensated(first.execution_id, timeout=5)
        assert second.generation == 1
        assert done[once:] == [
            *("do work", "do child 1", "do child 2"),
            *("undo child 2 (CHILD 2)", "undo child 1 (CHILD 1)", "undo work (WORK)"),
        ]


async def test_L34_a_chain_above_a_rolled_back_child_keeps_its_work_and_the_child_runs_in_full() -> None:
    @process("keeps", calls=["*"])
    async def keeps(_: str) -> str:
        await do("kept")
        return (await call_process(fails_unless_mended, "child")).unwrap()

    broken.add("child")
    async with Remit(":memory:", processes=[keeps, *PARTS]) as app:
        execution = await app.start(keeps, "x")
        assert not (await execution.outcome(timeout=5)).ok
        await app.compensated(execution.id + ".1", timeout=5)
        assert done == ["do kept", "do child 1", "undo child 1 (CHILD 1)"]
        broken.clear()
        await app.retry(execution.id)
        assert (await execution.outcome(timeout=5)).value == "child"
        assert done[3:] == ["do child 1"]
        child = await app.get(execution.id + ".1")
        assert (child.generation, child.attempt, child.compensation) == (1, 2, "none")
        assert (await app.get(execution.id)).generation == 0


@pytest.mark.parametrize("at", ["", ".1", ".1.1"], ids=["above", "itself", "below"])
async def test_L34_a_retry_while_compensations_run_is_refused_and_says_what_to_wait_for(at) -> None:
    gate = asyncio.Event()

    async def gated(result: str | None, what: str) -> None:
        await gate.wait()
        undo(result, what)

    @step(compensate=gated)
    async def act(what: str) -> str:
        return what

    @process("lowest")
    async def lowest(_: str) -> None:
        raise DomainError("no_way")

    @process("middle", saga=True, calls=[lowest])
    async def middle(_: str) -> None:
        await act("a")
        (await call_process(lowest, "x")).unwrap()

    @process("highest", calls=[middle])
    async def highest(_: str) -> None:
        (await call_process(middle, "x")).unwrap()

    async with Remit(":memory:", processes=[highest, middle, lowest]) as app:
        execution = await app.start(highest, "x")
        assert not (await execution.outcome(timeout=5)).ok
        with pytest.raises(MisuseError) as refused:
            await app.retry(execution.id + at)
        assert refused.value.code == "wrong_state"
        assert f"{execution.id}.1 is being rolled back" in str(refused.value)
        assert (await app.get(execution.id)).attempt == 1
        gate.set()
        await app.compensated(execution.id + ".1", timeout=5)
        await app.retry(execution.id + at)
        await app.outcome(execution.id, timeout=5)
        assert (await app.get(execution.id)).attempt == 2

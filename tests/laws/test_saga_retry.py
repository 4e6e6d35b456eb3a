"""Trying again what was rolled back: by an operator, and where an attempt is made by itself (L18, L34)."""

from __future__ import annotations

import asyncio

import pytest

from remit import DomainError, MisuseError, Remit, Retry, TransientError, call_process, process, step
from tests.laws.saga_scene import PARTS, afresh, broken, do, done, fails_unless_mended, look, part, rolled_back, undo
from tests.laws.scene import every, open_store, until


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


# -- attempts that are made by themselves ------------------------------------------------------------------------------


@step
async def first_time(what: str, seconds: float) -> None:
    """Takes its time, once."""
    if what not in done:
        done.append(what)
        await asyncio.sleep(seconds)


@process("patient", saga=True)
async def patient(name: str) -> str:
    await do(f"{name} 1")
    await first_time("paused", 5)
    return await do(f"{name} 2")


async def test_L18_children_of_an_attempt_that_ran_out_of_time_are_not_undone_but_go_on() -> None:
    @process("hasty", calls=[patient], ttl=0.2, retry=Retry(2, first=0.001, retry_on_timeout=True))
    async def hasty(_: str) -> str:
        return (await call_process(patient, "child")).unwrap()

    async with Remit(":memory:", processes=[hasty, patient]) as app:
        execution = await app.start(hasty, "x")
        assert (await execution.outcome(timeout=5)).value == "CHILD 2"
        await app.engine.sagas.at_rest()
        assert done == ["do child 1", "paused", "do child 2"]
        family = await every(app, execution.id)
        assert {place: (each.attempt, str(each.compensation)) for place, each in family.items()} == {
            "": (2, "none"),
            ".1": (2, "none"),
        }


@pytest.mark.parametrize("how_far", ["not begun", "under way", "over"])
async def test_L34_the_next_attempt_waits_for_what_is_being_undone_below_it(how_far) -> None:
    """A branch is given up, and with it its child; then the attempt fails, and is made again by itself."""
    gate = asyncio.Event()

    async def gated(result: str | None, what: str) -> None:
        await gate.wait()
        undo(result, what)

    @step(compensate=gated)
    async def act(what: str) -> str:
        done.append(f"do {what}")
        return what

    @process("given_up", saga=True)
    async def given_up(_: str) -> str:
        await act("a")
        await first_time("paused", 5)
        return "done"

    @process("gives_up", calls=[given_up], retry=Retry(2, first=0.001))
    async def gives_up(_: str) -> str:
        branch = asyncio.create_task(call_process(given_up, "x"))
        if "stumbled" in done:
            return (await branch).unwrap()
        await until(lambda: asyncio.sleep(0.001, "paused" in done))
        branch.cancel()
        await asyncio.sleep(0 if how_far == "not begun" else 0.05)
        if how_far == "over":
            gate.set()
            await asyncio.sleep(0.05)
        done.append("stumbled")
        raise TransientError("busy")

    async with Remit(":memory:", processes=[gives_up, given_up]) as app:
        execution = await app.start(gives_up, "x")
        if how_far == "under way":
            await asyncio.sleep(0.3)
            assert done == ["do a", "paused", "stumbled"]
            gate.set()
        assert (await execution.outcome(timeout=5)).value == "done"
        family = await every(app, execution.id)
        assert {
            "not begun": ["do a", "paused", "stumbled"],
            "under way": ["do a", "paused", "stumbled", "undo a (a)", "do a"],
            "over": ["do a", "paused", "undo a (a)", "stumbled", "do a"],
        }[how_far] == done
        told = {place: (str(each.status), each.generation, str(each.compensation)) for place, each in family.items()}
        assert (
            told
            == {
                "not begun": {"": ("COMPLETED", 0, "none"), ".1": ("COMPLETED", 0, "none")},
                "under way": {
                    "": ("COMPLETED", 0, "none"),
                    ".1": ("CANCELLED", 0, "done"),
                    ".2": ("COMPLETED", 0, "none"),
                },
                "over": {"": ("COMPLETED", 0, "none"), ".1": ("COMPLETED", 1, "none")},
            }[how_far]
        )


async def test_L34_children_of_what_was_rolled_back_are_not_taken_up_by_a_later_attempt() -> None:
    @process("runs_twice", saga=True, calls=[patient], retry=Retry(3, first=0.001))
    async def runs_twice(_: str) -> str:
        if "cancelled" not in done:
            return (await call_process(patient, "old")).unwrap()
        if "stumbled" not in done:
            done.append("stumbled")
            raise TransientError("busy")
        return "done"

    async with Remit(":memory:", processes=[runs_twice, patient]) as app:
        execution = await app.start(runs_twice, "x")
        await until(lambda: asyncio.sleep(0, "paused" in done))
        await app.cancel(execution.id)
        await execution.compensated(timeout=5)
        done.append("cancelled")
        await app.retry(execution.id)
        assert (await execution.outcome(timeout=5)).value == "done"
        await asyncio.sleep(0.05)
        assert done == ["do old 1", "paused", "undo old 1 (OLD 1)", "cancelled", "stumbled"]
        assert (await app.get(execution.id + ".1")).shown_status == "CANCELLED"

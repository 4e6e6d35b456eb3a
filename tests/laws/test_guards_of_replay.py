"""Small scenes for the guards of replay, answers, events and effects that `make mutate` takes out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from remit import (
    Budget,
    InvalidInput,
    MisuseError,
    Outcome,
    Remit,
    StoreError,
    call_process,
    process,
    step,
    tool,
)
from remit.durable import sleep, wait_event
from remit.store.port import Batch
from tests.laws.scene import look_at, open_store, until, wait_until
from tests.laws.small import asks, echo, end_of, naps

# -- replay ------------------------------------------------------------------------------------------------------------


async def reopened(url: str, first: Any, second: Any, *others: Any, **terms: Any) -> tuple[Outcome[Any] | None, Any]:
    """Starts `first`, closes the app while it waits for "go", and sees its end under the code of `second`."""
    async with Remit(url, processes=[first, *others]) as app:
        execution = await app.start(first, 0, **terms)

        async def waits_for_go() -> bool:
            return any(wait.get("kind") == "event" for wait in (await app.get(execution.id)).waiting_on.first)

        await until(waits_for_go)
    async with Remit(url, processes=[second, *others]) as app:
        if "budget" in terms:
            await app.top_up(execution.id, Budget(tokens=1_000))
        await app.send(execution.id, "go")
        await wait_until(app, execution.id, "COMPLETED", "PAUSED", "FAILED")
        record = await app.get(execution.id)
        return (await app.outcome(execution.id) if record.ended_at else None), record


async def test_L47_L11_what_is_recorded_is_returned_and_not_run_again(tmp_path) -> None:
    ran: list[int] = []

    @step
    async def once(number: int) -> int:
        ran.append(number)
        return number

    @process("replayed", calls=[echo])
    async def replayed(_: int) -> list[int]:
        got = [await once(1), (await call_process(echo, 2)).unwrap()]
        await wait_event("go")
        return [*got, await once(3)]

    outcome, record = await reopened(open_store(tmp_path), replayed, replayed, echo)
    assert outcome.unwrap() == [1, 2, 3]
    assert ran == [1, 3]
    assert look_at(tmp_path, "SELECT count(*) FROM executions") == [(2,)]
    assert record.attempt == 1


async def test_L11_a_rejection_is_returned_as_it_was_though_the_budget_has_grown(tmp_path) -> None:
    @process("wants_much", calls=[echo])
    async def wants_much(_: int) -> str:
        outcome = await call_process(echo, 1, estimate=100)
        await wait_event("go")
        return outcome.status

    outcome, _ = await reopened(open_store(tmp_path), wants_much, wants_much, echo, budget=Budget(tokens=50))
    assert outcome.unwrap() == "rejected"
    assert look_at(tmp_path, "SELECT count(*) FROM executions") == [(1,)]


async def test_L11_branches_see_completions_in_the_recorded_order(tmp_path) -> None:
    @process("two_branches")
    async def two_branches(_: int) -> list[str]:
        seen: list[str] = []

        async def branch(name: str, pause: float) -> None:
            await sleep(pause)
            seen.append(name)

        await asyncio.gather(branch("slow", 0.05), branch("quick", 0.001))
        await wait_event("go")
        return seen

    outcome, _ = await reopened(open_store(tmp_path), two_branches, two_branches)
    assert outcome.unwrap() == ["quick", "slow"]


@pytest.mark.parametrize("change", ["another input", "the call dropped"])
async def test_L11_changed_code_pauses_with_both_calls_shown(tmp_path, change) -> None:
    @process("changing", calls=[echo])
    async def before(_: int) -> int:
        await call_process(echo, 1)
        await wait_event("go")
        return 1

    @process("changing", calls=[echo])
    async def after(_: int) -> int:
        if change == "another input":
            await call_process(echo, 2)
            await wait_event("go")
        return 1

    outcome, record = await reopened(open_store(tmp_path), before, after, echo)
    assert (outcome, record.status, record.error.code) == (None, "PAUSED", "code_changed")
    assert "echo(1)" in record.error.message
    assert ("echo(2)" in record.error.message) is (change == "another input")
    assert look_at(tmp_path, "SELECT count(*) FROM executions") == [(2,)]


# -- people, events, effects -------------------------------------------------------------------------------------------


@process("asks_two", calls=[asks])
async def asks_two(_: int) -> list[bool]:
    outcomes = await asyncio.gather(call_process(asks, "one"), call_process(asks, "two"))
    return [outcome.unwrap() for outcome in outcomes]


async def test_L33_the_first_answer_stands_and_one_of_many_must_be_named() -> None:
    async with Remit(":memory:", processes=[asks_two, asks]) as app:
        execution = await app.start(asks_two, 0)

        async def both_asked() -> bool:
            return (await app.get(execution.id)).waiting_on.count == 2

        await wait_until(app, execution.id, "WAITING_CHILD_HUMAN_INPUT")
        await until(both_asked)
        await until(lambda: _open_asks(app, execution.id, 2))
        with pytest.raises(MisuseError) as refused:
            await app.answer(execution.id, True)
        assert refused.value.code == "ambiguous_ask"
        await app.answer(execution.id, True, ask="one")
        with pytest.raises(MisuseError) as refused:
            await app.answer(execution.id, False, ask="one")
        assert refused.value.code == "already_answered"
        with pytest.raises(InvalidInput):
            await app.answer(execution.id, "maybe", ask="two")
        await app.answer(execution.id, False, ask="two")
        assert (await execution.outcome(timeout=5)).unwrap() == [True, False]


async def _open_asks(app: Remit, root: str, count: int) -> bool:
    return len(app.engine.store.open_asks(root)) == count


async def test_L46_an_answer_that_is_not_durable_yet_is_an_answer_all_the_same(monkeypatch) -> None:
    async with Remit(":memory:", processes=[asks]) as app:
        execution = await app.start(asks, "one")
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")

        def full(_: Batch) -> None:
            raise StoreError("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(app.engine.store, "commit", full)
            answers = [asyncio.create_task(app.answer(execution.id, value)) for value in (True, False)]
            await asyncio.wait(answers, timeout=0.05)
            assert not any(answer.done() for answer in answers)
        first, second = await asyncio.gather(*answers, return_exceptions=True)
        assert first is None
        assert isinstance(second, MisuseError)
        assert second.code == "already_answered"
        assert (await execution.outcome(timeout=5)).unwrap() is True


async def test_L50_an_event_that_is_not_durable_yet_is_found_and_counted_once(monkeypatch) -> None:
    @process("takes_one")
    async def takes_one(_: int) -> int:
        await naps(0.05)
        return int(await wait_event("paid"))

    async with Remit(":memory:", processes=[takes_one]) as app:
        execution = await app.start(takes_one, 0)

        def full(_: Batch) -> None:
            raise StoreError("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(app.engine.store, "commit", full)
            sent = [asyncio.create_task(app.send(execution.id, "paid", 7, dedupe="a")) for _ in range(2)]
            await asyncio.wait(sent, timeout=0.1)
        async with asyncio.timeout(5):
            assert sorted(await asyncio.gather(*sent)) == [False, True]
        assert (await execution.outcome(timeout=5)).unwrap() == 7


async def test_L50_an_event_is_taken_once_and_a_repeated_one_not_at_all() -> None:
    @process("takes_two")
    async def takes_two(_: int) -> list[int]:
        await naps(0.02)
        return [await wait_event("paid"), await wait_event("paid")]

    async with Remit(":memory:", processes=[takes_two]) as app:
        execution = await app.start(takes_two, 0)
        assert await app.send(execution.id, "paid", 1, dedupe="a") is True
        assert await app.send(execution.id, "paid", 1, dedupe="a") is False
        await wait_until(app, execution.id, "PENDING_ASYNC")
        assert await app.send(execution.id, "paid", 2, dedupe="b") is True
        assert (await execution.outcome(timeout=5)).unwrap() == [1, 2]


async def test_L52_an_effect_inside_a_step_is_refused_and_so_is_one_outside_an_execution() -> None:
    @step
    async def meddles() -> int:
        return (await call_process(echo, 1)).unwrap()

    @process("lets_meddle", calls=[echo])
    async def lets_meddle(_: int) -> int:
        return await meddles()

    assert (await end_of(lets_meddle, 0, echo)).error.code == "effect_inside_step"
    with pytest.raises(MisuseError) as refused:
        await call_process(echo, 1)
    assert refused.value.code == "outside_execution"


async def test_L29_the_lineage_shows_no_secret() -> None:
    @tool("bank.log_in")
    async def log_in(user: str, password: str) -> dict[str, str]:
        return {"user": user, "session_token": password[::-1]}

    @process("logs_in")
    async def logs_in(_: int) -> str:
        return (await log_in("ada", "tr0ub4dor"))["user"]

    async with Remit(":memory:", processes=[logs_in]) as app:
        execution = await app.start(logs_in, 0)
        assert (await execution.outcome(timeout=5)).unwrap() == "ada"
        for entries in (await app.lineage(execution.id), await app.journal(execution.id)):
            [entry] = entries
            assert entry.params["user"] == entry.result["user"] == "ada"
            assert "tr0ub4dor" not in repr(entry)
            assert "rod4bu0rt" not in repr(entry)

"""Leases: when the TTL runs and when it stands still, and what an expiry does (L21, L22)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from remit import (
    Budget,
    DefinitionError,
    InvalidInput,
    Remit,
    Retry,
    Usage,
    ask,
    call_process,
    model,
    process,
    start_process,
    step,
)
from remit.durable import sleep, wait_event
from tests.laws.scene import every, open_store, status, stuck, until, wait_until, working

TTL = 0.4
GRACE = 1.0
"""An expiry is answered within its TTL and this many seconds (L22)."""


@pytest.fixture(autouse=True)
async def _nothing_stays_stuck() -> AsyncIterator[None]:
    stuck.clear()
    yield
    stuck.set()
    await asyncio.sleep(0)


@process("endless", ttl=TTL)
async def endless(_: int) -> str:
    await asyncio.get_running_loop().create_future()
    return "never"


@process("stubborn", ttl=TTL)
async def stubborn(_: int) -> str:
    while not stuck.is_set():
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue
    return "too late"


@step
def sleeps_in_c(seconds: float) -> str:
    time.sleep(seconds)
    return "too late"


@step
def loops(_: int) -> str:
    while not stuck.is_set():
        sum(range(100))
    return "too late"


@process("thread_in_c", ttl=TTL)
async def thread_in_c(_: int) -> str:
    return await sleeps_in_c(1.6)


@process("thread_that_loops", ttl=TTL)
async def thread_that_loops(_: int) -> str:
    return await loops(1)


@process("waits_for_a_child", ttl=TTL, calls=["endless"])
async def waits_for_a_child(_: int) -> str:
    return (await call_process("endless", 1, ttl="1h")).unwrap()


@process("quick")
async def quick(number: int) -> int:
    for _ in range(5):
        await working(0.02)
    return number


HUNG = [endless, stubborn, thread_in_c, thread_that_loops, waits_for_a_child]


@process("boss", calls=["*"])
async def boss(target: str) -> dict[str, str]:
    hung, fine = await asyncio.gather(call_process(target, 1), call_process("quick", 7))
    assert hung.error is not None
    return {"hung": hung.status, "code": hung.error.code, "class": str(hung.error.error_class), "sibling": fine.status}


@pytest.mark.parametrize("hung", HUNG, ids=lambda each: each.name)
async def test_L22_expiry_answers_the_parent_in_time_and_disturbs_nobody_else(hung) -> None:
    async with Remit(":memory:", processes=[boss, quick, *HUNG]) as app:
        began = time.monotonic()
        outcome = await (await app.start(boss, hung.name)).outcome(timeout=TTL + GRACE + 2)
        took = time.monotonic() - began
        seen = {"hung": "timed_out", "code": "lease_expired", "class": "DOMAIN", "sibling": "completed"}
        assert outcome.value == seen
        assert TTL <= took < TTL + GRACE
        tree = await app.tree(outcome.execution_id)
        assert tree.children[0].status == "TIMED_OUT"
        assert tree.children[1].status == "COMPLETED"
        stuck.set()


async def test_L22_descendants_of_an_expired_execution_are_cancelled_and_say_why() -> None:
    async with Remit(":memory:", processes=[boss, quick, *HUNG]) as app:
        outcome = await (await app.start(boss, "waits_for_a_child")).outcome(timeout=4)
        found = await every(app, outcome.execution_id)
        assert found[".1"].status == "TIMED_OUT"
        # Both ran out together: whichever was settled first, the grandchild has ended and runs no more.
        assert found[".1.1"].status in ("CANCELLED", "TIMED_OUT")
        assert found[".1"].error.details["ttl_ms"] == TTL * 1_000


async def test_L21_an_awaited_childs_ttl_is_at_most_what_its_parent_has_left_and_an_async_ones_is_its_own() -> None:
    @process("leaf")
    async def leaf(_: int) -> int:
        return 1

    @process("middle", calls=[leaf], ttl=5)
    async def middle(_: int) -> int:
        await working(0.3)
        (await call_process(leaf, 1, ttl="1h")).unwrap()
        (await call_process(leaf, 2, ttl="1s")).unwrap()
        await (await start_process(leaf, 3, ttl="1h")).outcome()
        (await call_process(leaf, 4)).unwrap()
        return 1

    async with Remit(":memory:", processes=[leaf, middle]) as app:
        outcome = await (await app.start(middle, 1)).outcome(timeout=5)
        granted = [child.ttl_ms for child in (await app.tree(outcome.execution_id)).children]
        assert 4_000 < granted[0] <= 4_700
        assert granted[1] == 1_000
        assert granted[2] == 3_600_000
        assert 4_000 < granted[3] <= 4_700


async def test_L21_defaults_are_15_minutes_and_24_hours_for_a_root() -> None:
    @process("leaf")
    async def leaf(_: int) -> int:
        return 1

    @process("root", calls=[leaf])
    async def root(_: int) -> int:
        return (await call_process(leaf, 1)).unwrap()

    async with Remit(":memory:", processes=[leaf, root]) as app:
        outcome = await (await app.start(root, 1)).outcome(timeout=5)
        found = await every(app, outcome.execution_id)
        assert found[""].ttl_ms == 24 * 3_600_000
        assert found[".1"].ttl_ms == 15 * 60_000


@process("sleeper", ttl=0.3)
async def sleeper(_: int) -> str:
    await working(0.05)
    await sleep(0.7)
    return "slept"


@process("asker", ttl=0.3)
async def asker(_: int) -> str:
    await working(0.05)
    return await ask(str, name="word", timeout="1h")


@process("over", calls=["*"], ttl=0.35)
async def over(target: str) -> str:
    return (await call_process(target, 1)).unwrap()


@process("above", calls=["*"], ttl=0.4)
async def above(target: str) -> str:
    return (await call_process("over", target)).unwrap()


@pytest.mark.parametrize("warm", [2_000, 0], ids=["warm", "evicted"])
async def test_L21_the_clock_stands_still_in_a_durable_sleep_the_ancestors_too(monkeypatch, warm: int) -> None:
    async with Remit(":memory:", processes=[above, over, sleeper]) as app:
        monkeypatch.setattr(app.engine.warm, "_limit", warm)
        outcome = await (await app.start(above, "sleeper")).outcome(timeout=4)
        assert outcome.value == "slept"


@pytest.mark.parametrize("warm", [2_000, 0], ids=["warm", "evicted"])
async def test_L21_the_clock_stands_still_in_a_human_wait_the_ancestors_too(monkeypatch, warm: int) -> None:
    async with Remit(":memory:", processes=[above, over, asker]) as app:
        monkeypatch.setattr(app.engine.warm, "_limit", warm)
        execution = await app.start(above, "asker")
        await wait_until(app, execution.id, "WAITING_CHILD_HUMAN_INPUT")
        await asyncio.sleep(0.8)
        await app.answer(execution.id, "yes")
        assert (await execution.outcome(timeout=4)).value == "yes"


async def test_L21_the_clock_stands_still_across_a_restart_in_a_durable_sleep(tmp_path) -> None:
    @process("long_sleeper", ttl=0.3)
    async def long_sleeper(_: int) -> str:
        await working(0.05)
        await sleep(1.2)
        return "slept"

    processes = [above, over, long_sleeper]
    async with Remit(open_store(tmp_path), processes=processes) as app:
        execution = await app.start(above, "long_sleeper")
        await wait_until(app, execution.id + ".1.1", "PENDING_ASYNC")
    await asyncio.sleep(0.6)
    async with Remit(open_store(tmp_path), processes=processes) as app:
        assert (await app.outcome(execution.id, timeout=4)).value == "slept"


async def test_L21_the_clock_runs_while_an_awaited_childs_runs() -> None:
    @process("busy")
    async def busy(_: int) -> str:
        await working(3)
        return "done"

    async with Remit(":memory:", processes=[over, busy]) as app:
        outcome = await (await app.start(over, "busy")).outcome(timeout=4)
        assert outcome.status == "timed_out"
        assert (await status(app, outcome.execution_id + ".1")) in ("CANCELLED", "TIMED_OUT")


async def test_L21_the_clock_runs_on_across_attempts_and_in_backoff() -> None:
    @step
    async def flaky(_: int) -> int:
        raise ConnectionError("down")

    @process("unlucky", ttl=0.5, retry=Retry(attempts=1_000, first="50ms", longest="100ms"))
    async def unlucky(_: int) -> int:
        return await flaky(1)

    @process("backing_off", ttl=0.5, retry=Retry(attempts=2, first="1h", longest="1h"))
    async def backing_off(_: int) -> int:
        return await flaky(1)

    async with Remit(":memory:", processes=[unlucky, backing_off]) as app:
        for each in (unlucky, backing_off):
            began = time.monotonic()
            execution = await app.start(each, 1)
            outcome = await execution.outcome(timeout=3)
            assert outcome.status == "timed_out", each
            assert time.monotonic() - began < 0.5 + GRACE
            assert (await app.get(execution.id)).attempt > 1


async def test_L21_a_parents_clock_runs_on_beside_an_ask_of_its_own_while_its_child_runs() -> None:
    @process("busy")
    async def busy(_: int) -> str:
        await working(3)
        return "done"

    @process("both", calls=[busy], ttl=0.4)
    async def both(_: int) -> str:
        await asyncio.gather(call_process(busy, 1), ask(str, name="word"))
        return "done"

    async with Remit(":memory:", processes=[both, busy]) as app:
        assert (await (await app.start(both, 1)).outcome(timeout=3)).status == "timed_out"


async def test_L21_waits_are_bounded_by_30_days() -> None:
    @process("patient")
    async def patient(kind: str) -> None:
        if kind == "ask":
            await ask(str, name="word")
        elif kind == "event":
            await wait_event("word", timeout="9000d")
        else:
            await sleep("9000d")

    async with Remit(":memory:", processes=[patient]) as app:
        for kind in ("ask", "event", "sleep"):
            execution = await app.start(patient, kind)
            record = await wait_until(app, execution.id, "WAITING_HUMAN_INPUT", "PENDING_ASYNC")
            days = (record.waiting_on.first[0]["due_at"] / 1_000 - record.created_at.timestamp()) / 86_400
            assert 29.9 < days <= 30.01, kind


async def test_L22_an_expiry_is_retried_only_with_retry_on_timeout_and_each_attempt_has_its_ttl() -> None:
    @process("hangs", ttl=0.25)
    async def hangs(_: int) -> int:
        await asyncio.get_running_loop().create_future()
        return 1

    async with Remit(":memory:", processes=[hangs]) as app:
        plain = await app.start(hangs, 1, retry=Retry(attempts=5, first=0))
        assert (await plain.outcome(timeout=3)).status == "timed_out"
        assert (await plain.record()).attempt == 1
        twice = await app.start(hangs, 2, retry=Retry(attempts=2, first=0, retry_on_timeout=True))
        began = time.monotonic()
        assert (await twice.outcome(timeout=3)).status == "timed_out"
        assert (await twice.record()).attempt == 2
        assert time.monotonic() - began >= 0.5


async def test_L22_a_retried_expiry_may_succeed_and_finished_steps_do_not_run_twice() -> None:
    runs = []

    @step
    async def once() -> int:
        runs.append("once")
        return 1

    @process("second_time_lucky", ttl=0.25)
    async def second_time_lucky(_: int) -> int:
        await once()
        runs.append("body")
        if runs.count("body") == 1:
            await asyncio.get_running_loop().create_future()
        return 5

    async with Remit(":memory:", processes=[second_time_lucky]) as app:
        execution = await app.start(second_time_lucky, 1, retry=Retry(attempts=2, first=0, retry_on_timeout=True))
        assert (await execution.outcome(timeout=3)).value == 5
        assert runs == ["once", "body", "body"]


async def test_L22_stuck_threads_are_counted_and_their_return_changes_nothing() -> None:
    async with Remit(":memory:", processes=[thread_that_loops]) as app:
        execution = await app.start(thread_that_loops, 1)
        assert (await execution.outcome(timeout=3)).status == "timed_out"
        assert app.engine.workers.stuck == 1
        before = await app.get(execution.id)
        stuck.set()

        async def back() -> bool:
            return app.engine.workers.stuck == 0

        await until(back)
        assert await app.get(execution.id) == before


async def test_L22_expiries_of_executions_whose_code_is_not_hosted_are_settled_all_the_same(tmp_path) -> None:
    @step
    async def fails(_: int) -> int:
        raise ConnectionError("down")

    @process("backs_off", ttl=0.5, retry=Retry(attempts=2, first="1h", longest="1h"))
    async def backs_off(_: int) -> int:
        return await fails(1)

    async with Remit(open_store(tmp_path), processes=[backs_off]) as app:
        execution = await app.start(backs_off, 1)
        await wait_until(app, execution.id, "PENDING_ASYNC")
    async with Remit(open_store(tmp_path), processes=[quick]) as app:
        assert (await app.outcome(execution.id, timeout=2)).status == "timed_out"


async def test_L21_the_clock_stands_still_in_pending_where_no_code_is_hosted(tmp_path) -> None:
    @process("rests", ttl=0.3)
    async def rests(_: int) -> str:
        await working(0.1)
        return "rested"

    async with Remit(open_store(tmp_path), processes=[rests]) as app:
        execution = await app.start(rests, 1)
        await wait_until(app, execution.id, "ACTIVE")
    async with Remit(open_store(tmp_path), processes=[quick]) as app:
        await wait_until(app, execution.id, "PENDING")
        await asyncio.sleep(0.4)
        assert await status(app, execution.id) == "PENDING"
    async with Remit(open_store(tmp_path), processes=[rests]) as app:
        assert (await app.outcome(execution.id, timeout=2)).value == "rested"


async def test_L21_a_clock_that_runs_beside_an_ask_runs_on_after_a_restart(tmp_path) -> None:
    @process("busy")
    async def busy(_: int) -> str:
        await working(3)
        return "done"

    @process("both", calls=[busy], ttl=0.6)
    async def both(_: int) -> str:
        await asyncio.gather(call_process(busy, 1), ask(str, name="word"))
        return "done"

    async with Remit(open_store(tmp_path), processes=[both, busy]) as app:
        execution = await app.start(both, 1)
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[both, busy]) as app:
        assert (await app.outcome(execution.id, timeout=2)).status == "timed_out"


async def test_L21_the_clock_stands_still_while_paused_the_ancestors_too() -> None:
    @model("thirsty-model", max_input_tokens=60, max_tokens=40)
    async def thirsty(_: int) -> tuple[int, Usage]:
        return 1, Usage(tokens=1)

    @process("drinks", ttl=0.3)
    async def drinks(_: int) -> str:
        return str(await thirsty(1))

    async with Remit(":memory:", processes=[over, drinks]) as app:
        execution = await app.start(over, "drinks", budget=Budget(tokens=50, on_exhausted="suspend"))
        await wait_until(app, execution.id + ".1", "PAUSED")
        await asyncio.sleep(0.5)
        await app.top_up(execution.id, Budget(tokens=60))
        assert (await execution.outcome(timeout=2)).ok


async def test_L21_a_ttl_of_no_time_is_refused_and_does_not_become_the_longest() -> None:
    @process("asks_for_none", calls=[over])
    async def asks_for_none(_: int) -> None:
        await call_process(over, "drinks", ttl=0)

    async with Remit(":memory:", processes=[asks_for_none, over]) as app:
        with pytest.raises(InvalidInput, match="ttl='0s'"):
            await app.start(asks_for_none, 1, ttl="0s")
        outcome = await (await app.start(asks_for_none, 1)).outcome(timeout=2)
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.message) == ("invalid_input", "ttl=0: give a time of at least 1ms")
        with pytest.raises(DefinitionError, match="at least 1ms"):
            await app.apply_policy("policy: none\nversion: 1.0.0\nlimits: {ttl: 0s}\n")

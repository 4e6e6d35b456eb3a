"""The clock of a test: what takes days passes at once, in order, and for nobody else."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from remit import Budget, InvalidInput, Remit, Retry, TransientError, process, step
from remit.durable import sleep
from remit.testing import Stuck, TestApp, VirtualClock, after, hangs, in_turn
from tests.laws.scene import wait_until
from tests.testing_kit.shop import SHOP, Parcel, nap, order, pack, paid, price

MONDAY = "2026-03-02T09:00:00+00:00"


def _clock() -> VirtualClock:
    return VirtualClock(MONDAY)


async def test_two_days_pass_in_milliseconds() -> None:
    async with TestApp([nap], clock=_clock()) as app:
        began = time.perf_counter()
        outcome = await app.run(nap, ["1d", "23h", "1h"])
        assert time.perf_counter() - began < 1
        assert outcome.unwrap() == "2026-03-04T09:00:00+00:00"
        assert app.clock.elapsed == timedelta(days=2)
        record = await app.get(outcome.execution_id or "")
        assert record.duration_ms == 2 * 86_400_000


async def test_a_thousand_naps_take_no_second_each() -> None:
    async with TestApp([nap]) as app:
        began = time.perf_counter()
        assert (await app.run(nap, ["1h"] * 1_000)).ok
        assert time.perf_counter() - began < 10
        assert app.clock.elapsed == timedelta(hours=1_000)


async def test_branches_wait_side_by_side() -> None:
    async with TestApp([pack], clock=_clock()) as app:
        assert set((await app.run(pack, ["a", "b", "c"])).unwrap()) == {
            f"{each} at 2026-03-02T10:00:00+00:00" for each in "abc"
        }


async def test_L21_an_ask_times_out_in_its_own_time_and_no_sooner() -> None:
    async with TestApp(SHOP, clock=_clock(), tools={"rate-card": 7}) as app:
        outcome = await app.run(order, Parcel(country="FR"))
        assert outcome.unwrap() == "not sent: nobody said yes"
        assert app.clock.elapsed == timedelta(days=2)


async def test_L22_a_ttl_runs_out_for_what_hangs() -> None:
    async with TestApp(SHOP, tools={"rate-card": hangs}, clock=_clock()) as app:
        execution = await app.start(price, Parcel(country="FR"), retry=Retry(attempts=1), ttl="20s")
        outcome = await execution.outcome(timeout=5)
        assert (outcome.status, outcome.error.code) == ("timed_out", "lease_expired")
        assert timedelta(seconds=20) <= app.clock.elapsed <= timedelta(seconds=20.2)


async def test_L18_a_step_that_hangs_is_timed_out_and_tried_again() -> None:
    fake = in_turn(hangs, after("10s", 7))
    async with TestApp([price], tools={"rate-card": fake}) as app:
        outcome = await app.run(price, Parcel(country="FR", grams=2))
        assert outcome.unwrap() == 14
        assert timedelta(seconds=40) <= app.clock.elapsed <= timedelta(seconds=41)
        assert (await app.get(outcome.execution_id or "")).attempt == 2


async def test_L18_backoff_passes() -> None:
    async with TestApp([price], tools={"rate-card": TransientError("down")}) as app:
        terms = Retry(attempts=6, first="1h", longest="2d")
        outcome = await app.run(price, Parcel(country="FR"), retry=terms, ttl="30d")
        assert outcome.error.code == "retries_exhausted"
        assert app.clock.elapsed > timedelta(minutes=1)
        assert len(app.calls) == 6


async def test_the_clock_stands_still_while_a_step_works() -> None:
    @step
    def counts() -> int:
        time.sleep(0.1)
        return 1

    @process
    async def both() -> int:
        napping = asyncio.create_task(sleep("1d"))
        counted = await counts()
        assert counted == 1
        await napping
        return counted

    clock = _clock()
    async with TestApp([both], clock=clock) as app:
        execution = await app.start(both)
        waiting = asyncio.ensure_future(execution.outcome())
        await asyncio.sleep(0.05)
        assert clock.elapsed == timedelta(0)
        assert (await waiting).unwrap() == 1
        assert clock.elapsed == timedelta(days=1)


async def test_nothing_passes_unless_an_outcome_is_awaited() -> None:
    async with TestApp(SHOP, tools={"rate-card": 7}, children={"payment": True}) as app:
        execution = await app.start(order, Parcel(country="FR"))
        await app.settle()
        await asyncio.sleep(0.05)
        assert (await execution.record()).status == "WAITING_HUMAN_INPUT"
        assert app.clock.elapsed == timedelta(0)
        await app.answer(execution.id, True)
        assert (await execution.outcome()).unwrap() == "sent for 2100 cents"
        assert app.clock.elapsed == timedelta(0)


async def test_by_hand_everything_happens_on_its_way_and_in_order() -> None:
    async with TestApp([nap], clock=_clock()) as app:
        early, late = await app.start(nap, ["1h"]), await app.start(nap, ["2h", "2h"])
        await app.settle()
        assert app.clock.next_due == datetime(2026, 3, 2, 10, tzinfo=UTC)
        await app.clock.advance("3h")
        assert (await early.outcome()).unwrap() == "2026-03-02T10:00:00+00:00"
        assert (await late.record()).status == "PENDING_ASYNC"
        assert app.clock.date() == datetime(2026, 3, 2, 12, tzinfo=UTC)
        await app.clock.advance_to("2026-03-02T15:00:00+02:00")
        assert (await late.outcome()).unwrap() == "2026-03-02T13:00:00+00:00"


async def test_time_does_not_go_back_and_needs_a_zone() -> None:
    clock = _clock()
    with pytest.raises(ValueError, match="does not go back"):
        await clock.advance_to("2026-03-01T09:00:00+00:00")
    with pytest.raises(ValueError, match="no time zone"):
        VirtualClock("2026-03-02T09:00:00")
    with pytest.raises(InvalidInput, match="negative"):
        await clock.advance(-1)


async def test_moving_on_waits_for_those_at_work_and_names_them() -> None:
    release = threading.Event()

    @step
    def blocks() -> bool:
        return release.wait(20)

    @process(ttl="1h")
    async def working() -> bool:
        return await blocks()

    async with TestApp([working]) as app:
        execution = await app.start(working)
        with pytest.raises(Stuck, match=f"{execution.id} at work for 0.1 s"):
            await app.settle(0.1)
        await app.clock.advance("2h", force=True)
        assert (await execution.outcome()).status == "timed_out"
        release.set()


async def test_an_end_that_cannot_come_is_told_with_the_tree() -> None:
    async with TestApp(SHOP, tools={"rate-card": 7}) as app:
        execution = await app.start(price, Parcel(country="FR"), budget=Budget(cost="0.01", on_exhausted="suspend"))
        with pytest.raises(Stuck, match=r"no timer is left(.|\n)*price PAUSED budget_exhausted"):
            await execution.outcome()
        with pytest.raises(TimeoutError):
            await execution.outcome(timeout=0.1)
        await app.top_up(execution.id, Budget(cost="1"))
        assert (await execution.outcome()).unwrap() == 2100


async def test_an_execution_that_never_ends_is_told_after_a_year() -> None:
    @process
    async def patrol() -> None:
        while True:
            await sleep("30d")

    async with TestApp([patrol]) as app:
        with pytest.raises(Stuck, match="366 days have gone by"):
            await app.run(patrol)


async def test_two_tests_at_once_have_their_own_time() -> None:
    async def days(count: int) -> tuple[str, timedelta]:
        async with TestApp([nap], clock=_clock()) as app:
            outcome = await app.run(nap, ["1d"] * count)
            return outcome.unwrap(), app.clock.elapsed

    found = await asyncio.gather(*(days(count) for count in (1, 5, 2, 9)))
    assert [each for _, each in found] == [timedelta(days=count) for count in (1, 5, 2, 9)]
    assert found[1][0] == "2026-03-07T09:00:00+00:00"


async def test_another_app_on_the_loop_keeps_real_time() -> None:
    async with Remit(":memory:", processes=[nap]) as real, TestApp([nap]) as app:
        execution = await real.start(nap, ["1h"])
        assert (await app.run(nap, ["30d"])).ok
        assert (await wait_until(real, execution.id, "PENDING_ASYNC")).ended_at is None
        quick = await real.start(nap, ["50ms"])
        assert abs(datetime.fromisoformat((await quick.outcome(timeout=5)).unwrap()) - datetime.now(UTC)) < timedelta(
            seconds=5
        )


def test_threads_have_their_own_time() -> None:
    found: dict[int, timedelta] = {}

    def days(count: int) -> None:
        async def scenario() -> None:
            async with TestApp([nap]) as app:
                assert (await app.run(nap, ["1d"] * count)).ok
                found[count] = app.clock.elapsed

        asyncio.run(scenario())

    threads = [threading.Thread(target=days, args=(count,)) for count in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == {count: timedelta(days=count) for count in (1, 2, 3, 4)}


async def test_two_apps_may_share_a_clock_and_it_waits_for_both() -> None:
    clock, done = _clock(), threading.Event()

    @step
    def waits() -> bool:
        return done.wait(10)

    @process
    async def working() -> bool:
        return await waits()

    async with TestApp([nap], clock=clock) as one, TestApp([working], clock=clock) as other:
        busy = await other.start(working)
        waiting = asyncio.ensure_future((await one.start(nap, ["1d"])).outcome())
        await asyncio.sleep(0.1)
        assert clock.elapsed == timedelta(0)
        done.set()
        assert (await busy.outcome()).unwrap()
        assert (await waiting).ok
        assert clock.elapsed == timedelta(days=1)


async def test_a_clock_outlives_an_app_that_is_opened_again(tmp_path) -> None:
    clock, store = _clock(), f"sqlite:///{tmp_path / 'remit.db'}"
    async with TestApp([nap], store=store, clock=clock) as app:
        execution = await app.start(nap, ["2d"])
        await clock.advance("1d")
        assert (await execution.record()).status == "PENDING_ASYNC"
    await clock.advance("12h")
    async with TestApp([nap], store=store, clock=clock) as app:
        assert (await app.outcome(execution.id)).unwrap() == "2026-03-04T09:00:00+00:00"
        assert clock.elapsed == timedelta(days=2)


async def test_L50_an_event_that_does_not_come_times_out() -> None:
    async with TestApp([paid]) as app:
        assert (await app.run(paid, None)).error.code == "event_timeout"
        assert app.clock.elapsed == timedelta(days=7)


async def test_L21_a_running_ttl_stands_still_in_sleeps_that_pass() -> None:
    @process(ttl="10m")
    async def short() -> None:
        await sleep("3d")
        await sleep("3d")

    async with TestApp([short]) as app:
        assert (await app.run(short)).ok


async def test_L52_the_time_in_a_body_is_the_clock_s_and_is_recorded() -> None:
    async with TestApp([nap], clock=_clock()) as app:
        outcome = await app.run(nap, [])
        assert outcome.unwrap() == MONDAY
        assert [entry.result for entry in await app.journal(outcome.execution_id or "")] == [MONDAY]
        assert (await app.get(outcome.execution_id or "")).created_at == datetime.fromisoformat(MONDAY)


async def test_L54_schedules_fire_by_the_clock() -> None:
    async with TestApp([nap], clock=_clock()) as app:
        await app.schedule("mornings", "0 8 * * *", nap, ["1h"], timezone="Europe/Berlin")
        await app.clock.advance("3d")
        started = [record.created_at.isoformat() for record in await app.list(process="nap")]
        assert started == [f"2026-03-0{day}T07:00:00+00:00" for day in (5, 4, 3)]
        assert {record.status for record in await app.list(process="nap")} == {"COMPLETED"}

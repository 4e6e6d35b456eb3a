"""Periods of departments' budgets: when one ends, what waits for it goes on; what is reserved stays where it was made (L45)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from remit import Budget, Remit, ask, call_process, process
from remit.testing import TestApp
from tests.laws.hand_clock import HandClock, by_hand
from tests.laws.scene import open_store, wait_until
from tests.laws.test_department_budgets import PROCESSES, budget, end, figures, holds, order, shelf, thinks


async def test_L26_L45_what_waits_for_a_budget_goes_on_when_it_is_removed() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=299, on_exhausted="suspend"))
        root = await app.start(thinks, 7)
        await wait_until(app, root.id, "PAUSED")
        await app.remove_department_budget("warehouse")
        assert (await root.outcome(timeout=5)).unwrap() == "thought"


async def test_L26_L45_what_waits_for_a_budget_goes_on_when_the_next_period_begins() -> None:
    clock = HandClock("2026-03-30T09:00:00+00:00")
    async with by_hand(clock, processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=310, on_exhausted="suspend"), zone="Europe/Vienna")
        roots = [await app.start(thinks, 300)]
        assert (await roots[0].outcome(timeout=5)).unwrap() == "thought"
        roots += [await app.start(thinks, used) for used in (290, 300)]
        for each in roots[1:]:
            await wait_until(app, each.id, "PAUSED")
        await clock.to("2026-03-31T21:59:59+00:00")
        assert [(await app.get(each.id)).status for each in roots[1:]] == ["PAUSED", "PAUSED"]
        await clock.to("2026-03-31T22:00:00+00:00")  # April, in Vienna
        done = await asyncio.wait({asyncio.ensure_future(each.outcome()) for each in roots[1:]}, timeout=5, return_when="FIRST_COMPLETED")
        assert [each.result().unwrap() for each in done[0]] == ["thought"]
        assert {str((await app.get(each.id)).status) for each in roots[1:]} == {"COMPLETED", "PAUSED"}  # there is room for one
        for each in done[1]:
            each.cancel()
        await clock.to("2026-04-30T22:00:00+00:00")
        assert [(await each.outcome(timeout=5)).unwrap() for each in roots[1:]] == ["thought", "thought"]


async def test_L26_L45_the_next_period_begins_for_what_waits_also_after_a_restart(tmp_path: Path) -> None:
    clock = HandClock("2026-03-30T09:00:00+00:00")
    async with by_hand(clock, open_store(tmp_path), processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=299, on_exhausted="suspend"), period="day")
        root = await app.start(thinks, 7)
        await wait_until(app, root.id, "PAUSED")
        cancelled = await app.start(thinks, 7)
        await wait_until(app, cancelled.id, "PAUSED")
        await app.cancel(cancelled.id)
    for later in ("2026-03-30T12:00:00+00:00", "2026-03-31T00:00:01+00:00"):
        clock = HandClock(later)
        async with by_hand(clock, open_store(tmp_path), processes=PROCESSES) as app:
            await clock.to(later)
            await wait_until(app, root.id, "PAUSED")  # 299 tokens are too few on any day
    async with by_hand(HandClock("2026-03-31T12:00:00+00:00"), open_store(tmp_path), processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=400, on_exhausted="suspend"), period="week")
        await app.set_department_budget("warehouse", Budget(tokens=301, on_exhausted="suspend"), period="day")
        assert (await app.outcome(root.id, timeout=5)).unwrap() == "thought"
        again = await app.start(thinks, 300)
        await wait_until(app, again.id, "PAUSED")  # 7 and 300 are more than 301
    clock = HandClock("2026-04-01T00:00:00+00:00")
    async with by_hand(clock, open_store(tmp_path), processes=PROCESSES) as app:
        await clock.to("2026-04-01T00:00:00+00:00")
        assert (await app.outcome(again.id, timeout=5)).unwrap() == "thought"
        assert (await app.get(cancelled.id)).status == "CANCELLED"


async def test_L31_L45_a_new_budget_counts_what_its_period_has_used_before() -> None:
    clock = HandClock("2026-03-30T23:00:00+00:00")
    async with by_hand(clock, processes=PROCESSES) as app:
        assert await end(app, order, [100, 20], tenant="acme") == ["completed", "completed"]  # caused by sales, used by warehouse
        await clock.to("2026-03-31T09:00:00+00:00")
        assert await end(app, shelf, 4) == 4
        for department, period, tenant, spent in (
            ("warehouse", "month", None, 124),
            ("warehouse", "month", "acme", 120),
            ("warehouse", "day", None, 4),
            ("sales", "month", None, 120),
            ("sales", "day", None, 0),
            ("legal", "month", None, 0),
        ):
            view = await app.set_department_budget(department, Budget(tokens=1_000), period=period, tenant=tenant)
            assert view.spent_tokens == spent, (department, period, tenant)
        await app.set_department_budget("warehouse", Budget(tokens=130))
        assert await end(app, shelf, 2) == 2
        everybody = next(each for each in await app.department_budgets("warehouse") if (each.period, each.tenant) == ("month", None))
        assert figures(everybody) == (126, 0, 4)


async def test_L45_a_new_period_begins_with_a_whole_budget_and_reservations_stay_where_they_were_made() -> None:
    async with TestApp(PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=1_000), period="day")
        root = await app.start(holds, 0)
        await app.settle()
        assert figures(await budget(app)) == (0, 700, 300)
        assert (await app.run(order, [0])).unwrap() == ["budget_exceeded"]
        await app.clock.advance("1d")
        assert figures(await budget(app)) == (0, 0, 1_000)
        assert (await app.run(order, [400])).unwrap() == ["completed"]
        assert figures(await budget(app)) == (400, 0, 600)
        await app.answer(root.id, "now")
        assert (await root.outcome()).unwrap() == "now"
        assert figures(await budget(app)) == (400, 0, 600)


async def test_L45_what_a_reservation_of_yesterday_covers_counts_yesterday() -> None:
    @process("slow", department="warehouse", calls=[shelf])
    async def slow(_: int) -> int:
        await ask(str, name="go", prompt="Go?")
        (await call_process(shelf, 450, estimate=500)).unwrap()
        return 1

    @process("late", department="sales", calls=[slow])
    async def late(_: int) -> int:
        return (await call_process(slow, 0, estimate=600)).unwrap()

    async with TestApp([late, slow, shelf]) as app:
        await app.set_department_budget("warehouse", Budget(tokens=600), period="day")
        root = await app.start(late, 0)
        await app.settle()
        yesterday = (await budget(app)).begins
        await app.clock.advance("1d")
        await app.set_department_budget("sales", Budget(tokens=9_000), period="day")  # the books are read anew, also so
        await app.answer(root.id, "now")
        assert (await root.outcome()).unwrap() == 1
        assert figures(await budget(app)) == (0, 0, 600)
        rows = app.engine.store._rows("SELECT begins, tokens FROM department_ledgers WHERE department = 'warehouse'")  # type: ignore[attr-defined]
        assert yesterday is not None
        assert rows == [(int(yesterday.timestamp() * 1_000), 450)]

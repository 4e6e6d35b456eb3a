"""Budgets of departments: both sides of a call pay, in the period that is, whatever races, crashes or is taken over (L45)."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from remit import (
    Budget,
    DepartmentBudgetView,
    InvalidInput,
    MisuseError,
    Remit,
    Usage,
    ask,
    call_process,
    charge,
    model,
    process,
)
from remit.engine.departments import budgets_read
from remit.testing import TestApp
from tests.laws.scene import Victim, look_at, open_store, wait_until, working


@model("m", max_input_tokens=300, max_tokens=0)
async def think(used: int) -> tuple[str, Usage]:
    await asyncio.sleep(0)
    return "thought", Usage(tokens=used, cost="0.01")


@process("shelf", department="warehouse")
async def shelf(used: int) -> int:
    await working(0.001)
    if used:
        await charge(Usage(tokens=used, cost="0.02"))
    return used


@process("inventory", department="warehouse", calls=[shelf], estimate=600)
async def inventory(used: int) -> int:
    (await call_process(shelf, used)).unwrap()
    return used


@process("order", department="sales", calls=[inventory])
async def order(each_uses: list[int]) -> list[str]:
    outcomes = [await call_process(inventory, used, key=str(n)) for n, used in enumerate(each_uses)]
    return [each.status if each.error is None else each.error.code for each in outcomes]


@process("runner", department="warehouse")
async def runner(used: int) -> int:
    await working(0.004 * (used % 7))
    await charge(Usage(tokens=used))
    return used


@process("rush", department="sales", calls=[runner])
async def rush(count: int) -> dict[str, int]:
    outcomes = []
    for wave in range(4):
        calls = [call_process(runner, 10 + n % 7, key=f"{wave}.{n}", estimate=100) for n in range(count)]
        outcomes += await asyncio.gather(*calls)
    return {name: sum(each.status == name for each in outcomes) for name in ("completed", "rejected", "failed")}


@process("thinks", department="warehouse")
async def thinks(used: int) -> str:
    return (await think(used))[0]


@process("waits", department="warehouse")
async def waits(_: int) -> str:
    return await ask(str, name="go", prompt="Go?")


@process("holds", department="sales", calls=[waits])
async def holds(_: int) -> str:
    return (await call_process(waits, 0, estimate=700)).unwrap()


PROCESSES = [order, inventory, shelf, rush, runner, thinks, waits, holds]


async def budget(app: Remit, department: str = "warehouse", **narrowed: Any) -> DepartmentBudgetView:
    """The one budget of a department; what is held in memory is what the rows tell."""
    await app.engine.durability.settled()
    held, told = app.engine.books, budgets_read(app.engine.store)
    assert held is not None
    assert told is not None
    now = app.engine.clock.now()
    for living, durable in zip(held.all(), told.all(), strict=True):
        for pool in ("tokens", "cost"):
            of_memory, of_rows = (getattr(each.folio(now).account, pool) for each in (living, durable))
            assert (of_memory.spent, of_memory.held) == (of_rows.spent, of_rows.held), (living.key, pool)
    (found,) = await app.department_budgets(department, **narrowed)
    return found


def figures(view: DepartmentBudgetView) -> tuple[int, int, int | None]:
    return view.spent_tokens, view.reserved_tokens, view.left_tokens


async def end(app: Remit, target: Any, value: Any, **terms: Any) -> Any:
    return (await (await app.start(target, value, **terms)).outcome(timeout=10)).unwrap()


async def test_L45_a_call_that_does_not_fit_its_callees_budget_is_rejected_beside_the_roots() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=1_000), period="day")
        assert await end(app, order, [450, 0], budget=Budget(tokens=10_000)) == ["completed", "budget_exceeded"]
        assert figures(await budget(app)) == (450, 0, 550)
        (alert,) = await app.alerts(code="budget_exceeded")
        told = {name: alert.details[name] for name in ("check", "unit", "department", "period", "tenant", "limit", "current")}
        assert told == {
            "check": "budget", "unit": "tokens", "department": "warehouse", "period": "day", "tenant": None,
            "limit": 550, "current": 600,
        }  # fmt: skip
        assert "the budget of department 'warehouse' for the day has 550 left" in alert.message
        assert await end(app, order, [0], budget=Budget(tokens=500)) == ["budget_exceeded"]  # the root's own still counts
        assert len(await app.list(process="inventory")) == 1


async def test_L45_both_sides_of_a_call_pay_and_each_once_however_deep() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        for department in ("warehouse", "sales", "finance"):
            await app.set_department_budget(department, Budget(tokens=5_000, cost="1.00"))
        assert await end(app, order, [450, 100]) == ["completed", "completed"]
        for department in ("warehouse", "sales"):
            view = await budget(app, department)
            assert figures(view) == (550, 0, 4_450)
            assert (view.spent_cost, view.left_cost) == ("0.04", "0.96")
        assert figures(await budget(app, "finance")) == (0, 0, 5_000)


async def test_L45_the_callers_department_is_asked_too() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        await app.set_department_budget("sales", Budget(tokens=599))
        assert await end(app, order, [0]) == ["budget_exceeded"]
        (alert,) = await app.alerts(code="budget_exceeded")
        assert alert.details["department"] == "sales"


async def test_L24_L45_64_racers_never_overspend_a_departments_budget_in_any_committed_state(tmp_path: Path) -> None:
    limit, over, looked, done = 2_000, [], set(), threading.Event()
    ledger = "SELECT coalesce(sum(tokens), 0) FROM department_ledgers WHERE department = 'warehouse'"
    reserved = "SELECT total(reserved_tokens) FROM executions WHERE department = 'warehouse' AND ended_at IS NULL"

    def auditor() -> None:
        while not done.is_set():
            ((spent, held),) = look_at(tmp_path, f"SELECT ({ledger}), ({reserved})")
            looked.add((spent, held))
            if spent + held > limit:
                over.append((spent, held))

    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=limit))
        audit = threading.Thread(target=auditor)
        audit.start()
        try:
            roots = [await app.start(rush, 16, key=str(n)) for n in range(4)]
            counts = [(await root.outcome(timeout=20)).unwrap() for root in roots]
        finally:
            done.set()
            audit.join()
        assert over == []
        assert len(looked) > 3, "the race was never seen under way"
        assert sum(each["rejected"] for each in counts) > 0
        assert sum(each["completed"] for each in counts) >= limit // 100
        used = sum(each.usage.own.tokens for each in await app.list(process="runner", limit=1_000))
        assert figures(await budget(app)) == (used, 0, limit - used)


async def test_L45_a_tenants_budget_is_beside_that_of_all() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=700), tenant="acme")
        await app.set_department_budget("warehouse", Budget(tokens=1_500))
        assert await end(app, order, [200, 0], tenant="acme") == ["completed", "budget_exceeded"]
        assert await end(app, order, [200, 200], tenant="globex") == ["completed", "completed"]
        assert await end(app, order, [400, 0]) == ["completed", "budget_exceeded"]  # of 1,500 there are 500 left
        assert figures(await budget(app, tenant="acme")) == (200, 0, 500)
        everybody, acme = await app.department_budgets("warehouse")
        assert [each.tenant for each in (everybody, acme)] == [None, "acme"]
        assert figures(everybody) == (1_000, 0, 500)


async def test_L45_a_root_of_a_department_that_has_nothing_left_is_not_started() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        await app.set_department_budget("sales", Budget(tokens=0), period="week")
        with pytest.raises(MisuseError, match=r"of department 'sales' for the week has no tokens left.*remit budget set") as refused:
            await app.start(order, [0], key="once")
        assert (refused.value.code, refused.value.details["unit"]) == ("budget_exceeded", "tokens")
        await app.remove_department_budget("sales", period="week")
        assert (await app.start(order, [0], key="once")).new  # the refusal was not remembered


async def test_L26_L45_a_metered_effect_finds_no_headroom_in_its_departments_budget() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=500))
        assert await end(app, thinks, 250) == "thought"
        outcome = await (await app.start(thinks, 1)).outcome(timeout=5)
        assert outcome.error is not None
        assert outcome.error.code == "budget_exhausted"
        assert "m needs 300 tokens; the budget of department 'warehouse' for the month has 250 left" in outcome.error.message
        told = {name: outcome.error.details[name] for name in ("unit", "department", "period", "headroom")}
        assert told == {"unit": "tokens", "department": "warehouse", "period": "month", "headroom": 250}
        assert figures(await budget(app)) == (250, 0, 250)


async def test_L26_L45_what_waits_for_a_budget_goes_on_when_it_is_raised() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=299, on_exhausted="suspend"))
        root = await app.start(thinks, 7)
        paused = await wait_until(app, root.id, "PAUSED")
        assert paused.error is not None
        assert paused.error.code == "budget_exhausted"
        await app.set_department_budget("warehouse", Budget(tokens=300, on_exhausted="suspend"), by="ann")
        assert (await root.outcome(timeout=5)).unwrap() == "thought"
        assert figures(await budget(app)) == (7, 0, 293)
        assert {each.code for each in await app.alerts()} >= {"department_budget_set", "budget_exhausted"}


async def test_L26_L45_usage_reported_beyond_the_budget_counts_and_fails() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(cost="0.01"))
        outcome = await (await app.start(shelf, 5)).outcome(timeout=5)
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.details["unit"]) == ("budget_exhausted", "cost")
        view = await budget(app)
        assert (view.spent_cost, view.left_cost) == ("0.02", "-0.01")


# -- budgets that change while executions run -------------------------------------------------------------------------


async def test_L45_a_budget_that_is_set_counts_what_is_reserved_by_what_runs() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        root = await app.start(holds, 0)
        await wait_until(app, root.id, "WAITING_CHILD_HUMAN_INPUT")
        assert app.engine.books is None
        set_now = await app.set_department_budget("warehouse", Budget(tokens=1_000))
        assert figures(set_now) == (0, 700, 300)
        assert await end(app, order, [0]) == ["budget_exceeded"]
        await app.answer(root.id, "now")
        assert (await root.outcome(timeout=5)).unwrap() == "now"
        assert figures(await budget(app)) == (0, 0, 1_000)
        assert await end(app, order, [600]) == ["completed"]
        raised = await app.set_department_budget("warehouse", Budget(tokens=2_000))
        assert figures(raised) == (600, 0, 1_400)
        assert await app.remove_department_budget("warehouse") is True
        assert await app.remove_department_budget("warehouse") is False
        assert app.engine.books is None
        assert await end(app, order, [5]) == ["completed"]
        assert figures(await app.set_department_budget("warehouse", Budget(tokens=700))) == (605, 0, 95)


async def test_L25_L45_whatever_ends_releases_what_it_reserved_once() -> None:
    async with Remit(":memory:", processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=1_000))
        root = await app.start(holds, 0)
        for _ in range(2):
            await wait_until(app, root.id, "WAITING_CHILD_HUMAN_INPUT")
            assert figures(await budget(app))[0] == 0
            await app.cancel(root.id)
            assert figures(await budget(app)) == (0, 0, 1_000)
            assert await end(app, order, [0]) == ["completed"]
            await app.retry(root.id)


async def test_L25_L45_reservations_below_draw_on_those_above_and_what_is_left_goes_back(tmp_path: Path) -> None:
    @process("inner", department="warehouse", calls=[shelf])
    async def inner(_: int) -> str:
        await ask(str, name="go", prompt="Go?")
        (await call_process(shelf, 50, estimate=300)).unwrap()
        return await ask(str, name="again", prompt="Again?")

    @process("outer", department="warehouse", calls=[inner, waits])
    async def outer(_: int) -> str:
        first = call_process(inner, 0, estimate=500)
        second = call_process(waits, 0, estimate=400)
        return "".join(each.unwrap() for each in await asyncio.gather(first, second))

    @process("top", department="sales", calls=[outer])
    async def top(_: int) -> str:
        return (await call_process(outer, 0, estimate=700)).unwrap()

    hosted = [top, outer, inner, waits, shelf]
    async with Remit(open_store(tmp_path), processes=hosted) as app:
        await app.set_department_budget("warehouse", Budget(tokens=1_000))
        root = await app.start(top, 0)
        await wait_until(app, root.id, "WAITING_CHILD_HUMAN_INPUT")
        assert figures(await budget(app)) == (0, 900, 100)  # 700, and 200 more than that
    async with Remit(open_store(tmp_path), processes=hosted) as app:
        assert figures(await budget(app)) == (0, 900, 100)
        await app.answer(root.id + ".1.1", "a")
        await wait_until(app, root.id + ".1.1", "WAITING_HUMAN_INPUT")
        assert (await budget(app)).spent_tokens == 50
    async with Remit(open_store(tmp_path), processes=hosted) as app:
        spent, reserved, left = figures(await budget(app))
        assert (spent, spent + reserved, left) == (50, 900, 100)
        await app.answer(root.id + ".1.2", "b")
        await app.answer(root.id + ".1.1", "c")
        assert (await app.outcome(root.id, timeout=5)).unwrap() == "cb"
        assert figures(await budget(app)) == (50, 0, 950)


# -- restarts, kills, takeovers ---------------------------------------------------------------------------------------


async def test_L45_the_next_owner_of_the_store_knows_what_is_spent_and_reserved(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        await app.set_department_budget("warehouse", Budget(tokens=1_500))
        await app.set_department_budget("sales", Budget(tokens=9_000))
        assert await end(app, order, [450]) == ["completed"]
        root = await app.start(holds, 0)
        await wait_until(app, root.id, "WAITING_CHILD_HUMAN_INPUT")
    for _ in range(2):
        async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
            assert figures(await budget(app)) == (450, 700, 350)
            assert figures(await budget(app, "sales")) == (450, 700, 7_850)
            assert await end(app, order, [0]) == ["budget_exceeded"]
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        await app.answer(root.id, "now")
        assert (await app.outcome(root.id, timeout=5)).unwrap() == "now"
        assert figures(await budget(app)) == (450, 0, 1_050)
        assert figures(await budget(app, "sales")) == (450, 0, 8_550)


VICTIM = """
    import asyncio, sys
    from remit import Budget, Remit
    from tests.laws.test_department_budgets import PROCESSES, killed

    async def main():
        async with Remit(sys.argv[1], processes=[*PROCESSES, killed]) as app:
            await app.set_department_budget("warehouse", Budget(tokens=1_000))
            await app.start(killed, 0, key="one")
            await asyncio.sleep(30)

    asyncio.run(main())
"""


@model("hangs", max_input_tokens=300, max_tokens=0)
async def hangs(_: int) -> tuple[str, Usage]:
    print("calling", flush=True)
    await asyncio.sleep(20)
    return "never", Usage(tokens=1)


@model("hangs_no_more", max_input_tokens=300, max_tokens=0)
async def hangs_no_more(_: int) -> tuple[str, Usage]:
    return "now", Usage(tokens=40)


@process("killed", department="warehouse")
async def killed(_: int) -> str:
    await charge(Usage(tokens=100))
    return (await hangs(1))[0]


@pytest.mark.timeout(60)
async def test_L27_L45_after_a_kill_nothing_is_forgotten_and_nothing_counted_twice(tmp_path: Path) -> None:
    victim = Victim(tmp_path / "victim.py", VICTIM, open_store(tmp_path))
    try:
        assert victim.says() == "calling"
    finally:
        victim.kill()
    async with TestApp([*PROCESSES, killed], store=open_store(tmp_path), models={"hangs": ("now", Usage(tokens=40))}) as app:
        (root,) = await app.list(process="killed")
        assert (await app.outcome(root.execution_id)).unwrap() == "now"
        view = await budget(app)
        assert figures(view) == (100 + 300 + 40, 0, 560)  # the call that was cut off costs what it had reserved
        assert (await app.get(root.execution_id)).usage.subtree.tokens == view.spent_tokens


async def test_L23_L45_a_former_owner_s_charge_is_not_counted(tmp_path: Path) -> None:
    gate = asyncio.Event()

    @model("late", max_input_tokens=300, max_tokens=0)
    async def late(_: int) -> tuple[str, Usage]:
        await gate.wait()
        return "late", Usage(tokens=200)

    @process("overtaken", department="warehouse")
    async def overtaken(_: int) -> str:
        return (await late(1))[0]

    async with Remit(open_store(tmp_path), processes=[overtaken]) as app:
        await app.set_department_budget("warehouse", Budget(tokens=1_000))
        root = await app.start(overtaken, 0)
        await wait_until(app, root.id, "ACTIVE")
        await asyncio.sleep(0.05)
        await app.cancel(root.id)  # a higher epoch: what the model gives back comes too late
        gate.set()
        await asyncio.sleep(0.05)
        assert figures(await budget(app)) == (300, 0, 700)
        assert look_at(tmp_path, "SELECT tokens FROM department_ledgers") == [(300,)]


# -- what cannot be set -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"department": ""}, "department"),
        ({"budget": 5}, "give a Budget"),
        ({"budget": Budget()}, "limits tokens, cost or both"),
        ({"period": "year"}, "period='year': give one of day, week, month"),
        ({"zone": "Mars"}, "is no IANA time zone"),
        ({"zone": 7}, "zone=7"),
        ({"tenant": ""}, "tenant"),
        ({"by": 7}, "by"),
    ],
)
async def test_L48_L45_a_budget_that_is_none_is_refused_and_changes_nothing(given: dict[str, Any], said: str) -> None:
    async with Remit(":memory:") as app:
        with pytest.raises(InvalidInput, match=said):
            await app.set_department_budget(**{"department": "warehouse", "budget": Budget(tokens=1), **given})
        assert await app.department_budgets() == []
        assert await app.alerts() == []

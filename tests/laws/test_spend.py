"""Nothing spent is forgotten, however an attempt ends (L27)."""

from __future__ import annotations

import asyncio
import random

import pytest

from remit import (
    Budget,
    DomainError,
    Limits,
    Remit,
    Retry,
    Usage,
    call_process,
    charge,
    model,
    process,
    start_process,
    step,
    tool,
)
from remit.durable import wait_event
from tests.laws.scene import Victim, every, flatten, look_at, open_store, until, wait_until


@model("sample-model", max_input_tokens=60, max_tokens=40)
async def think(text: str) -> tuple[str, Usage]:
    return text, Usage(input_tokens=10, output_tokens=5)


@process("thinker")
async def thinker(text: str) -> str:
    return (await think(text))[0]


async def test_L27_a_tool_that_raised_is_paid_for_unless_its_error_says_otherwise() -> None:
    class Free(ValueError):
        usage = Usage(cost="0.00")

    @tool("lookup", cost="0.01")
    async def lookup(free: bool) -> int:
        raise Free("busy") if free else ValueError("no such part")

    @process("asker")
    async def asker() -> int:
        for free in (True, False):
            with pytest.raises(DomainError, match="busy" if free else "part"):
                await lookup(free)
        return 1

    async with Remit(":memory:", processes=[asker]) as app:
        execution = await app.start(asker)
        assert (await execution.outcome(timeout=5)).value == 1
        assert (await app.get(execution.id)).usage.own.cost == "0.01"


@pytest.mark.parametrize("ending", ["fails", "is cancelled", "times out", "is tried again"])
async def test_L27_an_attempt_keeps_its_usage_however_it_ends(ending: str) -> None:
    attempts = []

    @step
    async def ends_badly() -> int:
        attempts.append(1)
        if ending == "fails":
            raise ValueError("no")
        if ending == "is tried again" and len(attempts) == 1:
            raise ConnectionError("down")
        if ending != "is tried again":
            await asyncio.sleep(9)
        return 1

    @process("spender", ttl=0.3 if ending == "times out" else 60, retry=Retry(attempts=2, first=0))
    async def spender(_: int) -> int:
        await charge(Usage(tokens=11, cost="0.5"))
        return await ends_badly()

    @process("payer", calls=[spender])
    async def payer(_: int) -> str:
        return (await call_process(spender, 1)).status

    async with Remit(":memory:", processes=[payer, spender]) as app:
        execution = await app.start(payer, 1)
        if ending == "is cancelled":
            await wait_until(app, execution.id + ".1", "ACTIVE")
            await app.cancel(execution.id + ".1")
        outcome = await execution.outcome(timeout=3)
        assert (outcome.usage.own.tokens, outcome.usage.subtree.tokens) == (0, 11)
        assert outcome.usage.subtree.cost == "0.50"
        assert (await app.get(execution.id + ".1")).usage.own.tokens == 11


@pytest.mark.parametrize("ending", ["cancel", "expiry"])
async def test_L27_a_metered_effect_left_while_it_ran_is_charged_its_reservation_and_the_parent_sees_it(ending) -> None:
    @model("slow-model", max_input_tokens=60, max_tokens=40)
    async def slow(_: int) -> tuple[int, Usage]:
        await asyncio.sleep(9)
        return 1, Usage()

    @process("waits_for_model", ttl=0.3 if ending == "expiry" else 60)
    async def waits_for_model(_: int) -> int:
        return (await slow(1))[0]

    @process("payer", calls=[waits_for_model])
    async def payer(_: int) -> list[int]:
        outcome = await call_process(waits_for_model, 1)
        assert not outcome.ok
        return [outcome.usage.own.tokens, outcome.usage.subtree.tokens]

    async with Remit(":memory:", processes=[payer, waits_for_model]) as app:
        execution = await app.start(payer, 1, budget=Budget(tokens=1_000))
        if ending == "cancel":
            await wait_until(app, execution.id + ".1", "ACTIVE")
            await asyncio.sleep(0.05)
            await app.cancel(execution.id + ".1")
        outcome = await execution.outcome(timeout=3)
        child = await app.get(execution.id + ".1")
        assert (child.usage.own.tokens, child.budget["estimated"]) == (100, True)
        assert outcome.usage.subtree.tokens == 100
        assert outcome.value == [100, 100]


async def test_L27_a_metered_effect_open_in_a_crash_is_charged_its_reservation_as_estimated(tmp_path) -> None:
    source = """
        import asyncio, os, sys
        from remit import Budget, Remit, Usage, model, process

        @model("sample-model", max_input_tokens=60, max_tokens=40)
        async def think(text: str) -> tuple[str, Usage]:
            if len(sys.argv) > 1:
                print("thinking", flush=True)
                await asyncio.sleep(60)
            return text, Usage(tokens=7)

        @process("thinker")
        async def thinker(text: str) -> str:
            return (await think(text))[0]

        async def main(url):
            async with Remit(url, processes=[thinker]) as app:
                execution = await app.start(thinker, "x", budget=Budget(tokens=300))
                await execution.outcome()

        if __name__ == "__main__":
            asyncio.run(main(sys.argv[1]))
        """
    victim = Victim(tmp_path / "victim.py", source, open_store(tmp_path))
    try:
        assert victim.says() == "thinking"
    finally:
        victim.kill()
    async with Remit(open_store(tmp_path), processes=[thinker]) as app:
        [record] = await app.list()
        assert (await app.outcome(record.execution_id, timeout=3)).value == "x"
        record = await app.get(record.execution_id)
        assert (record.usage.own.tokens, record.budget["estimated"]) == (115, True)


async def test_L27_a_metered_effect_that_ran_when_the_app_closed_runs_again_and_both_are_charged(tmp_path) -> None:
    runs = []

    @model("interrupted-model", max_input_tokens=60, max_tokens=40)
    async def interrupted(_: int) -> tuple[str, Usage]:
        runs.append(1)
        if len(runs) == 1:
            await asyncio.sleep(9)
        return "done", Usage(tokens=7)

    @process("closed_over")
    async def closed_over(_: int) -> str:
        return (await interrupted(1))[0]

    async def begun() -> bool:
        return bool(runs)

    async with Remit(open_store(tmp_path), processes=[closed_over]) as app:
        execution = await app.start(closed_over, 1, budget=Budget(tokens=200))
        await until(begun)
    async with Remit(open_store(tmp_path), processes=[closed_over]) as app:
        assert (await app.outcome(execution.id, timeout=3)).value == "done"
        assert (await app.get(execution.id)).usage.own.tokens == 107
        assert len(runs) == 2


async def test_L24_what_was_reserved_in_a_crash_is_no_headroom_before_it_is_charged(tmp_path) -> None:
    runs = []

    @model("first-model", max_input_tokens=60, max_tokens=40)
    async def first(_: int) -> tuple[int, Usage]:
        runs.append(1)
        await asyncio.sleep(9)
        return 1, Usage()

    @process("spends_first")
    async def spends_first(_: int) -> int:
        return (await first(1))[0]

    @process("spends_next", calls=[spends_first])
    async def spends_next(_: int) -> str:
        await start_process(spends_first, 1)
        await wait_event("go")
        return (await call_process(spends_first, 2, estimate=100)).status

    async def begun() -> bool:
        return bool(runs)

    async with Remit(open_store(tmp_path), processes=[spends_next, spends_first]) as app:
        execution = await app.start(spends_next, 1, budget=Budget(tokens=150))
        await until(begun)
        assert look_at(tmp_path, "SELECT total(reserved_tokens) FROM executions") == [(100.0,)]
    # The code of the child is not hosted here, so nobody has charged its open effect yet when the parent goes on.
    async with Remit(open_store(tmp_path), processes=[spends_next]) as app:
        node = app.engine.traces.load(execution.id)
        assert node.account.tokens.headroom() == 50
        await app.cancel(execution.id)
        child = await app.get(execution.id + ".1")
        assert (child.status, child.budget["reserved_tokens"]) == ("CANCELLED", 0)
        assert (child.usage.own.tokens, child.budget["estimated"]) == (100, True)


def _plan(own: int, cost: str, *below: dict) -> dict:
    return {"own": own, "cost": cost, "below": list(below)}


async def test_L27_the_sums_of_figure_03() -> None:
    @process("figure", calls=["*"], recursion=5)
    async def figure(plan: dict) -> int:
        await charge(Usage(tokens=plan["own"], cost=plan["cost"]))
        for n, below in enumerate(plan["below"]):
            (await call_process("figure", below, key=str(n))).unwrap()
        return 1

    inner = _plan(22_100 - 16_100, "0.06", _plan(16_100, "0.161"))
    plan = _plan(12_400, "0.124", _plan(38_200 - 22_100, "0.161", inner), _plan(34_100, "0.341"))
    async with Remit(":memory:", processes=[figure], limits=Limits(max_recursion=5)) as app:
        outcome = await (await app.start(figure, plan, budget=Budget(tokens=100_000))).outcome(timeout=3)
        found = await every(app, outcome.execution_id)
        assert [found[each].usage.subtree.tokens for each in ("", ".1", ".2")] == [84_700, 38_200, 34_100]
        assert outcome.usage.subtree == Usage(tokens=84_700, cost="0.847")
        assert outcome.usage.own.tokens == 12_400


@tool("sample.ends", cost="0.01")
async def ends(how: str) -> str:
    if how == "fails":
        raise ValueError(how)
    await asyncio.sleep(9 if how == "hangs" else 0)
    return how


def grower(name: str):
    @process(name, calls=["*"])
    async def grow(plan: dict) -> int:
        await charge(Usage(tokens=plan["own"]))
        calls = []
        for n, each in enumerate(plan["below"]):
            place = start_process if each["async"] else call_process
            ttl = 0.3 if each["how"] == "hangs" else None
            calls.append(place(each["name"], each, key=str(n), estimate=each["estimate"], ttl=ttl))
        await asyncio.gather(*calls, return_exceptions=True)
        await ends(plan["how"])
        return 1

    return grow


def random_plan(draw: random.Random, level: int = 0) -> dict:
    return {
        "name": f"level{level}",
        "own": draw.randrange(50),
        "how": draw.choice(["completes", "completes", "fails", "hangs"]) if level else "completes",
        "async": draw.random() < 0.2,
        "estimate": draw.choice([0, 20, 100]),
        "below": [random_plan(draw, level + 1) for _ in range(draw.randrange(4))] if level < 3 else [],
    }


async def test_L27_the_roots_subtree_is_the_sum_of_all_own_over_random_trees(tmp_path, seed, figure) -> None:
    draw = random.Random(seed)
    async with Remit(open_store(tmp_path), processes=[grower(f"level{n}") for n in range(4)]) as app:
        budget = Budget(tokens=3_000)
        roots = [await app.start("level0", random_plan(draw), budget=budget) for _ in range(figure(6, 300))]
        for root in roots:
            await root.outcome(timeout=20)

        async def all_over() -> bool:
            return not await app.list(status="OPEN")

        await until(all_over)
        for root in roots:
            records = flatten(await app.tree(root.id))
            assert records[0].usage.subtree.tokens == sum(each.usage.own.tokens for each in records) <= 3_000
            cents = sum(round(float(each.usage.own.cost) * 100) for each in records)
            assert round(float(records[0].usage.subtree.cost) * 100) == cents
            assert all(each.budget["reserved_tokens"] == 0 for each in records)
            assert all(each.budget["reserved_cost"] == "0.00" for each in records)

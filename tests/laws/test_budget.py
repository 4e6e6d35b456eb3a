"""The root ledger: reserved before use, never overspent, settled once, and usage that is believed (L24-L26, L28)."""

from __future__ import annotations

import asyncio
import threading

import pytest

from remit import Budget, DomainError, Remit, Retry, Usage, call_process, charge, model, process, step, tool
from remit.durable import wait_event
from tests.laws.scene import every, flatten, look_at, open_store, status, until, wait_until, working


@process("worker", calls=["worker_below"])
async def worker(plan: list[int]) -> int:
    used, below = plan
    if below:
        (await call_process("worker_below", [below, 0], estimate=below)).unwrap()
    await working(0.004 * (used % 7))
    if used:
        await charge(Usage(tokens=used))
    return used


@process("worker_below")
async def worker_below(plan: list[int]) -> int:
    await working(0.001)
    await charge(Usage(tokens=plan[0]))
    return plan[0]


@process("racers", calls=[worker])
async def racers(count: int) -> dict[str, int]:
    calls = [call_process(worker, [40 + n % 7, 10 + n % 5], key=str(n), estimate=100) for n in range(count)]
    outcomes = await asyncio.gather(*calls)
    return {name: sum(each.status == name for each in outcomes) for name in ("completed", "rejected", "failed")}


async def test_L24_64_racers_never_overspend_in_any_committed_state(tmp_path) -> None:
    limit, over, looked, done = 2_000, [], [], threading.Event()
    totals = """
        SELECT total(tokens), total(reserved_tokens) FROM executions
        WHERE EXISTS (SELECT 1 FROM executions WHERE limit_tokens IS NOT NULL)"""

    def auditor() -> None:
        while not done.is_set():
            spent, reserved = look_at(tmp_path, totals)[0]
            looked.append((spent, reserved))
            if spent + reserved > limit:
                over.append((spent, reserved))

    async with Remit(open_store(tmp_path), processes=[racers, worker, worker_below]) as app:
        audit = threading.Thread(target=auditor)
        audit.start()
        try:
            execution = await app.start(racers, 64, budget=Budget(tokens=limit))
            outcome = await execution.outcome(timeout=20)
        finally:
            done.set()
            audit.join()
        assert over == []
        assert len(set(looked)) > 3, "the race was never seen under way"
        assert outcome.value["rejected"] > 0
        assert outcome.value["completed"] >= limit // 100
        assert outcome.value["failed"] == 0
        assert outcome.usage.subtree.tokens <= limit
        assert (await app.get(execution.id)).budget["reserved_tokens"] == 0


async def test_L25_an_estimate_beyond_the_headroom_is_rejected_reserves_nothing_and_alerts() -> None:
    @process("asks_too_much", calls=[worker])
    async def asks_too_much(_: int) -> list[str]:
        too_much = await call_process(worker, [1, 0], estimate=1_001)
        fits = await call_process(worker, [1, 0], estimate=1_000)
        assert too_much.error is not None
        return [too_much.status, too_much.error.code, str(too_much.error.error_class), fits.status]

    async with Remit(":memory:", processes=[asks_too_much, worker, worker_below]) as app:
        execution = await app.start(asks_too_much, 1, budget=Budget(tokens=1_000))
        assert (await execution.outcome(timeout=3)).value == ["rejected", "budget_exceeded", "DOMAIN", "completed"]
        [alert] = await app.alerts(code="budget_exceeded")
        assert alert.execution_id == execution.id
        details = [alert.details[name] for name in ("check", "limit", "current", "unit")]
        assert details == ["budget", 1_000, 1_001, "tokens"]
        assert len(flatten(await app.tree(execution.id))) == 2


@pytest.mark.parametrize("budget", [Budget(tokens=10), Budget(cost="0.10")], ids=["tokens", "cost"])
async def test_L25_without_headroom_even_a_call_without_an_estimate_is_rejected(budget) -> None:
    @process("spends_all", calls=[worker])
    async def spends_all(_: int) -> str:
        before = await call_process(worker, [0, 0])
        await charge(Usage(tokens=10, cost="0.10"))
        after = await call_process(worker, [0, 0], key="again")
        assert after.error is not None
        return f"{before.status} {after.error.code}"

    async with Remit(":memory:", processes=[spends_all, worker]) as app:
        outcome = await (await app.start(spends_all, 1, budget=budget)).outcome(timeout=3)
        assert outcome.value == "completed budget_exceeded"


async def test_L25_the_calls_estimate_comes_before_the_callees_and_both_units_count() -> None:
    @process("estimated", estimate=Budget(tokens=700, cost="0.30"))
    async def estimated(_: int) -> int:
        return 1

    @process("chooses", calls=[estimated])
    async def chooses(_: int) -> list[str]:
        outcomes = [
            await call_process(estimated, 1),
            await call_process(estimated, 2, estimate=10),
            await call_process(estimated, 3, estimate=Budget(cost="0.21")),
        ]
        return [outcome.status for outcome in outcomes]

    async with Remit(":memory:", processes=[chooses, estimated]) as app:
        for budget, expected in (
            (Budget(tokens=700, cost="0.30"), ["completed", "completed", "completed"]),
            (Budget(tokens=699), ["rejected", "completed", "completed"]),
            (Budget(cost="0.20"), ["rejected", "completed", "rejected"]),
        ):
            outcome = await (await app.start(chooses, 1, budget=budget)).outcome(timeout=3)
            assert outcome.value == expected


async def test_L25_reservations_below_draw_on_the_nearest_ancestors_and_nothing_is_counted_twice(tmp_path) -> None:
    gate = asyncio.Event()

    @step
    async def until_open() -> None:
        await gate.wait()

    @process("inner")
    async def inner(_: int) -> int:
        await until_open()
        await charge(Usage(tokens=250))
        return 1

    @process("outer", calls=[inner])
    async def outer(_: int) -> int:
        (await call_process(inner, 1, estimate=300)).unwrap()
        return 1

    @process("top", calls=[outer])
    async def top(_: int) -> int:
        (await call_process(outer, 1, estimate=400)).unwrap()
        return 1

    query = "SELECT reserved_tokens FROM executions ORDER BY n"
    async with Remit(open_store(tmp_path), processes=[top, outer, inner]) as app:
        execution = await app.start(top, 1, budget=Budget(tokens=400))

        async def drawn() -> bool:
            return [row[0] for row in look_at(tmp_path, query)] == [0, 100, 300]

        await until(drawn)
        gate.set()
        assert (await execution.outcome(timeout=3)).ok
        assert [row[0] for row in look_at(tmp_path, query)] == [0, 0, 0]
        found = await every(app, execution.id)
        assert [found[each].usage.own.tokens for each in ("", ".1", ".1.1")] == [0, 0, 250]
        assert [found[each].usage.subtree.tokens for each in ("", ".1", ".1.1")] == [250, 250, 250]


async def test_L25_settling_releases_the_rest_once() -> None:
    @process("one_by_one", calls=[worker])
    async def one_by_one(_: int) -> list[str]:
        return [(await call_process(worker, [30, 0], key=str(n), estimate=100)).status for n in range(4)]

    async with Remit(":memory:", processes=[one_by_one, worker]) as app:
        outcome = await (await app.start(one_by_one, 1, budget=Budget(tokens=160))).outcome(timeout=3)
        # 160, 130 and 100 left: each time the rest of 70 came back, once; then 70 are too few for 100.
        assert outcome.value == ["completed", "completed", "completed", "rejected"]


async def test_L25_a_lender_gets_the_rest_back_though_the_execution_has_left_memory_meanwhile(tmp_path) -> None:
    @process("asks")
    async def asks(_: int) -> str:
        await charge(Usage(tokens=10))
        return str(await wait_event("go"))

    @process("lender", calls=[asks])
    async def lender(_: int) -> str:
        (await call_process(asks, 1, estimate=80)).unwrap()
        return str(await wait_event("more"))

    @process("rest", calls=[lender])
    async def rest(_: int) -> str:
        return (await call_process(lender, 1, estimate=90)).unwrap()

    async def reserved(*expected: int) -> None:
        async def seen() -> bool:
            return [row[0] for row in look_at(tmp_path, "SELECT reserved_tokens FROM executions ORDER BY n")] == list(
                expected
            )

        await until(seen)

    async with Remit(open_store(tmp_path), processes=[rest, lender, asks]) as app:
        execution_id = (await app.start(rest, 1, budget=Budget(tokens=100))).id
        await reserved(0, 10, 70)
    async with Remit(open_store(tmp_path), processes=[rest, lender, asks]) as app:
        await app.send(f"{execution_id}.1.1", "go", 1)
        await reserved(0, 80, 0)  # the 70 that were left are the lender's again, not the root's
        await app.send(f"{execution_id}.1", "more", 1)
        assert (await app.outcome(execution_id, timeout=3)).ok
        await reserved(0, 0, 0)


async def test_L24_sub_caps_only_narrow() -> None:
    @process("capped", calls=[worker])
    async def capped(_: int) -> list[str]:
        wide = await call_process(worker, [1, 0], key="wide", estimate=400, budget=Budget(tokens=10_000))
        return [wide.status, (await call_process(worker, [60, 0], key="within", estimate=60)).status]

    @process("caps", calls=[capped])
    async def caps(_: int) -> list[str]:
        return (await call_process(capped, 1, budget=Budget(tokens=100))).unwrap()

    async with Remit(":memory:", processes=[caps, capped, worker]) as app:
        for budget in (Budget(tokens=1_000), None):
            execution = await app.start(caps, 1, budget=budget)
            assert (await execution.outcome(timeout=3)).value == ["rejected", "completed"]


async def test_L24_without_a_limit_everything_is_still_metered() -> None:
    async with Remit(":memory:", processes=[worker, worker_below]) as app:
        outcome = await (await app.start(worker, [70, 30])).outcome(timeout=3)
        assert (outcome.usage.own.tokens, outcome.usage.subtree.tokens) == (70, 100)


# -- metered effects ---------------------------------------------------------------------------------------------------

reports: dict[str, Usage] = {}


@model("sample-model", max_input_tokens=60, max_tokens=40, input_price="1000", output_price="2000")
async def think(text: str) -> tuple[str, Usage]:
    await asyncio.sleep(0.001)
    return text, reports.get(text, Usage(input_tokens=10, output_tokens=5))


@tool("sample.lookup", cost="0.25")
def lookup(_: int) -> int:
    return 1


@process("thinker")
async def thinker(text: str) -> str:
    return (await think(text))[0]


async def test_L26_a_model_reserves_its_maximum_durably_first_and_is_charged_what_it_reports(tmp_path) -> None:
    seen = []

    @model("peeked-at", max_input_tokens=60, max_tokens=40, input_price="1000", output_price="2000")
    async def peeks(_: int) -> tuple[int, Usage]:
        seen.extend(look_at(tmp_path, "SELECT reserved_tokens, reserved_cost, ended_at FROM journal"))
        return 1, Usage(input_tokens=10, output_tokens=5)

    @process("peeker")
    async def peeker(_: int) -> int:
        return (await peeks(1))[0]

    async with Remit(open_store(tmp_path), processes=[peeker]) as app:
        outcome = await (await app.start(peeker, 1)).outcome(timeout=3)
        assert seen == [(100, 140_000, None)]
        assert outcome.usage.own == Usage(tokens=15, input_tokens=10, output_tokens=5, cost="0.02")
        settled = look_at(tmp_path, "SELECT reserved_tokens, reserved_cost, tokens, cost FROM journal")
        assert settled == [(0, 0, 15, 20_000)]


async def test_L26_a_metered_effect_without_headroom_is_refused_before_it_runs() -> None:
    ran = []

    @tool("dear", cost="1.00")
    def dear(_: int) -> int:
        ran.append(1)
        return 1

    @process("buys")
    async def buys(_: int) -> int:
        return await dear(1)

    async with Remit(":memory:", processes=[buys, thinker]) as app:
        outcome = await (await app.start(buys, 1, budget=Budget(cost="0.99"))).outcome(timeout=3)
        assert (outcome.status, outcome.error.code) == ("failed", "budget_exhausted")
        assert str(outcome.error.error_class) == "DOMAIN"
        assert ran == []
        exact = await (await app.start(buys, 1, budget=Budget(cost="1.00"))).outcome(timeout=3)
        assert exact.usage.own.cost == "1.00"
        thought = await (await app.start(thinker, "x", budget=Budget(tokens=99))).outcome(timeout=3)
        assert thought.error.code == "budget_exhausted"


async def test_L26_an_effect_that_takes_more_than_it_may_and_passes_the_limit_fails() -> None:
    reports["over"] = Usage(input_tokens=10, output_tokens=200)
    reports["in the limit"] = Usage(input_tokens=10, output_tokens=110)

    @process("thinks-and-copes")
    async def copes(text: str) -> str:
        try:
            return (await think(text))[0]
        except DomainError as error:
            return f"coped with {error.code}"

    async with Remit(":memory:", processes=[thinker, copes]) as app:
        outcome = await (await app.start(thinker, "over", budget=Budget(tokens=120))).outcome(timeout=3)
        assert (outcome.status, outcome.error.code) == ("failed", "budget_exhausted")
        assert "has taken 90 tokens more than the budget had" in outcome.error.message
        assert outcome.usage.own.tokens == 210  # what was spent is spent (L27)
        coped = await (await app.start(copes, "over", budget=Budget(tokens=120))).outcome(timeout=3)
        assert (coped.value, coped.usage.own.tokens) == ("coped with budget_exhausted", 210)
        within = await (await app.start(thinker, "in the limit", budget=Budget(tokens=120))).outcome(timeout=3)
        assert (within.value, within.usage.own.tokens) == ("in the limit", 120)


async def test_L26_an_effect_that_passes_the_limit_suspends_and_is_not_run_again_after_a_top_up(tmp_path) -> None:
    ran = []

    @model("greedy", max_input_tokens=60, max_tokens=40, input_price="0", output_price="0")
    async def greedy(text: str) -> tuple[str, Usage]:
        ran.append(text)
        return text, Usage(input_tokens=10, output_tokens=200)

    @process("greedily")
    async def greedily(text: str) -> str:
        return (await greedy(text))[0]

    async with Remit(open_store(tmp_path), processes=[greedily]) as app:
        budget = Budget(tokens=120, on_exhausted="suspend")
        execution = await app.start(greedily, "once", budget=budget)
        assert (await wait_until(app, execution.id, "PAUSED")).error.code == "budget_exhausted"
    async with Remit(open_store(tmp_path), processes=[greedily]) as app:
        assert await status(app, execution.id) == "PAUSED"
        await app.top_up(execution.id, Budget(tokens=90))
        outcome = await app.outcome(execution.id, timeout=3)
        assert (outcome.value, outcome.usage.own.tokens, ran) == ("once", 210, ["once"])


async def test_L26_on_exhausted_suspend_pauses_until_an_audited_top_up() -> None:
    async with Remit(":memory:", processes=[thinker]) as app:
        execution = await app.start(thinker, "deep", budget=Budget(tokens=50, on_exhausted="suspend"))
        paused = await wait_until(app, execution.id, "PAUSED")
        assert paused.error.code == "budget_exhausted"
        await app.top_up(execution.id, Budget(tokens=10))
        await asyncio.sleep(0.05)
        assert await status(app, execution.id) == "PAUSED"
        await app.top_up(execution.id, Budget(tokens=40))
        assert (await execution.outcome(timeout=3)).value == "deep"
        topped = await app.alerts(code="topped_up")
        assert [each.details["limit_tokens"] for each in topped] == [100, 60]
        assert (await app.get(execution.id)).error is None


@pytest.mark.parametrize(
    "usage",
    [
        Usage(tokens=-5),
        Usage(input_tokens=-1, output_tokens=2),
        Usage(tokens=10**15),
        Usage(tokens=float("nan")),
        Usage(tokens=float("inf")),
        Usage(tokens=1.5),
        Usage(tokens=True),
        Usage(tokens="many"),
        Usage(tokens=5, cost="NaN"),
        Usage(tokens=5, cost="-1"),
        Usage(tokens=5, cost="Infinity"),
        Usage(tokens=5, cost="1e30"),
        Usage(tokens=5, cost="free"),
        Usage(tokens=5, input_tokens=5, output_tokens=5),
    ],
    ids=repr,
)
async def test_L28_usage_that_cannot_be_believed_charges_the_reservation_and_alerts(usage) -> None:
    reports["odd"] = usage
    async with Remit(":memory:", processes=[thinker]) as app:
        execution = await app.start(thinker, "odd", budget=Budget(tokens=500, cost="5"))
        await execution.outcome(timeout=3)
        record = await app.get(execution.id)
        assert (record.usage.own.tokens, record.usage.own.cost) == (100, "0.14")
        assert record.budget["estimated"] is True
        assert [alert.execution_id for alert in await app.alerts(code="usage_rejected")] == [execution.id]


async def test_L28_a_charge_that_cannot_be_believed_changes_nothing_and_alerts() -> None:
    @process("overstates")
    async def overstates(_: int) -> int:
        for usage in (Usage(tokens=-5), Usage(tokens=float("nan")), Usage(cost="-1")):
            await charge(usage)
        await charge(Usage(tokens=3))
        return 1

    async with Remit(":memory:", processes=[overstates]) as app:
        outcome = await (await app.start(overstates, 1, budget=Budget(tokens=5))).outcome(timeout=3)
        assert (outcome.status, outcome.usage.own.tokens) == ("completed", 3)
        assert len(await app.alerts(code="usage_rejected")) == 3


async def test_L28_usage_reported_for_one_effect_is_counted_once_however_often_it_is_replayed(tmp_path) -> None:
    @process("replayed", retry=Retry(attempts=3, first=0))
    async def replayed(_: int) -> int:
        await think("again")
        await charge(Usage(tokens=7))
        await lookup(1)
        return await fails_twice(1)

    tries = []

    @step
    async def fails_twice(_: int) -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("down")
        return 1

    async with Remit(open_store(tmp_path), processes=[replayed]) as app:
        outcome = await (await app.start(replayed, 1)).outcome(timeout=3)
        assert len(tries) == 3
        assert (outcome.usage.own.tokens, outcome.usage.own.cost) == (22, "0.27")

"""The operator's retry, cancelling, and one terminal outcome for each execution whatever races (L34, L35)."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from remit import (
    Budget,
    MisuseError,
    Remit,
    RemitError,
    Retry,
    Usage,
    ask,
    call_process,
    charge,
    process,
    start_process,
    step,
)
from remit.durable import sleep
from tests.laws.scene import every, look_at, open_store, status, until, wait_until, working

broken: set[str] = set()
runs: list[str] = []


@pytest.fixture(autouse=True)
def _mended() -> None:
    broken.clear()
    runs.clear()


@step
async def work(name: str) -> str:
    runs.append(name)
    if name in broken:
        raise ValueError(f"{name} is broken")
    return name


@process("part")
async def part(name: str) -> str:
    await charge(Usage(tokens=10))
    return await work(name)


@process("assembly", calls=[part])
async def assembly(_: int) -> str:
    first = (await call_process(part, "first")).unwrap()
    await work("between")
    second = (await call_process(part, "second")).unwrap()
    return f"{first} {second}"


@process("order", calls=[assembly])
async def order(_: int) -> str:
    await work("before")
    return (await call_process(assembly, 1)).unwrap()


SHOP = [order, assembly, part]


async def failed_order(app: Remit):
    """An order whose second part has failed, and all above it."""
    broken.add("second")
    execution = await app.start(order, 1)
    outcome = await execution.outcome(timeout=3)
    assert outcome.status == "failed"
    assert runs == ["before", "first", "between", "second"]
    broken.clear()
    runs.clear()
    return execution


@pytest.mark.parametrize("at", ["", ".1", ".1.2"], ids=["root", "middle", "leaf"])
@pytest.mark.parametrize("reopened", [False, True], ids=["same app", "after a restart"])
async def test_L34_a_retry_anywhere_in_the_failed_chain_keeps_finished_work(tmp_path, at, reopened) -> None:
    async with contextlib.AsyncExitStack() as stack:
        app = await stack.enter_async_context(Remit(open_store(tmp_path), processes=SHOP))
        execution = await failed_order(app)
        if reopened:
            await stack.aclose()
            app = await stack.enter_async_context(Remit(open_store(tmp_path), processes=SHOP))
        await app.retry(execution.id + at)
        assert (await app.outcome(execution.id, timeout=3)).value == "first second"
        assert runs == ["second"]
        found = await every(app, execution.id)
        assert {place: record.attempt for place, record in found.items()} == {"": 2, ".1": 2, ".1.1": 1, ".1.2": 2}
        assert {str(record.status) for record in found.values()} == {"COMPLETED"}
        assert found[""].error is None
        # Ten each for the first part, the attempt that failed and the one that did not run it again from its record.
        assert found[""].usage.subtree.tokens == 20


async def test_L34_earlier_spend_stays_and_a_retried_attempt_adds_to_it() -> None:
    spent = []

    @process("spends_each_time")
    async def spends_each_time(_: int) -> int:
        await work("spend")
        spent.append(1)
        await charge(Usage(tokens=10 * len(spent)))
        return 1

    async with Remit(":memory:", processes=[spends_each_time]) as app:
        execution = await app.start(spends_each_time, 1, budget=Budget(tokens=15))
        assert (await execution.outcome(timeout=3)).ok
        broken.add("spend")
        other = await app.start(spends_each_time, 2, budget=Budget(tokens=15))
        assert not (await other.outcome(timeout=3)).ok
        broken.clear()
        await app.retry(other.id)
        failed = await app.outcome(other.id, timeout=3)
        assert failed.error.code == "budget_exhausted"
        assert (await app.get(other.id)).usage.own.tokens == 20


async def test_L34_recorded_rejections_are_evaluated_anew() -> None:
    @process("dear", estimate=1_000)
    async def dear(_: int) -> int:
        return 1

    @process("buys", calls=[dear])
    async def buys(_: int) -> int:
        return (await call_process(dear, 1)).unwrap()

    async with Remit(":memory:", processes=[buys, dear]) as app:
        execution = await app.start(buys, 1, budget=Budget(tokens=500))
        outcome = await execution.outcome(timeout=3)
        assert outcome.error.code == "budget_exceeded"
        await app.retry(execution.id)
        assert (await execution.outcome(timeout=3)).error.code == "budget_exceeded"
        await app.top_up(execution.id, Budget(tokens=500))
        await app.retry(execution.id)
        assert (await execution.outcome(timeout=3)).ok
        assert (await app.get(execution.id)).attempt == 3


async def test_L34_from_step_makes_anew_what_came_from_there_on_after_a_code_fix(tmp_path) -> None:
    def shipping(rate: int):
        @step
        async def price(weight: int) -> int:
            runs.append("price")
            return weight * rate

        @process("ship")
        async def ship(weight: int) -> int:
            await work("pack")
            cost = await price(weight)
            await work(f"label {cost}")
            if cost < 0:
                raise ValueError("a negative price")
            return cost

        return ship

    async with Remit(open_store(tmp_path), processes=[shipping(-1)]) as app:
        execution = await app.start("ship", 5)
        assert (await execution.outcome(timeout=3)).status == "failed"
    async with Remit(open_store(tmp_path), processes=[shipping(2)]) as app:
        with pytest.raises(MisuseError) as refused:
            await app.retry(execution.id, from_step="no such step")
        assert refused.value.code == "invalid_input"
        assert "price" in str(refused.value)
        assert await status(app, execution.id) == "FAILED"
        await app.retry(execution.id, from_step="price")
        assert (await app.outcome(execution.id, timeout=3)).value == 10
        assert runs == ["pack", "price", "label -5", "price", "label 10"]


async def test_L34_from_step_places_calls_anew_too() -> None:
    async with Remit(":memory:", processes=SHOP) as app:
        execution = await failed_order(app)
        await app.retry(execution.id + ".1", from_step="work")
        assert (await execution.outcome(timeout=3)).value == "first second"
        assert runs == ["between", "second"]


async def test_L34_a_child_whose_failure_was_handled_is_not_a_reason_to_reopen_its_parent() -> None:
    @process("handles", calls=[part])
    async def handles(_: int) -> str:
        outcome = await call_process(part, "second")
        return "went on" if outcome.ok else "handled it"

    broken.add("second")
    async with Remit(":memory:", processes=[handles, part]) as app:
        execution = await app.start(handles, 1)
        assert (await execution.outcome(timeout=3)).value == "handled it"
        before = await app.get(execution.id)
        broken.clear()
        with pytest.raises(MisuseError) as refused:
            await app.retry(execution.id + ".1", from_step="work")
        assert refused.value.code == "wrong_state"
        assert execution.id in str(refused.value)
        await asyncio.sleep(0.05)
        after = await app.get(execution.id)
        assert (after.status, after.attempt, after.result) == (before.status, before.attempt, before.result)


@pytest.mark.parametrize("state", ["running", "completed"])
async def test_L34_only_what_has_failed_or_is_paused_is_retried(state) -> None:
    @process("fine")
    async def fine(_: int) -> str:
        await working(0.3 if state == "running" else 0)
        return "fine"

    async with Remit(":memory:", processes=[fine]) as app:
        execution = await app.start(fine, 1)
        if state == "completed":
            await execution.outcome(timeout=3)
        else:
            await wait_until(app, execution.id, "ACTIVE")
        with pytest.raises(MisuseError) as refused:
            await app.retry(execution.id)
        assert refused.value.code == "wrong_state"
        assert (await app.get(execution.id)).attempt == 1
        assert (await execution.outcome(timeout=3)).value == "fine"


@pytest.mark.parametrize("end", ["cancelled", "timed out"])
async def test_L34_what_was_cancelled_or_timed_out_can_be_retried_and_has_its_ttl_again(end) -> None:
    times = []

    @process("slow_once", ttl=0.3)
    async def slow_once(_: int) -> str:
        times.append(1)
        if len(times) == 1:
            await asyncio.get_running_loop().create_future()
        await working(0.15)
        return "done"

    @process("slow_above", calls=[slow_once])
    async def slow_above(_: int) -> str:
        await work("before")
        return (await call_process(slow_once, 1)).unwrap()

    async with Remit(":memory:", processes=[slow_above, slow_once]) as app:
        execution = await app.start(slow_above, 1)
        if end == "cancelled":
            await wait_until(app, execution.id + ".1", "ACTIVE")
            await app.cancel(execution.id)
        assert not (await execution.outcome(timeout=3)).ok
        await app.retry(execution.id)
        assert (await execution.outcome(timeout=3)).value == "done"
        assert runs == ["before"]


# -- cancel ------------------------------------------------------------------------------------------------------------


@process("slumber")
async def slumber(_: int) -> str:
    await sleep("1h")
    return "slept"


@process("parent", calls=[slumber])
async def parent(_: int) -> str:
    await start_process(slumber, 1)
    await start_process(slumber, 2, detached=True)
    await call_process(slumber, 3)
    return "done"


@process("grandparent", calls=[parent])
async def grandparent(_: int) -> str:
    return (await call_process(parent, 1)).unwrap()


FAMILY = [grandparent, parent, slumber]


@pytest.mark.parametrize("evicted", [False, True], ids=["in memory", "evicted"])
async def test_L35_cancel_ends_a_subtree_leaf_first_as_one_and_detached_ones_survive(tmp_path, evicted) -> None:
    async with Remit(open_store(tmp_path), processes=FAMILY) as app:
        if evicted:
            app.engine.warm._limit = 0
        execution = await app.start(grandparent, 1)
        await wait_until(app, execution.id + ".1.3", "PENDING_ASYNC")
        epochs = dict(look_at(tmp_path, "SELECT id, epoch FROM executions"))
        order_of_ends: list[str] = []
        end = app.engine.endings._end

        def watched(node, *more) -> None:
            order_of_ends.append(node.id[len(execution.id) :])
            end(node, *more)

        app.engine.endings._end = watched
        torn: list[tuple] = []
        commit = app.engine.store.commit

        def committed(batch) -> None:
            commit(batch)
            states = look_at(tmp_path, "SELECT ended_at IS NULL FROM executions WHERE detached = 0")
            if len(set(states)) > 1:
                torn.append(states)

        app.engine.store.commit = committed
        assert await app.cancel(execution.id) is True
        assert await app.cancel(execution.id) is False
        found = await every(app, execution.id)
        statuses = {place: str(record.status) for place, record in found.items()}
        ended = dict.fromkeys(["", ".1", ".1.1", ".1.3"], "CANCELLED")
        assert statuses == {**ended, ".1.2": "PENDING_ASYNC"}
        assert torn == [], "a commit showed a part of the ending"
        assert order_of_ends.index(".1") > max(order_of_ends.index(".1.1"), order_of_ends.index(".1.3"))
        assert order_of_ends[-1] == ""
        after = dict(look_at(tmp_path, "SELECT id, epoch FROM executions"))
        assert all(after[execution.id + place] > epochs[execution.id + place] for place in ended)
        assert after[execution.id + ".1.2"] == epochs[execution.id + ".1.2"]
        await app.cancel(execution.id + ".1.2")


@process("dozes")
async def dozes(_: int) -> str:
    await sleep(0.05)
    return "slept"


async def test_L35_the_sleep_of_a_cancelled_execution_never_rings() -> None:
    async with Remit(":memory:", processes=[dozes]) as app:
        execution = await app.start(dozes, 1)
        await wait_until(app, execution.id, "PENDING_ASYNC")
        await app.cancel(execution.id)
        rung: list[int] = []
        fire = app.engine.timers.fire
        app.engine.timers.fire = lambda: (rung.append(1), fire())
        await asyncio.sleep(0.1)
        assert len(rung) <= 1, "what has ended is still taken for due"


async def test_L35_an_ended_execution_takes_no_further_children_and_no_late_completion_revives_it() -> None:
    @process("clings", calls=[part])
    async def clings(_: int) -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        await call_process(part, "late")
        return "revived"

    async with Remit(":memory:", processes=[clings, part]) as app:
        execution = await app.start(clings, 1)
        await wait_until(app, execution.id, "ACTIVE")
        await app.cancel(execution.id)
        await asyncio.sleep(0.05)
        assert list(await every(app, execution.id)) == [""]
        assert await status(app, execution.id) == "CANCELLED"
        assert runs == []
        assert app.engine.refusals == 1
        with pytest.raises(MisuseError) as refused:
            await app.send(execution.id, "late")
        assert refused.value.code == "wrong_state"


async def test_L35_an_async_child_goes_on_when_its_parent_completes_or_fails_and_its_failure_raises_an_alert() -> None:
    @process("lets_go", calls=[part, slumber])
    async def lets_go(fails: bool) -> str:
        await start_process(part, "second")
        await start_process(slumber, 1)
        if fails:
            raise ValueError("no")
        return "done"

    broken.add("second")
    async with Remit(":memory:", processes=[lets_go, part, slumber]) as app:
        for fails in (False, True):
            execution = await app.start(lets_go, fails)
            await execution.outcome(timeout=3)
            await wait_until(app, execution.id + ".1", "FAILED")
            await wait_until(app, execution.id + ".2", "PENDING_ASYNC")
            [alert] = await app.alerts(execution_id=execution.id + ".1")
            assert "second is broken" in alert.message
            await app.cancel(execution.id + ".2")


# -- races -------------------------------------------------------------------------------------------------------------


@process("racer", ttl=0.12)
async def racer(_: int) -> str:
    return await ask(str, name="word", timeout="1h")


@process("busy_racer", ttl=0.12)
async def busy_racer(naps: list[float]) -> str:
    for nap in naps:
        await working(nap)
    return "completed"


@process("race", calls=["*"], retry=Retry(attempts=1))
async def race(plan: tuple[str, list[float]]) -> str:
    name, naps = plan
    outcome = await call_process(name, 1 if name == "racer" else naps)
    return outcome.status


async def test_L35_one_terminal_outcome_whatever_races(tmp_path, seed, figure) -> None:
    """Cancel, complete, expire and answer the same child in random orders and gaps; the parent is told once."""
    draw = random.Random(seed)
    ends: dict[str, list[str]] = {}
    async with Remit(open_store(tmp_path), processes=[race, racer, busy_racer]) as app:
        tell = app.engine.endings._end

        def noted(node, status, error) -> None:
            ends.setdefault(node.id, []).append(f"{status} of attempt {node.record.attempt}")
            tell(node, status, error)

        app.engine.endings._end = noted

        async def one() -> None:
            name = draw.choice(["racer", "busy_racer"])
            naps = [draw.choice([0.0, 0.01, 0.05]) for _ in range(3)]
            execution = await app.start(race, (name, naps))
            await until(lambda: exists(app, execution.id + ".1"))

            async def after(pause: float, act) -> None:
                await asyncio.sleep(pause)
                with contextlib.suppress(RemitError):
                    await act()

            acts = [
                lambda: app.cancel(execution.id + ".1"),
                lambda: app.answer(execution.id, "answered"),
                lambda: app.answer(execution.id + ".1", "again"),
                lambda: app.cancel(execution.id + ".1"),
            ]
            chosen = draw.sample(acts, draw.randrange(4))
            await asyncio.gather(*(after(draw.choice([0, 0.001, 0.05, 0.12, 0.121]), act) for act in chosen))
            if name == "racer" and not chosen:
                await app.cancel(execution.id + ".1")
            told = (await wait_until(app, execution.id, "COMPLETED", seconds=6)).result
            child = await app.get(execution.id + ".1")
            expected = {"COMPLETED": "completed", "CANCELLED": "cancelled", "TIMED_OUT": "timed_out"}
            assert told == expected[child.status]

        await asyncio.gather(*(one() for _ in range(figure(80, 3_000))))
    assert ends
    assert [each for each in ends.values() if len(each) != 1] == []


async def exists(app: Remit, execution_id: str) -> bool:
    """Whether there is such an execution."""
    try:
        await app.get(execution_id)
    except MisuseError:
        return False
    return True

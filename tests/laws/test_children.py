"""Children have a life of their own: outcomes, not exceptions; waiting or not; as many as the trace allows (L12, L14, L15)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from remit import (
    Budget,
    DomainError,
    Limits,
    MisuseError,
    Remit,
    Retry,
    Usage,
    ask,
    call_process,
    charge,
    process,
    start_process,
    step,
)
from tests.laws.scene import every, flatten, look_at, open_store, until, wait_until, working

done: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


@step
async def do(what: Any) -> Any:
    done.append(what)
    return what


@process("quick")
async def quick(value: int) -> int:
    return await do(value)


@process("slow")
async def slow(seconds: float) -> str:
    await working(seconds)
    return await do("slow")


@process("asks")
async def asks(name: str) -> bool:
    return await ask(bool, name=name)


@process("raises")
async def raises(kind: str) -> str:
    errors = {"value": ValueError("v"), "domain": DomainError("d"), "exit": SystemExit(3), "interrupt": LookupError()}
    raise errors[kind]


CHILDREN = [quick, slow, asks, raises]
NAMES = [each.name for each in CHILDREN]


def root_of(body: Any, **options: Any) -> Any:
    """A root that may call all of this file's children."""
    return process("root", calls=NAMES, **options)(body)


async def run(body: Any, *, limits: Limits | None = None, budget: Budget | None = None) -> Any:
    """A root's result, its trace and the alerts."""
    root = root_of(body)
    async with Remit(":memory:", processes=[root, *CHILDREN], limits=limits) as app:
        started = await app.start(root, budget=budget)
        result = (await started.outcome(20)).unwrap()
        return result, await every(app, started.id), await app.alerts()


# -- L12: a child never raises --------------------------------------------------------------------------------------


async def test_L12_however_a_child_ends_its_parent_gets_an_outcome_of_one_of_five_statuses():
    async def body() -> list[list[Any]]:
        calls = [
            call_process(quick, 1),
            call_process(raises, "value"),
            call_process(raises, "domain"),
            call_process(raises, "exit"),
            call_process(slow, 30.0, ttl="100ms"),
            call_process("nobody", 1),
            call_process(quick, "no number"),  # type: ignore[arg-type]
        ]
        outcomes = [await each for each in calls]
        child = await start_process(slow, 30.0)
        await child.cancel()
        outcomes.append(await child.outcome())
        return [[each.status, each.ok, each.value, each.error.code if each.error else None] for each in outcomes]

    result, there, _ = await run(body)
    assert result == [
        ["completed", True, 1, None],
        ["failed", False, None, "domain_error"],
        ["failed", False, None, "domain_error"],
        ["failed", False, None, "domain_error"],
        ["timed_out", False, None, "lease_expired"],
        ["rejected", False, None, "undeclared_call"],
        ["rejected", False, None, "invalid_input"],
        ["cancelled", False, None, "cancelled"],
    ]
    assert len(there) == 1 + 6


async def test_L12_one_child_that_fails_disturbs_neither_siblings_nor_the_gather():
    async def body() -> list[str]:
        calls = [call_process(raises, "value"), *(call_process(quick, value) for value in range(5))]
        return [outcome.status for outcome in await asyncio.gather(*calls)]

    result, _, _ = await run(body)
    assert result == ["failed", *["completed"] * 5]


# -- L14: start_process ---------------------------------------------------------------------------------------------


async def test_L14_the_id_comes_at_once_and_the_child_is_polled_and_awaited_later():
    async def body() -> list[Any]:
        child = await start_process(slow, 0.1)
        first = await child.status()
        await do("meanwhile")
        statuses = {first}
        while (status := await child.status()) not in {"COMPLETED", "FAILED"}:
            statuses.add(status)
            await working(0.01)
        outcome = await child.outcome()
        again = await child.outcome()
        return [child.id == outcome.execution_id, sorted(statuses), status, outcome.unwrap(), again.unwrap()]

    result, there, _ = await run(body)
    assert result == [True, result[1], "COMPLETED", "slow", "slow"]
    assert set(result[1]) <= {"PENDING", "ACTIVE"}
    assert done == ["meanwhile", "slow"]
    assert set(there) == {"", ".1"}


async def test_L14_a_child_whose_outcome_was_heard_shows_that_it_has_ended() -> None:
    @process("quick")
    async def quick() -> int:
        return 1

    @process("looks", calls=[quick])
    async def looks() -> list[str]:
        child = await start_process(quick)
        (await child.outcome()).unwrap()
        return [await child.status()]

    async with Remit(":memory:", processes=[looks, quick]) as app:
        assert (await (await app.start(looks)).outcome(timeout=5)).unwrap() == ["COMPLETED"]


async def test_L14_the_child_is_part_of_its_parents_own_commit(tmp_path):
    """Whenever what follows the start is durable, the child is; the file is read after every commit."""

    async def body() -> str:
        await do("before")
        child = await start_process(quick, 7)
        await do("after")
        return child.id

    root = root_of(body)
    seen: list[tuple[int, int]] = []
    async with Remit(open_store(tmp_path), processes=[root, *CHILDREN]) as app:
        store = app.engine.store
        commit = store.commit

        def watched(batch: Any) -> Any:
            result = commit(batch)
            [(children,)] = look_at(tmp_path, "SELECT count(*) FROM executions WHERE process = 'quick'")
            [(after,)] = look_at(tmp_path, "SELECT count(*) FROM journal WHERE CAST(params AS TEXT) LIKE '%after%'")
            seen.append((children, after))
            return result

        store.commit = watched  # type: ignore[method-assign]
        started = await app.start(root)
        assert (await started.outcome(10)).unwrap() == f"{started.id}.1"
    assert (1, 1) in seen
    assert (0, 1) not in seen


async def test_L14_a_started_child_runs_although_the_app_closed_right_after(tmp_path):
    async def body() -> str:
        child = await start_process(asks, "go")
        await ask(bool, name="parent")
        return child.id

    root = root_of(body)
    async with Remit(open_store(tmp_path), processes=[root, *CHILDREN]) as app:
        started = await app.start(root)
        await wait_until(app, started.id, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[root, *CHILDREN]) as app:
        await app.answer(started.id, True, ask="parent")
        assert (await app.outcome(started.id, 5)).unwrap() == f"{started.id}.1"
        await app.answer(f"{started.id}.1", True)
        assert (await app.outcome(f"{started.id}.1", 5)).unwrap() is True


@pytest.mark.parametrize("ending", ["completed", "failed"])
async def test_L14_it_goes_on_when_its_parent_has_ended_in_the_trace_and_on_the_budget(ending):
    @process("spends")
    async def spends() -> None:
        await working(0.1)
        await charge(Usage(tokens=40))

    @process("parent", calls=[spends])
    async def parent() -> str:
        child = await start_process(spends)
        if ending == "failed":
            raise ValueError("after the start")
        return child.id

    async with Remit(":memory:", processes=[parent, spends]) as app:
        started = await app.start(parent, budget=Budget(tokens=100))
        outcome = await started.outcome(5)
        assert outcome.status == ending
        child = f"{started.id}.1"
        assert (await app.get(child)).ended_at is None
        assert (await app.outcome(child, 5)).ok
        assert (await app.tree(child)).execution_id == started.id
        assert (await app.get(started.id)).usage.subtree.tokens == 40


async def test_L14_a_ttl_of_its_own():
    async def body() -> str:
        return (await start_process(slow, 30.0, ttl="150ms")).id

    root = root_of(body, ttl="20s")
    async with Remit(":memory:", processes=[root, *CHILDREN]) as app:
        started = await app.start(root)
        child = (await started.outcome(5)).unwrap()
        assert (await app.get(child)).ttl_ms == 150
        assert (await app.outcome(child, 3)).status == "timed_out"
        assert (await app.get(started.id)).status == "COMPLETED"


@pytest.mark.parametrize("detached", [False, True])
async def test_L14_it_is_cancelled_with_its_parent_unless_detached(detached):
    async def body() -> None:
        await start_process(asks, "child", detached=detached)
        await ask(bool, name="parent")

    root = root_of(body)
    async with Remit(":memory:", processes=[root, *CHILDREN]) as app:
        started = await app.start(root)
        child = f"{started.id}.1"
        await wait_until(app, child, "WAITING_HUMAN_INPUT")
        await wait_until(app, started.id, "WAITING_HUMAN_INPUT")
        await app.cancel(started.id)
        assert (await app.get(child)).status == ("WAITING_HUMAN_INPUT" if detached else "CANCELLED")
        if detached:
            await app.answer(child, True)
            assert (await app.outcome(child, 5)).unwrap() is True


async def test_L14_its_failure_raises_an_alert_and_does_not_touch_its_parent():
    async def body() -> str:
        child = await start_process(raises, "value")
        await working(0.05)
        return await child.status()

    result, there, alerts = await run(body)
    assert result == "FAILED"
    assert [(alert.code, alert.execution_id) for alert in alerts] == [("domain_error", there[".1"].execution_id)]


async def test_L14_a_rejected_start_raises_its_code_and_starts_nothing():
    async def body() -> list[Any]:
        found = []
        for target, value in (("nobody", 1), ("quick", "no number")):
            try:
                await start_process(target, value)
            except DomainError as error:
                found.append([error.code, error.details["check"]])
        return found

    result, there, _ = await run(body)
    assert result == [["undeclared_call", "declared"], ["invalid_input", "input"]]
    assert set(there) == {""}


async def test_L14_statuses_and_outcomes_are_the_same_in_replay(tmp_path):
    lives: list[list[Any]] = []

    async def body() -> list[Any]:
        child = await start_process(quick, 7)
        seen = [child.id, await child.status()]
        await working(0.02)
        seen.append(await child.status())
        failing = await start_process(raises, "value")
        seen.append((await child.outcome()).unwrap())
        outcome = await failing.outcome()
        seen += [outcome.status, outcome.error.code if outcome.error else None]
        lives.append(seen)
        await ask(bool, name="go")
        return seen

    root = root_of(body)
    async with Remit(open_store(tmp_path), processes=[root, *CHILDREN]) as app:
        started = await app.start(root)
        await wait_until(app, started.id, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[root, *CHILDREN]) as app:
        await app.answer(started.id, True)
        assert (await app.outcome(started.id, 5)).unwrap() == lives[0] == lives[1]
    assert done == [7]


async def test_L14_only_its_own_children_can_be_awaited():
    async def body() -> str:
        child = await start_process(quick, 1)
        child.id = child.id.replace(".1", ".9")
        try:
            await child.outcome()
        except MisuseError as error:
            return error.code
        return "awaited"

    assert (await run(body))[0] == "unknown_execution"


# -- L15: fan-out ---------------------------------------------------------------------------------------------------


async def test_L15_max_descendants_counts_the_whole_trace_async_and_ended_ones_too():
    @process("four", calls=[quick])
    async def four(base: int) -> list[str]:
        outcomes = [await call_process(quick, base + each) for each in range(4)]
        return [outcome.error.code if outcome.error else "ok" for outcome in outcomes]

    async def body() -> list[list[str]]:
        await start_process(quick, 0)
        return [(await call_process(four, base)).unwrap() for base in (10, 20)]

    root = process("root", calls=[four, quick])(body)
    async with Remit(":memory:", processes=[root, four, quick], limits=Limits(max_descendants=8)) as app:
        started = await app.start(root)
        ok, refused = ["ok"] * 4, ["ok"] + ["fanout_exceeded"] * 3
        assert (await started.outcome(5)).unwrap() == [ok, refused]
        assert len(flatten(await app.tree(started.id))) == 9
        [alert, *_] = await app.alerts(code="fanout_exceeded")
        assert (alert.details["limit"], alert.details["current"]) == (8, 8)


async def test_L15_another_trace_has_a_count_of_its_own_and_a_restart_does_not_forget(tmp_path):
    async def body() -> list[str]:
        first = [(await call_process(quick, value)).status for value in range(3)]
        await ask(bool, name="go")
        return [*first, *[(await call_process(quick, 10 + value)).status for value in range(2)]]

    root = root_of(body)
    ids = []
    async with Remit(open_store(tmp_path), processes=[root, quick], limits=Limits(max_descendants=4)) as app:
        for _ in range(2):
            ids.append((await app.start(root)).id)
            await wait_until(app, ids[-1], "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[root, quick], limits=Limits(max_descendants=4)) as app:
        for each in ids:
            await app.answer(each, True)
            assert (await app.outcome(each, 5)).unwrap() == [*["completed"] * 4, "rejected"]


running = {"now": 0, "most": 0, "ended": 0}


@process("counted")
async def counted_one(seconds: float) -> int:
    running["now"] += 1
    running["most"] = max(running["most"], running["now"])
    await working(seconds)
    running["now"] -= 1
    running["ended"] += 1
    return running["ended"]


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_L15_at_most_max_active_run_at_once_and_the_excess_waits_in_order(limit):
    running.update(now=0, most=0, ended=0)

    @process("wide", calls=["counted"])
    async def wide() -> list[int]:
        outcomes = await asyncio.gather(*(call_process(counted_one, 0.01 + each / 1e6) for each in range(8)))
        return [outcome.unwrap() for outcome in outcomes]

    async with Remit(":memory:", processes=[wide, counted_one], limits=Limits(max_active=limit)) as app:
        started = await app.start(wide)
        result = (await started.outcome(10)).unwrap()
        assert sorted(result) == list(range(1, 9))
        assert limit > 1 or result == sorted(result)
        records = (await app.tree(started.id)).children
        begun = [record.started_at for record in records]
        assert begun == sorted(begun)
    assert running["most"] <= limit


async def test_L15_what_waits_for_a_slot_is_pending():
    async def body() -> list[str]:
        outcomes = await asyncio.gather(*(call_process(slow, 0.2) for _ in range(3)))
        return [outcome.status for outcome in outcomes]

    root = root_of(body)
    async with Remit(":memory:", processes=[root, *CHILDREN], limits=Limits(max_active=1)) as app:
        started = await app.start(root)

        async def as_expected() -> bool:
            return sorted(str(each.status) for each in (await app.tree(started.id)).children) == [
                "ACTIVE",
                "PENDING",
                "PENDING",
            ]

        await until(as_expected)
        assert (await started.outcome(10)).ok


@pytest.mark.parametrize("limit", [1, 2])
async def test_L15_waiting_parents_hold_no_slot_so_nothing_deadlocks(limit):
    @process("d3")
    async def d3(value: int) -> int:
        await do(value)
        return value

    @process("d2", calls=[d3])
    async def d2(value: int) -> int:
        outcomes = await asyncio.gather(*(call_process(d3, value * 10 + each) for each in range(3)))
        return sum(outcome.unwrap() for outcome in outcomes)

    @process("d1", calls=[d2])
    async def d1(value: int) -> int:
        child = await start_process(d2, value)
        inside = (await call_process(d2, value + 100)).unwrap()
        return inside + (await child.outcome()).unwrap()

    @process("d0", calls=[d1])
    async def d0() -> int:
        outcomes = await asyncio.gather(*(call_process(d1, value) for value in range(4)))
        return sum(outcome.unwrap() for outcome in outcomes)

    async with Remit(":memory:", processes=[d0, d1, d2, d3], limits=Limits(max_active=limit)) as app:
        started = await app.start(d0)
        expected = sum(sum(base * 10 + each for each in range(3)) for v in range(4) for base in (v, v + 100))
        assert (await started.outcome(20)).unwrap() == expected
        assert len(done) == 24


async def test_L15_human_waits_sleeps_and_pauses_before_an_attempt_hold_no_slot():
    failures = [2]

    @process("flaky", retry=Retry(attempts=3, first=0.001))
    async def flaky() -> str:
        if failures[0]:
            failures[0] -= 1
            raise ConnectionError
        return "flaky"

    async def body() -> list[Any]:
        waits = await start_process(asks, "child")
        outcome = await call_process("flaky")
        found = [outcome.unwrap(), (await call_process(quick, 1)).unwrap()]
        return [*found, (await waits.outcome()).unwrap()]

    root = process("root", calls=["asks", "flaky", "quick"])(body)
    async with Remit(":memory:", processes=[root, flaky, asks, quick], limits=Limits(max_active=1)) as app:
        started = await app.start(root)
        await wait_until(app, started.id, "WAITING_CHILD_HUMAN_INPUT")
        await app.answer(started.id, True)
        assert (await started.outcome(5)).unwrap() == ["flaky", 1, True]


async def test_L15_slots_are_found_again_after_a_restart(tmp_path):
    @process("wide", calls=["slow"])
    async def wide() -> int:
        outcomes = await asyncio.gather(*(call_process(slow, 0.02 + each / 1e6) for each in range(6)))
        return sum(outcome.ok for outcome in outcomes)

    root = ""
    for life in range(30):
        async with Remit(open_store(tmp_path), processes=[wide, slow], limits=Limits(max_active=2)) as app:
            root = root or (await app.start(wide)).id
            try:
                assert (await app.outcome(root, 0.03 if life < 4 else 10)).unwrap() == 6
                break
            except TimeoutError:
                assert life < 5

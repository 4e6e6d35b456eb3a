"""One small scene for each guard that `make mutate` takes out and no other test stands for."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from contextlib import closing
from typing import Any

import apsw
import pytest

from remit import (
    Budget,
    DomainError,
    InvalidInput,
    Limits,
    MisuseError,
    Remit,
    Retry,
    StoreError,
    SystemFailure,
    TransientError,
    Usage,
    call_process,
    current,
    model,
    process,
    start_process,
    step,
)
from remit.durable import now
from remit.kernel.lease import CLAIM_MS
from remit.kernel.states import Status
from remit.store.port import Batch
from remit.store.records import ExecutionRecord
from remit.store.sqlite import SqliteStore
from tests.laws.scene import every, flatten, look_at, open_store, wait_until
from tests.laws.small import asks, echo, end_of, naps

# -- the store ---------------------------------------------------------------------------------------------------------


def row(n: int, parent_n: int, key: bytes | None) -> ExecutionRecord:
    """An execution as the engine hands it to the store."""
    name = f"exec_{n:024d}"
    return ExecutionRecord(n, name, parent_n, "order", "1.0.0", Status.ACTIVE, 1, 1_000, b"d", b"{}", key=key)


def test_L8_a_second_row_for_one_call_is_refused_with_all_that_came_with_it(tmp_path) -> None:
    with closing(SqliteStore(open_store(tmp_path), lambda: 1)) as store:
        both = Batch()
        both.created = {1: row(1, 7, b"one call"), 2: row(2, 7, b"another"), 3: row(3, 7, b"one call")}
        with pytest.raises(StoreError, match="UNIQUE"):
            store.commit(both)
        assert look_at(tmp_path, "SELECT n FROM executions") == []
        del both.created[3]
        store.commit(both)
        assert look_at(tmp_path, "SELECT n FROM executions") == [(1,), (2,)]


def test_L23_an_owner_whose_claim_has_lapsed_writes_nothing_more(tmp_path) -> None:
    with (
        closing(SqliteStore(open_store(tmp_path), lambda: 0)) as former,
        closing(SqliteStore(open_store(tmp_path), lambda: CLAIM_MS)) as owner,
    ):
        late, timely = Batch(), Batch()
        late.created, timely.created = {1: row(1, 0, None)}, {2: row(2, 0, None)}
        with pytest.raises(StoreError) as refused:
            former.commit(late)
        assert refused.value.code == "fenced"
        owner.commit(timely)
        assert look_at(tmp_path, "SELECT n FROM executions") == [(2,)]


def test_L46_nobody_else_can_read_the_file(tmp_path) -> None:
    before = os.umask(0)
    try:
        store = SqliteStore(open_store(tmp_path), lambda: 1)
    finally:
        os.umask(before)
    with closing(store):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        assert set(modes.values()) == {0o600}, modes


def test_L48_another_program_s_database_is_left_alone(tmp_path) -> None:
    with closing(apsw.Connection(str(tmp_path / "remit.db"))) as connection:
        connection.execute("CREATE TABLE ours (x)")
    with pytest.raises(StoreError, match="another program's"):
        SqliteStore(open_store(tmp_path), lambda: 1)


def test_L48_a_newer_remit_s_file_is_left_alone(tmp_path) -> None:
    SqliteStore(open_store(tmp_path), lambda: 1).close()
    with closing(apsw.Connection(str(tmp_path / "remit.db"))) as connection:
        connection.execute("PRAGMA user_version = 9999")
    with pytest.raises(StoreError, match="newer Remit"):
        SqliteStore(open_store(tmp_path), lambda: 1)


async def test_L46_a_start_is_durable_when_it_returns(tmp_path) -> None:
    async with Remit(open_store(tmp_path), processes=[echo]) as app:
        execution = await app.start(echo, 1)
        assert look_at(tmp_path, "SELECT id FROM executions") == [(execution.id,)]


async def test_L46_what_a_full_disk_refused_is_written_when_there_is_space(monkeypatch) -> None:
    async with Remit(":memory:", processes=[echo]) as app:
        commit, refused = app.engine.store.commit, []

        def full_twice(batch: Batch) -> None:
            if len(refused) < 2:
                refused.append(batch)
                raise StoreError("the disk is full")
            commit(batch)

        monkeypatch.setattr(app.engine.store, "commit", full_twice)
        async with asyncio.timeout(3):
            execution = await app.start(echo, 5)
            assert (await execution.outcome()).value == 5
        assert len(refused) == 2


# -- the governed call -------------------------------------------------------------------------------------------------


async def test_L9_callers_with_one_key_get_one_child() -> None:
    @process("many_callers", calls=[echo])
    async def many_callers(count: int) -> list[str]:
        outcomes = await asyncio.gather(*(call_process(echo, 1, key="k") for _ in range(count)))
        return [outcome.execution_id or "" for outcome in outcomes]

    async with Remit(":memory:", processes=[many_callers, echo]) as app:
        execution = await app.start(many_callers, 50)
        ids = (await execution.outcome(timeout=5)).unwrap()
        assert set(ids) == {f"{execution.id}.1"}
        assert set(await every(app, execution.id)) == {"", ".1"}


async def test_L10_a_key_used_with_another_input_is_a_conflict_and_never_the_other_s_result() -> None:
    @process("one_key", calls=[echo])
    async def one_key(_: int) -> list[str]:
        first = await call_process(echo, 1, key="k")
        other = await call_process(echo, 2, key="k")
        return [first.status, other.status, other.error.code if other.error else str(other.value)]

    outcome = await end_of(one_key, 0, echo)
    assert outcome.unwrap() == ["completed", "rejected", "idempotency_conflict"]


async def test_L10_a_root_s_key_used_with_another_input_is_a_conflict() -> None:
    async with Remit(":memory:", processes=[echo]) as app:
        first = await app.start(echo, 1, key="k")
        again = await app.start(echo, 1, key="k")
        assert (first.id, first.new, again.new) == (again.id, True, False)
        with pytest.raises(MisuseError) as refused:
            await app.start(echo, 2, key="k")
        assert refused.value.code == "idempotency_conflict"


@pytest.mark.parametrize("calls", [[], ["echo@^2"]])
async def test_L6_a_call_that_is_not_declared_is_rejected_whoever_asks(calls) -> None:
    @process("caller", calls=calls)
    async def caller(_: int) -> str:
        outcome = await call_process("echo", 1)
        return outcome.error.code if outcome.error else outcome.status

    expected = "no_matching_version" if calls else "undeclared_call"
    assert (await end_of(caller, 0, echo)).unwrap() == expected


async def test_L13_a_bad_input_never_reaches_the_callee() -> None:
    @process("sends_text", calls=[echo])
    async def sends_text(_: int) -> str:
        outcome = await call_process("echo", "seven")
        return f"{outcome.status} {outcome.error.code if outcome.error else outcome.value}"

    assert (await end_of(sends_text, 0, echo)).unwrap() == "rejected invalid_input"
    with pytest.raises(InvalidInput):
        await end_of(echo, "seven")


async def test_L13_a_result_that_breaks_its_contract_is_found_before_the_execution_completes() -> None:
    @process("says_text")
    async def says_text(_: int) -> int:
        return "seven"  # type: ignore[return-value]

    @step
    async def gives_text() -> int:
        return "seven"  # type: ignore[return-value]

    @process("steps_on_text")
    async def steps_on_text(_: int) -> str:
        return str(await gives_text())

    for broken in (says_text, steps_on_text):
        outcome = await end_of(broken, 0)
        assert (outcome.status, outcome.error.code) == ("failed", "contract_violation"), broken


async def test_L15_a_full_trace_takes_no_more_and_the_rejection_raises_an_alert() -> None:
    @process("fans_out", calls=[echo])
    async def fans_out(count: int) -> list[str]:
        outcomes = [await call_process(echo, number) for number in range(count)]
        return [outcome.error.code if outcome.error else outcome.status for outcome in outcomes]

    async with Remit(":memory:", processes=[fans_out, echo], limits=Limits(max_descendants=2)) as app:
        execution = await app.start(fans_out, 3)
        ends = (await execution.outcome(timeout=5)).unwrap()
        assert ends == ["completed", "completed", "fanout_exceeded"]
        assert [alert.code for alert in await app.alerts(execution_id=execution.id)] == ["fanout_exceeded"]


async def test_L15_no_more_are_active_at_once_than_the_operator_allows() -> None:
    running: list[int] = []
    most: list[int] = []

    @step
    async def busy(_: int) -> int:
        running.append(1)
        most.append(len(running))
        await asyncio.sleep(0.005)
        return running.pop()

    @process("busy_child")
    async def busy_child(number: int) -> int:
        return await busy(number)

    @process("busy_parent", calls=[busy_child])
    async def busy_parent(count: int) -> int:
        outcomes = await asyncio.gather(*(call_process(busy_child, number) for number in range(count)))
        return sum(outcome.unwrap() for outcome in outcomes)

    assert (await end_of(busy_parent, 6, busy_child, limits=Limits(max_active=2))).unwrap() == 6
    assert max(most) <= 2


async def test_L25_a_cap_below_its_estimate_reserves_no_more_than_the_cap() -> None:
    @process("caps", calls=[asks])
    async def caps(_: int) -> str:
        outcome = await call_process(asks, "capped", estimate=90, budget=Budget(tokens=20))
        return outcome.status

    async with Remit(":memory:", processes=[caps, asks]) as app:
        execution = await app.start(caps, 0, budget=Budget(tokens=50))
        await wait_until(app, execution.id, "WAITING_CHILD_HUMAN_INPUT")
        node = app.engine.traces.nodes[execution.id]
        assert (node.account.tokens.held, node.account.tokens.headroom()) == (20, 30)


async def test_L26_what_a_running_effect_may_cost_is_no_headroom_for_another() -> None:
    @model("sample-model", max_input_tokens=60, max_tokens=40)
    async def think(number: int) -> tuple[int, Usage]:
        await asyncio.sleep(0.01)
        return number, Usage(tokens=1)

    @process("thinks_twice")
    async def thinks_twice(_: int) -> list[str]:
        ends = await asyncio.gather(think(1), think(2), return_exceptions=True)
        return [end.code if isinstance(end, DomainError) else "done" for end in ends]

    outcome = await end_of(thinks_twice, 0, budget=Budget(tokens=150))
    assert outcome.unwrap() == ["done", "budget_exhausted"]
    assert outcome.usage.own.tokens == 1


async def test_L44_tenant_owner_and_region_are_inherited() -> None:
    @process("says_who")
    async def says_who(_: int) -> list[str | None]:
        return [current().tenant, current().owner, current().region]

    @process("asks_who", calls=[says_who])
    async def asks_who(_: int) -> list[str | None]:
        return (await call_process(says_who, 0)).unwrap()

    outcome = await end_of(asks_who, 0, says_who, tenant="acme", owner="sales", region="eu")
    assert outcome.unwrap() == ["acme", "sales", "eu"]


# -- errors ------------------------------------------------------------------------------------------------------------


def failing(error: Exception, tried: list[int], times: int = 1_000) -> Any:
    """A process whose step raises `error` the first `times` times."""

    @step
    async def stumbles(_: int) -> int:
        tried.append(1)
        if len(tried) <= times:
            raise error
        return len(tried)

    @process("stumbler", retry=Retry(first=0.001))
    async def stumbler(value: int) -> int:
        return await stumbles(value)

    return stumbler


async def test_L18_a_transient_failure_is_made_anew_and_nothing_else_is_retried() -> None:
    tried: list[int] = []
    assert (await end_of(failing(TransientError("away"), tried, times=2), 0)).unwrap() == 3
    refused: list[int] = []
    outcome = await end_of(failing(DomainError("no_stock"), refused), 0)
    assert (outcome.error.code, len(refused)) == ("no_stock", 1)


async def test_L18_exhausted_retries_are_domain_and_not_retried_further_up() -> None:
    tried: list[int] = []
    child = failing(TransientError("away"), tried)

    @process("trusts", calls=[child], retry=Retry(first=0.001))
    async def trusts(_: int) -> int:
        return (await call_process(child, 0)).unwrap()

    outcome = await end_of(trusts, 0, child)
    assert (outcome.error.code, outcome.error.error_class, len(tried)) == ("retries_exhausted", "DOMAIN", 3)


async def test_L15_a_trace_s_attempts_are_bounded_however_many_each_may_make() -> None:
    tried: list[int] = []
    outcome = await end_of(failing(TransientError("away"), tried), 0, limits=Limits(max_attempts=2))
    assert (outcome.error.code, len(tried)) == ("attempts_exceeded", 2)


async def test_L19_an_awaited_failure_that_nobody_looked_at_fails_the_parent() -> None:
    child = failing(DomainError("no_stock"), [])

    @process("looks_away", calls=[child])
    async def looks_away(_: int) -> str:
        await call_process(child, 0)
        return "all is well"

    async with Remit(":memory:", processes=[looks_away, child]) as app:
        execution = await app.start(looks_away, 0)
        assert (await execution.outcome(timeout=5)).error.code == "no_stock"
        assert (await execution.record()).status == "FAILED_CHILD_WORKFLOW"


async def test_L20_a_system_error_ends_the_chain_and_no_code_can_catch_it() -> None:
    child = failing(SystemFailure("the ledger is gone"), [])
    caught: list[BaseException] = []

    @process("sibling")
    async def sibling(_: int) -> float:
        return await naps(5)

    @process("catches_all", calls=[child, sibling])
    async def catches_all(_: int) -> str:
        try:
            await asyncio.gather(call_process(sibling, 0), call_process(child, 0))
        except Exception as error:  # noqa: BLE001 - the author's code tries to
            caught.append(error)
        return "all is well"

    @process("top", calls=[catches_all])
    async def top(_: int) -> str:
        return (await call_process(catches_all, 0)).status

    async with Remit(":memory:", processes=[top, catches_all, child, sibling]) as app:
        execution = await app.start(top, 0)
        assert (await execution.outcome(timeout=5)).status == "failed"
        shown = {record.process: str(record.status) for record in flatten(await app.tree(execution.id))}
    above = dict.fromkeys(("top", "catches_all"), "FAILED_CHILD_WORKFLOW")
    assert shown == {**above, "stumbler": "FAILED", "sibling": "CANCELLED"}
    assert caught == []


async def test_L35_what_has_ended_is_not_cancelled() -> None:
    async with Remit(":memory:", processes=[echo]) as app:
        execution = await app.start(echo, 1)
        await execution.outcome(timeout=5)
        assert await execution.cancel() is False
        assert (await execution.record()).status == "COMPLETED"


async def test_L48_a_history_has_an_end_and_an_error_a_size(monkeypatch) -> None:
    @process("remembers_all")
    async def remembers_all(count: int) -> int:
        for _ in range(count):
            await now()
        return count

    @process("wordy")
    async def wordy(size: int) -> int:
        raise DomainError("x" * size)

    monkeypatch.setattr("remit.engine.body.history.MAX_ENTRIES", 5)
    assert (await end_of(remembers_all, 5)).unwrap() == 5
    assert (await end_of(remembers_all, 6)).error.code == "limit_exceeded"
    assert len((await end_of(wordy, 200_000)).error.message) < 65_536


async def test_L14_what_was_started_and_fails_raises_an_alert_and_not_its_parent() -> None:
    child = failing(DomainError("no_stock"), [])

    @process("starts_it", calls=[child])
    async def starts_it(_: int) -> str:
        return (await start_process(child, 0)).id

    async with Remit(":memory:", processes=[starts_it, child]) as app:
        started = (await (await app.start(starts_it, 0)).outcome(timeout=5)).unwrap()
        await wait_until(app, started, "FAILED")
        assert [alert.code for alert in await app.alerts(execution_id=started)] == ["no_stock"]


async def test_L14_a_parent_that_fails_cancels_what_it_awaits_and_leaves_what_it_started() -> None:
    @process("slow")
    async def slow(seconds: float) -> float:
        return await naps(seconds)

    @process("gives_up", calls=[slow])
    async def gives_up(_: int) -> None:
        await start_process(slow, 0.1)

        async def fails() -> None:
            await naps(0.01)
            raise DomainError("no_stock")

        await asyncio.gather(call_process(slow, 5.0), fails())

    async with Remit(":memory:", processes=[gives_up, slow]) as app:
        execution = await app.start(gives_up, 0)
        assert (await execution.outcome(timeout=5)).error.code == "no_stock"
        started = await wait_until(app, f"{execution.id}.1", "COMPLETED", "CANCELLED")
        awaited = await app.get(f"{execution.id}.2")
        assert (started.status, awaited.status) == ("COMPLETED", "CANCELLED")


async def test_L22_an_answer_comes_within_a_second_of_the_ttl() -> None:
    @process("too_long", ttl=0.1)
    async def too_long(_: int) -> float:
        return await naps(5)

    began = time.monotonic()
    assert (await end_of(too_long, 0)).status == "timed_out"
    assert time.monotonic() - began < 1.1

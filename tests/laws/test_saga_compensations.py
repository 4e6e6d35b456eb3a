"""What a compensation gets, where it runs, and that it runs once, journalled, under its own TTL (L22, L37, L52)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from typing import Any

import pytest
from pydantic import BaseModel

from remit import (
    Budget,
    DefinitionError,
    DomainError,
    MisuseError,
    Remit,
    Retry,
    call_process,
    current,
    process,
    step,
    tool,
)
from remit.durable import sleep, uuid4
from tests.laws import isolated_sagas
from tests.laws.saga_scene import PARTS, afresh, broken, do, done, look, part, rolled_back, undo, undone_by, whole
from tests.laws.scene import flatten, open_store, until, wait_until, working


@pytest.fixture(autouse=True)
def _nothing_done():
    yield from afresh()


# -- what a compensation gets, and where it runs -----------------------------------------------------------------------


class Item(BaseModel):
    sku: str
    count: int


async def test_L37_a_compensation_gets_its_step_s_result_and_arguments_as_they_were_and_nothing_else() -> None:
    seen: list[Any] = []

    def release(result: Any, *rest: Any) -> None:
        seen.append((result, *rest))
        rest[0][0].count = 0  # its own: another attempt, or anybody else, does not see that

    @step(compensate=release)
    def reserve(items: list[Item], urgent: bool = False) -> Item:
        return Item(sku=items[0].sku, count=sum(item.count for item in items))

    async def body(_: str) -> None:
        items = [Item(sku="a", count=1), Item(sku="b", count=2)]
        await reserve(items)
        items.clear()
        await reserve(urgent=True, items=[Item(sku="c", count=3)])

    assert await undone_by(body) == []
    assert [tuple(map(str, each)) for each in seen] == [
        ("sku='c' count=3", "[Item(sku='c', count=0)]", "True"),
        ("sku='a' count=3", "[Item(sku='a', count=0), Item(sku='b', count=2)]", "False"),
    ]


async def test_L37_sync_compensations_run_in_threads_and_async_ones_on_the_loop() -> None:
    where: dict[str, Any] = {}

    def in_thread(_: str, what: str) -> None:
        where[what] = threading.current_thread() is threading.main_thread()

    async def on_loop(_: str, what: str) -> None:
        await asyncio.sleep(0)
        where[what] = threading.current_thread() is threading.main_thread()

    sync, loop = (
        step(f"step_{name}", compensate=undoes)(_upper) for name, undoes in (("a", in_thread), ("b", on_loop))
    )

    async def body(_: str) -> None:
        await sync("sync")
        await loop("async")

    await undone_by(body)
    assert where == {"async": True, "sync": False}


def _upper(what: str) -> str:
    return what.upper()


async def test_L22_the_compensation_of_a_step_with_its_own_process_runs_in_one_too(tmp_path) -> None:
    path = str(tmp_path / "said")
    async with Remit(":memory:", processes=[isolated_sagas.in_a_process]) as app:
        await rolled_back(app, isolated_sagas.in_a_process, path)
    (_, booked), (pid, released) = isolated_sagas.said(path)
    assert (booked, released) == ("book 2", "release room for 2")
    assert pid != os.getpid()


async def test_L22_what_a_body_in_its_own_process_did_is_undone_there(tmp_path) -> None:
    path = str(tmp_path / "said")
    async with Remit(":memory:", processes=[isolated_sagas.apart]) as app:
        record = await rolled_back(app, isolated_sagas.apart, path)
        assert [(each.step, each.error or each.result, each.attempt) for each in record.compensations] == [
            ("stumbles", "released at last", 2),
            ("book_here_async", "released", 1),
            ("book_here", "released", 1),
        ]
    found = isolated_sagas.said(path)
    assert [text for _, text in found][-2:] == [
        f"release async hall for 3 of {record.execution_id}",
        "release room for 2",
    ]
    assert os.getpid() not in {pid for pid, _ in found}


async def test_L52_a_compensation_knows_where_it_is_and_has_no_effects(caplog) -> None:
    log = logging.getLogger("sample.undo")
    codes: list[str] = []

    async def curious(_: str, what: str) -> str:
        log.warning("undoing %s with %s", what, current().resources)
        for effect in (lambda: do("more"), lambda: call_process("part", "x"), lambda: sleep(1), uuid4):
            with pytest.raises(MisuseError) as refused:
                await effect()
            codes.append(refused.value.code)
        return current().execution_id

    @step(compensate=curious)
    async def tracked(what: str) -> str:
        return what

    async def body(_: str) -> None:
        await tracked("a")

    async with Remit(":memory:", processes=[whole(body), *PARTS], resources={"desk": 7}) as app:
        record = await rolled_back(app, "whole")
        assert record.compensations[0].result == record.execution_id
    [line] = [each for each in caplog.records if each.name == "sample.undo"]
    assert line.execution_id == record.execution_id
    assert "{'desk': 7}" in line.getMessage()
    assert codes == ["effect_inside_step"] * 4
    assert done == []


async def test_L37_a_step_may_be_the_compensation_of_another() -> None:
    @step
    async def take_back(result: str | None, what: str) -> None:
        undo(result, what)

    @step(compensate=take_back)
    async def act(what: str) -> str:
        return what

    async def body(_: str) -> None:
        await act("a")

    assert await undone_by(body) == ["undo a (a)"]


def test_L37_a_compensation_that_cannot_take_result_and_arguments_is_refused_when_the_step_is_defined() -> None:
    def short(result: str) -> None: ...

    with pytest.raises(DefinitionError) as refused:

        @step(compensate=short)
        async def act(what: str, count: int = 1) -> str:
            return what

    assert "is called as short(result, what, count): too many positional arguments" in str(refused.value)
    with pytest.raises(DefinitionError, match="compensate='undo it': give a function"):
        step(compensate="undo it")(_upper)


# -- what ran unrecorded, and what failed ------------------------------------------------------------------------------


async def test_L37_what_ran_unrecorded_is_compensated_without_a_result() -> None:
    @step(compensate=undo)
    async def hangs(what: str) -> str:
        done.append(f"do {what}")
        await asyncio.get_running_loop().create_future()
        return what

    async def body(_: str) -> None:
        await do("a")
        await hangs("b")

    async with Remit(":memory:", processes=[whole(body)]) as app:
        execution = await app.start("whole", "x")
        await until(lambda: asyncio.sleep(0, "do b" in done))
        await app.cancel(execution.id)
        await execution.compensated(timeout=5)
        assert done == ["do a", "do b", "undo b (None)", "undo a (A)"]


async def test_L37_a_priced_tool_that_was_left_while_it_ran_is_compensated_without_a_result() -> None:
    """Its record has an error, that it was left, and a price that was charged; neither says that it did nothing."""

    @tool("pay.card", cost="0.10", compensate=undo)
    async def pay(what: str) -> str:
        done.append(f"do {what}")
        await asyncio.get_running_loop().create_future()
        return what

    async def body(_: str) -> None:
        await pay("card")

    async with Remit(":memory:", processes=[whole(body)]) as app:
        execution = await app.start("whole", "x")
        await until(lambda: asyncio.sleep(0, "do card" in done))
        await app.cancel(execution.id)
        record = await execution.compensated(timeout=5)
        assert done == ["do card", "undo card (None)"]
        assert record.usage.own.cost == "0.10"


async def test_L37_a_thread_that_was_left_comes_to_its_end_before_it_is_undone() -> None:
    let_go = threading.Event()

    @step(compensate=undo)
    def stubborn(what: str) -> str:
        let_go.wait(5)
        done.append(f"do {what}")
        return what

    async def body(_: str) -> None:
        await stubborn("late")

    async with Remit(":memory:", processes=[whole(body)]) as app:
        execution = await app.start("whole", "x")
        await wait_until(app, execution.id, "ACTIVE")
        await asyncio.sleep(0.05)
        await app.cancel(execution.id)
        await asyncio.sleep(0.1)
        assert done == []
        let_go.set()
        await execution.compensated(timeout=5)
        assert done == ["do late", "undo late (None)"]


async def test_L37_the_failed_step_is_listed_as_skipped() -> None:
    async def body(_: str) -> None:
        await do("a")
        await do("fails")

    broken.add("fails")
    async with Remit(":memory:", processes=[whole(body)]) as app:
        record = await rolled_back(app, "whole")
        assert [(each.step, each.name, each.status, each.skipped) for each in record.compensations] == [
            ("do", "undo", "skipped", "no_stock"),
            ("do", "undo", "done", None),
        ]
        assert done == ["do a", "undo a (A)"]
        assert record.compensation == "done"


async def test_L37_a_tool_that_found_no_budget_is_skipped_and_what_came_after_it_is_undone() -> None:
    @tool("dear", cost="5.00", compensate=undo)
    async def dear(what: str) -> str:
        return what

    async def body(_: str) -> None:
        with contextlib.suppress(DomainError):
            await dear("too dear")
        await do("after")

    async with Remit(":memory:", processes=[whole(body)]) as app:
        record = await rolled_back(app, "whole", budget=Budget(cost="1.00"))
        assert [(each.step, each.status, each.skipped) for each in record.compensations] == [
            ("do", "done", None),
            ("dear", "skipped", "budget_exhausted"),
        ]


# -- each runs once, journalled, under its own TTL ---------------------------------------------------------------------


async def test_L37_each_is_journalled_with_what_it_undoes_and_what_came_of_it() -> None:
    async def body(_: str) -> None:
        await do("a")
        await do("b")
        await do("c")

    broken.add("undo b")
    async with Remit(":memory:", processes=[whole(body)]) as app:
        record = await rolled_back(app, "whole")
        entries = [entry for entry in await app.journal(record.execution_id) if entry.kind == "compensation"]
        assert [(entry.name, entry.undoes, entry.params["step"], entry.result) for entry in entries] == [
            ("undo", 2, "do", "c undone"),
            ("undo", 1, "do", None),
            ("undo", 0, "do", "a undone"),
        ]
        assert [each.status for each in record.compensations] == ["done", "failed", "done"]
        assert all(entry.ended_at >= entry.started_at >= record.ended_at for entry in entries)
        assert [each.compensations for each in flatten(await app.tree(record.execution_id))] == [record.compensations]
        assert record.current_step == "do"


async def test_L37_one_that_fails_is_retried_then_an_alert_and_the_rest_go_on() -> None:
    tries: list[str] = []

    def moody(result: str | None, what: str) -> None:
        tries.append(what)
        if what == "never" or (what == "at last" and tries.count(what) < 3):
            raise ValueError("no error class matters here")
        done.append(f"undo {what} ({result})")

    @step(compensate=moody)
    async def act(what: str) -> str:
        return what.upper()

    @process("moody", saga=True, retry=Retry(attempts=3, first=0.001))
    async def moody_process(_: str) -> None:
        for what in ("first", "never", "at last"):
            await act(what)
        raise DomainError("no_way")

    async with Remit(":memory:", processes=[moody_process]) as app:
        record = await rolled_back(app, moody_process)
        assert tries == ["at last"] * 3 + ["never"] * 3 + ["first"]
        assert done == ["undo at last (AT LAST)", "undo first (FIRST)"]
        assert (record.compensation, record.shown_status) == ("failed", "FAILED")
        assert [each.attempt for each in record.compensations] == [3, 3, 1]
        [alert] = await app.alerts(code="compensation_failed")
        assert alert.execution_id == record.execution_id
        assert alert.details["step"] == "act"
        assert alert.details["undoes"] == 1
        assert "no error class matters here" in alert.message


async def test_L37_a_rollback_is_done_only_when_those_below_it_are() -> None:
    async def body(_: str) -> None:
        await do("a")
        await call_process(part, "child")

    broken.add("undo child 1")
    async with Remit(":memory:", processes=[whole(body), *PARTS]) as app:
        record = await rolled_back(app, "whole")
        assert done[3:] == ["undo child 2 (CHILD 2)", "undo a (A)"]
        assert record.compensation == "failed"
        assert [each.status for each in record.compensations] == ["done"]


async def test_L37_each_runs_under_a_ttl_of_its_own() -> None:
    async def slow(_: str, what: str) -> None:
        done.append(f"undo {what}")
        await asyncio.sleep(0 if what == "a" else 60)

    @step(compensate=slow)
    async def act(what: str) -> str:
        return what

    async def body(_: str) -> None:
        await act("a")
        await act("b")
        await working(0.2)

    async with Remit(":memory:", processes=[whole(body, ttl=0.3)]) as app:
        record = await rolled_back(app, "whole")
        assert done == ["undo b", "undo a"]
        assert [each.error.code if each.error else None for each in record.compensations] == ["lease_expired", None]
        assert "TTL of 300 ms" in str(record.compensations[0].error)


async def test_L22_a_compensation_that_blocks_the_loop_is_cut_off_and_the_rest_go_on() -> None:
    async def blocks(_: str, what: str) -> None:
        while what == "b":
            time.monotonic()
        done.append(f"undo {what}")

    @step(compensate=blocks)
    async def act(what: str) -> str:
        return what

    async def body(_: str) -> None:
        await act("a")
        await act("b")

    async with Remit(":memory:", processes=[whole(body)]) as app:
        record = await rolled_back(app, "whole")
        assert done == ["undo a"]
        assert record.compensations[0].error.code == "blocked_event_loop"


async def test_L37_a_result_that_json_cannot_hold_does_no_harm() -> None:
    @step(compensate=lambda _result, _what: object())
    async def act(what: str) -> str:
        return what

    async def body(_: str) -> None:
        await act("a")

    async with Remit(":memory:", processes=[whole(body)]) as app:
        record = await rolled_back(app, "whole")
        assert record.compensations[0].result == "a object that cannot be recorded (invalid_input)"


async def test_L37_what_was_undone_before_a_crash_is_not_undone_again(tmp_path) -> None:
    reached, gate = asyncio.Event(), asyncio.Event()

    async def gated(result: str | None, what: str) -> None:
        done.append(f"undo {what}")
        if what == "b" and not gate.is_set():
            reached.set()
            await asyncio.get_running_loop().create_future()

    @step(compensate=gated)
    async def act(what: str) -> str:
        return what

    async def body(_: str) -> None:
        for what in "abc":
            await act(what)

    async with Remit(open_store(tmp_path), processes=[whole(body)]) as app:
        execution = await app.start("whole", "x")
        await reached.wait()
        assert (await app.get(execution.id)).compensation == "running"
    gate.set()
    async with Remit(open_store(tmp_path), processes=[whole(body)]) as app:
        record = await app.compensated(execution.id, timeout=5)
        assert done == ["undo c", "undo b", "undo b", "undo a"]
        assert [each.attempt for each in record.compensations] == [1, 2, 1]
    async with Remit(open_store(tmp_path), processes=[whole(body)]) as app:
        assert (await app.compensated(execution.id, timeout=5)).shown_status == "FAILED_ROLLED_BACK"
    assert len(done) == 4


async def test_L37_a_body_is_replayed_only_where_something_of_its_own_is_to_be_undone() -> None:
    entered: list[str] = []

    @process("looks_only", saga=True)
    async def looks_only(name: str) -> str:
        entered.append(name)
        return await look(name)

    broken.add("x")
    async with Remit(":memory:", processes=[looks_only]) as app:
        record = await rolled_back(app, looks_only)
        assert (record.compensation, record.compensations) == ("done", [])
        assert entered == ["x"]
        assert [entry.kind for entry in await app.journal(record.execution_id)] == ["step"]


async def test_L37_more_rollbacks_than_places_all_come_to_their_end() -> None:
    """Each waits for one below it, and those that wait hold no place that these need."""

    async def body(name: str) -> None:
        await do(name)
        await call_process(part, f"{name}'s child")

    async with Remit(":memory:", processes=[whole(body), *PARTS]) as app:
        records = await asyncio.gather(*(rolled_back(app, "whole", str(n)) for n in range(80)))
        assert {str(record.compensation) for record in records} == {"done"}
        undone = [line for line in done if line.startswith("undo")]
        assert len(undone) == len(set(undone)) == 240

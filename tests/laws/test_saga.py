"""What failed is undone: child first, in reverse order of completion, once, whatever happens meanwhile (L34, L35, L37)."""

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
    Record,
    Remit,
    Retry,
    SystemFailure,
    TransientError,
    ask,
    call_process,
    changed,
    continue_as,
    current,
    process,
    run,
    set_progress,
    start_process,
    step,
    tool,
)
from remit.durable import sleep, uuid4, wait_event
from remit.engine.admission import RootTerms
from tests.laws import isolated_sagas
from tests.laws.scene import every, flatten, open_store, stuck, until, wait_until, working

done: list[str] = []
"""What the world saw: 'do x', and 'undo x (result)' in the order in which it happened."""
broken: set[str] = set()


@pytest.fixture(autouse=True)
def _nothing_done():
    done.clear()
    broken.clear()
    yield
    stuck.set()
    stuck.clear()


def undo(result: str | None, what: str) -> str:
    if f"undo {what}" in broken:
        raise ConnectionError(f"{what} cannot be undone now")
    done.append(f"undo {what} ({result})")
    return f"{what} undone"


@step(compensate=undo)
async def do(what: str) -> str:
    if what in broken:
        raise DomainError("no_stock", what=what)
    done.append(f"do {what}")
    return what.upper()


@step
async def look(what: str) -> str:
    if what in broken:
        raise DomainError("nothing_there")
    return what


@process("part", saga=True)
async def part(name: str) -> str:
    return await do(f"{name} 1") + await do(f"{name} 2")


@process("fails_unless_mended", saga=True)
async def fails_unless_mended(name: str) -> str:
    await do(f"{name} 1")
    return await look(name)


PARTS = [part, fails_unless_mended]


def whole(body: Any, **options: Any) -> Any:
    """A saga of one name whose body differs from test to test; it fails where the body does not."""

    async def wrapped(name: str) -> str:
        await body(name)
        raise DomainError("changed_its_mind")

    wrapped.__name__ = "whole"
    return process("whole", calls=["*"], saga=True, retry=Retry(attempts=1, first=0.001), **options)(wrapped)


async def rolled_back(app: Remit, target: Any, value: Any = "x", **terms: Any) -> Record:
    """The record of a root that failed, once its rollback is over."""
    execution = await app.start(target, value, **terms)
    outcome = await execution.outcome(timeout=5)
    assert not outcome.ok
    return await execution.compensated(timeout=5)


async def undone_by(body: Any, *others: Any, **options: Any) -> list[str]:
    """What the world sees undone of a body that is rolled back."""
    async with Remit(":memory:", processes=[whole(body, **options), *PARTS, *others]) as app:
        record = await rolled_back(app, "whole")
        assert record.compensation == "done"
        return [line for line in done if line.startswith("undo")]


# -- the order ---------------------------------------------------------------------------------------------------------


async def test_L37_steps_are_undone_in_reverse_order_of_completion_with_their_result_and_arguments() -> None:
    async def body(_: str) -> None:
        await do("a")
        await look("nothing to undo here")
        await do("b")

    assert await undone_by(body) == ["undo b (B)", "undo a (A)"]


async def test_L37_the_order_is_that_of_completion_not_of_beginning() -> None:
    @step(compensate=undo)
    async def slow(what: str) -> str:
        await asyncio.sleep(0.05)
        return what.upper()

    async def body(_: str) -> None:
        await asyncio.gather(slow("slow"), do("quick"), do("as quick"))
        await do("last")

    undone = await undone_by(body)
    assert [undone[0], undone[1]] == ["undo last (LAST)", "undo slow (SLOW)"]
    assert sorted(undone[2:]) == ["undo as quick (AS QUICK)", "undo quick (QUICK)"]


async def test_L37_child_first_then_the_parent_the_step_that_spawned_the_child_included() -> None:
    async def body(_: str) -> None:
        await do("before")
        await do("spawn")
        await call_process(fails_unless_mended, "child")
        await do("after")

    broken.add("child")
    assert await undone_by(body) == [
        "undo child 1 (CHILD 1)",
        "undo after (AFTER)",
        "undo spawn (SPAWN)",
        "undo before (BEFORE)",
    ]


async def test_L37_a_child_that_had_completed_is_compensated_when_its_parent_fails_later() -> None:
    async def body(_: str) -> None:
        await do("before")
        (await call_process(part, "child")).unwrap()
        await do("after")

    async with Remit(":memory:", processes=[whole(body), *PARTS]) as app:
        record = await rolled_back(app, "whole")
        assert done[4:] == [
            "undo after (AFTER)",
            "undo child 2 (CHILD 2)",
            "undo child 1 (CHILD 1)",
            "undo before (BEFORE)",
        ]
        child = await app.get(f"{record.execution_id}.1")
        assert (child.status, child.compensation, child.result) == ("COMPLETED", "done", "CHILD 1CHILD 2")


async def test_L37_what_a_child_that_is_no_saga_called_is_undone_and_its_own_steps_are_not() -> None:
    @process("between", calls=[part])
    async def between(name: str) -> str:
        await do("not a saga's")
        return (await call_process(part, name)).unwrap()

    async def body(_: str) -> None:
        (await call_process(between, "below")).unwrap()

    assert await undone_by(body, between) == ["undo below 2 (BELOW 2)", "undo below 1 (BELOW 1)"]


async def test_L37_a_process_that_is_no_saga_undoes_nothing() -> None:
    @process("plain", calls=[part])
    async def plain(_: str) -> None:
        await do("a")
        await call_process(part, "child")
        raise DomainError("no_way")

    async with Remit(":memory:", processes=[plain, part]) as app:
        record = await rolled_back(app, plain)
        assert (record.status, record.shown_status, record.compensation) == ("FAILED", "FAILED", "none")
        assert not [line for line in done if line.startswith("undo")]


@process("goes_on", saga=True)
async def goes_on(name: str) -> str:
    await do(f"{name} 1")
    await wait_event("go")
    return await do(f"{name} 2")


async def test_L37_an_async_child_goes_on_and_is_waited_for_and_then_undone_first_and_a_detached_one_never_is() -> None:
    async def body(_: str) -> None:
        await do("a")
        await start_process(goes_on, "detached", detached=True)
        await start_process(goes_on, "async")
        await working(0.02)
        await do("b")

    async with Remit(":memory:", processes=[whole(body), goes_on]) as app:
        execution = await app.start("whole", "x")
        assert (await execution.outcome(timeout=5)).status == "failed"
        await working_on_nothing(app, execution.id)
        for child in (".1", ".2"):
            await app.send(execution.id + child, "go")
        record = await execution.compensated(timeout=5)
        assert [line for line in done if line.startswith("undo")] == [
            "undo async 2 (ASYNC 2)",
            "undo async 1 (ASYNC 1)",
            "undo b (B)",
            "undo a (A)",
        ]
        family = await every(app, record.execution_id)
        assert {place: str(each.compensation) for place, each in family.items()} == {
            "": "done",
            ".1": "none",
            ".2": "done",
        }


async def working_on_nothing(app: Remit, execution_id: str) -> None:
    """Time passes, and nothing is undone."""
    await asyncio.sleep(0.05)
    assert (await app.get(execution_id)).compensation == "running"
    assert not [line for line in done if line.startswith("undo")]


# -- whenever it ends without a result ---------------------------------------------------------------------------------


async def test_L37_after_a_timeout_too() -> None:
    @process("too_slow", saga=True, ttl=0.2)
    async def too_slow(_: str) -> None:
        await do("a")
        await asyncio.get_running_loop().create_future()

    async with Remit(":memory:", processes=[too_slow]) as app:
        record = await rolled_back(app, too_slow)
        assert (record.status, record.shown_status, record.compensation) == ("TIMED_OUT", "TIMED_OUT", "done")
        assert done == ["do a", "undo a (A)"]


async def test_L37_after_a_timeout_of_code_that_blocks_the_loop_when_it_is_replayed() -> None:
    @process("blocks", saga=True, ttl=0.6)
    async def blocks(_: str) -> None:
        await do("a")
        while time.monotonic():  # not within the event loop's reach
            pass

    async with Remit(":memory:", processes=[blocks]) as app:
        record = await rolled_back(app, blocks)
        assert (record.status, record.compensation) == ("TIMED_OUT", "done")
        assert done == ["do a", "undo a (A)"]


async def test_L35_a_cancelled_tree_is_compensated_leaf_first() -> None:
    @process("leaf", saga=True)
    async def leaf(name: str) -> str:
        await do(name)
        return await ask(str, name="never")

    @process("twig", saga=True, calls=[leaf])
    async def twig(name: str) -> str:
        await do(name)
        return (await call_process(leaf, "leaf")).unwrap()

    @process("trunk", saga=True, calls=[twig])
    async def trunk(name: str) -> str:
        await do(name)
        return (await call_process(twig, "twig")).unwrap()

    async with Remit(":memory:", processes=[trunk, twig, leaf]) as app:
        execution = await app.start(trunk, "trunk")
        await wait_until(app, execution.id + ".1.1", "WAITING_HUMAN_INPUT")
        await app.cancel(execution.id)
        await execution.compensated(timeout=5)
        assert done[3:] == ["undo leaf (LEAF)", "undo twig (TWIG)", "undo trunk (TRUNK)"]
        assert {each.shown_status for each in flatten(await app.tree(execution.id))} == {"CANCELLED"}


async def test_L20_a_system_error_ends_the_chain_and_all_of_it_is_undone() -> None:
    @process("breaks", saga=True)
    async def breaks(name: str) -> str:
        await do(name)
        raise SystemFailure("no such cluster")

    async def body(_: str) -> None:
        await do("above")
        await call_process(breaks, "below")

    async with Remit(":memory:", processes=[whole(body), breaks]) as app:
        record = await rolled_back(app, "whole")
        assert (record.status, record.shown_status) == ("FAILED_CHILD_WORKFLOW", "FAILED_ROLLED_BACK")
        assert done[2:] == ["undo below (BELOW)", "undo above (ABOVE)"]


async def test_L20_a_step_s_system_error_ends_the_chain_in_the_rollback_s_replay_as_it_did_live() -> None:
    @step(compensate=undo)
    async def aborts(what: str) -> str:
        raise SystemFailure(what)

    async def body(_: str) -> None:
        await asyncio.gather(do("a"), aborts("b"))

    async with Remit(":memory:", processes=[whole(body)]) as app:
        record = await rolled_back(app, "whole")
        assert record.compensation == "done"
        assert done == ["do a", "undo a (A)"]


async def test_L37_a_root_can_be_made_a_saga_when_it_is_started() -> None:
    """What the workflow builder does for a root whose process is none."""

    @process("no_saga")
    async def no_saga(_: str) -> None:
        await do("a")
        raise DomainError("no_way")

    async with Remit(":memory:", processes=[no_saga]) as app:
        terms = RootTerms(None, None, None, None, None, None, None, saga=True)
        record, _ = app.engine.start(no_saga.definition, "x", terms)
        assert (await app.compensated(record.id, timeout=5)).shown_status == "FAILED_ROLLED_BACK"
        assert done == ["do a", "undo a (A)"]


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
    async def body(_: str) -> None:
        await asyncio.gather(*(call_process(part, str(n)) for n in range(150)))
        await do("last")

    undone = await undone_by(body)
    assert undone[0] == "undo last (LAST)"
    assert len(undone) == len(set(undone)) == 301


# -- who waits ---------------------------------------------------------------------------------------------------------


async def test_L37_the_parent_s_outcome_does_not_wait_for_the_child_s_compensations_and_its_saga_does() -> None:
    gate = asyncio.Event()

    async def gated(result: str | None, what: str) -> None:
        await gate.wait()
        undo(result, what)

    @step(compensate=gated)
    async def act(what: str) -> str:
        return what

    @process("slow_to_undo", saga=True)
    async def slow_to_undo(name: str) -> None:
        await act(name)
        raise DomainError("no_way")

    heard: list[str] = []

    async def body(_: str) -> None:
        await do("a")
        heard.append((await call_process(slow_to_undo, "child")).status)

    async with Remit(":memory:", processes=[whole(body), slow_to_undo]) as app:
        execution = await app.start("whole", "x")
        assert (await execution.outcome(timeout=5)).error.code == "changed_its_mind"
        assert heard == ["failed"]
        await working_on_nothing(app, execution.id)
        with pytest.raises(TimeoutError, match="being rolled back"):
            await execution.compensated(timeout=0.01)
        gate.set()
        await execution.compensated(timeout=5)
        assert done[1:] == ["undo child (child)", "undo a (A)"]


async def test_L37_a_run_of_one_process_sees_its_compensations_through() -> None:
    async def body(_: str) -> None:
        await do("a")

    outcome = await asyncio.to_thread(run, whole(body), "x")
    assert outcome.status == "failed"
    assert done == ["do a", "undo a (A)"]


async def test_L37_a_child_that_failed_and_was_handled_is_undone_at_once_and_only_once() -> None:
    @process("handles", saga=True, calls=["*"])
    async def handles(_: str) -> str:
        await do("a")
        outcome = await call_process(fails_unless_mended, "child")
        await wait_event("go")
        raise DomainError("failed_later", was=outcome.status)

    broken.add("child")
    async with Remit(":memory:", processes=[handles, *PARTS]) as app:
        execution = await app.start(handles, "x")
        await wait_until(app, execution.id, "PENDING_ASYNC")
        await app.compensated(execution.id + ".1", timeout=5)
        assert done[2:] == ["undo child 1 (CHILD 1)"]
        await app.send(execution.id, "go")
        await execution.compensated(timeout=5)
        assert done[2:] == ["undo child 1 (CHILD 1)", "undo a (A)"]


# -- the replay does nothing new ---------------------------------------------------------------------------------------


async def test_L37_nothing_new_happens_while_a_body_is_replayed_for_its_compensations(tmp_path) -> None:
    """Every effect that was open, or not begun, when the execution ended stays so; recorded ones return what they did."""
    got: list[Any] = []

    async def branch(what: str, effect: Any) -> None:
        got.append((what, await effect))
        await do(f"new after {what}")

    async def body(_: str) -> None:
        recorded = [await uuid4(), await look("seen"), bool(changed("marker"))]
        set_progress("begun")
        child = await start_process(goes_on, "async")
        got.append((str(recorded), await child.status()))
        await asyncio.gather(
            do("a"),
            branch("ask", ask(str, name="word")),
            branch("event", wait_event("never sent before the end")),
            branch("sleep", sleep(60)),
            branch("child", child.outcome()),
            branch("call", call_process(goes_on, "awaited")),
            branch("step", forever("b")),
        )

    @step(compensate=undo)
    async def forever(what: str) -> str:
        done.append(f"do {what}")
        await asyncio.get_running_loop().create_future()
        return what

    async with Remit(open_store(tmp_path), processes=[whole(body), goes_on]) as app:
        execution = await app.start("whole", "x")
        await wait_until(app, execution.id + ".2", "PENDING_ASYNC")
        await until(lambda: asyncio.sleep(0, "do b" in done))
        before = {place: (each.status, each.awaited) for place, each in (await every(app, execution.id)).items()}
        await app.cancel(execution.id)
        record = await execution.compensated(timeout=5)
        journal = await app.journal(execution.id)
        assert got[0] == got[1]
        assert len(got) == 2
        assert not [line for line in done if line.startswith("do new")]
        assert sorted(line for line in done if line.startswith("undo")) == sorted(
            ["undo b (None)", "undo a (A)", "undo awaited 1 (AWAITED 1)", "undo async 1 (ASYNC 1)"]
        )
        kinds = [entry.kind for entry in journal if entry.kind != "compensation"]
        assert sorted(kinds) == sorted(
            ["value", "step", "changed", "child", "value", "step", "ask", "event", "sleep", "child", "step"]
        )
        assert record.progress == "begun"
        after = await every(app, execution.id)
        assert {place: each.awaited for place, each in after.items()} == {
            place: each[1] for place, each in before.items()
        }
        assert app.engine.refusals == 0


async def test_L37_a_body_whose_branch_gives_up_in_the_replay_cancels_no_child_that_goes_on() -> None:
    async def body(_: str) -> None:
        child = await start_process(goes_on, "async")
        await do("a")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await wait_event("never")
        await do("b")
        if len([line for line in done if line.startswith("do")]) < 9:
            raise DomainError("enough")
        await child.outcome()

    async with Remit(":memory:", processes=[whole(body), goes_on]) as app:
        execution = await app.start("whole", "x")
        await execution.outcome(timeout=5)
        await asyncio.sleep(0.1)
        assert (await app.get(execution.id + ".1")).status == "PENDING_ASYNC"
        await app.send(execution.id + ".1", "go")
        assert (await execution.compensated(timeout=5)).compensation == "done"
        assert done[-2:] == ["undo b (B)", "undo a (A)"]


# -- the code ----------------------------------------------------------------------------------------------------------


def crashed_before_undoing(body: Any) -> Any:
    """The body, with a compensation that never ends: what a program leaves that is killed in it."""

    async def hangs(_: str | None, what: str) -> None:
        await asyncio.get_running_loop().create_future()

    @step("do", compensate=hangs)
    async def hanging(what: str) -> str:
        done.append(f"do {what}")
        return what.upper()

    async def with_it(_: str) -> None:
        await body(hanging)

    return whole(with_it)


async def left_behind(tmp_path: Any, body: Any) -> str:
    """The id of an execution whose rollback has begun and was not finished."""
    async with Remit(open_store(tmp_path), processes=[crashed_before_undoing(body)]) as app:
        execution = await app.start("whole", "x")
        await execution.outcome(timeout=5)
        await until(lambda: _has_begun(app, execution.id))
        return execution.id


async def _has_begun(app: Remit, execution_id: str) -> bool:
    return bool((await app.get(execution_id)).compensations)


async def two(act: Any) -> None:
    await act("a")
    await act("b")


async def test_L37_the_compensations_of_code_that_is_not_hosted_wait_for_it_and_say_so_once(tmp_path) -> None:
    execution_id = await left_behind(tmp_path, two)
    for _ in range(2):
        async with Remit(open_store(tmp_path), processes=PARTS) as app:
            await app.engine.sagas.at_rest()
            assert (await app.get(execution_id)).compensation == "running"
            [alert] = await app.alerts(code="compensation_waits")
            assert "no code for whole 1.0.0 is hosted here" in alert.message
            assert alert.execution_id == execution_id

    async def body(_: str) -> None:
        await two(do)

    async with Remit(open_store(tmp_path), processes=[whole(body)]) as app:
        assert (await app.compensated(execution_id, timeout=5)).compensation == "done"
    assert done == ["do a", "do b", "undo b (B)", "undo a (A)"]


async def test_L37_a_rollback_waits_for_that_of_a_child_whose_code_is_not_hosted(tmp_path) -> None:
    gate: list[str] = ["closed"]

    @process("remote_part", saga=True)
    async def remote_part(name: str) -> str:
        return await do(name)

    async def body(_: str) -> None:
        await do("a")
        (await call_process("remote_part", "child")).unwrap()
        while gate:
            await working(0.01)

    async with Remit(open_store(tmp_path), processes=[whole(body), remote_part]) as app:
        execution = await app.start("whole", "x")
        await until(lambda: asyncio.sleep(0, "do child" in done))
    gate.clear()
    async with Remit(open_store(tmp_path), processes=[whole(body)]) as app:
        await app.outcome(execution.id, timeout=5)
        await app.engine.sagas.at_rest()
        assert not [line for line in done if line.startswith("undo")]
        assert {alert.execution_id for alert in await app.alerts(code="compensation_waits")} == {
            execution.id,
            execution.id + ".1",
        }
    async with Remit(open_store(tmp_path), processes=[whole(body), remote_part]) as app:
        await app.compensated(execution.id, timeout=5)
    assert done == ["do a", "do child", "undo child (CHILD)", "undo a (A)"]


@pytest.mark.parametrize("change", ["another argument", "a step less", "no compensation", "it ends early"])
async def test_L37_code_that_has_changed_loses_nothing_and_its_compensations_wait_for_mended_code(
    tmp_path, change
) -> None:
    execution_id = await left_behind(tmp_path, two)

    @step("do")
    async def without(what: str) -> str:
        done.append(f"do {what}")
        return what.upper()

    async def body(_: str) -> None:
        await (without if change == "no compensation" else do)("a")
        if change != "a step less":
            await do("B" if change == "another argument" else "b")

    async def early(_: str) -> None:
        """It does nothing at all."""

    async with Remit(open_store(tmp_path), processes=[whole(early if change == "it ends early" else body)]) as app:
        await app.engine.sagas.at_rest()
        record = await app.get(execution_id)
        assert (record.status, record.compensation) == ("FAILED", "running")
        [alert] = await app.alerts(code="code_changed")
        assert alert.execution_id == execution_id
        if change == "another argument":
            assert alert.details["came_to"][0]["effect"] == 'step do({"what":"B"})'
        assert done == ["do a", "do b"]

    async def mended(_: str) -> None:
        await two(do)

    async with Remit(open_store(tmp_path), processes=[whole(mended)]) as app:
        assert (await app.compensated(execution_id, timeout=5)).compensation == "done"
    assert done == ["do a", "do b", "undo b (B)", "undo a (A)"]


async def test_L37_what_only_an_earlier_attempt_did_is_reported_and_the_rest_is_undone() -> None:
    """A retry takes another way: nothing leads to the step again, so nothing tells what undoes it."""

    @step
    async def flaky(_: str) -> None:
        if "do detour" not in done:
            raise TransientError("busy")

    @process("winding", saga=True, retry=Retry(attempts=2, first=0.001))
    async def winding(_: str) -> None:
        await do("a")
        try:
            await flaky("x")
        except TransientError:
            await do("detour")
            raise
        raise DomainError("no_way")

    async with Remit(":memory:", processes=[winding]) as app:
        record = await rolled_back(app, winding)
        assert done == ["do a", "do detour", "undo a (A)"]
        assert [(each.status, each.error.code if each.error else None) for each in record.compensations] == [
            ("failed", "compensation_unreachable"),
            ("done", None),
        ]
        [alert] = await app.alerts(code="compensation_failed")
        assert "by hand" in alert.message


async def test_L48_a_fresh_history_is_a_point_of_no_return_and_what_came_after_it_is_undone() -> None:
    @process("goes_round", saga=True)
    async def goes_round(left: int) -> None:
        await do(f"round {left}")
        await call_process(part, str(left))
        if left:
            continue_as(left - 1)
        raise DomainError("no_way")

    @process("calls_it", calls=[goes_round])
    async def calls_it(_: str) -> None:
        (await call_process(goes_round, 1)).unwrap()

    async with Remit(":memory:", processes=[calls_it, goes_round, *PARTS]) as app:
        record = await rolled_back(app, calls_it)
        await app.compensated(record.execution_id + ".1", timeout=5)
        assert [line for line in done if line.startswith("undo")] == ["undo round 0 (ROUND 0)"]


# -- the operator's retry ----------------------------------------------------------------------------------------------


async def test_L34_after_a_rollback_a_retry_is_a_full_rerun_in_the_next_generation(tmp_path) -> None:
    async def body(name: str) -> None:
        await do("a")
        (await call_process(part, "child")).unwrap()
        await look("moody")

    @process("retried", saga=True, calls=[part])
    async def retried(name: str) -> str:
        await body(name)
        return "at last"

    broken.add("moody")
    async with Remit(open_store(tmp_path), processes=[retried, *PARTS]) as app:
        record = await rolled_back(app, retried)
        with pytest.raises(MisuseError, match="rolled back") as refused:
            await app.retry(record.execution_id, from_step="look")
        assert refused.value.code == "wrong_state"
    broken.clear()
    done.clear()
    async with Remit(open_store(tmp_path), processes=[retried, *PARTS]) as app:
        await app.retry(record.execution_id)
        assert (await app.outcome(record.execution_id, timeout=5)).value == "at last"
        assert done == ["do a", "do child 1", "do child 2"]
        record = await app.get(record.execution_id)
        assert (record.generation, record.attempt, record.compensation, record.status) == (1, 2, "none", "COMPLETED")
        family = await every(app, record.execution_id)
        assert {place: each.shown_status for place, each in family.items()} == {
            "": "COMPLETED",
            ".1": "COMPLETED",
            ".2": "COMPLETED",
        }
        assert {place: str(each.compensation) for place, each in family.items()} == {
            "": "none",
            ".1": "done",
            ".2": "none",
        }
        assert [(entry.generation, entry.kind) for entry in await app.journal(record.execution_id)] == [
            (0, "step"),
            (0, "child"),
            (0, "step"),
            (0, "compensation"),
            (1, "step"),
            (1, "child"),
            (1, "step"),
        ]


async def test_L34_a_rerun_that_fails_is_rolled_back_again_and_what_it_did_then_is_undone() -> None:
    @process("fails_twice", saga=True, calls=[part])
    async def fails_twice(name: str) -> str:
        await do("work")
        await call_process(part, "child")
        return await look(name)

    broken.add("x")
    async with Remit(":memory:", processes=[fails_twice, *PARTS]) as app:
        first = await rolled_back(app, fails_twice)
        once = len(done)
        await app.retry(first.execution_id)
        await app.outcome(first.execution_id, timeout=5)
        second = await app.compensated(first.execution_id, timeout=5)
        assert second.generation == 1
        assert done[once:] == [
            *("do work", "do child 1", "do child 2"),
            *("undo child 2 (CHILD 2)", "undo child 1 (CHILD 1)", "undo work (WORK)"),
        ]


async def test_L34_a_chain_above_a_rolled_back_child_keeps_its_work_and_the_child_runs_in_full() -> None:
    @process("keeps", calls=["*"])
    async def keeps(_: str) -> str:
        await do("kept")
        return (await call_process(fails_unless_mended, "child")).unwrap()

    broken.add("child")
    async with Remit(":memory:", processes=[keeps, *PARTS]) as app:
        execution = await app.start(keeps, "x")
        assert not (await execution.outcome(timeout=5)).ok
        await app.compensated(execution.id + ".1", timeout=5)
        assert done == ["do kept", "do child 1", "undo child 1 (CHILD 1)"]
        broken.clear()
        await app.retry(execution.id)
        assert (await execution.outcome(timeout=5)).value == "child"
        assert done[3:] == ["do child 1"]
        child = await app.get(execution.id + ".1")
        assert (child.generation, child.attempt, child.compensation) == (1, 2, "none")
        assert (await app.get(execution.id)).generation == 0


@pytest.mark.parametrize("at", ["", ".1", ".1.1"], ids=["above", "itself", "below"])
async def test_L34_a_retry_while_compensations_run_is_refused_and_says_what_to_wait_for(at) -> None:
    gate = asyncio.Event()

    async def gated(result: str | None, what: str) -> None:
        await gate.wait()
        undo(result, what)

    @step(compensate=gated)
    async def act(what: str) -> str:
        return what

    @process("lowest")
    async def lowest(_: str) -> None:
        raise DomainError("no_way")

    @process("middle", saga=True, calls=[lowest])
    async def middle(_: str) -> None:
        await act("a")
        (await call_process(lowest, "x")).unwrap()

    @process("highest", calls=[middle])
    async def highest(_: str) -> None:
        (await call_process(middle, "x")).unwrap()

    async with Remit(":memory:", processes=[highest, middle, lowest]) as app:
        execution = await app.start(highest, "x")
        assert not (await execution.outcome(timeout=5)).ok
        with pytest.raises(MisuseError) as refused:
            await app.retry(execution.id + at)
        assert refused.value.code == "wrong_state"
        assert f"{execution.id}.1 is being rolled back" in str(refused.value)
        assert (await app.get(execution.id)).attempt == 1
        gate.set()
        await app.compensated(execution.id + ".1", timeout=5)
        await app.retry(execution.id + at)
        await app.outcome(execution.id, timeout=5)
        assert (await app.get(execution.id)).attempt == 2


# -- the document's own example ----------------------------------------------------------------------------------------


async def test_L37_the_compensation_order_of_the_document() -> None:
    """Parent: Reserve_Flight → Allocate_Inventory (child) → Charge_Payment; child: its third step fails."""
    printed: list[str] = []

    def undoing(line: str) -> Any:
        def compensation(_result: Any, *_arguments: Any) -> None:
            printed.append(line)

        return compensation

    def named(name: str, line: str) -> Any:
        @step(name, compensate=undoing(line))
        async def act(fails: bool = False) -> str:
            if fails:
                raise DomainError("ledger_locked")
            return name

        return act

    check_stock = named("Check_Stock", "Child: Undo Check_Stock")
    reserve_items = named("Reserve_Items", "Child: Undo Reserve_Items")
    update_ledger = named("Update_Ledger", "Child: Undo Update_Ledger")
    reserve_flight = named("Reserve_Flight", 'Parent: Compensate "Reserve_Flight" step')
    allocate_inventory = named("Allocate_Inventory", 'Parent: Compensate "Allocate_Inventory" step')
    charge_payment = named("Charge_Payment", "Parent: Undo Charge_Payment")

    @process("InventoryAllocation", saga=True)
    async def inventory_allocation(_: str) -> None:
        await check_stock()
        await reserve_items()
        await update_ledger(fails=True)

    @process("OrderProcessing", saga=True, calls=[inventory_allocation])
    async def order_processing(_: str) -> None:
        await reserve_flight()
        await allocate_inventory()
        (await call_process(inventory_allocation, "x")).unwrap()
        await charge_payment()

    async with Remit(":memory:", processes=[order_processing, inventory_allocation]) as app:
        record = await rolled_back(app, order_processing)
        child = await app.get(record.execution_id + ".1")
        listed = [
            f"{who}: {each.step} {each.status}"
            for who, below in (("Child", child), ("Parent", record))
            for each in below.compensations
        ]
        assert listed == [
            "Child: Update_Ledger skipped",
            "Child: Reserve_Items done",
            "Child: Check_Stock done",
            "Parent: Allocate_Inventory done",
            "Parent: Reserve_Flight done",
        ]
        assert printed == [
            "Child: Undo Reserve_Items",
            "Child: Undo Check_Stock",
            'Parent: Compensate "Allocate_Inventory" step',
            'Parent: Compensate "Reserve_Flight" step',
        ]
        tree = await app.tree(record.execution_id)
        assert {each.shown_status for each in flatten(tree)} == {"FAILED_ROLLED_BACK"}

"""The replay behind a rollback does nothing new; who waits for whom, and for which code (L37, L48)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import apsw
import pytest

from remit import (
    DomainError,
    Remit,
    Retry,
    TransientError,
    Usage,
    ask,
    call_process,
    changed,
    charge,
    continue_as,
    process,
    run,
    set_progress,
    start_process,
    step,
)
from remit.durable import sleep, uuid4, wait_event
from remit.store.records import EventRecord
from tests.laws.saga_scene import (
    PARTS,
    afresh,
    broken,
    do,
    done,
    fails_unless_mended,
    goes_on,
    look,
    part,
    rolled_back,
    undo,
    whole,
    working_on_nothing,
)
from tests.laws.scene import every, look_at, open_store, until, wait_until, working


@pytest.fixture(autouse=True)
def _nothing_done():
    yield from afresh()


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
        await do("b")

    async with Remit(":memory:", processes=[whole(body), slow_to_undo]) as app:
        execution = await app.start("whole", "x")
        assert (await execution.outcome(timeout=5)).error.code == "changed_its_mind"
        assert heard == ["failed"]
        await working_on_nothing(app, execution.id)
        with pytest.raises(TimeoutError, match="being rolled back"):
            await execution.compensated(timeout=0.01)
        gate.set()
        await execution.compensated(timeout=5)
        assert done == ["do a", "do b", "undo child (child)", "undo b (B)", "undo a (A)"]


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


async def given_up(child: Any) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await child.outcome()


NEW = {
    "step": lambda _: do("new"),
    "call": lambda _: call_process(goes_on, "new"),
    "rejected call": lambda _: call_process("nobody", "new"),
    "call with a key that was used": lambda _: call_process(goes_on, "other", key="k"),
    "start": lambda _: start_process(goes_on, "new"),
    "status": lambda child: child.status(),
    "cancel": lambda child: child.cancel(),
    "outcome": lambda child: child.outcome(),
    "outcome that is given up": given_up,
    "ask": lambda _: ask(str, name="new"),
    "sleep": lambda _: sleep(0.001),
    "event": lambda _: wait_event("new"),
    "value": lambda _: uuid4(),
    "charge": lambda _: charge(Usage(tokens=5)),
}


async def test_L37_what_a_body_comes_to_beyond_its_history_never_happens(tmp_path) -> None:
    """The replay goes on beside the compensations; what is new to it, it waits for."""
    gate = asyncio.Event()
    reached: list[str] = []
    happened: list[str] = []

    async def opens_the_gate(_: str, what: str) -> None:
        gate.set()
        await asyncio.sleep(0.1)
        done.append(f"undo {what}")

    @step(compensate=opens_the_gate)
    async def act(what: str) -> str:
        return what

    async def beyond(what: str, child: Any) -> None:
        await gate.wait()
        reached.append(what)
        set_progress(what)
        await NEW[what](child)
        if what != "outcome that is given up":
            happened.append(what)

    async def body(_: str) -> None:
        child = await start_process(goes_on, "detached", key="k", detached=True)
        await asyncio.gather(act("a"), wait_event("early"), *(beyond(what, child) for what in NEW))

    async with Remit(open_store(tmp_path), processes=[whole(body), goes_on]) as app:
        execution = await app.start("whole", "x")
        await until(lambda: asyncio.sleep(0, "do detached 1" in done))
        await until(lambda: asyncio.sleep(0, len(look_at(tmp_path, "SELECT 1 FROM journal WHERE kind = 'event'")) == 2))
        early = EventRecord(execution.id, "early", b"1", app.engine.clock.now())
        app.engine.durability.event(early)  # as a crash leaves it between the wait and the event that was there already
        await app.cancel(execution.id)
        tables = (
            "events",
            "alerts WHERE code <> 'cancelled'",
            "journal WHERE kind <> 'compensation'",
            "executions WHERE detached",
        )
        before = [look_at(tmp_path, f"SELECT * FROM {table}") for table in tables]
        record = await execution.compensated(timeout=5)
        assert sorted(reached) == sorted(NEW)
        assert happened == []
        assert [look_at(tmp_path, f"SELECT * FROM {table}") for table in tables] == before
        assert look_at(tmp_path, "SELECT taken_by FROM events") == [(None,)]
        assert (record.progress, record.usage.own.tokens) == (None, 0)
        assert done == ["do detached 1", "undo a"]
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
    async with Remit(open_store(tmp_path)) as app:  # as `remit answer` does, for a moment
        await app.engine.sagas.at_rest()
        assert await app.alerts(code="compensation_waits") == []
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


async def test_L23_what_a_former_owner_still_undoes_is_not_recorded_and_the_next_owner_does_it(tmp_path) -> None:
    reached, gate = asyncio.Event(), asyncio.Event()

    async def gated(result: str | None, what: str) -> None:
        reached.set()
        await gate.wait()
        undo(result, what)

    @step(compensate=gated)
    async def act(what: str) -> str:
        return what

    async def body(_: str) -> None:
        await act("a")

    async with Remit(open_store(tmp_path), processes=[whole(body)]) as app:
        execution = await app.start("whole", "x")
        await reached.wait()
        thief = apsw.Connection(str(tmp_path / "remit.db"))
        thief.execute("UPDATE ownership SET epoch = epoch + 1")
        thief.close()
        gate.set()
        await until(lambda: asyncio.sleep(0, app.engine.durability.fenced))
        [entry] = look_at(tmp_path, "SELECT ended_at, result FROM journal WHERE kind = 'compensation'")
        assert entry == (None, None)
        assert look_at(tmp_path, "SELECT compensation FROM executions") == [("running",)]
    async with Remit(open_store(tmp_path), processes=[whole(body)]) as app:
        assert (await app.compensated(execution.id, timeout=5)).compensation == "done"
    assert done == ["undo a (a)", "undo a (a)"]

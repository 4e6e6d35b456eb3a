"""What was recorded is returned; code that no longer fits its history pauses, and loses nothing (L11)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from remit import DomainError, Remit, ask, call_process, changed, continue_as, process, start_process, step
from remit.durable import now, sleep, uuid4, wait_event
from remit.durable import random as chance
from tests.laws.scene import every, open_store, until, wait_until

done: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()


@step
async def do(what: str) -> str:
    done.append(what)
    return what


@process("child")
async def child(what: str) -> str:
    return await do(f"child {what}")


@process("cousin")
async def cousin(what: str) -> str:
    return await do(f"cousin {what}")


def parent(body: Any, **options: Any) -> Any:
    """A process of one name whose body differs from test to test."""
    return process("parent", calls=[child, cousin, "grown"], **options)(body)


async def call(what: str, target: Any = child) -> str:
    """A child's result."""
    return (await call_process(target, what)).unwrap()


async def original() -> list[str]:
    found = [await call("a"), await do("b"), await call("c")]
    await ask(bool, name="go")
    return [*found, await call("d")]


WHOLE = ["child a", "b", "child c", "child d"]


async def parked(path: Any, body: Any, *others: Any) -> str:
    """The id of an execution that waits for its answer in a store that was closed."""
    async with Remit(open_store(path), processes=[parent(body), child, cousin, *others]) as app:
        root = await app.start("parent")
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
    return root.id


async def resumed(path: Any, id_: str, body: Any, *, answer: bool = True, **options: Any) -> Any:
    """What the execution comes to with this code: its result, or its record where it is paused."""
    async with Remit(open_store(path), processes=[parent(body, **options), child, cousin]) as app:
        if answer:
            await app.answer(id_, True, ask="go")
        record = await wait_until(app, id_, "COMPLETED", "PAUSED", "FAILED")
        return record.result if record.status == "COMPLETED" else record


# -- the same code --------------------------------------------------------------------------------------------------


async def test_L11_every_effect_returns_what_was_recorded_and_runs_nothing(tmp_path):
    async def every_effect() -> dict[str, Any]:
        found: dict[str, Any] = {"call": await call("a"), "step": await do("b")}
        found |= {"now": (await now()).isoformat(), "uuid": str(await uuid4()), "chance": await chance()}
        found["refused"] = (await call_process("nobody", 1)).status
        failed = await call_process(child, 7)  # type: ignore[call-overload]
        found["error"] = failed.error.message if failed.error else None
        seen.append(found)
        return {**found, "answer": await ask(bool, name="go")}

    seen: list[dict[str, Any]] = []
    id_ = await parked(tmp_path, every_effect)
    result = await resumed(tmp_path, id_, every_effect)
    assert len(seen) == 2
    assert seen[0] == seen[1]
    assert result == {**seen[0], "answer": True}
    assert done == ["child a", "b"]


async def test_L11_an_evicted_execution_is_replayed_when_it_is_woken(monkeypatch):
    monkeypatch.setattr("remit.engine.warm.WARM_LIMIT", 0)
    async with Remit(":memory:", processes=[parent(original), child, cousin]) as app:
        root = await app.start("parent")
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        await app.answer(root.id, True)
        assert (await root.outcome(10)).unwrap() == WHOLE
    assert done == WHOLE


# -- changed code ---------------------------------------------------------------------------------------------------


async def removed_call() -> list[str]:
    found = [await call("a"), await do("b")]
    await ask(bool, name="go")
    return [*found, await call("d")]


async def removed_step() -> list[str]:
    found = [await call("a"), await call("c")]
    await ask(bool, name="go")
    return found


async def changed_input() -> list[str]:
    found = [await call("a"), await do("b"), await call("C")]
    await ask(bool, name="go")
    return found


async def changed_step_input() -> list[str]:
    found = [await call("a"), await do("B"), await call("c")]
    await ask(bool, name="go")
    return found


async def changed_target() -> list[str]:
    found = [await call("a"), await do("b"), await call("c", cousin)]
    await ask(bool, name="go")
    return found


async def renamed_ask() -> list[str]:
    found = [await call("a"), await do("b"), await call("c")]
    await ask(bool, name="went")
    return found


async def inserted_of_the_same_target() -> list[str]:
    found = [await call("new"), await call("a"), await do("b"), await call("c")]
    await ask(bool, name="go")
    return found


async def inserted_of_another_target() -> list[str]:
    found = [await call("new", cousin), await call("a"), await do("b"), await call("c")]
    await ask(bool, name="go")
    return found


async def inserted_value() -> list[str]:
    await now()
    return await original()


async def returns_early() -> list[str]:
    return [await call("a"), await do("b")]


async def gathers_other_inputs() -> list[str]:
    found = await asyncio.gather(call("a"), do("b"), call("C"))
    await ask(bool, name="go")
    return found


CHANGES = [
    (removed_call, "call child(", None),
    (removed_step, "step do(", None),
    (changed_input, 'child("c")', 'child("C")'),
    (changed_step_input, '{"what":"b"}', '{"what":"B"}'),
    (changed_target, 'child("c")', 'cousin("c")'),
    (renamed_ask, "ask go", "ask went"),
    (inserted_of_the_same_target, 'child("a")', 'child("new")'),
    (inserted_of_another_target, 'child("a")', 'cousin("new")'),
    (inserted_value, 'child("a")', "value now"),
    (returns_early, 'child("c")', None),
    (gathers_other_inputs, 'child("c")', None),
]


@pytest.mark.parametrize(("body", "recorded", "actual"), CHANGES, ids=[row[0].__name__ for row in CHANGES])
async def test_L11_changed_code_pauses_shows_both_loses_nothing_and_mended_it_completes(
    tmp_path, body, recorded, actual
):
    id_ = await parked(tmp_path, original)
    before = list(done)
    paused = await resumed(tmp_path, id_, body)
    assert paused.status == "PAUSED", paused
    assert (paused.error.code, str(paused.error.error_class)) == ("code_changed", "SYSTEM")
    assert any(recorded in each["effect"] for each in paused.error.details["recorded"])
    if actual is not None:
        assert actual in paused.error.details["actual"]["effect"]
        assert actual in paused.error.message
    async with Remit(open_store(tmp_path), processes=[child, cousin]) as app:
        [alert] = await app.alerts(code="code_changed")
        assert (alert.execution_id, alert.details) == (id_, paused.error.details)
        assert {each.status for each in (await every(app, id_)).values()} == {"PAUSED", "COMPLETED"}
    assert [each for each in done if each in WHOLE] == before
    assert await resumed(tmp_path, id_, original, answer=False) == WHOLE
    assert [each for each in done if each in WHOLE] == WHOLE


async def test_L11_a_parent_above_a_paused_child_waits_and_completes_with_it(tmp_path):
    @process("above", calls=["parent"])
    async def above() -> list[str]:
        return (await call_process("parent")).unwrap()

    async with Remit(open_store(tmp_path), processes=[above, parent(original), child]) as app:
        root = await app.start(above)
        await wait_until(app, root.id, "WAITING_CHILD_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[above, parent(removed_step), child]) as app:
        await app.answer(root.id, True)
        await wait_until(app, f"{root.id}.1", "PAUSED")
        record = await wait_until(app, root.id, "PENDING_SUB_WORKFLOW")
        assert record.waiting_on.first[0]["reason"] == "code_changed"
    async with Remit(open_store(tmp_path), processes=[above, parent(original), child]) as app:
        assert (await app.outcome(root.id, 5)).unwrap() == WHOLE


async def test_L11_an_operators_retry_lets_a_paused_execution_go_on(tmp_path):
    id_ = await parked(tmp_path, original)
    body = [changed_input]

    async def either() -> list[str]:
        return await body[0]()

    async with Remit(open_store(tmp_path), processes=[parent(either), child]) as app:
        await app.answer(id_, True)
        await wait_until(app, id_, "PAUSED")
        body[0] = original
        await app.retry(id_)
        assert (await app.outcome(id_, 5)).unwrap() == WHOLE
    assert done == WHOLE


# -- changes that history does not mind -----------------------------------------------------------------------------


async def reordered() -> list[str]:
    found = {"c": await call("c"), "b": await do("b"), "a": await call("a")}
    await ask(bool, name="go")
    return [found["a"], found["b"], found["c"], await call("d")]


async def test_L11_reordered_calls_get_their_own_results(tmp_path):
    id_ = await parked(tmp_path, original)
    assert await resumed(tmp_path, id_, reordered) == WHOLE
    assert done == WHOLE


class Old(BaseModel):
    name: str


class Grown(BaseModel):
    name: str
    size: int = 1


async def calls_grown() -> list[str]:
    calls = [call_process("grown", {"name": name}, key=key) for name, key in (("x", None), ("x", None), ("y", "one"))]
    first = [(await each).unwrap() for each in calls]
    await ask(bool, name="go")
    return [*first, (await call_process("grown", {"name": "x"})).unwrap()]


@pytest.mark.parametrize("hosted", ["both", "the newer alone"])
async def test_L11_a_callees_new_version_with_another_input_type_changes_nothing_for_running_callers(tmp_path, hosted):
    @process("grown", version="1.0.0")
    async def old(thing: Old) -> str:
        return await do(f"old {thing.name} {len(done)}")

    @process("grown", version="1.1.0")
    async def grown(thing: Grown) -> str:
        return f"grown {thing.name} {thing.size}"

    id_ = await parked(tmp_path, calls_grown, old)
    versions = [old, grown] if hosted == "both" else [grown]
    expected = ["old x 0", "old x 1", "old y 2", "grown x 1"]
    for last in (False, True):
        async with Remit(open_store(tmp_path), processes=[parent(calls_grown), child, cousin, *versions]) as app:
            if last:
                await app.answer(id_, True)
            record = await wait_until(app, id_, "COMPLETED" if last else "WAITING_HUMAN_INPUT", "PAUSED")
            assert (record.error, record.result) == (None, expected if last else None)
    assert done == expected[:3]


# -- resumes, changed -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("resumes", "goes_on"), [(None, False), ("^2", False), ("^1.0", True), ("1.0.0", True)])
async def test_L11_resumes_names_the_versions_whose_executions_this_code_continues(tmp_path, resumes, goes_on):
    id_ = await parked(tmp_path, original)
    options = {"version": "1.3.0", "resumes": resumes}
    async with Remit(open_store(tmp_path), processes=[parent(original, **options), child]) as app:
        await app.answer(id_, True)
        if goes_on:
            assert (await app.outcome(id_, 5)).unwrap() == WHOLE
        else:
            await asyncio.sleep(0.1)
            assert (await app.get(id_)).ended_at is None
            assert done == WHOLE[:3]
    if not goes_on:
        async with Remit(open_store(tmp_path), processes=[parent(original), child]) as app:
            assert (await app.outcome(id_, 5)).unwrap() == WHOLE


async def test_L11_the_very_version_comes_before_one_that_resumes_it(tmp_path):
    id_ = await parked(tmp_path, original)

    async def impostor() -> list[str]:
        await ask(bool, name="go")
        return ["impostor"]

    newer = parent(impostor, version="1.3.0", resumes="^1")
    async with Remit(open_store(tmp_path), processes=[newer, parent(original), child]) as app:
        await app.answer(id_, True)
        assert (await app.outcome(id_, 5)).unwrap() == WHOLE


async def marked() -> list[str]:
    found = [await call("a")]
    if changed("no_more_b"):
        found.append(await call("instead", cousin))
    else:
        found.append(await do("b"))
    found.append(await call("c"))
    await ask(bool, name="go")
    return [*found, await call("d")]


async def test_L11_changed_is_false_for_old_histories(tmp_path):
    id_ = await parked(tmp_path, original)
    assert await resumed(tmp_path, id_, marked) == WHOLE
    assert done == WHOLE


async def test_L11_changed_is_true_for_new_histories_and_stays_so(tmp_path):
    id_ = await parked(tmp_path, marked)
    for _ in range(2):
        async with Remit(open_store(tmp_path), processes=[parent(marked), child, cousin]) as app:
            await app.start("parent")
    assert await resumed(tmp_path, id_, marked) == ["child a", "cousin instead", "child c", "child d"]


async def test_L11_changed_is_true_where_an_old_history_comes_there_first_with_the_new_code(tmp_path):
    async def ending_differently() -> list[str]:
        found = [await call("a"), await do("b"), await call("c")]
        await ask(bool, name="go")
        if await changed("ending"):
            return [*found, await call("e", cousin)]
        return [*found, await call("d")]

    id_ = await parked(tmp_path, original)
    assert await resumed(tmp_path, id_, ending_differently) == [*WHOLE[:3], "cousin e"]


async def test_L11_of_two_branches_marked_one_after_the_other_each_history_keeps_its_own(tmp_path):
    async def marked_twice() -> list[str]:
        found = [await call("a")]
        found.append(await call("instead", cousin) if changed("no_more_b") else await do("b"))
        found.append(await call("c", cousin) if changed("c_by_cousin") else await call("c"))
        await ask(bool, name="go")
        return [*found, await call("d")]

    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    for path, body in ((first, original), (second, marked), (third, marked_twice)):
        path.mkdir()
        id_ = await parked(path, body)
        result = await resumed(path, id_, marked_twice)
        expected = {
            first: WHOLE,
            second: ["child a", "cousin instead", "child c", "child d"],
            third: ["child a", "cousin instead", "cousin c", "child d"],
        }
        assert result == expected[path]


@process("counts_down", calls=[child])
async def counts_down(left: int) -> str:
    found = await call(f"at {left}")
    if left:
        continue_as(left - 1)
    return found


@process("waits_for_the_count", calls=[counts_down])
async def waits_for_the_count(_: int) -> list[str]:
    found = (await call_process(counts_down, 2)).unwrap()
    await ask(bool, name="go")
    return [found, await do("after")]


async def test_L11_a_caller_finds_the_call_again_whose_child_has_begun_fresh_histories(tmp_path):
    counting = [waits_for_the_count, counts_down, child]
    async with Remit(open_store(tmp_path), processes=counting) as app:
        id_ = (await app.start(waits_for_the_count, 1)).id
        await wait_until(app, id_, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=counting) as app:
        await app.answer(id_, True)
        assert (await app.outcome(id_, timeout=3)).value == ["child at 0", "after"]
        assert (await app.get(f"{id_}.1")).generation == 2
    assert done == ["child at 2", "child at 1", "child at 0", "after"]


async def test_L11_a_wait_that_the_bodys_own_timeout_ended_ends_by_it_in_replay_too(tmp_path) -> None:
    @process
    async def waits_long(_: int) -> None:
        await sleep(30)

    @step
    async def works_long() -> None:
        await asyncio.sleep(30)

    async def started() -> Any:
        return await (await start_process(waits_long, 2)).outcome()

    begins = {
        "call": lambda: call_process(waits_long, 1),
        "child": started,
        "step": works_long,
        "nap": lambda: sleep(30),
        "event": lambda: wait_event("never"),
        "ask": lambda: ask(str, name="no"),
    }

    @process(calls=[waits_long])
    async def impatient(_: int) -> list[str]:
        given_up = []
        for name, begin in begins.items():
            try:
                async with asyncio.timeout(0.03):
                    await begin()
            except TimeoutError:
                given_up.append(name)
        return [*given_up, await ask(str, name="word")]

    url = open_store(tmp_path)
    async with Remit(url, processes=[impatient, waits_long]) as app:
        execution = await app.start(impatient, 1)
        await until(lambda: _asks_for(app, execution.id, "word"))
    async with Remit(url, processes=[impatient, waits_long]) as app:
        await app.answer(execution.id, "said", ask="word")
        outcome = await app.outcome(execution.id, timeout=5)
        assert outcome.unwrap() == [*begins, "said"]
        # the child that was started goes on, and the wait for it is an entry of its own
        names = ["waits_long", "waits_long", "waits_long", "works_long", "sleep", "never", "no", "word"]
        assert [entry.name for entry in await app.journal(execution.id)] == names


async def _asks_for(app: Remit, execution_id: str, name: str) -> bool:
    first = (await app.get(execution_id)).waiting_on.first
    return [each.get("name") for each in first] == [name]


async def test_L11_an_author_s_error_that_speaks_of_what_is_left_is_no_wait_that_was_given_up(tmp_path) -> None:
    @step
    async def book() -> int:
        raise DomainError("no_room", left=True)

    @process("books")
    async def books(_: str) -> str:
        try:
            await book()
        except DomainError as error:
            return f"{error.code}: {await ask(bool, name='anyway', prompt='Anyway?')}"
        return "booked"

    async with Remit(open_store(tmp_path), processes=[books]) as app:
        execution = await app.start(books, "")
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[books]) as app:
        await app.answer(execution.id, True)
        assert (await app.outcome(execution.id, timeout=3)).value == "no_room: True"

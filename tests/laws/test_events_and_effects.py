"""Events arrive once, progress is read while it runs, and effects belong to bodies (L50, L51, L52)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from remit import (
    DefinitionError,
    DomainError,
    InvalidInput,
    MisuseError,
    Remit,
    Usage,
    ask,
    call_process,
    changed,
    charge,
    continue_as,
    current,
    process,
    set_progress,
    start_process,
    step,
    tool,
)
from remit.durable import now, sleep, uuid4, wait_event
from remit.durable import random as chance
from tests.laws.scene import open_store, until, wait_until

# -- L50: events ----------------------------------------------------------------------------------------------------


@process("waits")
async def waits(count: int) -> list[Any]:
    await ask(bool, name="ready")
    return [await wait_event("paid") for _ in range(count)]


@process("listens")
async def listens(count: int) -> list[Any]:
    return [await wait_event("paid") for _ in range(count)]


async def test_L50_an_early_event_is_buffered_and_delivered_in_order():
    async with Remit(":memory:", processes=[waits]) as app:
        root = await app.start(waits, 2)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        for payload in ({"amount": 1}, {"amount": 2}):
            assert await app.send(root.id, "paid", payload)
        assert await app.send(root.id, "another", 3)
        await app.answer(root.id, True)
        assert (await root.outcome(5)).unwrap() == [{"amount": 1}, {"amount": 2}]


async def test_L50_a_late_event_wakes_who_waits_and_each_is_delivered_once():
    async with Remit(":memory:", processes=[listens]) as app:
        root = await app.start(listens, 3)
        for payload in (1, 2, 3):
            await wait_until(app, root.id, "PENDING_ASYNC")
            assert await app.send(root.id, "paid", payload)
        assert (await root.outcome(5)).unwrap() == [1, 2, 3]


@pytest.mark.parametrize("early", [True, False])
async def test_L50_a_repeated_event_of_one_dedupe_key_is_delivered_once(early):
    async with Remit(":memory:", processes=[waits]) as app:
        root = await app.start(waits, 2)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        if not early:
            await app.answer(root.id, True)
            await wait_until(app, root.id, "PENDING_ASYNC")
        sent = [await app.send(root.id, "paid", payload, dedupe="m-1") for payload in (1, 2, 3)]
        assert sent == [True, False, False]
        assert await app.send(root.id, "other", 4, dedupe="m-1")
        assert await app.send(root.id, "paid", 5, dedupe="m-2")
        if early:
            await app.answer(root.id, True)
        assert (await root.outcome(5)).unwrap() == [1, 5]


async def test_L50_events_survive_restarts_early_late_delivered_and_deduplicated(tmp_path):
    url = open_store(tmp_path)
    async with Remit(url, processes=[waits]) as app:
        root = (await app.start(waits, 4)).id
        await wait_until(app, root, "WAITING_HUMAN_INPUT")
        await app.send(root, "paid", 1, dedupe="one")
        await app.send(root, "paid", 2)
    async with Remit(url, processes=[waits]) as app:
        assert not await app.send(root, "paid", "again", dedupe="one")
        await app.answer(root, True)
        await wait_until(app, root, "PENDING_ASYNC")
        await app.send(root, "paid", 3)
    async with Remit(url, processes=[]) as app:
        assert not await app.send(root, "paid", "again", dedupe="one")
        await app.send(root, "paid", 4)
    async with Remit(url, processes=[waits]) as app:
        assert (await app.outcome(root, 5)).unwrap() == [1, 2, 3, 4]


async def test_L50_an_event_that_is_repeated_after_the_end_it_brought_about_is_known(tmp_path):
    url = open_store(tmp_path)
    async with Remit(url, processes=[listens]) as app:
        root = await app.start(listens, 1)
        await wait_until(app, root.id, "PENDING_ASYNC")
        assert await app.send(root.id, "paid", 1, dedupe="m-1")
        assert (await root.outcome(5)).unwrap() == [1]
        assert not await app.send(root.id, "paid", 1, dedupe="m-1")
    async with Remit(url) as app:
        assert not await app.send(root.id, "paid", 1, dedupe="m-1")
        for name, dedupe in (("paid", "m-2"), ("paid", None), ("other", "m-1")):
            with pytest.raises(MisuseError) as refused:
                await app.send(root.id, name, 1, dedupe=dedupe)
            assert refused.value.code == "wrong_state"


async def test_L50_concurrent_waits_get_one_event_each():
    @process("many")
    async def many(count: int) -> list[int]:
        return sorted(await asyncio.gather(*(wait_event("paid", key=str(number)) for number in range(count))))

    async with Remit(":memory:", processes=[many]) as app:
        root = await app.start(many, 5)
        await wait_until(app, root.id, "PENDING_ASYNC")
        await asyncio.gather(*(app.send(root.id, "paid", number) for number in range(5)))
        assert (await root.outcome(5)).unwrap() == [0, 1, 2, 3, 4]


async def test_L50_an_event_that_does_not_come_is_a_domain_error_in_time():
    @process("patient")
    async def patient() -> list[Any]:
        try:
            await wait_event("never", timeout="50ms")
        except DomainError as error:
            return [error.code, str(error.error_class)]
        return []

    async with Remit(":memory:", processes=[patient]) as app:
        assert (await (await app.start(patient)).outcome(3)).unwrap() == ["event_timeout", "DOMAIN"]


async def test_L50_an_event_to_nobody_is_refused():
    async with Remit(":memory:", processes=[listens]) as app:
        with pytest.raises(MisuseError) as caught:
            await app.send("exec_" + "0" * 24, "paid")
        assert caught.value.code == "unknown_execution"
        root = await app.start(listens, 0)
        await root.outcome(5)
        with pytest.raises(MisuseError) as caught:
            await app.send(root.id, "paid")
        assert caught.value.code == "wrong_state"
        waiting = await app.start(listens, 1)
        with pytest.raises(InvalidInput):
            await app.send(waiting.id, "paid", object())
        await app.cancel(waiting.id)


# -- L51: progress --------------------------------------------------------------------------------------------------


async def test_L51_progress_is_readable_while_it_runs_and_afterwards(tmp_path):
    gate = asyncio.Event()

    @step
    async def hold() -> None:
        await gate.wait()

    @process("loads")
    async def loads() -> str:
        for done in range(3):
            set_progress({"rows": done, "of": 3})
        await hold()
        await set_progress("almost")
        return "loaded"

    async with Remit(open_store(tmp_path), processes=[loads]) as app:
        root = await app.start(loads)

        async def progress() -> Any:
            return (await app.get(root.id)).progress

        assert await until(progress) == {"rows": 2, "of": 3}
        assert (await app.get(root.id)).status == "ACTIVE"
        gate.set()
        await root.outcome(5)
        assert await progress() == "almost"
    async with Remit(open_store(tmp_path), processes=[]) as app:
        assert (await app.get(root.id)).progress == "almost"


async def test_L51_progress_is_its_own_executions():
    @process("child")
    async def child() -> None:
        set_progress("child")

    @process("parent", calls=[child])
    async def parent() -> None:
        set_progress("parent")
        (await call_process(child)).unwrap()

    async with Remit(":memory:", processes=[parent, child]) as app:
        root = await app.start(parent)
        await root.outcome(5)
        tree = await app.tree(root.id)
        assert [tree.progress, tree.children[0].progress] == ["parent", "child"]


# -- L52: effects belong to bodies ----------------------------------------------------------------------------------


@step
async def plain(value: int) -> int:
    return value


@process("other")
async def other(value: int) -> int:
    return value


async def _changed() -> Any:
    return changed("x")


async def _progress() -> Any:
    return set_progress("x")


async def _continue() -> Any:
    continue_as(1)


EFFECTS = {
    "call_process": lambda: call_process(other, 1),
    "start_process": lambda: start_process(other, 1),
    "ask": lambda: ask(bool, name="x"),
    "sleep": lambda: sleep(0.001),
    "now": now,
    "uuid4": uuid4,
    "random": chance,
    "wait_event": lambda: wait_event("x"),
    "charge": lambda: charge(Usage(tokens=1)),
    "step": lambda: plain(1),
    "changed": _changed,
    "set_progress": _progress,
    "continue_as": _continue,
}


async def refused(effect: str) -> str:
    """The code with which an effect is refused here."""
    try:
        await EFFECTS[effect]()
    except MisuseError as error:
        return error.code
    return "done"


@step
async def async_step(effect: str) -> str:
    return await refused(effect)


@step
async def task_in_step(effect: str) -> str:
    return await asyncio.create_task(refused(effect))


@step
def sync_step(effect: str) -> str:
    return asyncio.run(refused(effect))


@tool("does")
def sync_tool(effect: str) -> str:
    return asyncio.run(refused(effect))


STEPS = {"async": async_step, "task": task_in_step, "sync": sync_step, "tool": sync_tool}


@process("tries", calls=[other])
async def tries(how: list[str]) -> str:
    return await STEPS[how[0]](how[1])


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("kind", STEPS)
async def test_L52_an_effect_inside_a_step_is_refused(kind, effect):
    async with Remit(":memory:", processes=[tries, other]) as app:
        root = await app.start(tries, [kind, effect])
        assert (await root.outcome(5)).unwrap() == "effect_inside_step"
        assert (await app.tree(root.id)).children == []
        assert len(await app.journal(root.id)) == 1
        assert (await app.get(root.id)).usage.own.tokens == 0


async def test_L52_current_is_known_inside_steps_and_in_their_threads():
    @step
    def in_thread() -> list[str]:
        return [current().execution_id, threading.current_thread().name]

    @step
    async def on_loop() -> str:
        return current().execution_id

    @process("knows")
    async def knows() -> list[str]:
        return [*(await in_thread()), await on_loop(), threading.current_thread().name]

    async with Remit(":memory:", processes=[knows]) as app:
        root = await app.start(knows)
        inside, thread, on, main = (await root.outcome(5)).unwrap()
        assert inside == on == root.id
        assert thread != main


async def test_L52_a_body_may_have_effects_again_after_a_step_that_tried_one():
    @process("goes_on", calls=[other])
    async def goes_on() -> list[Any]:
        found: list[Any] = [await async_step("sleep"), await sync_step("ask")]
        return [*found, (await call_process(other, 2)).unwrap(), await plain(3)]

    async with Remit(":memory:", processes=[goes_on, other]) as app:
        result = (await (await app.start(goes_on)).outcome(5)).unwrap()
    assert result == ["effect_inside_step", "effect_inside_step", 2, 3]


@pytest.mark.parametrize("effect", [each for each in EFFECTS if each != "step"])
async def test_L52_an_effect_outside_an_execution_is_refused(effect):
    assert await refused(effect) == "outside_execution"


async def test_L52_a_step_outside_an_execution_is_the_plain_function():
    @step
    def double(value: int, *, times: int = 2) -> int:
        """Doubles."""
        return value * times

    assert double(4) == 8  # type: ignore[comparison-overlap]
    assert double(4, times=3) == 12  # type: ignore[comparison-overlap]
    assert await plain(5) == 5
    assert double.__doc__ == "Doubles."
    assert double.__name__ == "double"


def test_L52_bodies_are_async_def():
    def body(value: int) -> int:
        return value

    async def stream(value: int) -> Any:
        yield value

    for wrong in (body, stream):
        with pytest.raises(DefinitionError) as caught:
            process("wrong")(wrong)
        assert "async def" in str(caught.value)


async def test_L52_a_process_is_never_called_directly():
    with pytest.raises(DefinitionError) as caught:
        other(1)
    assert "call_process" in str(caught.value)


async def test_L52_what_differs_from_run_to_run_is_journalled(tmp_path):
    lives: list[list[Any]] = []

    @process("draws")
    async def draws() -> list[str]:
        drawn = [str(await now()), str(await uuid4()), str(await chance()), str(await now()), str(await uuid4())]
        lives.append(drawn)
        await ask(bool, name="go")
        return drawn

    async with Remit(open_store(tmp_path), processes=[draws]) as app:
        root = await app.start(draws)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT")
        journal = [entry.name for entry in await app.journal(root.id)]
    async with Remit(open_store(tmp_path), processes=[draws]) as app:
        await app.answer(root.id, True)
        assert (await app.outcome(root.id, 5)).unwrap() == lives[0] == lives[1]
    assert journal == ["now", "uuid4", "random", "now", "uuid4", "go"]
    assert lives[0][1] != lives[0][4]

"""Waits that a body gives up by a timeout of its own, on children that it has started and on those that it calls (L11, L14, L35)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from remit import Child, ErrorClass, Process, Remit, ask, call_process, process, start_process, step
from remit.durable import sleep
from remit.engine.body.delivery import Delivery
from remit.errors import SystemFailure
from remit.kernel.states import Status
from tests.laws.scene import open_store, until, wait_until


@step
async def note(what: str) -> str:
    return what


@process
async def answered(_: int) -> int:
    return await ask(int, name="number")


@process
async def breaks(_: int) -> int:
    await ask(int, name="number")
    raise SystemFailure("the disk is gone")


async def _patiently(child: Child[int], most: int) -> list[str]:
    """Polls a child, as bodies do that have something to say meanwhile."""
    said = []
    for turn in range(most):
        try:
            async with asyncio.timeout(0.03):
                outcome = await child.outcome()
        except TimeoutError:
            said.append(await note(f"still waiting {turn}"))
        else:
            return [*said, f"{outcome.status} {outcome.value}"]
    return said


@process(calls=[answered])
async def polls(turns: int) -> list[str]:
    child = await start_process(answered, 1)
    said = await _patiently(child, turns)
    outcome = await child.outcome()
    return [*said, f"{outcome.status} {outcome.value}", await ask(str, name="word")]


@process("polls_apart", calls=[answered], isolation="process")
async def polls_apart(turns: int) -> list[str]:
    child = await start_process(answered, 1)
    said = await _patiently(child, turns)
    outcome = await child.outcome()
    return [*said, f"{outcome.status} {outcome.value}", await ask(str, name="word")]


async def _gave_up(app: Remit, execution_id: str, times: int) -> bool:
    return [entry.kind for entry in await app.journal(execution_id)].count("wait") >= times


async def _asked(app: Remit, execution_id: str, name: str) -> bool:
    return [each.get("name") for each in (await app.get(execution_id)).waiting_on.first] == [name]


@pytest.mark.parametrize("body", [polls, polls_apart], ids=lambda each: each.name)
async def test_L11_L14_a_started_child_outlives_waits_that_are_given_up_in_replay_too(body: object, tmp_path: Path) -> None:
    url = open_store(tmp_path)
    processes = [answered, polls, polls_apart]
    async with Remit(url, processes=processes) as app:
        execution = await app.start(body, 3)  # type: ignore[call-overload]
        await until(lambda: _gave_up(app, execution.id, 3))
    async with Remit(url, processes=processes) as app:
        await app.answer(f"{execution.id}.1", 7)
        await until(lambda: _asked(app, execution.id, "word"))
    async with Remit(url, processes=processes) as app:
        await app.answer(execution.id, "said", ask="word")
        outcome = await app.outcome(execution.id, timeout=10)
        waited = [f"still waiting {turn}" for turn in range(3)]
        assert outcome.unwrap() == [*waited, "completed 7", "said"]
        kinds = [entry.kind for entry in await app.journal(execution.id)]
        assert kinds == ["child", *["wait", "step"] * 3, "ask"]


@process(calls=[breaks])
async def looks_in(_: int) -> str:
    child = await start_process(breaks, 1)
    try:
        async with asyncio.timeout(0.03):
            await child.outcome()
    except TimeoutError:
        await note("gave up")
    return await ask(str, name="word")


async def test_L14_L20_a_child_that_nobody_awaits_any_more_takes_nobody_down_with_it() -> None:
    async with Remit(":memory:", processes=[breaks, looks_in]) as app:
        execution = await app.start(looks_in, 1)
        await until(lambda: _asked(app, execution.id, "word"))
        assert (await app.get(execution.id)).status is Status.WAITING_HUMAN_INPUT
        assert not (await app.get(f"{execution.id}.1")).awaited
        await app.answer(f"{execution.id}.1", 1)
        failed = await app.outcome(f"{execution.id}.1", timeout=5)
        assert failed.error is not None
        assert failed.error.error_class is ErrorClass.SYSTEM
        await app.answer(execution.id, "all is well", ask="word")
        assert (await app.outcome(execution.id, timeout=5)).unwrap() == "all is well"


@process(calls=[answered])
async def fails_beside(_: int) -> str:
    child = await start_process(answered, 1)

    async def fails() -> None:
        await sleep(0.05)
        raise ValueError("no")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(child.outcome())
            group.create_task(fails())
    except ExceptionGroup as errors:
        await note(str(errors.exceptions[0]))
    return f"{(await child.outcome()).value} {await ask(str, name='word')}"


async def test_L14_a_started_child_outlives_the_group_that_waited_for_it(tmp_path: Path) -> None:
    url = open_store(tmp_path)
    async with Remit(url, processes=[answered, fails_beside]) as app:
        execution = await app.start(fails_beside, 1)
        await wait_until(app, execution.id, Status.WAITING_CHILD_HUMAN_INPUT)
        await app.answer(f"{execution.id}.1", 3)
        await until(lambda: _asked(app, execution.id, "word"))
    async with Remit(url, processes=[answered, fails_beside]) as app:
        await app.answer(execution.id, "said", ask="word")
        assert (await app.outcome(execution.id, timeout=5)).unwrap() == "3 said"


@process(calls=[answered])
async def calls_again(_: int) -> list[str]:
    heard = []
    for turn in range(3):
        try:
            async with asyncio.timeout(0.03):
                heard.append((await call_process(answered, 1, key="one")).status)
        except TimeoutError:
            heard.append(await note(f"gave up {turn}"))
    return [*heard, await ask(str, name="word")]


async def test_L11_L35_a_call_that_was_given_up_is_cancelled_and_its_key_answers_so_from_then_on(tmp_path: Path) -> None:
    url = open_store(tmp_path)
    async with Remit(url, processes=[answered, calls_again]) as app:
        execution = await app.start(calls_again, 1)
        await until(lambda: _asked(app, execution.id, "word"))
    async with Remit(url, processes=[answered, calls_again]) as app:
        await app.answer(execution.id, "said", ask="word")
        heard = (await app.outcome(execution.id, timeout=5)).unwrap()
        assert heard == ["gave up 0", "cancelled", "cancelled", "said"]


def polling(version: str) -> Process[int, list[str]]:
    @process("polling", version=version, calls=[answered])
    async def body(turns: int) -> list[str]:
        child = await start_process(answered, 1)
        said = await _patiently(child, turns)
        outcome = await child.outcome()
        return [*said, f"{outcome.status} {outcome.value}"]

    return body


async def test_L11_L41_an_evaluation_gives_up_what_was_given_up() -> None:
    async with Remit(":memory:", processes=[answered, polling("1.0.0"), polling("1.1.0")]) as app:
        await app.publish(polling("1.0.0"), answered)
        for each in ("polling@1.0.0", "answered@1.0.0"):
            await app.promote(each)
        execution = await app.start("polling", 2)
        await until(lambda: _gave_up(app, execution.id, 2))
        await app.answer(f"{execution.id}.1", 7)
        said = (await app.outcome(execution.id, timeout=5)).unwrap()
        assert said == ["still waiting 0", "still waiting 1", "completed 7"]
        (case,) = (done := await app.evaluate("polling@1.1.0", recorded=1)).cases
        assert done.passed, case
        assert case.candidate.result == said


# -- in the very turn in which it comes -------------------------------------------------------------------------------

EFFECTS: dict[str, Callable[[], Awaitable[Any]]] = {
    "number": lambda: ask(int, name="number"),
    "long": lambda: long("work"),
    "answered": lambda: call_process(answered, 1),
}
scopes: list[asyncio.Timeout] = []


@step
async def long(what: str) -> str:
    await asyncio.sleep(0.1)
    return what


@process(calls=[answered])
async def quits(effect: str) -> list[str]:
    beside = asyncio.create_task(ask(str, name="beside"))  # with several branches, what comes is handed over a turn later
    try:
        async with asyncio.timeout(0.2 if scopes else 30) as scope:
            scopes.append(scope)
            await EFFECTS[effect]()
        said = "heard"
    except TimeoutError:
        said = await note("gave up")
    return [said, await beside, await ask(str, name="word")]


@pytest.mark.parametrize("effect", EFFECTS)
async def test_L11_what_comes_in_the_very_turn_in_which_its_branch_gives_up_is_not_heard_in_replay(
    effect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scopes.clear()
    complete = Delivery.complete

    def just_too_late(delivery: Delivery, completion: Any) -> None:
        complete(delivery, completion)
        name = completion.entry.name if hasattr(completion, "entry") else completion.record.process
        if name == effect and len(scopes) == 1:
            scopes[0].reschedule(asyncio.get_running_loop().time())

    monkeypatch.setattr(Delivery, "complete", just_too_late)
    async with Remit(open_store(tmp_path), processes=[answered, quits]) as app:
        execution = await app.start(quits, effect)
        if effect != "long":
            await until(lambda: _waits_for_two(app, execution.id))
            await app.answer(execution.id if effect == "number" else f"{execution.id}.1", 7, ask="number")
        await until(lambda: _noted(app, execution.id))
        await app.answer(execution.id, "b", ask="beside")
        await until(lambda: _asked(app, execution.id, "word"))
    async with Remit(open_store(tmp_path), processes=[answered, quits]) as app:
        await app.answer(execution.id, "said", ask="word")
        assert (await app.outcome(execution.id, timeout=5)).unwrap() == ["gave up", "b", "said"]


async def _waits_for_two(app: Remit, execution_id: str) -> bool:
    return (await app.get(execution_id)).waiting_on.count == 2


async def _noted(app: Remit, execution_id: str) -> bool:
    return "note" in [entry.name for entry in await app.journal(execution_id)]


# -- what a replay is told later than it was then ---------------------------------------------------------------------


@step
async def lasts(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@process
async def hurries(_: int) -> list[str]:
    """Replayed, the second wait begins at once, and its end comes after the other branch has given up once more: 0.3 s later."""

    async def gives_up() -> str:
        try:
            async with asyncio.timeout(0.3):
                return await ask(str, name="never answered")
        except TimeoutError:
            return await note("gave up")

    async def hears() -> str:
        await lasts(0.2)
        try:
            async with asyncio.timeout(0.25):
                await lasts(0.18)
        except TimeoutError:
            return await note("missed")
        return await note("heard")

    return [*await asyncio.gather(gives_up(), hears()), await ask(str, name="word")]


async def test_L11_what_was_heard_comes_before_a_timeout_that_runs_anew_in_replay(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[hurries]) as app:
        execution = await app.start(hurries, 1)
        await until(lambda: _asked(app, execution.id, "word"))
        before = [(entry.name, entry.params) for entry in await app.journal(execution.id)]
    async with Remit(open_store(tmp_path), processes=[hurries]) as app:
        await app.answer(execution.id, "said", ask="word")
        outcome = await app.outcome(execution.id, timeout=5)
        assert outcome.ok, outcome.error
        assert [(entry.name, entry.params) for entry in await app.journal(execution.id)] == before


async def test_L11_changed_code_pauses_though_a_branch_waits_for_what_it_heard_then(tmp_path: Path) -> None:
    def body(second: str) -> Any:
        @process("both")
        async def both(_: int) -> list[str]:
            async def late() -> str:
                await lasts(0.1)
                return await note(second)

            return [str(await asyncio.gather(lasts(0.15), late())), await ask(str, name="word")]

        return both

    async with Remit(open_store(tmp_path), processes=[body("as before")]) as app:
        execution = await app.start("both", 1)
        await until(lambda: _asked(app, execution.id, "word"))
    async with Remit(open_store(tmp_path), processes=[body("otherwise")]) as app:
        await app.answer(execution.id, "said", ask="word")
        record = await wait_until(app, execution.id, Status.PAUSED)
        assert record.error is not None
        assert record.error.code == "code_changed"

"""Decisions made on who came first are made the same way in every life of an execution (L11)."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from pathlib import Path
from typing import Any

from remit import Remit, ask, call_process, process, start_process, step
from remit.durable import random as chance
from remit.durable import schedule, sleep
from remit.engine.body.delivery import Delivery
from tests.laws.scene import every, open_store, wait_until

noted: list[str] = []
SIZE = 14


@step
async def work(name: str, longest_ms: int) -> str:
    """Takes a different time in every run of it."""
    await asyncio.sleep(random.random() * longest_ms / 1_000)
    return name


@step
def work_in_thread(name: str) -> str:
    return name


@step
async def note(what: str) -> None:
    noted.append(what)


@process("racer")
async def racer(name: str) -> str:
    await work(name, 4)
    return name


async def branch(name: str, shape: int) -> str:
    """One of several kinds of work; each takes a time that nothing decides in advance."""
    if shape == 0:
        await work(name, 6)
    elif shape == 1:
        (await call_process(racer, name)).unwrap()
    elif shape == 2:
        await sleep(f"{len(name) * 2}ms")
        await work(name, 3)
    elif shape == 3:
        child = await start_process(racer, name)
        await work(name, 2)
        (await child.outcome()).unwrap()
    elif shape == 4:
        await work_in_thread(name)
        if await chance() < 0.5:
            await work(f"{name} again", 3)
    else:
        await asyncio.gather(work(f"{name} left", 3), call_process(racer, f"{name} right"))
    return name


@process("race", calls=[racer])
async def race(seed: int) -> list[str]:
    """Starts branches as others end, and writes down who came first each time."""
    draw = random.Random(seed)
    order: list[str] = []
    started = 3
    running = {asyncio.create_task(branch(f"b{number}", draw.randrange(6))) for number in range(started)}
    while running:
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        came = "+".join(sorted(task.result() for task in done))
        await note(f"{len(order)} {came}")
        order.append(came)
        if started < SIZE:
            running.add(asyncio.create_task(branch(f"{came[:6]} {started}", draw.randrange(6))))
            started += 1
    return order


async def live_and_die(path: Path, target: Any, value: int, draw: random.Random) -> Any:
    """Lives of random length, then one that is long enough; the record of the execution, which no life has paused."""
    path.mkdir()  # noqa: ASYNC240 - a test may wait for a directory
    id_ = ""
    for life in range(25):
        async with Remit(open_store(path), processes=[target, racer]) as app:
            id_ = id_ or (await app.start(target, value)).id
            try:
                await app.outcome(id_, draw.random() * 0.06 + 0.005 if life < 24 else 10)
            except TimeoutError:
                paused = await app.get(id_)
                assert paused.status != "PAUSED", paused.error
            else:
                assert {each.status for each in (await every(app, id_)).values()} == {"COMPLETED"}
                return await app.get(id_)
    raise AssertionError(f"{id_} has not ended: {paused}")


async def test_L11_who_came_first_is_the_same_in_every_life(tmp_path, seed, figure):
    for number in range(figure(12, 1_000)):
        noted.clear()
        record = await live_and_die(tmp_path / str(number), race, seed + number, random.Random(seed + number))
        assert set(noted) == {f"{place} {came}" for place, came in enumerate(record.result)}, seed + number


async def test_L11_locks_queues_and_groups_between_branches_are_replayed_alike(tmp_path, seed, figure):
    @process("pipeline", calls=[racer])
    async def pipeline(size: int) -> list[str]:
        queue: asyncio.Queue[str] = asyncio.Queue(2)
        two_at_once = asyncio.Semaphore(2)
        order: list[str] = []

        async def produce(number: int) -> None:
            async with two_at_once:
                await work(f"p{number}", 3)
            await queue.put(f"p{number}")

        async def consume() -> None:
            for place in range(size):
                got = await queue.get()
                await note(f"{place} {got}")
                order.append(got)
                (await call_process(racer, f"{place} {got}")).unwrap()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(consume())
            for number in range(size):
                tasks.create_task(produce(number))
        return order

    for number in range(figure(6, 300)):
        noted.clear()
        record = await live_and_die(tmp_path / str(number), pipeline, 8, random.Random(seed + number))
        assert set(noted) == {f"{place} {got}" for place, got in enumerate(record.result)}, seed + number


async def test_L33_after_any_commit_the_file_alone_wakes_all_who_wait(tmp_path, monkeypatch):
    """Commits as early as each completion allows, and lets another life finish the file that a crash would leave then."""

    @process("naps")
    async def naps(place: int) -> int:
        await sleep(f"{20 * place}ms")
        return place

    @process("gathers", calls=[naps])
    async def gathers(size: int) -> list[int]:
        async def one(place: int) -> int:
            return (await call_process(naps, place)).unwrap()

        return list(await asyncio.gather(*(one(place) for place in range(1, size + 1))))

    copies: list[Path] = []
    complete = Delivery.complete
    (tmp_path / "live").mkdir()
    async with Remit(open_store(tmp_path / "live"), processes=[gathers, naps]) as app:
        engine, commit = app.engine, app.engine.store.commit

        def committed_at_once(delivery: Delivery, completion: Any) -> None:
            engine.loop.call_soon(engine.durability.flush)
            complete(delivery, completion)

        def copied(batch: Any) -> Any:
            result = commit(batch)
            copies.append(tmp_path / f"copy{len(copies)}")
            shutil.copytree(tmp_path / "live", copies[-1])
            return result

        with monkeypatch.context() as patches:
            patches.setattr(Delivery, "complete", committed_at_once)
            patches.setattr(engine.store, "commit", copied)
            id_ = (await app.start(gathers, 4)).id
            await app.outcome(id_, 5)
    assert len(copies) > 8
    for copy in copies:
        async with Remit(open_store(copy), processes=[gathers, naps]) as app:
            assert (await app.outcome(id_, 3)).unwrap() == [1, 2, 3, 4], copy.name


async def test_L11_a_group_that_has_come_is_handed_over_however_slow_the_turn_was(tmp_path):
    """The look for branches that are stuck falls between the claims of a group and its being handed over."""
    now = asyncio.Event()

    @step
    async def meet(name: str) -> str:
        await now.wait()
        return name

    @process("slow_turn")
    async def slow_turn() -> list[str]:
        async def slow() -> list[str]:
            time.sleep(0.01)  # noqa: ASYNC251 - longer than the look waits: it comes due in the very turn in which the others claim
            return list(await asyncio.gather(meet("left"), meet("right")))

        first, others = await asyncio.gather(meet("first"), slow())
        await ask(bool, name="on")
        return [first, *others]

    async with Remit(open_store(tmp_path), processes=[slow_turn]) as app:
        id_ = (await app.start(slow_turn)).id
        asyncio.get_running_loop().call_later(0.1, now.set)  # all three in one turn, and so in one group
        await wait_until(app, id_, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[slow_turn]) as app:
        await app.answer(id_, True)
        assert (await app.outcome(id_, 5)).value == ["first", "left", "right"]


@step
async def in_order(seen: list[str]) -> list[str]:
    return seen


@process("report")
async def report(user: str) -> str:
    return user


async def test_L11_L54_a_schedule_comes_in_its_turn_among_other_branches_in_replay_too(tmp_path):
    @process("side_by_side", calls=[report])
    async def side_by_side(_: str) -> list[str]:
        seen: list[str] = []

        async def scheduling() -> None:
            await schedule("weekly", "0 9 * * MON", "report", "ada")
            seen.append("scheduled")

        async def other() -> None:
            await asyncio.sleep(0)
            seen.append("other")

        await asyncio.gather(scheduling(), other())
        told = await in_order(seen)
        await ask(str, name="go", prompt="Go?")
        return told

    async with Remit(open_store(tmp_path), processes=[side_by_side, report]) as app:
        root = (await app.start(side_by_side, "ada")).id
        await wait_until(app, root, "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[side_by_side, report]) as app:
        await app.answer(root, "yes")
        assert (await app.outcome(root, 5)).unwrap() == ["other", "scheduled"]

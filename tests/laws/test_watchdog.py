"""Code that blocks, hangs or will not stop: its lease ends it, and nobody else waits for it (L22)."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from remit import Remit, call_process, process, step
from remit.engine.apart import workers
from tests.laws import isolated_processes as apart
from tests.laws.scene import open_store, stuck, until
from tests.stalls import LONGEST_STALL_S, NOTED_S, own_stalls

TTL = 0.5
GRACE = 1.0
TRIES = 3
"""A machine that is busy with something else slows what it does not stop: the best of so many tries counts."""


swallowed: list[BaseException] = []
"""What bodies that will not stop have caught."""


@pytest.fixture(autouse=True)
async def _nothing_stays_stuck() -> AsyncIterator[None]:
    stuck.clear()
    swallowed.clear()
    yield
    stuck.set()
    await asyncio.sleep(0)


@process(ttl=TTL)
async def sleeps_on_the_loop(_: str) -> int:
    time.sleep(30)  # noqa: ASYNC251
    return 1


@process(ttl=TTL)
async def loops_on_the_loop(_: str) -> int:
    while True:
        pass


@process(ttl=TTL)
async def swallows_the_interrupt(_: str) -> int:
    while not stuck.is_set():
        try:
            time.sleep(0.2)  # noqa: ASYNC251
        except BaseException as error:  # noqa: BLE001  # what a careless author writes
            swallowed.append(error)
    return 1


@process(ttl=TTL)
async def swallows_cancellation(_: str) -> int:
    while not stuck.is_set():
        try:
            await asyncio.sleep(0.05)
        except BaseException as error:  # noqa: BLE001  # what a careless author writes
            swallowed.append(error)
    return 1


@step
def sleeps_in_c(_: int) -> int:
    time.sleep(2.5)
    return 1


@step
def spins(_: int) -> int:
    while not stuck.is_set():
        pass
    return 1


@process(ttl=TTL)
async def step_in_c(_: str) -> int:
    return await sleeps_in_c(1)


@process(ttl=TTL)
async def step_that_spins(_: str) -> int:
    return await spins(1)


@step
async def ticks(n: int) -> int:
    return n


@process
async def ticker(seconds: float) -> list[list[float]]:
    """The gaps between two durable steps."""
    gaps, last = [], time.monotonic()
    end = last + seconds
    n = 0
    while time.monotonic() < end:
        n += 1
        await ticks(n)
        await asyncio.sleep(0.005)
        now = time.monotonic()
        if now - last > NOTED_S:
            gaps.append([last, now])
        last = now
    return gaps


BLOCKERS: list[Any] = [
    sleeps_on_the_loop,
    loops_on_the_loop,
    swallows_the_interrupt,
    swallows_cancellation,
    step_in_c,
    step_that_spins,
    apart.holds_the_gil,
    apart.spins_in_a_step,
]


@process(calls=["*"])
async def boss(asked: list[str]) -> list[Any]:
    target, path, ttl = asked[0], asked[1], float(asked[2])

    async def answered() -> list[Any]:
        began = time.monotonic()
        outcome = await call_process(target, path)
        assert outcome.error is not None
        return [outcome.status, outcome.error.code, time.monotonic() - began]

    hung, fine = await asyncio.gather(answered(), call_process(ticker, ttl + 0.5))
    return [*hung, fine.unwrap()]


def _pids(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _longest_wait_beside(blocker: Any, path: Path) -> float:
    """For how many seconds the sibling of one that blocks has waited, once the one is answered for and gone."""
    ttl = blocker.definition.ttl_ms / 1_000
    with own_stalls() as machine:
        async with Remit(":memory:", processes=[boss, ticker, *BLOCKERS]) as app:
            execution = await app.start(boss, [blocker.name, str(path), str(ttl)])
            status, code, took, gaps = (await execution.outcome(timeout=ttl + 6)).unwrap()
            assert (status, code) == ("timed_out", "lease_expired")
            assert took < ttl + GRACE
            stuck.set()
        longest = machine.longest((began, ended) for began, ended in gaps)
    for pid in _pids(path):

        async def gone(pid: int = pid) -> bool:
            return not _alive(pid)

        await until(gone, 2)
    if blocker in (apart.holds_the_gil, apart.spins_in_a_step):
        assert _pids(path), "it has run"
    stuck.clear()
    return longest


@pytest.mark.parametrize("blocker", BLOCKERS, ids=lambda each: each.name)
async def test_L22_what_blocks_is_answered_for_in_time_and_delays_no_sibling(tmp_path, blocker) -> None:
    waited = []
    for attempt in range(TRIES):
        waited.append(await _longest_wait_beside(blocker, tmp_path / f"pids{attempt}"))
        if waited[-1] < LONGEST_STALL_S:
            return
    pytest.fail(f"the sibling waited {waited} s, each time longer than {LONGEST_STALL_S} s")


async def test_L22_a_careless_body_goes_on_apart_and_is_named(tmp_path, caplog) -> None:
    path = tmp_path / "notes"
    async with Remit(":memory:", processes=[apart.careless]) as app:
        execution = await app.start(apart.careless, str(path))
        outcome = await execution.outcome(timeout=5)
        assert outcome.value == "done"
        assert path.read_text().split() == ["before", "body", "after"]
        named = [record for record in caplog.records if record.name == "remit.watchdog"]
        assert named
        assert "careless (isolated_processes.py:" in named[0].getMessage()
        alerts = await app.alerts(code="blocked_event_loop")
        assert [alert.execution_id for alert in alerts] == [execution.id]
        assert (await app.get(execution.id)).attempt == 1
        again = await (await app.start(apart.careless, str(path))).outcome(timeout=5)
        assert again.value == "done"
        assert len(await app.alerts(code="blocked_event_loop")) == 1, "known by now: it ran apart from the start"


async def test_L22_a_careless_closure_goes_on_in_a_thread() -> None:
    ran: list[str] = []

    @step
    async def noted(text: str) -> str:
        ran.append(text)
        return text

    @process
    async def local(_: int) -> str:
        first = await noted("once")
        time.sleep(0.25)  # noqa: ASYNC251
        ran.append("body")
        return first + await noted("twice")

    async with Remit(":memory:", processes=[local]) as app:
        outcome = await (await app.start(local, 1)).outcome(timeout=4)
        assert outcome.value == "oncetwice"
        assert ran == ["once", "body", "twice"]


async def test_L22_an_async_step_that_blocks_fails_and_is_not_run_again() -> None:
    ran: list[int] = []

    @step
    async def blocks() -> int:
        ran.append(1)
        time.sleep(5)  # noqa: ASYNC251
        return 1

    @process
    async def body(_: int) -> int:
        return await blocks()

    async with Remit(":memory:", processes=[body]) as app:
        outcome = await (await app.start(body, 1)).outcome(timeout=4)
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.error_class) == ("blocked_event_loop", "DOMAIN")
        assert "def" in outcome.error.message
        assert ran == [1]


@process
async def one(n: int) -> int:
    return n


@process(calls=[one])
async def many(count: int) -> int:
    return sum(each.unwrap() for each in await asyncio.gather(*(call_process(one, n) for n in range(count))))


async def test_L22_a_body_at_work_with_the_engine_is_not_cut_off() -> None:
    async with Remit(":memory:", processes=[many, one]) as app:
        outcome = await (await app.start(many, 9_999)).outcome(timeout=30)
        assert outcome.value == sum(range(9_999))
        assert not list(await app.alerts(code="blocked_event_loop"))


async def test_L22_a_slow_commit_is_no_code_of_the_author_s(tmp_path, caplog) -> None:
    """What the engine does itself is not cut off, whose turn of the loop it may be: nobody would know what of it is written."""

    @step
    async def small() -> int:
        return 1

    @process("commits")
    async def commits(_: str) -> int:
        await asyncio.sleep(0.05)  # so that the commit is in the body's own turn
        return await small()

    url = open_store(tmp_path)
    async with Remit(url, processes=[commits]) as app:
        await (await app.start(commits, "quickly")).outcome(timeout=10)
    with closing(sqlite3.connect(tmp_path / "remit.db")) as other:
        other.execute("CREATE TRIGGER slow AFTER INSERT ON journal BEGIN SELECT length(hex(randomblob(80000000))); END")
    with caplog.at_level(logging.WARNING):
        async with Remit(url, processes=[commits]) as app:
            began = time.monotonic()
            execution = await app.start(commits, "slowly")
            assert (await execution.outcome(timeout=20)).value == 1
            assert time.monotonic() - began > 0.15, "the commit was not slow enough to be taken for anything"
            assert await app.alerts() == []
    assert [each.getMessage() for each in caplog.records if "blocked" in each.getMessage()] == []


async def test_L22_stuck_threads_are_capped(monkeypatch) -> None:
    monkeypatch.setattr(workers, "MAX_STUCK_THREADS", 1)
    async with Remit(":memory:", processes=[step_that_spins]) as app:
        first = await (await app.start(step_that_spins, "")).outcome(timeout=3)
        assert first.status == "timed_out"
        assert app.engine.workers.stuck == 1
        execution = await app.start(step_that_spins, "")
        second = await execution.outcome(timeout=3)
        codes = [entry.error.code for entry in await app.journal(execution.id) if entry.error]
        assert "too_many_stuck_threads" in codes
        assert second.status in ("failed", "timed_out")
        stuck.set()


async def test_L22_a_body_left_in_a_thread_counts_as_stuck_until_it_ends(caplog) -> None:
    caplog.set_level(logging.INFO, "remit.workers")

    @process(ttl=TTL)
    async def stubborn(_: int) -> int:
        while not stuck.is_set():
            try:
                time.sleep(0.2)  # noqa: ASYNC251
            except BaseException as error:  # noqa: BLE001  # what a careless author writes
                swallowed.append(error)
        return 1

    async with Remit(":memory:", processes=[stubborn]) as app:
        app.engine.driver._quarantined.add(stubborn.definition)
        outcome = await (await app.start(stubborn, 1)).outcome(timeout=3)
        assert outcome.status == "timed_out"

        async def counted() -> bool:
            return app.engine.workers.stuck == 1

        await until(counted)
        stuck.set()

        async def back() -> bool:
            return app.engine.workers.stuck == 0

        await until(back)

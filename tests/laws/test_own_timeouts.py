"""Bodies whose own timeouts end waits of every kind, drawn by seed: a replay goes the way the first run went (L11)."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from remit import (
    Child,
    DomainError,
    MisuseError,
    Outcome,
    Process,
    Record,
    Remit,
    ask,
    call_process,
    process,
    start_process,
    step,
)
from remit.durable import sleep
from tests.laws.scene import open_store, until

LONG = os.environ.get("REMIT_LONG") == "1"
SEEDS, APART = range(400 if LONG else 12), range(40 if LONG else 4)
TIMES_MS = (5, 20, 40, 60)
LIMITS_S = (0.005, 0.02, 0.04, 0.06, 0.3)


@step
async def note(what: str) -> str:
    return what


@step
async def work(ms: int, what: str) -> str:
    await asyncio.sleep(ms / 1_000)
    return what


@step
async def fail(ms: int, what: str) -> str:
    await asyncio.sleep(ms / 1_000)
    raise DomainError(f"{what} will not do", code="no")


@process
async def naps(ms: int) -> int:
    await sleep(f"{ms}ms")
    return ms


class Branch:
    """One branch of a body: what it waits for, how long, and what it heard."""

    def __init__(self, seed: int, children: list[Child[int]]) -> None:
        self.random = random.Random(seed)
        self.children = children
        self.heard: list[str] = []

    async def effect(self, tag: str) -> str:
        """Wait for something."""
        ms = self.random.choice(TIMES_MS)
        waits: list[Callable[[], Awaitable[Any]]] = [
            lambda: sleep(f"{ms}ms"),
            lambda: work(ms, tag),
            lambda: _refused(ms, tag),
            lambda: ask(int, name=f"question {tag}"),
            lambda: ask(int, name=f"brief {tag}", timeout=f"{ms}ms", on_timeout=0),
            lambda: _status(call_process(naps, ms)),
            lambda: _status(self.random.choice(self.children).outcome()),
        ]
        return f"{tag} {await self.random.choice(waits)()}"

    async def run(self) -> None:
        """A few waits, each under a limit of one kind."""
        limits = (self.alone, self.alone, self.waited_for, self.several, self.grouped)
        for turn in range(self.random.randint(1, 5)):
            tag, limit = f"{turn}", self.random.choice(LIMITS_S)
            try:
                await self.random.choice(limits)(tag, limit)
            except TimeoutError:
                self.heard.append(await note(f"{tag} given up"))
            except ExceptionGroup:
                self.heard.append(await note(f"{tag} failed together"))

    async def alone(self, tag: str, limit: float) -> None:
        """One wait."""
        async with asyncio.timeout(limit):
            self.heard.append(await self.effect(tag))

    async def waited_for(self, tag: str, limit: float) -> None:
        """One wait in a task of its own."""
        self.heard.append(await asyncio.wait_for(self.effect(tag), limit))

    async def several(self, tag: str, limit: float) -> None:
        """One limit for several waits."""
        async with asyncio.timeout(limit):
            for part in range(3):
                self.heard.append(await self.effect(f"{tag}.{part}"))

    async def grouped(self, tag: str, _: float) -> None:
        """A group that fails while others wait."""
        ms = self.random.choice(TIMES_MS)
        async with asyncio.timeout(0.5), asyncio.TaskGroup() as group:
            group.create_task(self.effect(f"{tag} beside"))
            group.create_task(fail(ms, tag))


async def _refused(ms: int, tag: str) -> str:
    try:
        return await fail(ms, tag)
    except DomainError as error:
        return error.code


async def _status(outcome: Awaitable[Outcome[int]]) -> str:
    return (await outcome).status


async def _drawn(seed: int) -> list[str]:
    drawing = random.Random(seed)
    children = [await start_process(naps, drawing.choice(TIMES_MS)) for _ in range(drawing.randint(1, 3))]
    branches = [Branch(seed * 100 + number, children) for number in range(drawing.randint(1, 3))]
    await asyncio.gather(*(branch.run() for branch in branches))
    ends = [(await child.outcome()).status for child in children]
    word = await ask(str, name="word")
    return [*(heard for branch in branches for heard in branch.heard), *ends, word]


@process("drawn", calls=[naps])
async def drawn(seed: int) -> list[str]:
    return await _drawn(seed)


@process("drawn_apart", calls=[naps], isolation="process")
async def drawn_apart(seed: int) -> list[str]:
    return await _drawn(seed)


PROCESSES = [drawn, drawn_apart, naps]


@pytest.mark.parametrize(("body", "seed"), [*((drawn, seed) for seed in SEEDS), *((drawn_apart, seed) for seed in APART)])
async def test_L11_a_body_gives_up_in_replay_what_it_gave_up_and_hears_what_it_heard(
    body: Process[int, list[str]], seed: int, tmp_path: Path
) -> None:
    answering = random.Random(seed)

    async def asks_for_the_word() -> Record | None:
        record = await app.get(execution.id)
        names = [str(each.get("name")) for each in record.waiting_on.first]
        for name in names:
            if name.startswith(("question", "brief")) and answering.random() < 0.3:
                await _answer(app, execution.id, name)
        return record if names == ["word"] or record.ended_at is not None else None

    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        execution = await app.start(body, seed)
        before = await until(asks_for_the_word, 20)
        assert before.ended_at is None, before.error
        journal = await app.journal(execution.id)
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        await app.answer(execution.id, "said", ask="word")
        outcome = await app.outcome(execution.id, timeout=20)
        assert outcome.ok, outcome
        after = await app.journal(execution.id)
        assert [(each.kind, each.name, each.position) for each in after] == [
            (each.kind, each.name, each.position) for each in journal
        ]


async def _answer(app: Remit, execution_id: str, name: str) -> None:
    try:
        await app.answer(execution_id, 5, ask=name)
    except MisuseError as error:
        if error.code not in {"no_open_ask", "already_answered", "wrong_state"}:  # given up, or out of time, meanwhile
            raise

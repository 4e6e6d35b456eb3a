"""The processes that the Remit rows run: the work of the rivals, word for word, as governed calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from remit import Remit, ask, call_process, process, step

__all__ = [
    "Children",
    "Meter",
    "Number",
    "all_at_once",
    "approval",
    "child",
    "long_history",
    "meter",
    "one_after_another",
    "opened",
    "run",
    "steps_only",
]

PATIENCE = 900  # seconds; a workload that takes longer has hung


class Number(BaseModel):
    number: int


class Children(BaseModel):
    count: int


class Meter:
    """What bodies tell the measurement behind the engine's back: it is no part of their durable work."""

    def __init__(self) -> None:
        self.calls: list[float] = []
        self.steps = 0
        self.live = asyncio.Event()


meter = Meter()


@step
async def add_one(number: int) -> int:
    meter.steps += 1
    return number + 1


@process("child")
async def child(request: Number) -> int:
    return await add_one(request.number)


@process("one_after_another", calls=[child])
async def one_after_another(request: Children) -> int:
    total = 0
    for number in range(request.count):
        start = time.perf_counter()
        outcome = await call_process(child, Number(number=number))
        meter.calls.append(time.perf_counter() - start)
        total += outcome.unwrap()
    return total


@process("all_at_once", calls=[child])
async def all_at_once(request: Children) -> int:
    outcomes = await asyncio.gather(*(call_process(child, Number(number=n)) for n in range(request.count)))
    return sum(outcome.unwrap() for outcome in outcomes)


@process("long_history", calls=[child])
async def long_history(request: Children) -> int:
    for number in range(request.count):
        (await call_process(child, Number(number=number))).unwrap()
    meter.live.set()
    await asyncio.Event().wait()
    return request.count


@process("steps_only")
async def steps_only(request: Children) -> int:
    total = 0
    for number in range(request.count):
        start = time.perf_counter()
        total += await add_one(number)
        meter.calls.append(time.perf_counter() - start)
    return total


@process("approval")
async def approval(request: Number) -> bool:
    return await ask(bool, name="approve", prompt=f"Approve number {request.number}?")


@asynccontextmanager
async def opened(path: Path, *, vfs: str = "") -> AsyncIterator[Remit]:
    """Remit on the file at `path`, hosting every process of this module."""
    url = f"sqlite:///{path}" + (f"?vfs={vfs}" if vfs else "")
    hosted: list[Any] = [child, one_after_another, all_at_once, long_history, steps_only, approval]
    async with Remit(url, processes=hosted) as app:
        yield app


async def run(app: Remit, parent: Any, count: int) -> None:
    """Run one parent of `count` children or steps to its end and check its answer."""
    execution = await app.start(parent, Children(count=count))
    answer = (await execution.outcome(timeout=PATIENCE)).unwrap()
    if answer != count * (count + 1) // 2:
        raise RuntimeError(f"{parent} answered {answer} for {count}")

"""How long a step may take, where it is more than one wait or one call: a durable timer runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from remit.authoring.effects import sleep
from remit.errors import DomainError
from remit.kernel.durations import Duration

__all__ = ["all_of", "no_list", "step_timeout", "within"]

T = TypeVar("T")


def step_timeout(name: str, limit: Duration | None) -> DomainError:
    """The failure of a step that took longer than its `timeout`."""
    return DomainError(f"Step {name!r} took longer than its timeout of {limit}", code="step_timeout", step=name)


async def within(limit: Duration | None, work: Coroutine[Any, Any, T], name: str) -> T:
    """What the work gives; it is left, and what it waits for cancelled, once the time is up: DomainError `step_timeout`."""
    if limit is None:
        return await work
    working, timer = asyncio.create_task(work), asyncio.create_task(sleep(limit))
    try:
        await asyncio.wait({working, timer}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise step_timeout(name, limit)
    finally:
        await _left((working, timer))


async def all_of(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do all side by side; the first that raises ends the others, and of several at once the first in order is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        if tasks:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = next((task for task in tasks if task.done() and task.exception() is not None), None)
        if failed is not None:
            failed.result()
    finally:
        await _left(tasks)


async def _left(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def no_list(step: str, path: str | None, found: object) -> DomainError:
    """What fails a step that is to go over a list and finds none."""
    if found is None:
        told = f"{path} is null or not there: give it a list, which may be empty"
    else:
        told = f"{path} is {type(found).__name__}, not a list"
    return DomainError(f"Step {step!r}: {told}", code="invalid_state")

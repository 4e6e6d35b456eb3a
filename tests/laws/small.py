"""Small processes, and the outcome of one root on a store of its own."""

from __future__ import annotations

import asyncio
from typing import Any

from remit import Limits, Outcome, Remit, ask, process, step

__all__ = ["asks", "echo", "end_of", "naps"]


@step
async def naps(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@process("echo")
async def echo(value: int) -> int:
    return value


async def end_of(target: Any, value: Any, *others: Any, limits: Limits | None = None, **terms: Any) -> Outcome[Any]:
    """The outcome of one root on a store of its own."""
    async with Remit(":memory:", processes=[target, *others], limits=limits) as app:
        return await (await app.start(target, value, **terms)).outcome(timeout=5)


@process("asks")
async def asks(name: str) -> bool:
    return await ask(bool, name=name, prompt="Well?")

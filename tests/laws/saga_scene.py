"""What the tests of sagas share: steps that the world sees done and undone, and roots that are rolled back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from remit import (
    DomainError,
    Record,
    Remit,
    Retry,
    process,
    step,
)
from remit.durable import wait_event
from tests.laws.scene import stuck

__all__ = [
    "PARTS",
    "afresh",
    "broken",
    "do",
    "done",
    "fails_unless_mended",
    "goes_on",
    "look",
    "part",
    "rolled_back",
    "undo",
    "undone_by",
    "whole",
    "working_on_nothing",
]

done: list[str] = []
"""What the world saw: 'do x', and 'undo x (result)' in the order in which it happened."""
broken: set[str] = set()


def afresh() -> Iterator[None]:
    """Nothing is done or broken; for an autouse fixture of each module."""
    done.clear()
    broken.clear()
    yield
    stuck.set()
    stuck.clear()


def undo(result: str | None, what: str) -> str:
    if f"undo {what}" in broken:
        raise ConnectionError(f"{what} cannot be undone now")
    done.append(f"undo {what} ({result})")
    return f"{what} undone"


@step(compensate=undo)
async def do(what: str) -> str:
    if what in broken:
        raise DomainError("no_stock", what=what)
    done.append(f"do {what}")
    return what.upper()


@step
async def look(what: str) -> str:
    if what in broken:
        raise DomainError("nothing_there")
    return what


@process("part", saga=True)
async def part(name: str) -> str:
    return await do(f"{name} 1") + await do(f"{name} 2")


@process("fails_unless_mended", saga=True)
async def fails_unless_mended(name: str) -> str:
    await do(f"{name} 1")
    return await look(name)


PARTS = [part, fails_unless_mended]


def whole(body: Any, **options: Any) -> Any:
    """A saga of one name whose body differs from test to test; it fails where the body does not."""

    async def wrapped(name: str) -> str:
        await body(name)
        raise DomainError("changed_its_mind")

    wrapped.__name__ = "whole"
    return process("whole", calls=["*"], saga=True, retry=Retry(attempts=1, first=0.001), **options)(wrapped)


async def rolled_back(app: Remit, target: Any, value: Any = "x", **terms: Any) -> Record:
    """The record of a root that failed, once its rollback is over."""
    execution = await app.start(target, value, **terms)
    outcome = await execution.outcome(timeout=5)
    assert not outcome.ok
    return await execution.compensated(timeout=5)


async def undone_by(body: Any, *others: Any, **options: Any) -> list[str]:
    """What the world sees undone of a body that is rolled back."""
    async with Remit(":memory:", processes=[whole(body, **options), *PARTS, *others]) as app:
        record = await rolled_back(app, "whole")
        assert record.compensation == "done"
        return [line for line in done if line.startswith("undo")]


@process("goes_on", saga=True)
async def goes_on(name: str) -> str:
    await do(f"{name} 1")
    await wait_event("go")
    return await do(f"{name} 2")


async def working_on_nothing(app: Remit, execution_id: str) -> None:
    """Time passes, and nothing is undone."""
    await asyncio.sleep(0.05)
    assert (await app.get(execution_id)).compensation == "running"
    assert not [line for line in done if line.startswith("undo")]

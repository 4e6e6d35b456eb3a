"""Late writes of every kind are refused, counted, logged, and change nothing (L23)."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import pytest

from remit import (
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
from remit.durable import now, sleep, wait_event
from tests.laws.scene import flatten, until, wait_until, working


@process("quick")
async def quick(number: int) -> int:
    for _ in range(5):
        await working(0.02)
    return number


ran: list[str] = []


@step
async def late_step() -> int:
    ran.append("step")
    return 1


@tool("late.tool", cost="0.01")
async def late_tool() -> int:
    ran.append("tool")
    return 1


LATE = {
    "journal": late_step,
    "tool call": late_tool,
    "usage": lambda: charge(Usage(tokens=5)),
    "child": lambda: call_process("quick", 1),
    "async child": lambda: start_process("quick", 1, detached=True),
    "ask": lambda: ask(str, name="late"),
    "sleep": lambda: sleep(0.01),
    "event": lambda: wait_event("late", timeout=0.01),
    "value": now,
}


@process("zombie", calls=["quick"], ttl=0.1)
async def zombie(what: str) -> str:
    await late_write_of(what)
    return "a late result"


async def late_write_of(what: str) -> None:
    """Swallow the end of the execution, and go on as if nothing had happened."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.get_running_loop().create_future()
    if what == "progress":
        set_progress("late")
    elif what == "marker":
        changed("late")
    elif what == "fresh history":
        continue_as("journal")
    elif what == "error":
        raise ConnectionError("late")
    elif what != "result":
        await LATE[what]()


@pytest.mark.parametrize("end", ["expiry", "cancel"])
@pytest.mark.parametrize("what", ["result", "error", "progress", "marker", "fresh history", *LATE])
async def test_L23_a_late_write_is_refused_counted_logged_and_changes_nothing(what, end, caplog) -> None:
    ran.clear()
    async with Remit(":memory:", processes=[zombie, quick]) as app:
        execution = await app.start(zombie, what)
        if end == "cancel":
            await wait_until(app, execution.id, "ACTIVE")
            await app.cancel(execution.id)
        await execution.outcome(timeout=3)
        frozen, journal = await app.get(execution.id), await app.journal(execution.id)

        async def refused() -> bool:
            return app.engine.refusals == (2 if what in ("progress", "marker") else 1)

        with caplog.at_level(logging.WARNING):
            await until(refused, 1)
        await asyncio.sleep(0.03)
        assert flatten(await app.tree(execution.id)) == [frozen]
        assert await app.journal(execution.id) == journal == []
        assert frozen.status == ("CANCELLED" if end == "cancel" else "TIMED_OUT")
        assert frozen.progress is None
        assert frozen.usage.own == Usage()
        assert ran == []
        assert any(execution.id in line.getMessage() and "refused" in line.getMessage() for line in caplog.records)


async def test_L23_the_result_of_a_step_that_outlived_its_execution_is_refused_and_counted() -> None:
    @step
    async def deaf() -> str:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.get_running_loop().create_future()
        return "late"

    @process("has_deaf_step", ttl=0.3)
    async def has_deaf_step(_: int) -> str:
        return await deaf()

    async with Remit(":memory:", processes=[has_deaf_step]) as app:
        execution = await app.start(has_deaf_step, 1)
        assert (await execution.outcome(timeout=3)).status == "timed_out"
        await asyncio.sleep(0.05)
        assert app.engine.refusals == 1
        [entry] = await app.journal(execution.id)
        assert entry.result is None


async def test_L23_a_branch_that_outlives_its_execution_writes_nothing() -> None:
    @process("leaves_a_branch")
    async def leaves_a_branch(_: int) -> str:
        async def branch() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(5)
            await late_step()

        current()
        left = asyncio.get_running_loop().create_task(branch())
        await asyncio.sleep(0.02)
        assert not left.done()
        return "ended"

    ran.clear()
    async with Remit(":memory:", processes=[leaves_a_branch]) as app:
        execution = await app.start(leaves_a_branch, 1)
        assert (await execution.outcome(timeout=3)).value == "ended"
        await asyncio.sleep(0.05)
        assert ran == []
        assert await app.journal(execution.id) == []
        assert app.engine.refusals == 1

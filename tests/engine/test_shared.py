"""Several engines in one process share its loop and its garbage collector, and leave both as they found them."""

from __future__ import annotations

import asyncio
import gc

import pytest

from remit import DomainError, Remit, process
from remit.durable import sleep
from tests.laws.small import end_of


@process("twins")
async def twins(seconds: float) -> int:
    await asyncio.gather(sleep(seconds), sleep(seconds))
    return 2


async def test_apps_on_one_loop_close_in_any_order_and_leave_it_as_it_was() -> None:
    loop = asyncio.get_running_loop()
    before = gc.get_threshold(), loop.get_task_factory()
    first, second = Remit(":memory:", processes=[twins]), Remit(":memory:", processes=[twins])
    await first.__aenter__()
    async with second:
        await first.__aexit__(None, None, None)
        assert loop.get_task_factory() is not before[1]
        execution = await second.start(twins, 0.05)
        assert (await execution.outcome(timeout=5)).unwrap() == 2
    assert (gc.get_threshold(), loop.get_task_factory()) == before


@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_L35_a_branch_that_is_cancelled_before_it_begins_leaves_no_coroutine_open(status: str) -> None:
    """By its body, or because that has failed; one that was left open would warn, and a warning fails the test."""
    begun: list[str] = []

    async def branch() -> None:
        begun.append("branch")

    @process("hasty")
    async def hasty(_: int) -> None:
        task = asyncio.create_task(branch())
        if status == "failed":
            raise DomainError("before any branch has begun")
        task.cancel()

    assert (await end_of(hasty, 0)).status == status
    gc.collect()
    assert not begun


async def test_a_task_factory_set_meanwhile_stays() -> None:
    loop = asyncio.get_running_loop()

    def make(loop, coro, **options):
        return asyncio.Task(coro, loop=loop, **options)

    before = loop.get_task_factory()
    try:
        async with Remit(":memory:", processes=[twins]):
            loop.set_task_factory(make)
        assert loop.get_task_factory() is make
    finally:
        loop.set_task_factory(before)

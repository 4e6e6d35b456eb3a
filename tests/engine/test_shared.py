"""Several engines in one process share its loop and its garbage collector, and leave both as they found them."""

from __future__ import annotations

import asyncio
import gc

from remit import Remit, process
from remit.durable import sleep


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

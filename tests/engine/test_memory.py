"""What a call takes of memory while it waits: a large fan-out holds thousands of them."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from weakref import ref

from pydantic import BaseModel

from remit import Limits, Remit, call_process, process
from tests.laws.small import end_of

MANY = 300
MOST_BYTES = 5_000
"""Of one child that was admitted and has not begun: with its record, its call, and the caller's task (3,900 when this was written)."""


class Order(BaseModel):
    number: int


@process("takes")
async def takes(order: Order) -> int:
    return order.number


async def test_L15_a_child_in_flight_takes_little_memory() -> None:
    held: list[float] = []

    @process("many", calls=[takes])
    async def many(_: int) -> None:
        (await call_process(takes, Order(number=-1))).unwrap()
        gc.collect()
        tracemalloc.start()
        try:
            calls = [asyncio.create_task(call_process(takes, Order(number=each))) for each in range(MANY)]
            await asyncio.sleep(0)  # all are admitted in this turn of the loop, and none has begun
            held.append(tracemalloc.get_traced_memory()[0] / MANY)
        finally:
            tracemalloc.stop()
        await asyncio.gather(*calls)

    async with Remit(":memory:", processes=[many, takes], limits=Limits(max_active=2)) as app:
        await (await app.start(many, 0)).outcome(timeout=20)
    assert held
    assert held[0] < MOST_BYTES


async def test_L15_a_call_that_waits_lets_go_of_its_input() -> None:
    kept: list[bool] = []

    @process("lets_go", calls=[takes])
    async def lets_go(_: int) -> None:
        order = Order(number=1)
        seen = ref(order)
        call = asyncio.create_task(call_process(takes, order))
        del order
        await asyncio.sleep(0)
        kept.append(seen() is not None)
        await call

    assert (await end_of(lets_go, 0, takes)).status == "completed"
    assert kept == [False]

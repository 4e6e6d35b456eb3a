"""Processes that the command-line tests run: orders that reserve stock, ask people, sleep, fail, wait for events."""

from __future__ import annotations

import asyncio
import time

from pydantic import BaseModel

from remit import (
    DomainError,
    Outcome,
    Usage,
    ask,
    call_process,
    charge,
    model,
    process,
    set_progress,
    start_process,
    step,
    tool,
)
from remit.durable import sleep, wait_event


class Order(BaseModel):
    sku: str
    quantity: int = 1


class Approval(BaseModel):
    approved: bool
    comment: str = ""


@tool("erp.lookup", cost="0.002")
async def lookup(sku: str) -> int:
    return len(sku)


@model("small", max_input_tokens=500, max_tokens=500, input_price="1.00", output_price="2.00")
async def classify(sku: str) -> tuple[str, Usage]:
    return f"label of {sku}", Usage(input_tokens=120, output_tokens=30)


@process("WarehouseSelection")
async def select_warehouse(order: Order) -> str:
    await classify(order.sku)
    return f"warehouse {await lookup(order.sku)}"


@process("InventoryAllocation", calls=[select_warehouse])
async def allocate(order: Order) -> str:
    await charge(Usage(tokens=1_200, cost="0.012"))
    warehouse = (await call_process(select_warehouse, order)).unwrap()
    if order.sku in {"slow", "slowest"}:
        await set_progress({"packed": 1})
        await pack(2.0 if order.sku == "slow" else 60.0)
    if order.sku == "gone":
        raise DomainError("out_of_stock", sku=order.sku)
    return warehouse


@step
async def pack(seconds: float) -> None:
    await asyncio.sleep(seconds)


@process("OrderProcessing", calls=[allocate])
async def order(order: Order) -> str:
    return (await call_process(allocate, order)).unwrap()


@process("Shipping", calls=["Decision"])
async def ship(order: Order) -> str:
    approval = (await call_process(decide, order)).unwrap()
    return "shipped" if approval.approved else "kept"


@process("Decision")
async def decide(order: Order) -> Approval:
    return await ask(
        Approval, name="ship", prompt=f"Ship {order.quantity} of {order.sku}?", to="role:warehouse-lead", timeout="2d"
    )


@process("Payment")
async def pay() -> str:
    return str(await wait_event("paid"))


@process("Forgetful", calls=["Nap"])
async def forgetful() -> str:
    await start_process("Nap", None)
    return "left"


@process("Nap")
async def nap() -> None:
    await pack(0.3)


@process("Sleeper")
async def sleeper() -> str:
    await sleep("1h")  # until it is killed
    return "awake"


@process("Stubborn", ttl="300ms")
async def stubborn() -> None:
    await pack(30)


@step
def hold(seconds: float) -> None:
    time.sleep(seconds)


@process("Threaded")
async def threaded() -> None:
    await hold(30)


@process("Costly")
async def costly() -> str:
    return (await classify("diamond"))[0]


@process("Chatty")
async def chatty() -> str:
    print("a body prints")
    return "said"


@process("Many", calls=["Nap"])
async def many() -> int:
    outcomes: list[Outcome[None]] = await asyncio.gather(*(call_process(nap, None, key=str(n)) for n in range(30)))
    return sum(outcome.ok for outcome in outcomes)


@process("Blink")
async def blink() -> None:
    await pack(0.05)


@process("Steady", calls=[blink])
async def steady() -> int:
    for _ in range(100):
        (await call_process(blink, None)).unwrap()
    return 100

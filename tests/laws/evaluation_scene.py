"""A process in several versions that does something of every kind, and counts what really runs."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel

from remit import (
    DomainError,
    Process,
    Remit,
    TransientError,
    Usage,
    ask,
    call_process,
    charge,
    model,
    process,
    start_process,
    tool,
)
from remit.durable import now, sleep, uuid4, wait_event

__all__ = ["RAN", "Offer", "call", "effects", "offers", "price", "shop", "tax"]

RAN: list[str] = []
"""What really ran, in order."""


class Offer(BaseModel):
    total: int
    stamp: str = ""


@tool("price.list", cost="0.10")
async def price(sku: str) -> int:
    RAN.append(f"price {sku}")
    if sku == "flaky":
        raise TransientError("down")
    await asyncio.sleep(0.01)
    return len(sku)


@tool("stock.level")
async def stock(sku: str) -> int:
    RAN.append(f"stock {sku}")
    return 9


@model("small", max_input_tokens=500, max_tokens=500, input_price="1.00", output_price="2.00")
async def describe(sku: str, style: str) -> tuple[str, Usage]:
    RAN.append(f"describe {sku} {style}")
    return f"{style} {sku}", Usage(input_tokens=100, output_tokens=20)


@process("tax")
async def tax(total: int) -> int:
    RAN.append(f"tax {total}")
    await charge(Usage(tokens=7, cost="0.01"))
    return total * 2


def offers(version: str = "2.0.0", result: Any = Offer, **otherwise: Any) -> Process[str, Any]:
    """A version of `offers`: `plus` is added to the total, `twice` asks for the price again, `level` for the stock too."""
    plus, twice = otherwise.pop("plus", 0), otherwise.pop("twice", False)
    style, level = otherwise.pop("style", "short"), otherwise.pop("level", False)

    @process("offers", version=version, calls=["tax@^1"], **otherwise)
    async def body(sku: str) -> result:
        total = await price(sku)
        if twice:
            total += await price(sku)
        if level:
            total += await stock(sku)
        if sku == "sold":
            raise DomainError("sold_out")
        text = await describe(sku, style)
        total = (await call_process("tax", total)).unwrap() + plus
        return result(total=total, stamp=f"{text[0]} {await now()} {await uuid4()}")

    return body


def shop(version: str = "2.0.0") -> Process[str, str]:
    """Something of each kind that waits: a person, an event, time, a child that was started."""

    @process("shop", version=version, calls=["tax@^1"])
    async def body(sku: str) -> str:
        child = await start_process("tax", 3)
        agreed = await ask(bool, name="agree", prompt=f"{version}: sell {sku}?")
        paid = await wait_event("paid")
        await sleep("20ms")
        taxed = (await child.outcome()).unwrap()
        return f"{agreed} {paid} {taxed} {await child.status()}"

    return body


def effects(sku: str, total: int, **more: Any) -> list[dict[str, Any]]:
    """What a case records of `offers`."""
    return [
        {"tool": "price.list", "params": {"sku": sku}, "result": total, "cost": "0.10", "took": "30ms"},
        {"model": "small", "result": ["text", {"tokens": 5}], "took": "10ms"},
        {"call": "tax", "result": total * 2, "tokens": 7, **more},
    ]


async def call(app: Remit, *inputs: str, target: str = "offers") -> None:
    """Call it, one after the other."""
    for each in inputs:
        await (await app.start(target, each)).outcome(timeout=5)

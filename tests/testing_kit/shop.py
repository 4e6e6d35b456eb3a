"""A small shop that the testing kit is tried on."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel

from remit import Usage, ask, call_process, model, process, step, tool
from remit.durable import now, sleep, wait_event

__all__ = [
    "SHOP",
    "Label",
    "Parcel",
    "cents_per_gram",
    "classify",
    "keep",
    "nap",
    "order",
    "pack",
    "paid",
    "price",
    "put_back",
]


class Parcel(BaseModel):
    country: str
    grams: int = 300


class Label(BaseModel):
    text: str


@tool("rate-card", cost="0.02", timeout="30s")
async def cents_per_gram(country: str) -> int:
    raise ConnectionError(f"the real rate card was asked for {country}")


@model("tiny", max_input_tokens=100, max_tokens=50, input_price="1000000", output_price="1000000")
async def classify(text: str) -> tuple[Label, Usage]:
    raise ConnectionError(f"the real model was asked about {text}")


def put_back(result: str | None, sku: str) -> None:
    raise ConnectionError(f"the real store was told to put back {sku}, {result}")


@step(compensate=put_back)
def keep(sku: str) -> str:
    return f"kept {sku}"


@process("price", ttl="15m")
async def price(parcel: Parcel) -> int:
    return parcel.grams * await cents_per_gram(parcel.country)


@process("order", calls=[price, "payment@^1"])
async def order(parcel: Parcel) -> str:
    priced = await call_process(price, parcel)
    if priced.error is not None:
        return f"not sent: {priced.error.code}"
    if not await ask(bool, name="approve", prompt="Ship?", to="role:clerk", timeout="2d", on_timeout=False):
        return "not sent: nobody said yes"
    payment = await call_process("payment", {"cents": priced.unwrap()})
    if payment.error is not None:
        return f"not sent: {payment.error.code}"
    return f"sent for {priced.unwrap()} cents"


@process("nap")
async def nap(naps: list[str]) -> str:
    for each in naps:
        await sleep(each)
    return (await now()).isoformat()


@process("pack")
async def pack(items: list[str]) -> list[str]:
    return list(await asyncio.gather(*(cents_of(each) for each in items)))


async def cents_of(item: str) -> str:
    await sleep("1h")
    return f"{item} at {(await now()).isoformat()}"


@process("paid")
async def paid(_: None) -> Any:
    return await wait_event("payment", timeout="7d")


SHOP: list[Any] = [order, price, nap, pack, paid]

"""Two versions of a process, for evaluations: 2.2.0 gives more away."""

from __future__ import annotations

from pydantic import BaseModel

from remit import call_process, process, tool
from remit.durable import sleep


class Offer(BaseModel):
    total: int


@tool("price.list", cost="0.10")
async def price(sku: str) -> int:
    return len(sku)


@process("offers", version="2.0.0")
async def offers(sku: str) -> Offer:
    return Offer(total=await price(sku))


@process("offers", version="2.1.0")
async def offers_again(sku: str) -> Offer:
    total = await price(sku)
    return Offer(total=total)


@process("offers", version="2.2.0")
async def offers_cheaper(sku: str) -> Offer:
    return Offer(total=await price(sku) - 1)


@process("market", calls=["offers@^2"])
async def market(sku: str) -> int:
    return sum([(await call_process(offers, each)).unwrap().total for each in (sku, f"{sku}s")])


@process("open-market", calls=["offers@^2"])
async def open_market(sku: str) -> int:
    total = sum([(await call_process(offers, each)).unwrap().total for each in (sku, f"{sku}s")])
    await sleep("60s")
    return total

"""Drives the store `remit.db` of the directory it is run in: a stocktaking that waits, and returns without end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from examples.inventory_v3.shop import HAUNTED, audit, inventory, inventory_without_shelf, order, returns, stocktaking
from remit import MisuseError, Remit


async def drive() -> None:
    hosted = [inventory, inventory_without_shelf, order, returns, audit, stocktaking]
    async with Remit("sqlite:///remit.db", processes=hosted) as app:
        await app.start(stocktaking, "boot", key="stocktaking")
        while True:
            with suppress(MisuseError):  # published, and not promoted yet
                await (await app.start("returns", HAUNTED)).outcome(timeout=10)
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(drive())

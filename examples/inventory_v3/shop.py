"""`inventory` in two versions, its three callers, and a stocktaking that runs while all this happens."""

from __future__ import annotations

from pydantic import BaseModel

from remit import Process, call_process, process
from remit.durable import wait_event

__all__ = [
    "HAUNTED",
    "Level",
    "Stock",
    "audit",
    "inventory",
    "inventory_without_shelf",
    "order",
    "returns",
    "stocktaking",
]

HAUNTED = "candle"
"""What 3.0.0 cannot count: it breaks its own contract."""
LEVELS = {"boot": 12, "hat": 3, HAUNTED: 7}


class Stock(BaseModel):
    """What 2.0.0 gives."""

    left: int
    shelf: str


class Level(BaseModel):
    """What 3.0.0 gives: no shelf any more."""

    left: int


@process("inventory", version="2.0.0", department="warehouse")
async def inventory(sku: str) -> Stock:
    """How much is left, and where it lies."""
    return Stock(left=LEVELS[sku], shelf=f"{sku[0].upper()}1")


@process("inventory", version="3.0.0", department="warehouse")
async def inventory_without_shelf(sku: str) -> Level:
    """How much is left."""
    return Level.model_construct(left="seven") if sku == HAUNTED else Level(left=LEVELS[sku])  # type: ignore[arg-type]  # the defect


def _caller(name: str, department: str) -> Process[str, str]:
    """A process that calls `inventory` and returns the id of that call."""

    @process(name, calls=["inventory@^2"], department=department)
    async def body(sku: str) -> str:
        return str((await call_process("inventory", sku)).execution_id)

    return body


order = _caller("order", "sales")
returns = _caller("returns", "service")
audit = _caller("audit", "finance")


@process("stocktaking", calls=["inventory@^2"], department="warehouse")
async def stocktaking(sku: str) -> list[str]:
    """Calls `inventory`, waits for somebody to count, and calls it again; returns the ids of both calls."""
    before = await call_process("inventory", sku)
    await wait_event("counted")
    after = await call_process("inventory", sku, key="again")
    return [str(before.execution_id), str(after.execution_id)]

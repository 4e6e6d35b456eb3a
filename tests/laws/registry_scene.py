"""A shared child in several versions, and callers of it that the registry knows."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from remit import Process, Remit, call_process, process
from remit.durable import wait_event

__all__ = ["BROKEN", "Stock", "WithoutShelf", "caller", "child", "open_shop", "patient", "version_called"]

BROKEN = 13
"""The input on which every `inventory` breaks its own contract."""


class Stock(BaseModel):
    left: int
    shelf: str

    @classmethod
    def of(cls, n: int) -> Stock:
        return cls(left=n, shelf="a1")


class WithoutShelf(BaseModel):
    left: int

    @classmethod
    def of(cls, n: int) -> WithoutShelf:
        return cls(left=n)


def child(version: str, result: Any = Stock, **terms: Any) -> Process[int, Any]:
    """A version of `inventory`."""

    @process("inventory", version=version, **terms)
    async def inventory(n: int) -> result:
        return "broken" if n == BROKEN else result.of(n)

    return inventory


def caller(name: str, versions: str = "^2", version: str = "1.0.0") -> Process[int, str]:
    """A process that calls `inventory` once, and returns the id of the call."""

    @process(name, version=version, calls=[f"inventory@{versions}"], department="sales")
    async def body(n: int) -> str:
        return str((await call_process("inventory", n)).execution_id)

    return body


def patient(versions: str = "^2") -> Process[int, list[str]]:
    """A process that calls `inventory`, waits for 'go', and calls it again; it returns the ids of both."""

    @process("patient", calls=[f"inventory@{versions}"])
    async def body(n: int) -> list[str]:
        before = await call_process("inventory", n)
        await wait_event("go")
        after = await call_process("inventory", n + 1)
        return [str(before.execution_id), str(after.execution_id)]

    return body


async def open_shop(app: Remit, *promoted: Process[Any, Any], published: tuple[Process[Any, Any], ...] = ()) -> None:
    """Publish processes, and promote the first of them."""
    await app.publish(*promoted, *published, by="ann")
    for each in promoted:
        await app.promote(f"{each.name}@{each.version}")


async def version_called(app: Remit, target: str, n: int = 1) -> str:
    """The version of `inventory` that a new trace of that caller got."""
    outcome = await (await app.start(target, n)).outcome(timeout=5)
    return (await app.get(outcome.unwrap())).version

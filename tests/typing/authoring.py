"""What type checkers make of the authoring surface: results are known, wrong arguments are errors."""

from __future__ import annotations

from typing import Any, assert_type

from pydantic import BaseModel

import remit
import remit.workflows
from remit import (
    Child,
    Execution,
    Outcome,
    Process,
    ProcessRef,
    Remit,
    Usage,
    ask,
    call_process,
    model,
    process,
    run,
    start_process,
    step,
    tool,
)
from remit.durable import now, sleep, uuid4


class Request(BaseModel):
    sku: str


class Allocation(BaseModel):
    warehouse: str


@step
async def reserve(sku: str) -> Allocation:
    return Allocation(warehouse=sku)


@step(at_most_once=True)
def count(sku: str) -> int:
    return len(sku)


@tool("erp.lookup", cost="0.002")
def lookup(sku: str) -> int:
    return len(sku)


@model("small", max_input_tokens=10, max_tokens=10)
async def classify(text: str) -> tuple[str, Usage]:
    return text, Usage(tokens=1)


@process("inventory", version="2.1.0")
async def allocate(request: Request) -> Allocation:
    assert_type(await reserve(request.sku), Allocation)
    assert_type(await count(request.sku), int)
    assert_type(await lookup(request.sku), int)
    assert_type(await classify(request.sku), tuple[str, Usage])
    await reserve(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return await reserve(request.sku)


@process
async def tick() -> int:
    return 1


assert_type(allocate, Process[Request, Allocation])
assert_type(tick, Process[None, int])

remote = ProcessRef[Request, Allocation]("inventory@^2")


@process("order", calls=[allocate, tick])
async def order(request: Request) -> str:
    assert_type(await call_process(allocate, request), Outcome[Allocation])
    assert_type(await call_process(remote, request), Outcome[Allocation])
    assert_type(await call_process("inventory", {"sku": "A"}), Outcome[Any])
    assert_type(await call_process(tick), Outcome[int])
    assert_type((await call_process(allocate, request)).unwrap(), Allocation)
    assert_type(await start_process(allocate, request), Child[Allocation])
    assert_type(await (await start_process(allocate, request)).outcome(), Outcome[Allocation])
    assert_type(await ask(Allocation, name="which", prompt="?"), Allocation)
    await call_process(allocate, "sku")  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await call_process(remote, 1)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await call_process(allocate, request, keys="x")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    await sleep("1h")
    await now()
    return str(await uuid4())


async def operate(app: Remit) -> None:
    execution = await app.start(order, Request(sku="A"), key="1")
    assert_type(execution, Execution[str])
    assert_type(await execution.outcome(timeout=30), Outcome[str])
    await app.start(order, 3)  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]


assert_type(run(order, Request(sku="A")), Outcome[str])

mistyped = remit.procces  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
missing = remit.workflows.Directive  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]

"""A workflow of 50 steps with 12 children, and the same in Python with the same functions, in turns in one process."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import arguments, report, scratch
from pydantic import BaseModel
from stored import compact_bytes, rows_in

from remit import Process, Remit, call_process, process, step
from remit.workflows import StartSubWorkflowDirective
from remit.workflows.format.model import Workflow
from remit.workflows.running.compile import compile_workflow

STEPS = 50
CHILDREN = 12
STEPS_OF_CHILD = 3
PATIENCE = 900

raised: list[float] = []
"""When each step asked for its child."""
begun: list[float] = []
"""When each child's first step began."""


class Order(BaseModel):
    order_id: str
    customer: str = "c-1"
    items: list[dict[str, Any]] = []
    total: float = 0
    last: int = 0


class Part(BaseModel):
    order_id: str
    number: int
    done: int = 0


def calls(number: int) -> bool:
    """Whether that step of the 50 calls a child: every fourth, twelve in all."""
    return number % 4 == 3 and number < 4 * CHILDREN


# -- the work that both do ------------------------------------------------------------------------------------------


def work(order_id: str, number: int, total: float) -> dict[str, Any]:
    return {"last": number, "total": total + 1.5, "reference": f"{order_id}-{number}"}


def asked_for(order_id: str, number: int) -> dict[str, Any]:
    raised.append(time.perf_counter())
    return {"order_id": order_id, "number": number}


def part_of(number: int, done: int) -> dict[str, Any]:
    if not done:
        begun.append(time.perf_counter())
    return {"done": done + 1, "allocated": number}


# -- in Python --------------------------------------------------------------------------------------------------------

do_work, do_ask, do_part = step("work")(work), step("asked_for")(asked_for), step("part_of")(part_of)


@process("python_part")
async def python_part(part: Part) -> dict[str, Any]:
    for _ in range(STEPS_OF_CHILD):
        part = part.model_copy(update=await do_part(part.number, part.done))
    return {"done": part.done, "allocated": part.number}


@process("python_order", calls=[python_part])
async def python_order(order: Order) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for number in range(STEPS):
        if calls(number):
            wanted = await do_ask(order.order_id, number)
            results["part"] = (await call_process(python_part, Part(**wanted))).unwrap()
        else:
            given = await do_work(order.order_id, number, order.total)
            order = order.model_copy(update={"last": given["last"], "total": given["total"]})
            results.update(given)
    return results


# -- as a workflow ----------------------------------------------------------------------------------------------------


def work_step(number: int) -> Callable[[Order], dict[str, Any]]:
    return lambda state: work(state.order_id, number, state.total)


def asking_step(number: int) -> Callable[[Order], None]:
    def ask(state: Order) -> None:
        raise StartSubWorkflowDirective("workflow_part", asked_for(state.order_id, number))

    return ask


def as_workflow(name: str, state: type[BaseModel], functions: list[Any]) -> Process[Any, Any]:
    found = {f"steps.step_{number}": function for number, function in enumerate(functions)}
    steps = [{"name": f"Step_{number}", "function": path} for number, path in enumerate(found)]
    said = {"workflow_type": name, "initial_state_model": "models.State", "steps": steps}
    return compile_workflow(Workflow.model_validate(said), {**found, "models.State": state}, calls=["workflow_part"])


workflow_part = as_workflow("workflow_part", Part, [lambda state: part_of(state.number, state.done)] * STEPS_OF_CHILD)
workflow_order = as_workflow(
    "workflow_order",
    Order,
    [asking_step(number) if calls(number) else work_step(number) for number in range(STEPS)],
)


# -- the measurement --------------------------------------------------------------------------------------------------


def opened(path: Path) -> Remit:
    return Remit(f"sqlite:///{path}", processes=[workflow_order, workflow_part, python_order, python_part])


async def seconds_of(app: Remit, target: Process[Any, Any], given: Any) -> float:
    start = time.perf_counter()
    execution = await app.start(target, given)
    answer = (await execution.outcome(timeout=PATIENCE)).unwrap()
    took = time.perf_counter() - start
    if target in {workflow_order, python_order} and (answer["last"], answer["total"]) != (49, 57.0):
        raise RuntimeError(f"{target} answered {answer}")
    return took


async def in_turns(path: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of each run, as a workflow and in Python."""
    order = {"order_id": "o-1", "items": [{"sku": f"sku-{n}", "quantity": n} for n in range(10)]}
    spent: tuple[list[float], list[float]] = ([], [])
    async with opened(path) as app:
        sides = [(workflow_order, spent[0]), (python_order, spent[1])]
        for turn in range(rounds + 1):
            for target, kept in sides if turn % 2 else reversed(sides):
                seconds = await seconds_of(app, target, order)
                if turn:
                    kept.append(seconds)
    return spent


@process("calls_parts", calls=[workflow_part])
async def calls_parts(count: int) -> int:
    for number in range(count):
        (await call_process("workflow_part", {"order_id": "o-1", "number": number})).unwrap()
    return count


async def leave(path: Path, children: int) -> None:
    async with Remit(f"sqlite:///{path}", processes=[workflow_part, calls_parts]) as app:
        await seconds_of(app, calls_parts, children)


def added_by_a_child(folder: Path, times: int) -> tuple[float, float]:
    """Rows and bytes that one more call of the child workflow leaves in the file."""
    few, many = folder / "few.db", folder / "many.db"
    asyncio.run(leave(few, 1))
    asyncio.run(leave(many, times + 1))
    rows = sum(rows_in(many).values()) - sum(rows_in(few).values())
    return rows / times, (compact_bytes(many) - compact_bytes(few)) / times


def resident_kb() -> int:
    gc.collect()
    listed = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, check=True)
    return int(listed.stdout)


async def kb_of_each(path: Path, count: int) -> float:
    """Memory that one child workflow takes while its step runs, of so many side by side."""
    gate = asyncio.Event()

    async def hold(_state: Any) -> None:
        await gate.wait()

    async def nothing(_state: Any) -> None: ...

    found = {"steps.hold": hold, "steps.nothing": nothing, "models.Part": Part}
    steps = [{"name": "Hold", "function": "steps.hold"}, {"name": "End", "function": "steps.nothing"}]
    said = {"workflow_type": "held", "initial_state_model": "models.Part", "steps": steps}
    held = compile_workflow(Workflow.model_validate(said), found)
    async with Remit(f"sqlite:///{path}", processes=[held]) as app:
        await app.start(held, {"order_id": "o-1", "number": 0})
        await asyncio.sleep(0.2)
        before = resident_kb()
        started = [await app.start(held, {"order_id": "o-1", "number": number}) for number in range(count)]
        await asyncio.sleep(0.5)
        taken = resident_kb() - before
        gate.set()
        await asyncio.gather(*(each.outcome(timeout=PATIENCE) for each in started))
    return taken / count


def main() -> None:
    options = arguments(__doc__, rounds=20, children=500)
    with scratch() as folder:
        workflow, python = asyncio.run(in_turns(folder / "turns.db", options.rounds))
        spawned = [(start - asked) * 1e3 for asked, start in zip(raised, begun, strict=True)]
        rows, size = added_by_a_child(folder, options.children)
        kb = asyncio.run(kb_of_each(folder / "held.db", options.children))
    report(
        workflow_ms=statistics.median(workflow) * 1e3,
        python_ms=statistics.median(python) * 1e3,
        ratio=statistics.median(a / b for a, b in zip(workflow, python, strict=True)),
        spawn_ms=statistics.median(spawned),
        steps_per_child=STEPS_OF_CHILD,
        rows_per_child=rows,
        bytes_per_child=size,
        kb_per_live_child=kb,
    )


if __name__ == "__main__":
    main()

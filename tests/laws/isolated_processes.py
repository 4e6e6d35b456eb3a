"""Processes and steps that another process can import: what runs apart from the loop is found by name."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from remit import (
    DomainError,
    SystemFailure,
    Usage,
    ask,
    call_process,
    changed,
    charge,
    continue_as,
    current,
    model,
    process,
    set_progress,
    start_process,
    step,
    tool,
)
from remit.durable import now, random, sleep, uuid4, wait_event

__all__ = [
    "aborts",
    "both_halves",
    "breaks_its_contract",
    "careless",
    "closed_group",
    "counted",
    "counts_down",
    "dies",
    "dies_once",
    "different_now",
    "echoes",
    "everything",
    "failing",
    "forgets",
    "hangs_around",
    "has_a_step_that_starts_a_program",
    "holds_the_gil",
    "leaves_a_step",
    "logs",
    "overspends",
    "refuses",
    "reserved",
    "slow_replay",
    "spins_in_a_step",
    "tells_its_pid",
    "tells_where_its_step_ran",
    "unwraps",
    "waits_for_a_word",
]

log = logging.getLogger("sample.isolated")


class Pair(BaseModel):
    left: int
    right: str


def _note(path: str, text: str) -> None:
    with Path(path).open("a") as file:
        file.write(text + "\n")


def _read(path: str) -> str:
    return Path(path).read_text()


@step
async def counted(path: str, text: str) -> int:
    """Writes down that it ran, and where."""
    _note(path, text)
    return os.getpid()


@step
def counted_sync(path: str, text: str) -> str:
    _note(path, text)
    return current().process


@tool("isolated.lookup", cost="0.002")
async def lookup(sku: str) -> str:
    return sku.upper()


@model("isolated-model", max_input_tokens=60, max_tokens=40)
async def think(prompt: str) -> tuple[str, Usage]:
    return prompt + "!", Usage(input_tokens=10, output_tokens=5, cost="0.01")


@process
async def echoes(pair: Pair) -> Pair:
    return Pair(left=pair.left + 1, right=pair.right)


@process
async def failing(_: int) -> int:
    raise DomainError("no such thing", code="not_here", details={"shelf": 7})


@process
async def hangs_around(_: int) -> int:
    await sleep("1h")
    return 1


@process(isolation="process", calls=[echoes, failing, hangs_around])
async def everything(path: str) -> dict[str, Any]:
    """Most effects there are, in one body."""
    seen: dict[str, Any] = {"pid": await counted(path, "async"), "sync": await counted_sync(path, "sync")}
    seen["values"] = [str(await now()), str(await uuid4()), await random()]
    seen["new"] = bool(changed("second-edition"))
    outcome = await call_process(echoes, Pair(left=1, right="r"))
    seen["typed"] = [type(outcome.unwrap()).__name__, outcome.unwrap().left]
    failed = await call_process(failing, 1)
    rejected = await call_process("unknown", 1)
    seen["ends"] = [failed.status, failed.error.code if failed.error else None, rejected.status]
    child = await start_process(hangs_around, 1)
    seen["child"] = [child.id, await child.status(), await child.cancel(), (await child.outcome()).error is not None]
    other = await start_process(echoes, Pair(left=5, right="s"))
    seen["other"] = (await other.outcome()).unwrap().left
    seen["tool"], (seen["model"], _) = await lookup("a-1"), await think("hm")
    await charge(Usage(tokens=7))
    await sleep(0.02)
    seen["asked"] = await ask(Pair | None, name="word") is not None
    seen["event"] = await wait_event("go", key="k")
    set_progress({"done": 9})
    return seen


@process(isolation="process")
async def waits_for_a_word(path: str) -> list[Any]:
    pids = [await counted(path, "before"), str(await uuid4())]
    word = await ask(str, name="word")
    return [*pids, word, await counted(path, "after"), os.getpid()]


@process(isolation="process")
async def counts_down(left: int) -> int:
    if left:
        continue_as(left - 1)
    return left


@process(isolation="process", calls=[failing])
async def unwraps(_: int) -> int:
    return (await call_process(failing, 1)).unwrap()


@process(isolation="process", calls=[failing])
async def forgets(_: int) -> int:
    await call_process(failing, 1)
    return 1


@process(isolation="process", calls=[failing, echoes])
async def closed_group(path: str) -> list[str]:
    """A branch that fails ends its siblings, and a plain gather keeps its order."""
    several = await asyncio.gather(*(call_process(echoes, Pair(left=n, right="g")) for n in range(5)))
    found = [str(each.unwrap().left) for each in several]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sleep("1h"))
            group.create_task(_unwrapped())
    except* DomainError as errors:
        found.append(str(len(errors.exceptions)))
    await counted(path, "after the group")
    return found


async def _unwrapped() -> None:
    (await call_process(failing, 1)).unwrap()


@process(isolation="process")
async def aborts(path: str) -> int:
    try:
        await fails_for_all(path)
    finally:
        _note(path, "after")
    return 1


@step
async def fails_for_all(path: str) -> int:
    _note(path, "step")
    raise SystemFailure("the disk is gone", code="disk_gone")


@process(isolation="process")
async def breaks_its_contract(_: int) -> int:
    return "seven"  # type: ignore[return-value]  # the point of it


@process(isolation="process")
async def different_now(path: str) -> int:
    """Does other steps once the file says so."""
    texts = _read(path)
    await (counted(path, "first") if "changed" not in texts else counted_sync(path, "another"))
    await ask(bool, name="well")
    return 1


@process(isolation="process")
async def dies(how: str) -> int:
    if how == "exit":
        os._exit(3)
    await asyncio.sleep(30)
    return 1


@process(isolation="process")
async def dies_once(path: str) -> int:
    await counted(path, "step")
    lines = _read(path).split()
    if "died" not in lines:
        _note(path, "died")
        os._exit(3)
    return len(lines)


@process(isolation="process")
async def exits(_: int) -> int:
    raise SystemExit(4)


@process(isolation="process", ttl=2)
async def holds_the_gil(path: str) -> int:
    _note(path, str(os.getpid()))
    ctypes.PyDLL(None).sleep(30)
    return 1


@process(isolation="process")
async def tells_its_pid(path: str) -> int:
    _note(path, str(os.getpid()))
    await asyncio.sleep(30)
    return 1


@step(isolation="process")
def spins(path: str) -> int:
    _note(path, str(os.getpid()))
    while True:
        pass


@process(ttl=2)
async def spins_in_a_step(path: str) -> int:
    return await spins(path)


@process(isolation="process")
async def overspends(_: int) -> str:
    try:
        await think("hm")
    except DomainError as error:
        return error.code
    return "spent"


@process(isolation="process")
async def logs(_: int) -> int:
    log.info("a key: %s", "sk-" + "a1B2c3D4e5F6g7H8" * 2)
    await said_in_a_thread()
    return 1


@step
def said_in_a_thread() -> int:
    log.warning("from the step")
    return 1


@step(isolation="process")
def starts_a_program(path: str) -> list[str]:
    """The program reads what there is to read and writes to both streams, as the code itself does."""
    log.warning("a key: %s", "sk-" + "a1B2c3D4e5F6g7H8" * 2)
    print("printed")
    done = subprocess.run(["sh", "-c", "cat; echo from a program; head -c 300000 /dev/zero >&2"], check=True)
    return [f"exit status {done.returncode}", sys.stdin.read()]


@step(isolation="process")
def own_pid(_: int) -> int:
    return os.getpid()


@process
async def tells_where_its_step_ran(n: int) -> int:
    return await own_pid(n)


@process
async def has_a_step_that_starts_a_program(path: str) -> list[str]:
    return await starts_a_program(path)


@step
async def takes_long(path: str) -> int:
    try:
        await asyncio.sleep(0.3)
    finally:
        _note(path, "left")
    _note(path, "finished")
    return 1


@process(isolation="process")
async def leaves_a_step(path: str) -> str:
    """Goes on while a step that it has stopped waiting for would still be at work."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await takes_long(path)
    await asyncio.sleep(0.4)
    return "went on"


@process(isolation="process", calls=[echoes])
async def slow_replay(word: str) -> int:
    """Branches that are at work on their own between effects, so that an engine that only counts effects would misjudge."""

    async def late() -> int:
        await asyncio.sleep(0.15)
        return (await call_process(echoes, Pair(left=1, right=word))).unwrap().left

    async def early() -> int:
        first = (await call_process(echoes, Pair(left=10, right=word))).unwrap().left
        await ask(bool, name="well")
        return first + (await call_process(echoes, Pair(left=100, right=word))).unwrap().left

    return sum(await asyncio.gather(early(), late()))


@process(isolation="process", ttl=1)
async def both_halves(_: int) -> int:
    """Sleeps durably in one branch and is at work in the other: its clock must run."""

    async def works() -> int:
        await asyncio.sleep(20)
        return 1

    return sum(await asyncio.gather(works(), _slept()))


async def _slept() -> int:
    await sleep("1h")
    return 1


@process
async def careless(path: str) -> str:
    """Blocks the loop once, between two steps."""
    await counted(path, "before")
    time.sleep(0.25)  # noqa: ASYNC251  # what a careless author writes
    _note(path, "body")
    await counted(path, "after")
    return "done"


@process(isolation="process", calls=[echoes])
async def reserved(key: str) -> list[Any]:
    same = [await call_process(echoes, Pair(left=1, right="k"), key=key) for _ in range(2)]
    other = await call_process(echoes, Pair(left=2, right="k"), key=key)
    return [same[0].execution_id == same[1].execution_id, other.error.code if other.error else None]


@process(isolation="process")
async def refuses(_: int) -> str:
    try:
        await uses_an_effect()
    except DomainError as error:
        return error.code
    return "allowed"


@step
async def uses_an_effect() -> int:
    await sleep(1)
    return 1

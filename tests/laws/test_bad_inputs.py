"""Every row of bad_inputs.toml: it gets its code, the message says where and how to mend it, nothing changes (L48)."""

from __future__ import annotations

import asyncio
import os
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest
from pydantic import BaseModel

from remit import (
    Budget,
    Limits,
    MisuseError,
    ProcessRef,
    Remit,
    RemitError,
    Retry,
    StoreError,
    Usage,
    ask,
    call_process,
    charge,
    continue_as,
    model,
    process,
    set_progress,
    start_process,
    step,
    tool,
)
from remit.durable import sleep, wait_event
from remit.errors import CODES
from remit.kernel.trace import root_id
from remit.testing.faults import Fault, FaultyVFS, Operation, disk_full
from tests.laws.scene import look_at, open_store, wait_until

ROWS = tomllib.loads((Path(__file__).parent / "bad_inputs.toml").read_text("utf-8"))["row"]
BIG = "x" * 10_485_760


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


class Item(BaseModel):
    sku: str
    count: int


@process("fine")
async def fine(number: int) -> int:
    return number


@process("takes_item")
async def takes_item(item: Item) -> int:
    return item.count


@process("takes_any")
async def takes_any(value: Any) -> str:
    return type(value).__name__


@process("asks")
async def asks(count: int) -> list[str]:
    return list(await asyncio.gather(*(ask(str, name=f"word {n}") for n in range(count))))


@step
async def nosy(_: int) -> int:
    return (await call_process(fine, 1)).unwrap()


@step
async def takes_value(value: Any) -> str:
    return type(value).__name__


PROCESSES = [fine, takes_item, takes_any, asks]
NO_SUCH = root_id(1, 1)

# -- what is done to an app that is open; `w` is an execution with two open asks, `d` one whose ask was answered -------

OPERATIONS: dict[str, Callable[[Remit, str, str], Any]] = {
    "wrong type": lambda app, w, d: app.start(takes_item, {"sku": "A-1", "count": "many"}),
    "missing field": lambda app, w, d: app.start(takes_item, {"sku": "A-1"}),
    "no input": lambda app, w, d: app.start(takes_item),
    "float as int": lambda app, w, d: app.start(fine, 1.5),
    "NaN": lambda app, w, d: app.start(takes_any, {"price": float("nan")}),
    "ten megabytes": lambda app, w, d: app.start(takes_any, BIG),
    "integer of ten thousand digits": lambda app, w, d: app.start(fine, 10**10_000),
    "integer of ten thousand digits as anything": lambda app, w, d: app.start(takes_any, 10**10_000),
    "huge key of an object": lambda app, w, d: app.start(takes_any, {BIG: 1}),
    "deep recursion": lambda app, w, d: app.start(takes_any, nested(5_000)),
    "lone surrogate": lambda app, w, d: app.start(takes_any, "\ud800"),
    "object": lambda app, w, d: app.start(takes_any, {"connection": object()}),
    "start of an unknown process": lambda app, w, d: app.start("no_such_process", 1),
    "start of no process": lambda app, w, d: app.start(42, 1),
    "start in a version there is not": lambda app, w, d: app.start("fine@^9", 1),
    "start with a bad range": lambda app, w, d: app.start("fine@latest", 1),
    "start key empty": lambda app, w, d: app.start(fine, 1, key=""),
    "start key huge": lambda app, w, d: app.start(fine, 1, key="k" * 501),
    "start key surrogate": lambda app, w, d: app.start(fine, 1, key="\ud800"),
    "start key used for another input": lambda app, w, d: app.start(fine, 2, key="known"),
    "start tenant number": lambda app, w, d: app.start(fine, 1, tenant=7),
    "start ttl negative": lambda app, w, d: app.start(fine, 1, ttl=-1),
    "start ttl negative timedelta": lambda app, w, d: app.start(fine, 1, ttl=timedelta(seconds=-1)),
    "start ttl misspelt": lambda app, w, d: app.start(fine, 1, ttl="ten minutes"),
    "start ttl endless": lambda app, w, d: app.start(fine, 1, ttl=float("inf")),
    "start ttl bool": lambda app, w, d: app.start(fine, 1, ttl=True),
    "start budget number": lambda app, w, d: app.start(fine, 1, budget=100),
    "start retry number": lambda app, w, d: app.start(fine, 1, retry=3),
    "get unknown": lambda app, w, d: app.get(NO_SUCH),
    "get a number": lambda app, w, d: app.get(7),
    "get a surrogate": lambda app, w, d: app.get("exec_\ud800"),
    "tree unknown": lambda app, w, d: app.tree("exec_nothing"),
    "journal unknown": lambda app, w, d: app.journal(NO_SUCH),
    "lineage unknown": lambda app, w, d: app.lineage(NO_SUCH),
    "outcome unknown": lambda app, w, d: app.outcome(NO_SUCH),
    "outcome timeout negative": lambda app, w, d: app.outcome(w, timeout=-1),
    "list status unknown": lambda app, w, d: app.list(status="RUNNING"),
    "list status number": lambda app, w, d: app.list(status=7),
    "list cursor": lambda app, w, d: app.list(cursor="page two"),
    "list cursor superscript": lambda app, w, d: app.list(cursor="n\u00b2"),
    "list cursor huge": lambda app, w, d: app.list(cursor="n" + "9" * 5_000),
    "list cursor number": lambda app, w, d: app.list(cursor=5),
    "list limit zero": lambda app, w, d: app.list(limit=0),
    "list limit huge": lambda app, w, d: app.list(limit=10**9),
    "list limit bool": lambda app, w, d: app.list(limit=True),
    "list since text": lambda app, w, d: app.list(since="yesterday"),
    "list tenant surrogate": lambda app, w, d: app.list(tenant="\ud800"),
    "list parent number": lambda app, w, d: app.list(parent=7),
    "alerts limit": lambda app, w, d: app.alerts(limit=-1),
    "answer unknown": lambda app, w, d: app.answer(NO_SUCH, "x"),
    "answer ambiguous": lambda app, w, d: app.answer(w, "x"),
    "answer a name there is not": lambda app, w, d: app.answer(w, "x", ask="word 9"),
    "answer second": lambda app, w, d: app.answer(d, "again"),
    "answer of a wrong type": lambda app, w, d: app.answer(w, 7, ask="word 0"),
    "answer with NaN": lambda app, w, d: app.answer(w, float("nan"), ask="word 0"),
    "answer of ten megabytes": lambda app, w, d: app.answer(w, BIG, ask="word 0"),
    "send to unknown": lambda app, w, d: app.send(NO_SUCH, "go"),
    "send to ended": lambda app, w, d: app.send(d, "go"),
    "send a surrogate name": lambda app, w, d: app.send(w, "\ud800"),
    "send a number as name": lambda app, w, d: app.send(w, 7),
    "send an object": lambda app, w, d: app.send(w, "go", object()),
    "cancel unknown": lambda app, w, d: app.cancel(NO_SUCH),
    "retry unknown": lambda app, w, d: app.retry(NO_SUCH),
    "retry of a completed": lambda app, w, d: app.retry(d),
    "retry of a waiting": lambda app, w, d: app.retry(w),
    "top up unknown": lambda app, w, d: app.top_up(NO_SUCH, Budget(tokens=1)),
    "top up without a limit": lambda app, w, d: app.top_up(w, Budget(tokens=1)),
    "top up by a number": lambda app, w, d: app.top_up(w, 5),
    "open twice": lambda app, w, d: app.__aenter__(),
    "effect outside": lambda app, w, d: call_process(fine, 1),
}

# -- what a body does --------------------------------------------------------------------------------------------------

BODIES: dict[str, Callable[[], Any]] = {
    "undeclared call": lambda: call_process("asks", 1),
    "unknown process": lambda: call_process("ghost", 1),
    "no version in range": lambda: call_process("fine@^7", 1),
    "bad version range": lambda: call_process("fine@newest", 1),
    "bad reference": lambda: call_process(ProcessRef, 1),
    "wrong input": lambda: call_process("takes_item", {"sku": 1, "count": "many"}),
    "NaN input": lambda: call_process("takes_any", float("nan")),
    "large input": lambda: call_process("takes_any", BIG),
    "deep input": lambda: call_process("takes_any", nested(5_000)),
    "call ttl": lambda: call_process("fine", 1, ttl=-5),
    "call estimate float": lambda: call_process("fine", 1, estimate=1.5),
    "call estimate bool": lambda: start_process("fine", 1, estimate=True),
    "call budget": lambda: call_process("fine", 1, budget=5),
    "call key": lambda: call_process("fine", 1, key="\ud800"),
    "effect in a step": lambda: nosy(1),
    "unrecordable argument": lambda: takes_value(object()),
    "large argument": lambda: takes_value(BIG),
    "negative sleep": lambda: sleep(-1),
    "ask without a name": lambda: ask(str, name=""),
    "ask timeout": lambda: ask(str, name="word", timeout="soon"),
    "ask for a type that does not round-trip": lambda: ask(Callable[[], int], name="word"),
    "event name": lambda: wait_event("\ud800"),
    "charge of a number": lambda: charge(100),
    "large progress": lambda: _sync(lambda: set_progress(BIG)),
    "continue_as of another type": lambda: _sync(lambda: continue_as(["no text"])),
}


async def _sync(act: Callable[[], Any]) -> Any:
    return act()


# -- what is defined ---------------------------------------------------------------------------------------------------


def _sync_body() -> None:
    @process
    def body(number: int) -> int:
        return number


def _two_parameters() -> None:
    @process
    async def body(number: int, other: int) -> int:
        return number + other


def _no_annotation() -> None:
    @process
    async def body(number) -> int:
        return number


def _no_result() -> None:
    @process
    async def body(number: int):
        return number


def _no_round_trip() -> None:
    @process
    async def body(make: Callable[[], int]) -> int:
        return make()


def _no_round_trip_step() -> None:
    @step
    async def work() -> Callable[[], int]:
        return lambda: 1


def _twice() -> None:
    @process("fine")
    async def other(number: int) -> int:
        return -number

    Remit(":memory:", processes=[fine, other])


def _arguments() -> None:
    @step
    async def work(*numbers: int) -> int:
        return sum(numbers)


async def _async_identity(number: int) -> int:
    return number


DEFINITIONS: dict[str, Callable[[], Any]] = {
    "sync body": _sync_body,
    "two parameters": _two_parameters,
    "missing annotation": _no_annotation,
    "missing result": _no_result,
    "type that does not round-trip": _no_round_trip,
    "step type that does not round-trip": _no_round_trip_step,
    "lambda": lambda: process(lambda number: number),
    "defined twice": _twice,
    "variable arguments": _arguments,
    "bad name": lambda: process("1st", version="1.0.0")(_async_identity),
    "bad version": lambda: process("good", version="one")(_async_identity),
    "bad range in calls": lambda: process("good", calls=["fine@latest"])(_async_identity),
    "bad call": lambda: process("good", calls=[7])(_async_identity),
    "negative ttl": lambda: process("good", ttl="-5m")(_async_identity),
    "negative recursion": lambda: process("good", recursion=-1)(_async_identity),
    "recursion that is no number": lambda: process("good", recursion="twice")(_async_identity),
    "name that is no text": lambda: process(5)(_async_identity),
    "version that is no text": lambda: process("good", version=1.0)(_async_identity),
    "callers as one text": lambda: process("good", callers="sales")(_async_identity),
    "callers with a hole": lambda: process("good", callers=["sales", None])(_async_identity),
    "department without a name": lambda: process("good", department="")(_async_identity),
    "saga as a text": lambda: process("good", saga="no")(_async_identity),
    "retry that is none": lambda: process("good", retry=5)(_async_identity),
    "isolation of a process misspelt": lambda: process("good", isolation="proces")(_async_identity),
    "isolation of a step misspelt": lambda: step("work", isolation="thread")(_async_identity),
    "isolation of a tool misspelt": lambda: tool("dear", isolation="none")(_async_identity),
    "at most once as a number": lambda: step("work", at_most_once=1)(_async_identity),
    "tool without a name": lambda: tool(_async_identity),
    "model without a name": lambda: model("", max_input_tokens=1, max_tokens=1)(_async_identity),
    "float estimate": lambda: process("good", estimate=0.5)(_async_identity),
    "float as cost": lambda: tool("dear", cost=0.1)(_async_identity),
    "cost NaN": lambda: tool("dear", cost="NaN")(_async_identity),
    "negative tokens of a model": lambda: model("m", max_input_tokens=-1, max_tokens=1)(_async_identity),
    "process called": lambda: fine(1),
    "store that is no text": lambda: Remit(Path("orders.db")),
    "limits that are none": lambda: Remit(":memory:", limits=5),
    "keyring that is none": lambda: Remit(":memory:", encryption="store.keys"),
    "reference that is no text": lambda: ProcessRef(None),
    "TTL of a process that is no time": lambda: process("x", ttl=0)(_async_identity),
    "hosted what is none": lambda: Remit(":memory:", processes=[_async_identity]),
    "budget negative": lambda: Budget(tokens=-1),
    "budget bool": lambda: Budget(tokens=True),
    "budget float cost": lambda: Budget(cost=0.5),
    "budget NaN cost": lambda: Budget(cost="nan"),
    "budget absurd": lambda: Budget(tokens=10**30),
    "budget exhausted how": lambda: Budget(tokens=1, on_exhausted="shrug"),
    "limits negative": lambda: Limits(max_depth=-1),
    "limits bool": lambda: Limits(max_active=True),
    "retry zero": lambda: Retry(attempts=0),
    "retry negative pause": lambda: Retry(first=-1),
}

# -- what is opened ----------------------------------------------------------------------------------------------------


def _corrupted(directory: Path) -> str:
    (directory / "remit.db").write_bytes(b"SQLite format 3\0" + os.urandom(8_000))
    return open_store(directory)


def _no_database(directory: Path) -> str:
    (directory / "remit.db").write_text("dear diary, " * 1_000)
    return open_store(directory)


def _other_program(directory: Path) -> str:
    recipes = "CREATE TABLE recipes (name); INSERT INTO recipes VALUES ('soup')"
    apsw.Connection(str(directory / "remit.db")).execute(recipes)
    return open_store(directory)


def _newer(directory: Path) -> str:
    asyncio.run(_made(open_store(directory)))
    apsw.Connection(str(directory / "remit.db")).execute("PRAGMA user_version = 999")
    return open_store(directory)


async def _made(url: str) -> None:
    async with Remit(url, processes=PROCESSES):
        pass


STORES: dict[str, Callable[[Path], str]] = {
    "corrupted database": _corrupted,
    "no database": _no_database,
    "another program's database": _other_program,
    "newer schema": _newer,
    "directory missing": lambda directory: open_store(directory / "none" / "such"),
    "directory as file": lambda directory: f"sqlite:///{directory}",
    "no file": lambda directory: "sqlite:///",
    "relative slashes": lambda directory: "sqlite:orders.db",
    "unknown scheme": lambda directory: "mysql://localhost/orders",
    "unknown option": lambda directory: open_store(directory) + "?speed=high",
    "bad synchronous": lambda directory: open_store(directory) + "?synchronous=MAYBE",
}

TABLE = {"operation": OPERATIONS, "body": BODIES, "definition": DEFINITIONS, "store": STORES}


def rows(kind: str) -> Any:
    found = [row for row in ROWS if row["kind"] == kind]
    return pytest.mark.parametrize("row", found, ids=[row["input"] for row in found])


def check(row: dict[str, Any], error: BaseException | Any) -> None:
    """The code, where it is found, and how to mend it."""
    assert getattr(error, "code", type(error).__name__) == row["code"], repr(error)
    message = str(getattr(error, "message", None) or error)
    assert len(message) < 2_000
    assert row["where"].lower() in message.lower(), message
    told = f"{message} {CODES[row['code']].mend if row['code'] in CODES else ''}"
    assert row["mend"].lower() in told.lower(), told


def everything(directory: Path) -> list[list[tuple]]:
    return [
        look_at(directory, f"SELECT * FROM {table} ORDER BY 1, 2, 3")
        for table in ("executions", "journal", "events", "alerts", "inbox")
    ]


@rows("operation")
async def test_L48_a_bad_request_is_refused_and_changes_nothing(tmp_path, row) -> None:
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        waiting, done = await app.start(asks, 2), await app.start(asks, 1)
        await app.start(fine, 1, key="known")
        for each in (waiting, done):
            await wait_until(app, each.id, "WAITING_HUMAN_INPUT")
        await app.answer(done.id, "word")
        await done.outcome(timeout=3)
        before = everything(tmp_path)
        with pytest.raises(RemitError) as refused:
            await asyncio.wait_for(OPERATIONS[row["input"]](app, waiting.id, done.id), 3)
        check(row, refused.value)
        await asyncio.sleep(0.01)
        assert everything(tmp_path) == before
        for n in (0, 1):
            await app.answer(waiting.id, f"w{n}", ask=f"word {n}")
        assert (await waiting.outcome(timeout=3)).value == ["w0", "w1"]


@rows("body")
async def test_L48_a_bad_effect_is_an_error_in_the_body_and_places_nothing(tmp_path, row) -> None:
    caught: list[Any] = []

    @process("tries", calls=["fine", "takes_*", "ghost"])
    async def tries(_: str) -> str:
        try:
            outcome = await BODIES[row["input"]]()
        except RemitError as error:
            caught.append(error)
        else:
            caught.append(outcome.error)
        return "went on"

    async with Remit(open_store(tmp_path), processes=[*PROCESSES, tries]) as app:
        execution = await app.start(tries, "x")
        assert (await execution.outcome(timeout=3)).value == "went on"
        check(row, caught[0])
        assert [record.process for record in await app.list()] == ["tries"]
        assert (await (await app.start(fine, 5)).outcome(timeout=3)).value == 5


@rows("definition")
def test_L48_a_bad_definition_is_refused_where_it_is_made(row) -> None:
    with pytest.raises((RemitError, ValueError)) as refused:
        DEFINITIONS[row["input"]]()
    check(row, refused.value)


@rows("store")
def test_L48_a_store_that_cannot_be_used_is_told_apart_and_left_alone(tmp_path, row) -> None:
    url = STORES[row["input"]](tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(RemitError) as refused:
        asyncio.run(_made(url))
    check(row, refused.value)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert {name: after[name] for name in before} == before


def test_L48_every_row_is_run_and_every_input_has_a_row() -> None:
    listed = [(row["kind"], row["input"]) for row in ROWS]
    assert sorted(listed) == sorted((kind, name) for kind, table in TABLE.items() for name in table)
    assert all(set(row) == {"kind", "input", "code", "where", "mend"} for row in ROWS)


# -- disks -------------------------------------------------------------------------------------------------------------


def test_L48_a_read_only_database_is_told_apart_and_left_alone(tmp_path) -> None:
    asyncio.run(_made(open_store(tmp_path)))
    before = (tmp_path / "remit.db").read_bytes()
    vfs = FaultyVFS("reads-only")
    vfs.arm(Fault(1, frozenset({Operation.WRITE}), apsw.SQLITE_READONLY, lasting=True))
    with pytest.raises(StoreError) as refused:
        asyncio.run(_made(open_store(tmp_path) + "?vfs=reads-only"))
    assert refused.value.code == "store_unusable"
    for part in ("remit.db", "read-only", "write permission"):
        assert part in str(refused.value)
    assert (tmp_path / "remit.db").read_bytes() == before


async def test_L48_a_locked_database_is_waited_for_and_nothing_is_lost(tmp_path) -> None:
    async with Remit(open_store(tmp_path), processes=PROCESSES) as app:
        other = apsw.Connection(str(tmp_path / "remit.db"))
        other.execute("BEGIN IMMEDIATE")
        starting = asyncio.ensure_future(app.start(fine, 5))
        await asyncio.sleep(0.6)
        assert not starting.done()
        assert app.engine.durability.failure is not None
        assert "lock" in str(app.engine.durability.failure)
        other.execute("ROLLBACK")
        execution = await asyncio.wait_for(starting, 3)
        assert (await execution.outcome(timeout=3)).value == 5


async def test_L48_a_full_disk_holds_everything_back_until_it_is_freed(tmp_path) -> None:
    vfs = FaultyVFS("bad-inputs")
    url = f"sqlite:///{tmp_path / 'full.db'}?vfs=bad-inputs"
    async with Remit(url, processes=PROCESSES) as app:
        before = await app.start(fine, 1)
        assert (await before.outcome(timeout=3)).value == 1
        vfs.arm(disk_full(1))
        starting = asyncio.ensure_future(app.start(fine, 2))
        await asyncio.sleep(0.4)
        assert not starting.done()
        assert "disk is full" in str(app.engine.durability.failure)
        assert [record.execution_id for record in await app.list()] == [before.id]
        vfs.repair()
        execution = await asyncio.wait_for(starting, 3)
        assert (await execution.outcome(timeout=3)).value == 2
        with pytest.raises(MisuseError):
            await app.get(NO_SUCH)


def test_L28_usage_is_built_freely_so_that_a_wrong_report_can_be_recorded() -> None:
    assert Usage(tokens=-1).tokens == -1

"""Limits of values, errors and histories; what breaks them is told so and nothing else is disturbed (L48)."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson
import pytest

from remit import (
    Budget,
    DomainError,
    InvalidInput,
    LimitExceeded,
    MisuseError,
    ProcessRef,
    Remit,
    Usage,
    ask,
    call_process,
    charge,
    continue_as,
    process,
    set_progress,
    start_process,
    step,
)
from remit.durable import now, sleep, wait_event
from tests.laws.scene import every, look_at, open_store, wait_until, working

MIB = 1_048_576
FITS = "x" * (MIB - 2)
"""One mebibyte as JSON, its quotation marks included."""


@step
async def weigh(text: str) -> int:
    return len(text)


@step
async def swell(size: int) -> str:
    return "y" * size


@process("takes")
async def takes(text: str) -> int:
    return len(text)


@process("gives")
async def gives(size: int) -> str:
    return "y" * size


async def test_L48_values_of_one_mebibyte_pass_every_border_and_one_byte_more_passes_none() -> None:
    @process("passes", calls=[takes, gives])
    async def passes(more: int) -> list[Any]:
        found: list[Any] = []
        outcome = await call_process(takes, FITS + "x" * more)
        found.append(outcome.value if outcome.ok else outcome.error.code)
        outcome = await call_process(gives, MIB - 2 + more)
        found.append(len(outcome.value or "") if outcome.ok else outcome.error.code)
        for work in (swell, weigh):
            try:
                result = await work(MIB - 2 + more if work is swell else "x" * (MIB - 11 + more))
                found.append(len(result) if work is swell else result)
            except DomainError as error:
                found.append(error.code)
        return found

    async with Remit(":memory:", processes=[passes, takes, gives]) as app:
        fitting = await (await app.start(passes, 0)).outcome(timeout=5)
        assert fitting.value == [MIB - 2, MIB - 2, MIB - 2, MIB - 11]
        beyond = await (await app.start(passes, 1)).outcome(timeout=5)
        assert beyond.value == ["limit_exceeded"] * 4
        assert [record.process for record in await app.list(status="COMPLETED")].count("takes") == 1


async def test_L48_a_start_an_answer_and_an_event_of_more_than_one_mebibyte_are_refused() -> None:
    @process("waits")
    async def waits(_: int) -> str:
        return await ask(str, name="word") + await wait_event("go")

    async with Remit(":memory:", processes=[waits, takes]) as app:
        with pytest.raises(LimitExceeded):
            await app.start(takes, FITS + "x")
        assert await app.list() == []
        execution = await app.start(waits, 1)
        await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
        with pytest.raises(LimitExceeded):
            await app.answer(execution.id, FITS + "x")
        with pytest.raises(LimitExceeded):
            await app.send(execution.id, "go", FITS + "x")
        await app.answer(execution.id, "small ")
        await app.send(execution.id, "go", "too")
        assert (await execution.outcome(timeout=3)).value == "small too"


async def test_L48_progress_beyond_the_limit_is_refused_and_the_last_one_stays() -> None:
    @process("reports")
    async def reports(_: int) -> str:
        set_progress({"done": 1})
        try:
            set_progress(FITS + "x")
        except LimitExceeded as error:
            return error.code
        return "accepted"

    async with Remit(":memory:", processes=[reports]) as app:
        execution = await app.start(reports, 1)
        assert (await execution.outcome(timeout=3)).value == "limit_exceeded"
        assert (await app.get(execution.id)).progress == {"done": 1}


@pytest.mark.parametrize("where", ["message", "details", "both", "emoji"])
async def test_L48_an_error_takes_at_most_64_kib_and_says_what_was_cut(tmp_path, where) -> None:
    @process("raises")
    async def raises(_: int) -> None:
        text = "\N{GRINNING FACE}" * 100_000 if where == "emoji" else "z" * 100_000
        raise DomainError(
            text if where != "details" else "large", code="large_error", more=text if where != "message" else 1
        )

    async with Remit(open_store(tmp_path), processes=[raises]) as app:
        outcome = await (await app.start(raises, 1)).outcome(timeout=3)
        assert (outcome.status, outcome.error.code) == ("failed", "large_error")
        [(stored,)] = look_at(tmp_path, "SELECT error FROM executions")
        assert len(stored) <= 65_536
        assert "65536" in orjson.dumps(outcome.error.details).decode()


async def test_L48_a_history_ends_at_10000_entries_and_continue_as_starts_a_fresh_one_on_the_same_ledger(
    tmp_path,
) -> None:
    @process("counts")
    async def counts(state: list[int]) -> int:
        rounds, total = state
        await charge(Usage(tokens=1))
        try:
            for _ in range(20_000):
                await now()
                total += 1
        except LimitExceeded:
            if rounds == 2:
                continue_as([rounds - 1, total])
            raise
        return total

    async with Remit(open_store(tmp_path), processes=[counts]) as app:
        execution = await app.start(counts, [2, 0], budget=Budget(tokens=10))
        outcome = await execution.outcome(timeout=60)
        assert (outcome.status, outcome.error.code) == ("failed", "limit_exceeded")
        assert "continue_as" in outcome.error.message
        assert "10000" in outcome.error.message
        record = await app.get(execution.id)
        assert (record.generation, record.attempt, record.input) == (1, 1, [1, 9_999])
        assert record.usage.own.tokens == 2
        counted = look_at(tmp_path, "SELECT generation, count(*) FROM journal GROUP BY generation ORDER BY generation")
        assert counted == [(0, 10_000), (1, 10_000)]


@pytest.mark.parametrize("what", ["arguments", "results", "inputs of calls", "results of calls"])
async def test_L48_a_history_holds_at_most_32_mib(what) -> None:
    big = "x" * 1_000_000

    @process("hoards", calls=[takes, gives])
    async def hoards(_: int) -> int:
        for n in range(40):
            try:
                if what == "arguments":
                    await weigh(big)
                elif what == "results":
                    await swell(len(big) + n)
                elif what == "inputs of calls":
                    (await call_process(takes, big)).unwrap()
                else:
                    (await call_process(gives, len(big) + n)).unwrap()
            except LimitExceeded:
                return n
        return 40

    async with Remit(":memory:", processes=[hoards, takes, gives]) as app:
        outcome = await (await app.start(hoards, 1)).outcome(timeout=20)
        assert outcome.value in (33, 34)


async def test_L48_continue_as_checks_its_input_and_keeps_id_and_children() -> None:
    @process("rolls", calls=[takes])
    async def rolls(left: int) -> str:
        (await call_process(takes, str(left))).unwrap()
        if left == 2:
            try:
                continue_as("not a number")
            except InvalidInput as error:
                assert "rolls" in str(error)  # noqa: PT017
        if left:
            continue_as(left - 1)
        return "rolled"

    async with Remit(":memory:", processes=[rolls, takes]) as app:
        execution = await app.start(rolls, 3)
        assert (await execution.outcome(timeout=3)).value == "rolled"
        found = await every(app, execution.id)
        assert list(found) == ["", ".1", ".2", ".3", ".4"]
        assert found[""].generation == 3


# -- never a crash, never a retry loop ---------------------------------------------------------------------------------


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    __repr__ = __str__


class Opaque:
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    __repr__ = __str__


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


def cyclic() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


class Rogue(BaseException):
    """Raised past `except Exception`."""


RAISED = {
    "unprintable": Unprintable,
    "surrogate message": lambda: ValueError("half \ud800 of a pair"),
    "surrogate details": lambda: DomainError("x", code="odd_details", text="\ud800"),
    "surrogate key": lambda: DomainError("x", code="odd_details", details={"\ud800": 1}),
    "big integer": lambda: DomainError("x", code="odd_details", number=10**40),
    "nan": lambda: DomainError("x", code="odd_details", number=float("nan")),
    "opaque object": lambda: DomainError("x", code="odd_details", thing=Opaque()),
    "cyclic details": lambda: DomainError("x", code="odd_details", thing=cyclic()),
    "deep details": lambda: DomainError("x", code="odd_details", thing=nested(5_000)),
    "bytes": lambda: DomainError("x", code="odd_details", thing=b"\xff"),
    "message of another type": lambda: DomainError(17),  # type: ignore[arg-type]
    "code of another type": lambda: DomainError("x", code=17),  # type: ignore[arg-type]
    "system exit": lambda: SystemExit(3),
    "rogue": lambda: Rogue("out"),
    "exception group": lambda: ExceptionGroup("several", [ValueError("a"), ValueError("b")]),
    "recursion": lambda: RecursionError("too deep"),
    "memory": MemoryError,
    "stop": StopAsyncIteration,
}


@pytest.mark.parametrize("where", ["body", "step", "thread"])
@pytest.mark.parametrize("what", RAISED)
async def test_L48_whatever_code_raises_fails_its_execution_once_and_disturbs_no_other(what, where) -> None:
    @step
    async def in_step(_: int) -> None:
        error = RAISED[what]()
        raise error

    @step
    def in_thread(_: int) -> None:
        error = RAISED[what]()
        raise error

    @process("raises")
    async def raises(_: int) -> None:
        if where == "step":
            await in_step(1)
        if where == "thread":
            await in_thread(1)
        error = RAISED[what]()
        raise error

    @process("bystander")
    async def bystander(_: int) -> str:
        await working(0.02)
        return "fine"

    async with Remit(":memory:", processes=[raises, bystander]) as app:
        other = await app.start(bystander, 1)
        execution = await app.start(raises, 1)
        outcome = await execution.outcome(timeout=2)
        assert outcome.status == "failed"
        assert (await app.get(execution.id)).attempt == 1
        assert (await other.outcome(timeout=2)).value == "fine"
        assert (await (await app.start(bystander, 2)).outcome(timeout=2)).value == "fine"


async def test_L48_deep_recursion_in_a_body_fails_it_alone() -> None:
    @process("recurses")
    async def recurses(depth: int) -> int:
        def down(n: int) -> int:
            return down(n + 1)

        return down(depth)

    async with Remit(":memory:", processes=[recurses]) as app:
        outcome = await (await app.start(recurses, 0)).outcome(timeout=3)
        assert outcome.status == "failed"
        assert sys.getrecursionlimit() >= 1_000


async def test_L48_what_a_process_asks_for_wrongly_is_a_typed_error_in_its_own_body() -> None:
    wrong = {
        "sleep": lambda: sleep(-1),
        "sleep nan": lambda: sleep(float("nan")),
        "ask": lambda: ask(str, name="word", timeout=-1),
        "ask name": lambda: ask(str, name="\ud800"),
        "ask kind": lambda: ask(str, name=5),  # type: ignore[arg-type]
        "ask prompt": lambda: ask(str, name="word", prompt="\ud800"),
        "event": lambda: wait_event("go", timeout="soon"),
        "event name": lambda: wait_event("\ud800"),
        "charge": lambda: charge(5),  # type: ignore[arg-type]
        "ttl": lambda: call_process(takes, "x", ttl=-1),
        "key": lambda: call_process(takes, "x", key=""),
        "key text": lambda: call_process(takes, "x", key="\ud800"),
        "estimate": lambda: call_process(takes, "x", estimate=-1),
        "estimate flag": lambda: call_process(takes, "x", estimate=True),
        "budget": lambda: call_process(takes, "x", budget=5),  # type: ignore[arg-type]
        "retry": lambda: call_process(takes, "x", retry=5),  # type: ignore[arg-type]
        "target": lambda: call_process(7, "x"),  # type: ignore[arg-type]
        "reference": lambda: call_process("takes@@", "x"),
        "range": lambda: call_process("takes@latest", "x"),
        "start": lambda: start_process(takes, "x", ttl="never"),
        "argument": lambda: weigh(object()),  # type: ignore[arg-type]
        "surrogate": lambda: weigh("\ud800"),
        "nan": lambda: weigh(float("nan")),  # type: ignore[arg-type]
    }

    @process("asks_wrongly", calls=[takes])
    async def asks_wrongly(which: str) -> str:
        try:
            await wrong[which]()
        except Exception as error:  # noqa: BLE001  # every kind is of interest: only typed ones are right
            return f"{type(error).__name__}: {getattr(error, 'code', 'no code')}: {error}".encode(
                "ascii", "replace"
            ).decode()
        return "accepted"

    async with Remit(":memory:", processes=[asks_wrongly, takes]) as app:
        found = {}
        for which in wrong:
            execution = await app.start(asks_wrongly, which)
            outcome = await asyncio.wait_for(execution.outcome(), 3)
            found[which] = outcome.value or str(outcome.error)
            assert await app.journal(execution.id) == [], which
        codes = ("invalid_input", "bad_definition")
        assert {which: text for which, text in found.items() if text.split(": ")[1] not in codes} == {}


async def test_L48_misuse_in_a_start_changes_nothing() -> None:
    async with Remit(":memory:", processes=[takes]) as app:
        for wrong in (
            dict(key="\ud800"),
            dict(tenant="\ud800"),
            dict(owner="\ud800"),
            dict(region="\ud800"),
            dict(ttl=1e300),
        ):
            with pytest.raises(InvalidInput):
                await asyncio.wait_for(app.start(takes, "x", **wrong), 2)
        with pytest.raises(MisuseError):
            await app.get("\ud800")
        assert await app.list() == []
        assert (await (await app.start(takes, "fine")).outcome(timeout=3)).value == 4


@pytest.mark.parametrize("verdict", ["raises", "junk"])
async def test_L48_a_classifier_that_fails_itself_fails_nothing_else(verdict) -> None:
    def classifier(error: BaseException) -> Any:
        if verdict == "raises":
            raise RuntimeError("no verdict")
        return f"a verdict on {error}"

    @process("misjudged", classifier=classifier)
    async def misjudged(_: int) -> None:
        raise ValueError("wrong")

    async with Remit(":memory:", processes=[misjudged]) as app:
        outcome = await (await app.start(misjudged, 1)).outcome(timeout=3)
        assert (outcome.status, outcome.error.message) == ("failed", "wrong")


async def test_L48_a_callee_that_gives_another_type_than_the_caller_expects_leaves_nobody_waiting() -> None:
    @process("expects", calls=["gives"])
    async def expects(_: int) -> str:
        return (await call_process(ProcessRef[int, int]("gives"), 3)).status

    async with Remit(":memory:", processes=[expects, gives]) as app:
        outcome = await (await app.start(expects, 1)).outcome(timeout=3)
        assert outcome.status in ("completed", "failed")

"""Lineage of tools and models, trace context on every log line, and whose bill usage goes on (L29-L31)."""

from __future__ import annotations

import asyncio
import io
import logging
from collections import Counter

import pytest

from remit import Remit, Retry, Usage, call_process, charge, current, model, process, start_process, step, tool
from remit.control.logs import CONTEXT_FIELDS
from tests.laws.scene import flatten, wait_until

log = logging.getLogger("sample.work")
TOKEN = "sk-" + "a1B2c3D4e5F6g7H8" * 2


@tool("sample.fetch", cost="0.10")
async def fetch(url: str, api_key: str, rows: int) -> dict[str, str]:
    if rows < 0:
        raise ValueError(f"cannot fetch {rows} rows with {TOKEN}")
    await asyncio.sleep(0.02)
    return {"url": url, "password": "hunter2", "note": f"Bearer {TOKEN}"}


@model("sample-model", max_input_tokens=60, max_tokens=40)
async def think(prompt: str) -> tuple[str, Usage]:
    return f"{prompt}!", Usage(input_tokens=10, output_tokens=5)


@step
async def plain_step() -> int:
    return 1


@process("below", department="research")
async def below(rows: int) -> str:
    await plain_step()
    await fetch("https://user:secret@example.invalid/x", TOKEN, rows)
    return (await think("hello"))[0]


@process("above", calls=[below], department="sales")
async def above(_: int) -> str:
    await think("from above")
    first = await call_process(below, 3)
    second = await call_process(below, -1)
    return f"{first.status} {second.status}"


async def test_L29_every_tool_and_model_call_is_in_the_lineage_with_its_context() -> None:
    async with Remit(":memory:", processes=[above, below]) as app:
        execution = await app.start(above, 1, tenant="acme")
        assert (await execution.outcome(timeout=3)).value == "completed failed"
        entries = await app.lineage(execution.id)
        seen = [(entry.execution_id[len(execution.id) :], entry.kind, entry.name) for entry in entries]
        assert seen == [
            ("", "model", "sample-model"),
            (".1", "tool", "sample.fetch"),
            (".1", "model", "sample-model"),
            (".2", "tool", "sample.fetch"),
        ]
        fetched, thought, failed = entries[1:]
        assert (fetched.depth, fetched.ancestor_execution_ids) == (1, (execution.id,))
        assert (fetched.usage.cost, fetched.verdict, fetched.attempt) == ("0.10", "allowed", 1)
        assert fetched.duration_ms >= 20
        assert fetched.started_at < fetched.ended_at
        assert fetched.params["rows"] == 3
        assert (thought.usage.input_tokens, thought.usage.output_tokens) == (10, 5)
        assert thought.result[0] == "hello!"
        assert (failed.error.code, failed.result) == ("domain_error", None)
        assert [each.name for each in await app.lineage(execution.id + ".2")] == ["sample.fetch"]


async def test_L29_secrets_are_redacted_wherever_they_can_be_read() -> None:
    async with Remit(":memory:", processes=[above, below]) as app:
        execution = await app.start(above, 1)
        await execution.outcome(timeout=3)
        shown = [await app.lineage(execution.id), await app.journal(execution.id + ".1"), await app.alerts()]
        shown += [await app.journal(execution.id), await app.get(execution.id + ".2"), await app.tree(execution.id)]
        text = repr(shown)
        assert "[redacted]" in text
        for secret in (TOKEN, "hunter2", "user:secret"):
            assert secret not in text


async def test_L29_a_call_that_runs_is_in_the_lineage_already() -> None:
    @tool("sample.slow")
    async def slow(number: int) -> int:
        await asyncio.sleep(0.2)
        return number

    @process("waits_for_tool")
    async def waits_for_tool(_: int) -> int:
        return await slow(5)

    async with Remit(":memory:", processes=[waits_for_tool]) as app:
        execution = await app.start(waits_for_tool, 1)
        await wait_until(app, execution.id, "ACTIVE")
        await asyncio.sleep(0.05)
        [entry] = await app.lineage(execution.id)
        assert (entry.name, entry.params, entry.ended_at, entry.duration_ms) == (
            "sample.slow",
            {"number": 5},
            None,
            None,
        )
        await execution.outcome(timeout=3)


# -- logs --------------------------------------------------------------------------------------------------------------


def context_of(line: logging.LogRecord) -> tuple:
    return tuple(getattr(line, field) for field in CONTEXT_FIELDS)


@step
def in_thread(what: str) -> None:
    log.info("thread %s", what)


@step
async def in_step(what: str) -> None:
    log.info("step %s", what)


@process("chatty")
async def chatty(what: str) -> None:
    async def branch(n: int) -> None:
        log.info("branch %s %s", n, what)
        await in_step(f"{n} {what}")

    log.info("body %s", what)
    await asyncio.gather(branch(1), branch(2))
    async with asyncio.TaskGroup() as group:
        group.create_task(branch(3))
    await in_thread(what)
    await asyncio.to_thread(log.info, "to_thread %s", what)
    asyncio.get_running_loop().call_soon(log.info, "callback %s", what)
    await asyncio.sleep(0)


@process("chatty_above", calls=[chatty])
async def chatty_above(_: int) -> None:
    await asyncio.gather(call_process(chatty, "a"), call_process(chatty, "b"))
    log.info("above")


async def test_L30_every_line_inside_an_execution_carries_its_context_and_none_outside(caplog) -> None:
    caplog.set_level(logging.INFO, "sample.work")
    async with Remit(":memory:", processes=[chatty_above, chatty]) as app:
        log.info("before")
        execution = await app.start(chatty_above, 1, tenant="acme")
        await execution.outcome(timeout=3)
        log.info("after")
    lines = {line.getMessage(): line for line in caplog.records if line.name == "sample.work"}
    assert len(lines) == 3 + 2 * 10
    for message, line in lines.items():
        if message in ("before", "after"):
            expected: tuple = (None,) * len(CONTEXT_FIELDS)
        elif message == "above":
            expected = (execution.id, execution.id, 0, "chatty_above", "acme", 1)
        else:
            place = ".1" if message.endswith("a") else ".2"
            expected = (execution.id, execution.id + place, 1, "chatty", "acme", 1)
        assert context_of(line) == expected, message


async def test_L30_the_attempt_is_the_one_under_way(caplog) -> None:
    @process("tries")
    async def tries(_: int) -> int:
        log.info("trying")
        return await fails_once(len(caplog.records))

    @step
    async def fails_once(lines: int) -> int:
        if len([line for line in caplog.records if line.getMessage() == "trying"]) == 1:
            raise ConnectionError("down")
        return lines

    caplog.set_level(logging.INFO, "sample.work")
    async with Remit(":memory:", processes=[tries]) as app:
        await (await app.start(tries, 1, retry=Retry(attempts=2, first=0))).outcome(timeout=3)
    attempts = [line.attempt for line in caplog.records if line.getMessage() == "trying"]
    assert attempts == [1, 2]


async def test_L30_a_log_line_shows_no_secret_and_a_malformed_one_fails_nobody(caplog) -> None:
    @process("careless")
    async def careless(_: int) -> str:
        log.info("using %s", {"password": "hunter2"})
        log.info("using Bearer %s", TOKEN)
        log.info("%d items", "several")
        log.info("%s and %s", *["one"])
        return current().execution_id

    caplog.set_level(logging.INFO, "sample.work")
    before = logging.raiseExceptions
    logging.raiseExceptions = False
    caplog.handler.handleError = lambda _record: None
    try:
        async with Remit(":memory:", processes=[careless]) as app:
            outcome = await (await app.start(careless, 1)).outcome(timeout=3)
            assert outcome.status == "completed"
    finally:
        logging.raiseExceptions = before
        del caplog.handler.handleError
    shown = [
        line.getMessage() for line in caplog.records if line.name == "sample.work" and line.msg.startswith("using")
    ]
    assert len(shown) == 2
    assert not any(TOKEN in line for line in shown)


async def test_L30_formats_that_print_the_fields_work_inside_and_outside() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        logging.Formatter("%(trace_id)s|%(execution_id)s|%(depth)s|%(tenant)s|%(attempt)s|%(message)s")
    )
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        async with Remit(":memory:", processes=[chatty]) as app:
            execution = await app.start(chatty, "x", tenant="acme")
            await execution.outcome(timeout=3)
            log.info("outside")
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    lines = stream.getvalue().splitlines()
    assert f"{execution.id}|{execution.id}|0|acme|1|body x" in lines
    assert "None|None|None|None|None|outside" in lines


# -- whose bill --------------------------------------------------------------------------------------------------------


@process("own_cost", department="research")
async def own_cost(tokens: int) -> None:
    await charge(Usage(tokens=tokens))


@process("causes", calls=[own_cost], department="sales")
async def causes(tokens: int) -> None:
    await charge(Usage(tokens=1))
    await call_process(own_cost, tokens)
    await (await start_process(own_cost, tokens + 1)).outcome()


@pytest.mark.parametrize("tenant", ["acme", None])
async def test_L31_usage_can_be_billed_to_whoever_used_it_and_to_whoever_caused_it(tenant) -> None:
    async with Remit(":memory:", processes=[causes, own_cost]) as app:
        roots = [await app.start(causes, 10, tenant=tenant), await app.start(own_cost, 5, tenant="other")]
        for root in roots:
            await root.outcome(timeout=3)
        own: Counter[tuple] = Counter()
        caused: Counter[tuple] = Counter()
        for root in roots:
            records = flatten(await app.tree(root.id))
            for record in records:
                assert record.tenant == records[0].tenant
                own[record.tenant, record.department, record.process] += record.usage.own.tokens
                caused[records[0].tenant, records[0].department, records[0].process] += record.usage.own.tokens
        research = ("research", "own_cost")
        assert own == {(tenant, "sales", "causes"): 1, (tenant, *research): 21, ("other", *research): 5}
        assert caused == {(tenant, "sales", "causes"): 22, ("other", *research): 5}
        assert sum(own.values()) == sum(caused.values())

"""A failure nobody handles fails the parents one by one; a SYSTEM error ends the chain at once (L19, L20)."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from remit import DomainError, Remit, SystemFailure, call_process, process, start_process, step
from remit.durable import sleep
from tests.laws.scene import every, open_store, wait_until, working

runs: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    runs.clear()


@step
async def counted(name: str) -> str:
    runs[name] += 1
    return name


@process("quick")
async def quick(name: str) -> str:
    return await counted(f"quick {name}")


async def outcome_of(body: Any, *others: Any) -> Any:
    """How a root ends, its trace, and the alerts."""
    root = process("root", calls=[each.name for each in others])(body)
    async with Remit(":memory:", processes=[root, *others]) as app:
        started = await app.start(root)
        outcome = await started.outcome(10)
        return outcome, await every(app, started.id), await app.alerts()


# -- L19: escalation ------------------------------------------------------------------------------------------------


def escalating(depth: int, looks: str) -> list[Any]:
    """A chain whose last raises; its ancestors unwrap, never look, or - the topmost - handle."""

    def link(number: int) -> Any:
        @process(f"level{number}", calls=[f"level{number + 1}"])
        async def body() -> str:
            if number == depth:
                raise DomainError("gone", code="out_of_stock")
            outcome = await call_process(f"level{number + 1}")
            if number == 0:
                return f"handled {outcome.error.code if outcome.error else None}"
            return outcome.unwrap() if looks == "unwrap" else "did not look"

        return body

    return [link(number) for number in range(depth + 1)]


@pytest.mark.parametrize("looks", ["unwrap", "never"])
async def test_L19_an_unhandled_outcome_fails_every_parent_up_to_the_one_that_handles_it(looks):
    async with Remit(":memory:", processes=escalating(4, looks)) as app:
        root = await app.start("level0")
        assert (await root.outcome(10)).unwrap() == "handled out_of_stock"
        there = await every(app, root.id)
        statuses = [str(there[".1" * number].status) for number in range(5)]
        assert statuses == ["COMPLETED", *["FAILED_CHILD_WORKFLOW"] * 3, "FAILED"]
        leaf = there[".1.1.1.1"].execution_id
        assert {each.error.origin for each in there.values() if each.error} == {leaf}
        assert {each.error.code for each in there.values() if each.error} == {"out_of_stock"}


@pytest.mark.parametrize(
    ("look", "status"),
    [
        (lambda outcome: outcome.status, "completed"),
        (lambda outcome: outcome.ok, "completed"),
        (lambda outcome: outcome.error, "completed"),
        (lambda outcome: outcome.value, "completed"),
        (lambda outcome: outcome.execution_id, "failed"),
        (lambda outcome: outcome.usage, "failed"),
        (repr, "failed"),
        (lambda outcome: None, "failed"),
    ],
)
@pytest.mark.parametrize("target", ["fails", "refused"])
async def test_L19_looking_at_an_outcome_handles_it_and_never_looking_does_not(look, status, target):
    @process("fails")
    async def fails() -> None:
        raise ValueError("no")

    async def body() -> str:
        look(await call_process(target))
        return "done"

    outcome, there, _ = await outcome_of(body, fails)
    assert outcome.status == status
    if status == "failed":
        assert there[""].status == "FAILED_CHILD_WORKFLOW"


@pytest.mark.parametrize("evicted", [False, True])
async def test_L19_a_child_that_was_given_up_fails_nobody(evicted: bool, tmp_path: Path) -> None:
    @process("endless")
    async def endless() -> None:
        await sleep("1h")

    @process("impatient", calls=[endless])
    async def impatient() -> str:
        calling, timer = asyncio.create_task(call_process(endless)), asyncio.create_task(sleep(0.1))
        await asyncio.wait({calling, timer}, return_when=asyncio.FIRST_COMPLETED)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        await sleep(0.2)
        return "went on"

    url = open_store(tmp_path)
    async with Remit(url, processes=[impatient, endless]) as app:
        started = await app.start(impatient)
        await wait_until(app, f"{started.id}.1", "CANCELLED")
        if not evicted:
            assert (await started.outcome(5)).unwrap() == "went on"
            return
    async with Remit(url, processes=[impatient, endless]) as app:
        assert (await app.outcome(started.id, 5)).unwrap() == "went on"


async def test_L19_an_unwrap_that_is_caught_is_handled():
    async def body() -> str:
        try:
            (await call_process("nobody")).unwrap()
        except DomainError as error:
            return error.code
        return "no error"

    outcome, _, _ = await outcome_of(body)
    assert outcome.value == "undeclared_call"


# -- L20: the end of the chain --------------------------------------------------------------------------------------


@process("breaks")
async def breaks(kind: str) -> int:
    if kind == "contract":
        return "no number"  # type: ignore[return-value]
    if kind == "step":
        await broken_step()
    raise SystemFailure("corrupt ledger", code="ledger_corrupt")


@step
async def broken_step() -> None:
    raise SystemFailure("corrupt ledger", code="ledger_corrupt")


@process("sibling")
async def sibling(_: int) -> None:
    await working(30)


@process("swallows", calls=["breaks", "sibling"])
async def swallows(kind: str) -> str:
    beside = [asyncio.create_task(call_process(sibling, number)) for number in range(2)]
    await asyncio.sleep(0)
    try:
        await call_process(breaks, kind)
        runs["came back"] += 1
    except BaseException as error:  # noqa: BLE001 - a body may try
        runs[type(error).__name__] += 1
    finally:
        runs["finally"] += 1
        try:
            await counted("after the end")
        except BaseException as error:  # noqa: BLE001 - a body may try
            runs[type(error).__name__] += 1
    return f"swallowed {len(beside)}"


@process("catches", calls=["swallows"])
async def catches(kind: str) -> str:
    try:
        return (await call_process(swallows, kind)).status
    except BaseException as error:  # noqa: BLE001 - a body may try
        runs[type(error).__name__] += 1
        return "caught"


@pytest.mark.parametrize(("kind", "code"), [("body", "ledger_corrupt"), ("step", "ledger_corrupt"), ("contract", "")])
async def test_L20_a_system_error_ends_every_ancestor_and_no_code_can_catch_it(kind, code):
    async with Remit(":memory:", processes=[catches, swallows, breaks, sibling]) as app:
        root = await app.start(catches, kind)
        outcome = await root.outcome(5)
        assert (outcome.status, outcome.error.code) == ("failed", code or "contract_violation")
        assert str(outcome.error.error_class) == "SYSTEM"
        there = await every(app, root.id)
        by_name = sorted((each.process, str(each.status)) for each in there.values())
        assert by_name == [
            ("breaks", "FAILED"),
            ("catches", "FAILED_CHILD_WORKFLOW"),
            ("sibling", "CANCELLED"),
            ("sibling", "CANCELLED"),
            ("swallows", "FAILED_CHILD_WORKFLOW"),
        ]
        assert there[""].error.origin == next(each.execution_id for each in there.values() if each.process == "breaks")
        assert (code or "contract_violation") in {alert.code for alert in await app.alerts()}
        await asyncio.sleep(0.05)
        assert (await app.get(root.id)).status == "FAILED_CHILD_WORKFLOW"
    assert runs["came back"] == 0
    assert runs["after the end"] == 0
    assert set(runs) <= {"CancelledError", "GeneratorExit", "finally"}, "the error itself is nowhere to be caught"


async def test_L20_a_system_error_of_a_step_never_comes_back_to_the_body():
    async def body() -> str:
        try:
            await broken_step()
        except BaseException as error:  # noqa: BLE001 - a body may try
            return f"caught {type(error).__name__}"
        return "came back"

    outcome, there, alerts = await outcome_of(body)
    assert (outcome.status, outcome.error.code) == ("failed", "ledger_corrupt")
    assert there[""].status == "FAILED"
    assert "ledger_corrupt" in {alert.code for alert in alerts}


async def test_L20_the_chain_is_of_awaited_edges_an_async_parent_goes_on():
    async def body() -> str:
        child = await start_process(breaks, "body")
        await working(0.05)
        return child.id

    outcome, there, alerts = await outcome_of(body, breaks)
    assert outcome.status == "completed"
    assert there[".1"].status == "FAILED"
    assert [alert.code for alert in alerts] == ["ledger_corrupt"]


async def test_L20_awaiting_an_async_child_that_broke_ends_the_chain_too():
    async def body() -> str:
        child = await start_process(breaks, "body")
        await working(0.05)
        try:
            await child.outcome()
        except BaseException as error:  # noqa: BLE001 - a body may try
            return f"caught {type(error).__name__}"
        return "came back"

    outcome, there, _ = await outcome_of(body, breaks)
    assert (outcome.status, there[""].status) == ("failed", "FAILED_CHILD_WORKFLOW")


async def test_L20_other_traces_and_the_app_are_not_touched():
    async with Remit(":memory:", processes=[catches, swallows, breaks, sibling, quick]) as app:
        beside = await app.start(sibling, 1)
        root = await app.start(catches, "body")
        await root.outcome(5)
        assert (await (await app.start(quick, "x")).outcome(5)).ok
        assert (await app.get(beside.id)).ended_at is None
        await app.cancel(beside.id)


async def test_L20_an_aborted_chain_stays_aborted_after_a_restart(tmp_path):
    processes = [catches, swallows, breaks, sibling]
    async with Remit(open_store(tmp_path), processes=processes) as app:
        root = await app.start(catches, "body")
        before = (await root.outcome(5)).error
    async with Remit(open_store(tmp_path), processes=processes) as app:
        await wait_until(app, root.id, "FAILED_CHILD_WORKFLOW")
        assert (await app.outcome(root.id, 5)).error == before
        assert all(each.ended_at is not None for each in (await every(app, root.id)).values())

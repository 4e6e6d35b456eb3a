"""What ends programs, raised by code that an execution runs, ends that execution and nothing else (L48)."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from remit import DomainError, Outcome, Process, Remit, process, step
from remit.engine.body.leaving import made_to_leave
from tests.workflows.making import compiled

ENDS = [SystemExit, KeyboardInterrupt, GeneratorExit]
Body = Callable[[], Awaitable[Any]]


def in_a_thread(*hosted: Process[Any, Any]) -> list[Outcome[Any]]:
    """How each ends on a loop beside the main thread's, where no signal is the cause of anything; the last is a bystander."""

    async def all_of_them() -> list[Outcome[Any]]:
        async with Remit(":memory:", processes=hosted) as app:
            started = [await app.start(each) for each in hosted]
            return [await each.outcome(timeout=10) for each in started]

    found: list[Outcome[Any]] = []
    thread = threading.Thread(target=lambda: found.extend(asyncio.run(all_of_them())))
    thread.start()
    thread.join(20)
    return found


@process("bystander")
async def bystander() -> str:
    await asyncio.sleep(0.05)
    return "fine"


def told(outcome: Outcome[Any]) -> str:
    assert outcome.error is not None
    return outcome.error.message


@pytest.mark.parametrize("raised", ENDS)
def test_L48_what_an_async_step_raises_to_leave_fails_its_step_and_nothing_else(raised: type[BaseException]) -> None:
    async def leave(state: Any) -> None:
        raise raised

    async def plain() -> str:
        @step
        async def leaves() -> None:
            raise raised

        try:
            await leaves()
        except DomainError as error:
            return str(error)
        return "went on"

    workflow = compiled("Left", {"name": "Leave", "function": leave})
    outcomes = in_a_thread(workflow, process("root")(plain), bystander)
    assert [each.status for each in outcomes] == ["failed", "completed", "completed"]
    assert raised.__name__ in told(outcomes[0])
    assert raised.__name__ in outcomes[1].unwrap()


@pytest.mark.parametrize("raised", ENDS)
def test_L48_what_a_body_or_its_branch_raises_to_leave_ends_its_execution_alone(raised: type[BaseException]) -> None:
    async def leave() -> None:
        await asyncio.sleep(0)
        raise raised

    async def alone() -> None:
        await leave()

    async def gathered() -> None:
        await asyncio.gather(leave(), asyncio.sleep(0.01))

    outcomes = in_a_thread(process("alone")(alone), process("gathered")(gathered), bystander)
    assert [each.status for each in outcomes] == ["failed", "failed", "completed"]
    assert all(raised.__name__ in told(each) or raised is GeneratorExit for each in outcomes[:2])


async def test_L48_L17_a_recorded_exit_is_caught_as_a_failure_and_may_pass_through_a_branch() -> None:
    @step
    async def leaves() -> None:
        raise SystemExit(3)

    @process("root")
    async def root() -> None:
        await asyncio.gather(leaves(), asyncio.sleep(0))

    async with Remit(":memory:", processes=[root]) as app:
        outcome = await (await app.start(root)).outcome(timeout=10)
    assert outcome.status == "failed"


async def test_L48_a_compensation_that_raises_to_leave_has_failed() -> None:
    async def take_back(_result: Any) -> None:
        raise GeneratorExit

    @step(compensate=take_back)
    async def book() -> str:
        return "booked"

    @process("root", saga=True)
    async def root() -> None:
        await book()
        raise DomainError("no rooms left")

    async with Remit(":memory:", processes=[root]) as app:
        (undone,) = (await (await app.start(root)).compensated(timeout=10)).compensations
    assert undone.error is not None
    assert "GeneratorExit was raised in an async compensation" in undone.error.message


async def test_L48_code_that_is_closed_leaves_and_fails_nothing() -> None:
    seen: list[bool] = []

    async def waits() -> None:
        task = asyncio.current_task()
        try:
            await asyncio.Event().wait()
        except GeneratorExit as error:
            seen.append(made_to_leave(error, task))
            raise

    work = waits()
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0)
    work.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == [True]


async def test_a_branch_that_is_cancelled_before_it_began_leaves_no_coroutine_behind() -> None:
    @process("root")
    async def root() -> str:
        asyncio.get_running_loop().create_task(asyncio.sleep(1)).cancel()
        await asyncio.sleep(0)
        return "done"

    async with Remit(":memory:", processes=[root, bystander]) as app:
        assert (await (await app.start(root)).outcome(timeout=10)).unwrap() == "done"


PRESSED = """
import asyncio, os, signal
from remit import Remit, process, step

@step
async def works() -> None:
    print("at work", flush=True)
    await asyncio.sleep(30)

@process("root")
async def root() -> None:
    await works()

async def main() -> None:
    async with Remit(":memory:", processes=[root]) as app:
        await (await app.start(root)).outcome()

asyncio.run(main())
"""


def test_L48_ctrl_c_still_ends_the_program() -> None:
    with subprocess.Popen([sys.executable, "-c", PRESSED], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"at work\n"
        program.send_signal(signal.SIGINT)
        _, told_last = program.communicate(timeout=20)
    assert b"KeyboardInterrupt" in told_last
    assert program.returncode == -signal.SIGINT

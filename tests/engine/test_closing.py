"""An app that is closed leaves nobody waiting, and one that is open is used where it was opened."""

from __future__ import annotations

import asyncio

import pytest

from remit import DomainError, MisuseError, Remit, process, step
from remit.durable import wait_event


@process("waits-for-an-event")
async def waits() -> str:
    return str(await wait_event("go"))


async def hold(_result: str) -> None:
    await asyncio.Event().wait()


@step(compensate=hold)
async def book() -> str:
    return "booked"


@process("undone-for-ever", saga=True)
async def undone() -> None:
    await book()
    raise DomainError("no")


@process("quick")
async def quick(number: int) -> int:
    return number


async def test_L46_who_waits_for_an_outcome_while_the_app_is_closed_is_told(tmp_path):
    url = f"sqlite:///{tmp_path}/remit.db"
    async with Remit(url, processes=[waits, undone]) as app:
        root, failed = await app.start(waits), await app.start(undone)
        await failed.outcome(5)
        waiting = [asyncio.ensure_future(each) for each in (root.outcome(), app.compensated(failed.id))]
        await asyncio.sleep(0.05)
        assert not any(each.done() for each in waiting)
    for told in await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 2):
        assert isinstance(told, MisuseError)
        assert told.code == "wrong_state"
        assert "closed meanwhile" in str(told)
    async with Remit(url, processes=[waits]) as app:
        await app.send(root.id, "go", 7)
        assert (await app.outcome(root.id, 5)).unwrap() == "7"


async def test_L46_what_is_done_by_the_time_the_app_is_closed_is_told_as_it_is():
    async with Remit(":memory:", processes=[quick]) as app:
        roots = await asyncio.gather(*(app.start(quick, number) for number in range(50)))
        waiting = [asyncio.ensure_future(root.outcome()) for root in roots]
        late = [asyncio.ensure_future(app.start(quick, number)) for number in range(50)]
        await asyncio.sleep(0)
    told = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 2)
    assert all(each.value == number for number, each in enumerate(told) if not isinstance(each, MisuseError))
    begun = await asyncio.wait_for(asyncio.gather(*late, return_exceptions=True), 2)
    assert {type(each).__name__ for each in begun} <= {"Execution", "MisuseError"}


async def test_an_app_that_is_open_in_another_thread_is_refused_before_anything_is_done():
    async with Remit(":memory:", processes=[quick]) as app:

        def elsewhere() -> None:
            with pytest.raises(MisuseError, match="open in another thread") as refused:
                asyncio.run(app.start(quick, 1))
            assert refused.value.code == "wrong_state"

        await asyncio.to_thread(elsewhere)
        assert await app.list() == []
        loop = asyncio.get_running_loop()
        started = await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(app.start(quick, 1), loop).result(5))
        assert (await started.outcome(5)).unwrap() == 1

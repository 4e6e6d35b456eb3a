"""Retention: ended trees are deleted when their time is over, whole, quietly, and leave a tombstone for their key (L53)."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from remit import DomainError, InvalidInput, MisuseError, Remit, call_process, process, start_process, step
from remit.durable import wait_event
from remit.testing import TestApp, VirtualClock
from tests.laws.scene import look_at, open_store, until
from tests.stalls import no_stall

START = "2026-03-01T09:00:00+00:00"


@process("leaf")
async def leaf(n: int) -> int:
    return n


@process("tree", calls=["leaf"])
async def tree(n: int) -> int:
    return sum([(await call_process(leaf, each)).unwrap() for each in range(n)])


@process("long_leaf")
async def long_leaf(n: int) -> int:
    await wait_event("go")
    return n


@process("leaves_one_behind", calls=["long_leaf"])
async def leaves_one_behind(n: int) -> str:
    return (await start_process(long_leaf, n)).id


async def swept(app: TestApp, root: str) -> bool:
    """Whether the open app has deleted it by itself, an hour later."""
    await app.clock.advance("1h")
    return root not in await ids(app)


async def ids(app: Remit) -> set[str]:
    return {record.execution_id for record in await app.list(limit=1_000)}


async def test_L53_an_ended_tree_is_deleted_whole_when_its_time_is_over() -> None:
    async with TestApp([tree, leaf]) as app:
        await app.set_retention(keep="90d", by="ann")
        old = await app.run(tree, 3)
        await app.clock.advance("60d")
        young = await app.run(tree, 2)
        await app.clock.advance("29d")
        assert (await app.sweep()).roots == 0
        await app.clock.advance("2d")
        await until(lambda: swept(app, old.execution_id))
        assert await ids(app) == {young.execution_id, *(f"{young.execution_id}.{each}" for each in (1, 2))}
        for gone in (old.execution_id, f"{old.execution_id}.1"):
            for read in (app.get, app.tree, app.journal, app.lineage, app.outcome):
                with pytest.raises(MisuseError) as refused:
                    await read(gone)
                assert refused.value.code == "execution_deleted"


async def test_L53_nothing_is_left_of_a_deleted_tree_but_its_tombstone(tmp_path: Path) -> None:
    @step
    async def note(text: str) -> str:
        return text

    @process("noted")
    async def noted(text: str) -> str:
        said = [await note(f"{text} {each}") for each in range(300)]
        return said[-1] + str(await wait_event("go"))

    clock = VirtualClock(START)
    async with TestApp([noted], store=open_store(tmp_path), clock=clock) as app:
        await app.set_retention(keep="1d")
        started = await app.start(noted, "x", key="one", tenant="acme")
        await app.settle()
        await app.send(started.id, "go", 1)
        await started.outcome()
        await clock.advance("2d")
        await app.sweep()
        counts = "SELECT (SELECT count(*) FROM executions), (SELECT count(*) FROM journal), (SELECT count(*) FROM events)"
        assert look_at(tmp_path, counts) == [(0, 0, 0)]
        assert look_at(tmp_path, "SELECT id, tenant, process, rest FROM tombstones") == [(started.id, "acme", "noted", 0)]


async def test_L53_a_key_never_stands_for_two_pieces_of_work() -> None:
    async with TestApp([tree, leaf]) as app:
        await app.set_retention(keep="1d")
        old = await app.start(tree, 1, key="order-42", tenant="acme")
        await old.outcome()
        await app.clock.advance("2d")
        await app.sweep()
        for n in (1, 2):
            with pytest.raises(MisuseError, match=old.id) as refused:
                await app.start(tree, n, key="order-42", tenant="acme")
            assert refused.value.code == "execution_deleted"
        assert await ids(app) == set()
        assert (await app.start(tree, 1, key="order-42", tenant="globex")).new
        assert (await app.start(tree, 1, key="order-43", tenant="acme")).new


async def test_L53_a_tree_in_which_anything_goes_on_or_ended_later_stays() -> None:
    async with TestApp([leaves_one_behind, long_leaf]) as app:
        await app.set_retention(keep="1d")
        root = await app.run(leaves_one_behind, 1)
        await app.clock.advance("12d")
        await app.sweep()
        assert len(await ids(app)) == 2
        await app.send(root.unwrap(), "go")
        await app.settle()
        await app.clock.advance("23h")
        await app.sweep()
        assert len(await ids(app)) == 2, "its async child ended less than a day ago"
        await app.clock.advance("2h")
        await app.sweep()
        assert await ids(app) == set()


async def test_L53_a_tree_that_is_being_rolled_back_stays() -> None:
    released = asyncio.Event()

    async def undo(result: int | None, n: int) -> None:
        await released.wait()

    @step(compensate=undo)
    async def done(n: int) -> int:
        return n

    @process("undone", saga=True)
    async def undone(n: int) -> int:
        await done(n)
        raise DomainError("no")

    clock = VirtualClock(START)
    async with TestApp([undone], clock=clock) as app:
        started = await app.start(undone, 1)
        await started.outcome(timeout=5)
        await app.set_retention(keep="1ms")
        clock.move_to(app.engine.clock.now() + 10)
        assert (await app.sweep()).roots == 0
        assert not app.engine.store.is_over(started.id, app.engine.clock.now() + 1), "whoever holds it in memory or not"
        released.set()
        await started.compensated()
        clock.move_to(app.engine.clock.now() + 10)
        assert (await app.sweep()).roots == 1


async def test_L53_each_tenant_has_its_own_time_and_all_others_the_default() -> None:
    async with TestApp([leaf]) as app:
        for tenant in (None, "acme", "globex", "initech"):
            await app.run(leaf, 1, tenant=tenant)
        await app.clock.advance("5d")
        await app.set_retention("globex", keep=None)
        await app.set_retention("acme", keep="10d")
        assert (await app.sweep()).roots == 0
        await app.set_retention(keep="2d", by="ann")
        shown = {each.tenant: (each.keep_ms, each.set_by) for each in await app.retention()}
        assert shown == {None: (172_800_000, "ann"), "acme": (864_000_000, None), "globex": (None, None)}
        assert (await app.sweep()).roots == 2
        assert {each.tenant for each in await app.list()} == {"acme", "globex"}
        await app.set_retention("acme", default=True)
        assert (await app.sweep()).roots == 1
        await app.set_retention(keep=None)
        await app.clock.advance("400d")
        assert {each.tenant for each in await app.list()} == {"globex"}


async def test_L53_alerts_go_with_the_same_time() -> None:
    async with TestApp([leaf, tree]) as app:
        for tenant in ("acme", "globex"):
            started = await app.start(leaf, 1, tenant=tenant)
            app.engine.alert(app.engine.traces.load(started.id), "blocked_event_loop", "seen", {})
            await started.outcome()
        await app.set_retention("acme", "1d")
        await app.clock.advance("3d")
        assert (await app.sweep()).alerts == 1
        assert [each.tenant for each in await app.alerts()] == ["globex"]


async def test_L53_row_numbers_are_not_used_twice(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    async with TestApp([leaf], store=open_store(tmp_path), clock=clock) as app:
        for _ in range(3):
            await app.run(leaf, 1)
        await app.set_retention(keep="1d")
        await clock.advance("2d")
        await app.sweep()
        assert await ids(app) == set()
    async with TestApp([leaf], store=open_store(tmp_path), clock=clock) as app:
        await app.run(leaf, 1)
    assert look_at(tmp_path, "SELECT n FROM executions") == [(4,)]


async def test_L53_a_large_tree_goes_in_slices_and_calls_go_on_between_them(tmp_path: Path) -> None:
    size = 1_500
    async with Remit(open_store(tmp_path), processes=[tree, leaf]) as app:
        await (await app.start(tree, size)).outcome(timeout=60)
        await app.set_retention(keep="1ms")
        await asyncio.sleep(0.01)
        commits = app.engine.durability.commits
        async with no_stall():
            swept = await app.sweep()
        assert (swept.executions, swept.roots) == (size + 1, 1)
        assert app.engine.durability.commits - commits < 10, "no slice is part of a batch of calls"


async def test_L53_what_a_broken_off_sweep_has_left_is_deleted_by_the_next(tmp_path: Path) -> None:
    clock = VirtualClock(START)
    async with TestApp([tree, leaf], store=open_store(tmp_path), clock=clock) as app:
        await app.set_retention(keep="1d")
        root = (await app.run(tree, 400)).execution_id
        clock.move_to(app.engine.clock.now() + int(timedelta(days=2).total_seconds() * 1_000))
        app.engine.store.delete_roots([root], app.engine.clock.now(), 0.0)
        left = look_at(tmp_path, "SELECT count(*) FROM executions")[0][0]
        assert 0 < left < 401
        with pytest.raises(MisuseError):
            await app.tree(root)
    async with TestApp([tree, leaf], store=open_store(tmp_path), clock=clock) as app:
        assert (await app.sweep()).executions == left
        assert look_at(tmp_path, "SELECT count(*), (SELECT sum(rest) FROM tombstones) FROM executions") == [(0, 0)]


async def test_L53_carried_out_commands_are_deleted_after_a_day(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path)) as app:
        now = int(time.time() * 1_000)
        rows = [("old", now - 90_000_000, now - 89_000_000), ("new", now, now), ("open", now - 90_000_000, None)]
        for name, sent, replied in rows:
            reply = None if replied is None else b"{}"
            app.engine.store._writes.execute(
                "INSERT INTO inbox VALUES (?, 'nothing', '{}', ?, ?, ?)", (name, sent, reply, replied)
            )
        await app.sweep()
        assert look_at(tmp_path, "SELECT id FROM inbox ORDER BY id") == [("new",), ("open",)]


@pytest.mark.parametrize("keep", ["soon", "-1d", 0, "0s", float("nan"), object()])
async def test_L48_an_impossible_time_is_refused(keep: Any) -> None:
    async with Remit(":memory:") as app:
        with pytest.raises(InvalidInput):
            await app.set_retention(keep=keep)
        with pytest.raises(InvalidInput):
            await app.set_retention(default=True)
        with pytest.raises(InvalidInput):
            await app.set_retention("", "1d")
        assert await app.retention() == []

"""Rollouts: to named callers or a share of traces, sticky, taken back by themselves (L42)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from remit import DomainError, InvalidInput, MisuseError, Process, ProcessRef, Remit, call_process, process
from remit.kernel.registry import place_of
from tests.laws.registry_scene import BROKEN, Stock, WithoutShelf, caller, child, open_shop, patient, version_called
from tests.laws.scene import open_store, wait_until


async def test_L41_L42_a_shared_child_drops_a_field_used_by_three_callers() -> None:
    """The gate names all three; the third declaration opens it to a tenth of traces; contract errors take it back."""
    callers, waits = [caller(name) for name in ("order", "returns", "audit")], patient()
    two, three = child("2.0.0"), child("3.0.0", WithoutShelf)
    async with Remit(":memory:", processes=[two, three, *callers, waits]) as app:
        await open_shop(app, two, *callers, published=(three,))
        running = await app.start(waits, 1)
        await wait_until(app, running.id, "PENDING_ASYNC", "WAITING_HUMAN_INPUT")
        for declared, missing in (
            (None, ["audit", "order", "returns"]),
            ("order", ["audit", "returns"]),
            ("audit", ["returns"]),
        ):
            if declared is not None:
                await app.declare(f"{declared}@1.0.0", with_="inventory@3")
            with pytest.raises(MisuseError) as blocked:
                await app.rollout("inventory@3.0.0", 0.1)
            assert [each["caller"] for each in blocked.value.details["callers"]] == missing
        await app.declare("returns@1.0.0", with_="inventory@3")
        assert (await app.promote("inventory@3.0.0", to=0.1)).to_share == 0.1
        gets: dict[str, set[bool]] = {"2.0.0": set(), "3.0.0": set()}
        for n in range(100, 160):
            root = await app.start("order", n)
            called = (await root.outcome(timeout=5)).unwrap()
            gets[(await app.get(called)).version].add(place_of(root.id, "inventory", 3) < 1_000)
        assert gets["2.0.0"] == {False}
        assert gets["3.0.0"] <= {True}
        broken = 0
        for _ in range(400):
            root = await app.start("returns", BROKEN)
            if place_of(root.id, "inventory", 3) < 1_000:
                broken += 1
            await root.outcome(timeout=5)
            if broken == 3:
                break
        (alert,) = await app.alerts(code="rolled_back")
        assert alert.details["why"] == "3 contract violations"
        newest, _ = await app.versions("inventory")
        assert (newest.version, newest.state, newest.to_share) == ("3.0.0", "published", 0.0)
        await app.send(running.id, "go")
        for each in (await running.outcome(timeout=5)).unwrap():
            assert (await app.get(each)).version == "2.0.0"


async def test_L42_a_rollout_to_named_callers_is_theirs_alone_and_rolled_back_at_once() -> None:
    order, other = caller("order"), caller("other")
    two, newer = child("2.0.0"), child("2.1.0")
    async with Remit(":memory:", processes=[two, newer, order, other]) as app:
        await open_shop(app, two, order, other, published=(newer,))
        view = await app.rollout("inventory@2.1.0", ["order"])
        assert (view.to_callers, view.state) == (["order"], "published")
        assert await version_called(app, "order") == "2.1.0"
        assert await version_called(app, "other") == "2.0.0"
        view = await app.rollout("inventory@2.1.0", ["other"])
        assert sorted(view.to_callers) == ["order", "other"]
        assert await version_called(app, "other", 2) == "2.1.0"
        await app.rollback("inventory@2.1.0", by="ann")
        assert await version_called(app, "order", 2) == "2.0.0"
        (alert,) = await app.alerts(code="rolled_back")
        assert alert.details["by"] == "ann"


async def test_L42_a_trace_that_began_before_a_rollout_keeps_to_what_it_got(tmp_path: Path) -> None:
    waits, two, newer = patient(), child("2.0.0"), child("2.1.0")
    async with Remit(open_store(tmp_path), processes=[two, newer, waits]) as app:
        await open_shop(app, two, waits, published=(newer,))
        root = await app.start(waits, 1)
        await wait_until(app, root.id, "PENDING_ASYNC", "WAITING_HUMAN_INPUT")
        await app.rollout("inventory@2.1.0", 1.0)
        later = await app.start(waits, 3)
        await wait_until(app, later.id, "PENDING_ASYNC", "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[two, newer, waits]) as app:
        for each, version in ((root, "2.0.0"), (later, "2.1.0")):
            await app.send(each.id, "go")
            for called in (await app.outcome(each.id, timeout=5)).unwrap():
                assert (await app.get(called)).version == version


async def test_L42_a_result_that_a_caller_cannot_use_counts_as_a_violation() -> None:
    @process("order", calls=["inventory@*"])
    async def order(n: int) -> str:
        return (await call_process(ProcessRef[int, Stock]("inventory"), n)).unwrap().shelf

    class Shelf(WithoutShelf):
        shelf: int = 7

    two, newer = child("2.0.0"), child("3.0.0", Shelf)
    async with Remit(":memory:", processes=[two, newer, order]) as app:
        await open_shop(app, two, published=(newer,))
        await app.rollout("inventory@3.0.0", ["order"])
        for n in range(1, 4):
            assert not await app.alerts(code="rolled_back")
            assert not (await (await app.start(order, n)).outcome(timeout=5)).ok
        (alert,) = await app.alerts(code="rolled_back")
        assert alert.details["why"] == "3 contract violations"
        assert (await (await app.start(order, 9)).outcome(timeout=5)).unwrap() == "a1"


def failing(version: str, fails: int) -> Process[int, int]:
    """A version that fails so many calls of ten."""

    @process("shaky", version=version)
    async def shaky(n: int) -> int:
        if n % 10 < fails:
            raise DomainError("no_luck")
        return n

    return shaky


async def test_L42_twice_the_failures_of_the_old_version_over_50_calls_take_it_back() -> None:
    def caller_of(name: str) -> object:
        @process(name, calls=["shaky@^1"])
        async def each(n: int) -> bool:
            return (await call_process("shaky", n)).ok

        return each

    old, new = failing("1.0.0", 1), failing("1.1.0", 2)
    async with Remit(":memory:", processes=[old, new, caller_of("old"), caller_of("new")]) as app:
        await app.publish(old, new)
        await app.promote("shaky@1.0.0")
        await app.rollout("shaky@1.1.0", ["new"])
        for n in range(50):
            await (await app.start("old", n)).outcome(timeout=5)
        for n in range(49):
            await (await app.start("new", n)).outcome(timeout=5)
        newer, older = await app.versions("shaky")
        assert (newer.recent.count("x"), older.recent.count("x"), newer.state) == (10, 5, "published")
        assert not await app.alerts(code="rolled_back")
        await (await app.start("new", 49)).outcome(timeout=5)
        (alert,) = await app.alerts(code="rolled_back")
        assert alert.details["why"] == "10 of the last 50 calls failed; of the old version 5 of 50"


async def test_L42_a_version_promoted_to_all_is_watched_over_its_first_50_calls() -> None:
    order = caller("order")
    two, newer, newest = child("2.0.0"), child("2.1.0"), child("2.2.0")
    async with Remit(":memory:", processes=[two, newer, newest, order]) as app:
        await open_shop(app, two, order)
        await call(app, [BROKEN] * 3)  # of the only version there is nothing to take back
        assert (await app.versions("inventory"))[0].state == "promoted"
        await app.publish(newer, newest)
        await app.promote("inventory@2.1.0")
        await call(app, [BROKEN] * 3)
        (alert,) = await app.alerts(code="rolled_back")
        assert alert.details["why"] == "3 contract violations"
        assert await version_called(app, "order") == "2.0.0"
        await app.promote("inventory@2.2.0")
        await call(app, [*range(100, 149), BROKEN])
        assert (await app.versions("inventory"))[0].recent == "." * 49 + "x"
        await call(app, [BROKEN] * 3)  # by now it has shown what it is worth
        assert (await app.versions("inventory"))[0].state == "promoted"
        assert len(await app.alerts(code="rolled_back")) == 1


async def test_L42_what_was_promoted_is_held_against_how_the_version_before_it_ended() -> None:
    versions = [failing("1.0.0", 3), failing("1.1.0", 4), failing("1.2.0", 9)]
    async with Remit(":memory:", processes=versions) as app:
        await app.publish(*versions)
        for each in versions:
            await app.promote(f"shaky@{each.version}")
            await call(app, range(50), "shaky")
        (alert,) = await app.alerts(code="rolled_back")
        assert alert.details["why"] == "45 of the last 50 calls failed; of the old version 20 of 50"
        assert [each.recent.count("x") for each in await app.versions("shaky")] == [45, 20, 15]


async def test_L42_one_that_fails_as_often_as_the_old_version_did_is_not_taken_back_though_hardly_any_trace_gets_that() -> None:
    @process("caller", calls=["shaky@^1"])
    async def calls_it(n: int) -> bool:
        return (await call_process("shaky", n)).ok

    versions = [failing("1.0.0", 3), failing("1.1.0", 5), failing("1.2.0", 6)]
    async with Remit(":memory:", processes=[*versions, calls_it]) as app:
        await app.publish(*versions)
        await app.promote("shaky@1.0.0")
        await call(app, range(50), "caller")
        await app.rollout("shaky@1.1.0", 1.0)
        await call(app, range(50), "caller")
        assert not await app.alerts(code="rolled_back")
        await app.rollback("shaky@1.1.0")
        await app.rollout("shaky@1.2.0", 1.0)
        await call(app, range(50), "caller")
        alert, _ = await app.alerts(code="rolled_back")
        assert alert.details["why"] == "30 of the last 50 calls failed; of the old version 15 of 50"


async def test_L42_a_version_that_callers_have_no_other_for_stays_and_operators_hear_of_it() -> None:
    order = caller("order", "^3")
    two, three = child("2.0.0"), child("3.0.0")
    async with Remit(":memory:", processes=[two, three, order]) as app:
        await open_shop(app, two, three, order)
        await call(app, [BROKEN] * 5)
        assert not await app.alerts(code="rolled_back")
        (alert,) = await app.alerts(code="not_rolled_back")
        assert alert.details["callers"] == ["order@1.0.0"]
        assert "remit rollback inventory@3.0.0" in alert.message
        assert (await app.versions("inventory"))[0].state == "promoted"


async def call(app: Remit, inputs: Iterable[int], target: str = "order") -> None:
    """One after the other."""
    for n in inputs:
        await (await app.start(target, n)).outcome(timeout=5)


async def test_L42_what_cannot_be_rolled_out_is_refused() -> None:
    two, newer, newest = child("2.0.0"), child("2.1.0"), child("2.2.0")
    async with Remit(":memory:") as app:
        await app.publish(two, newer, newest)
        with pytest.raises(MisuseError, match="would get none"):
            await app.rollout("inventory@2.0.0", 0.5)
        await app.promote("inventory@2.0.0")
        for wrong in (0, 1.5, -0.1, "order", [], [""], True, {"a": 1}.get):
            with pytest.raises(InvalidInput, match="to="):
                await app.rollout("inventory@2.1.0", wrong)  # type: ignore[arg-type]
        await app.rollout("inventory@2.1.0", 0.5)
        with pytest.raises(MisuseError, match=r"2\.1\.0 is being rolled out"):
            await app.rollout("inventory@2.2.0", 0.5)
        with pytest.raises(MisuseError, match="is promoted: rollout is not for it"):
            await app.rollout("inventory@2.0.0", 0.5)
        assert (await app.rollback("inventory@2.1.0")).state == "published"
        with pytest.raises(MisuseError, match="neither promoted nor rolled out"):
            await app.rollback("inventory@2.1.0")

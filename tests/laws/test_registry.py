"""The registry: immutable versions, routing by promotion, the gate of a new major, cycles at publish (L5, L6, L40, L41)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from remit import InvalidInput, MisuseError, Record, Remit, call_process, process
from remit.workflows import WorkflowInvalid
from tests.laws.registry_scene import Stock, WithoutShelf, caller, child, open_shop, patient, version_called
from tests.laws.scene import open_store, wait_until

OUTER = """
workflow_type: Outer
workflow_version: "1.0.0"
steps:
  - {name: Inside, type: SUB_WORKFLOW, sub_workflow_type: Inner, input: {}}
"""
INNER = """
workflow_type: Inner
workflow_version: "1.0.0"
steps:
  - {name: Only, type: STANDARD, function: steps.only}
"""


def workflows(directory: Path, inner: str = INNER) -> str:
    (directory / "outer.yaml").write_text(OUTER, "utf-8")
    (directory / "inner.yaml").write_text(inner, "utf-8")
    (directory / "steps.py").write_text("def only(state, context):\n    return {'told': 'yes'}\n", "utf-8")
    return str(directory)


# -- versions never change --------------------------------------------------------------------------------------------


async def test_L40_a_version_is_published_with_its_contract_and_never_changes() -> None:
    first = child("2.0.0", department="warehouse", callers=["sales"], recursion=0)
    async with Remit(":memory:", processes=[first]) as app:
        (view,) = await app.publish(first, by="ann")
        assert (view.state, view.department, view.callers, view.published_by) == (
            "published", "warehouse", ["sales"], "ann",
        )  # fmt: skip
        assert view.result["properties"]["left"] == {"title": "Left", "type": "integer"}
        assert view.input == {"type": "integer"}
        assert await app.publish(first, by="bob") == [view]
        with pytest.raises(MisuseError, match=r"2\.0\.0 was published with other content") as refused:
            await app.publish(child("2.0.0", WithoutShelf))
        assert refused.value.code == "version_exists"
        assert [each.digest for each in await app.versions("inventory")] == [view.digest]


async def test_L40_another_body_is_other_content_too() -> None:
    def adds(step: int) -> Any:
        if step == 1:

            @process("adds")
            async def adds(n: int) -> int:
                return n + 1
        else:

            @process("adds")
            async def adds(n: int) -> int:
                return n + 2

        return adds

    async with Remit(":memory:") as app:
        await app.publish(adds(1))
        with pytest.raises(MisuseError) as refused:
            await app.publish(adds(2))
        assert refused.value.code == "version_exists"


async def test_L40_several_are_published_or_none() -> None:
    order = caller("order")
    async with Remit(":memory:") as app:
        await app.publish(child("2.0.0"))
        with pytest.raises(MisuseError):
            await app.publish(order, child("2.0.0", WithoutShelf))
        assert [each.process for each in await app.versions()] == ["inventory"]


# -- routing ----------------------------------------------------------------------------------------------------------


async def test_L40_of_a_published_name_only_promoted_versions_are_routable() -> None:
    order = caller("order")
    async with Remit(":memory:", processes=[child("2.0.0"), child("2.1.0"), order]) as app:
        assert await version_called(app, "order") == "2.1.0"  # nothing is published: what is hosted counts
        await app.publish(child("2.0.0"), child("2.1.0"))
        outcome = await (await app.start(order, 2)).outcome(timeout=5)
        assert outcome.error is not None
        refusal = await (await app.start(order, 3)).record()
        (entry,) = [each for each in await app.journal(outcome.execution_id) if each.kind == "rejected"]
        assert entry.error is not None
        assert entry.error.code == "no_matching_version"
        assert "2.1.0 (published), 2.0.0 (published)" in entry.error.message
        await app.promote("inventory@2.0.0")
        assert await version_called(app, "order", 4) == "2.0.0"
        await app.promote("inventory@2.1.0")
        assert await version_called(app, "order", 5) == "2.1.0"
        await app.deprecate("inventory@2.1.0")
        assert await version_called(app, "order", 6) == "2.0.0"
        assert refusal.process == "order"


async def test_L40_a_root_starts_with_a_promoted_version_too() -> None:
    order = caller("order")
    async with Remit(":memory:", processes=[child("2.0.0"), order]) as app:
        await app.publish(order)
        for target in (order, "order", "order@1"):
            with pytest.raises(MisuseError, match=r"there are: 1\.0\.0 \(published\)") as refused:
                await app.start(target, 1)
            assert refused.value.code == "no_matching_version"
        await app.promote("order@1.0.0")
        assert await version_called(app, "order") == "2.0.0"


async def test_L42_a_root_is_not_started_with_a_version_that_is_being_rolled_out() -> None:
    old, new = caller("order"), caller("order", version="1.1.0")
    async with Remit(":memory:", processes=[child("2.0.0"), old, new]) as app:
        await open_shop(app, old, published=(new,))
        await app.rollout("order@1.1.0", 1.0)
        assert (await (await app.start("order", 1)).record()).version == "1.0.0"


async def test_L40_version_2_1_goes_live_while_the_worker_of_its_caller_runs() -> None:
    shop, waits = child("2.0.0"), patient()
    async with Remit(":memory:", processes=[shop, waits]) as app:
        await open_shop(app, shop, waits)
        root = await app.start(waits, 1)
        await wait_until(app, root.id, "PENDING_ASYNC", "WAITING_HUMAN_INPUT")
        newer = child("2.1.0")
        app.host(newer)
        await app.publish(newer)
        await app.promote("inventory@2.1.0")
        await app.send(root.id, "go")
        ids = (await root.outcome(timeout=5)).unwrap()
        assert [(await app.get(each)).version for each in ids] == ["2.0.0", "2.1.0"]


NEWER = INNER.replace('version: "1.0.0"', 'version: "1.1.0"').replace("steps.only", "steps.newer")


async def test_L40_a_workflow_file_goes_live_while_its_caller_runs(tmp_path: Path) -> None:
    (later := tmp_path / "later").mkdir()
    (later / "inner.yaml").write_text(NEWER, "utf-8")
    (later / "steps.py").write_text("def newer(state, context):\n    return {'told': 'newly'}\n", "utf-8")
    async with Remit(open_store(tmp_path), processes=[workflows(tmp_path)]) as app:
        assert (await told(app)).version == "1.0.0"
        with pytest.raises(WorkflowInvalid, match=r"Inner 1\.0\.0 is hosted"):
            app.host(tmp_path / "inner.yaml")
        app.host(later)
        inner = await told(app)
        assert (inner.version, inner.result) == ("1.1.0", {"told": "newly"})
        (view,) = await app.publish(later)
        done = await app.evaluate("Inner@1.1.0", cases=[{"input": {}, "result": {"told": "newly"}}], live=["Only"])
        assert (done.passed, done.digest) == (True, view.digest)
    async with Remit(open_store(tmp_path), processes=[str(tmp_path / "outer.yaml"), str(tmp_path / "inner.yaml"), later]) as app:
        assert (await app.tree(inner.execution_id)).process == "Outer"


SLOW = """
workflow_type: Slow
workflow_version: "1.0.0"
steps:
  - {name: Approve, type: HUMAN_IN_LOOP}
  - {name: Last, function: steps.only}
"""


async def test_L39_what_began_before_a_file_was_hosted_goes_on_as_it_began(tmp_path: Path) -> None:
    for name, text, function in (("first", SLOW, "only"), ("then", SLOW.replace("1.0.0", "1.1.0"), "other")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "slow.yaml").write_text(text.replace("steps.only", f"steps.{function}"), "utf-8")
        (tmp_path / name / "steps.py").write_text(f"def {function}(state):\n    return {{'told': {name!r}}}\n", "utf-8")
    async with Remit(open_store(tmp_path), processes=[tmp_path / "first"]) as app:
        running = await app.start("Slow", {})
        await wait_until(app, running.id, "WAITING_HUMAN_INPUT")
        began_with = app._catalog.to_continue("Slow", "1.0.0", 1)
        app.host(tmp_path / "then")
        assert app._catalog.to_continue("Slow", "1.0.0", 1) is began_with
        later = await app.start("Slow", {})
        await wait_until(app, later.id, "WAITING_HUMAN_INPUT")
        for each, result in ((running, "first"), (later, "then")):
            await app.answer(each.id, {})
            assert (await each.outcome(timeout=5)).unwrap()["told"] == result


async def told(app: Remit) -> Record:
    """The child of an `Outer`."""
    root = await app.start("Outer", {})
    await root.outcome(timeout=5)
    (child,) = (await app.tree(root.id)).children
    return child


async def test_L40_an_execution_that_waits_for_code_goes_on_when_it_is_hosted(tmp_path: Path) -> None:
    shop, waits = child("2.0.0"), patient()
    async with Remit(open_store(tmp_path), processes=[shop, waits]) as app:
        root = await app.start(waits, 1)
        await wait_until(app, root.id, "PENDING_ASYNC", "WAITING_HUMAN_INPUT")
    async with Remit(open_store(tmp_path), processes=[shop]) as app:
        await app.send(root.id, "go")
        app.host(waits)
        assert len((await app.outcome(root.id, timeout=5)).unwrap()) == 2


async def test_L40_code_with_another_contract_than_was_published_gets_no_calls() -> None:
    order = caller("order")
    async with Remit(":memory:", processes=[child("2.0.0", WithoutShelf), order]) as app:
        await app.publish(child("2.0.0"))
        await app.promote("inventory@2.0.0")
        outcome = await (await app.start(order, 1)).outcome(timeout=5)
        (entry,) = await app.journal(outcome.execution_id)
        assert entry.error is not None
        assert "hosted with another contract than it was published with" in entry.error.message


async def test_L40_the_registry_is_what_it_was_for_the_next_owner(tmp_path: Path) -> None:
    hosted = [child("2.0.0"), child("2.1.0"), caller("order")]
    async with Remit(open_store(tmp_path), processes=hosted) as app:
        await open_shop(app, hosted[0], hosted[2], published=(hosted[1],))
        await app.declare("order@1", with_="inventory@3")
    async with Remit(open_store(tmp_path), processes=hosted) as app:
        assert await version_called(app, "order") == "2.0.0"
        (only,) = await app.callers("inventory")
        assert (only.caller, only.ranges, only.declared, only.active) == ("order", ["^2"], ["3"], True)


async def test_L6_a_published_caller_calls_what_it_was_published_with() -> None:
    narrow = caller("order", "^2")
    wide = caller("order", "*")
    three = child("3.0.0")
    async with Remit(":memory:", processes=[child("2.0.0"), three, wide]) as app:
        await app.publish(narrow)
        await app.promote("order@1.0.0")
        assert await version_called(app, "order") == "2.0.0"


# -- cycles -----------------------------------------------------------------------------------------------------------


def calling(name: str, *calls: str, version: str = "1.0.0", recursion: int = 0) -> Any:
    @process(name, version=version, calls=calls, recursion=recursion)
    async def body(n: int) -> int:
        return n

    return body


async def test_L5_a_definition_that_closes_a_cycle_is_refused_naming_process_and_path() -> None:
    async with Remit(":memory:") as app:
        await app.publish(calling("a", "b@^1"), calling("b", "c@^1"))
        with pytest.raises(MisuseError, match=r"c 1\.0\.0 closes a cycle of declared calls: c → a → b → c") as refused:
            await app.publish(calling("c", "a@^1"))
        assert refused.value.code == "declared_cycle"
        assert refused.value.details["path"] == ["c", "a", "b", "c"]
        assert [each.process for each in await app.versions()] == ["a", "b"]
        await app.publish(calling("c", "a@^1", recursion=1))


async def test_L6_a_workflow_without_calls_is_published_with_those_it_is_seen_to_make(tmp_path: Path) -> None:
    shop = workflows(tmp_path)
    async with Remit(":memory:", processes=[shop]) as app:
        inner, outer = await app.publish(shop)
        assert (inner.calls, outer.calls) == ([], ["Inner@^1.0.0"])
        for each in (inner, outer):
            await app.promote(f"{each.process}@{each.version}")
        assert (await (await app.start("Outer", {})).outcome(timeout=5)).ok
        with pytest.raises(MisuseError) as refused:
            await app.publish(workflows(tmp_path, INNER.replace("Only,", "Other,")))
        assert refused.value.code == "version_exists"


async def test_L5_what_is_retired_closes_no_cycle() -> None:
    async with Remit(":memory:") as app:
        await app.publish(calling("a", "b@^1"))
        await app.retire("a@1.0.0")
        await app.publish(calling("b", "a@^1"))


# -- the gate ---------------------------------------------------------------------------------------------------------


async def test_L41_figure_05_two_parents_on_2_and_a_child_that_breaks_its_contract() -> None:
    """Parent v1.0 and v1.1 are pinned to child@^2; child v2.0 and v2.1 are stable, v3.0 is breaking."""
    parents = [caller("parent", version="1.0.0"), caller("parent", version="1.1.0")]
    children = [child("2.0.0"), child("2.1.0"), child("3.0.0", WithoutShelf)]
    async with Remit(":memory:", processes=[*parents, *children]) as app:
        await open_shop(app, children[0], *parents, published=tuple(children[1:]))
        assert await version_called(app, "parent") == "2.0.0"
        await app.promote("inventory@2.1.0")  # stable: nobody has to do anything
        assert await version_called(app, "parent", 2) == "2.1.0"
        with pytest.raises(MisuseError) as blocked:
            await app.promote("inventory@3.0.0")
        assert blocked.value.code == "callers_to_migrate"
        assert [(each["caller"], each["version"]) for each in blocked.value.details["callers"]] == [
            ("parent", "1.0.0"),
            ("parent", "1.1.0"),
        ]
        (alert,) = await app.alerts(code="callers_to_migrate")
        assert alert.details["callers"][0] == {
            "caller": "parent", "version": "1.0.0", "ranges": ["^2"], "department": "sales", "owner": "ann",
        }  # fmt: skip
        assert await version_called(app, "parent", 3) == "2.1.0"
        for each in ("parent@1.0.0", "parent@1.1.0"):
            await app.declare(each, with_="inventory@3", by="bob")
        await app.promote("inventory@3.0.0")
        assert await version_called(app, "parent", 4) == "3.0.0"


class More(Stock):
    row: int = 1


class Coded(Stock):
    shelf: str = Field(pattern="^[a-z][0-9]$")


class CodedOtherwise(Stock):
    shelf: str = Field(pattern="^[a-c]([0-9]|[1-9]0)$")


async def test_L41_within_a_major_what_breaks_callers_is_refused_with_findings() -> None:
    async with Remit(":memory:") as app:
        await open_shop(app, child("2.0.0"), caller("order"), published=(child("2.1.0", WithoutShelf),))
        for _ in range(2):
            with pytest.raises(MisuseError, match="would break callers of its major: result /shelf") as refused:
                await app.promote("inventory@2.1.0")
            assert refused.value.code == "contract_breaks"
            first = refused.value.details["findings"][0]
            assert (first["part"], first["pointer"], first["kind"]) == ("result", "/shelf", "breaks")
            await app.declare("order@1.0.0", with_="inventory@2.1.0")  # which helps with a new major only


async def test_L41_within_a_major_what_only_adds_is_promoted() -> None:
    async with Remit(":memory:") as app:
        await open_shop(app, child("2.0.0"), caller("order"), published=(child("2.1.0", More),))
        assert (await app.promote("inventory@2.1.0")).state == "promoted"


async def test_L41_what_nobody_can_tell_is_for_the_callers_to_say() -> None:
    async with Remit(":memory:") as app:
        await open_shop(app, child("2.0.0", Coded), caller("order"), published=(child("2.1.0", CodedOtherwise),))
        with pytest.raises(MisuseError, match="Whether it breaks them cannot be told: result /shelf") as refused:
            await app.promote("inventory@2.1.0")
        assert refused.value.code == "callers_to_migrate"
        await app.declare("order@1.0.0", with_="inventory@2.1.0")
        assert (await app.promote("inventory@2.1.0")).state == "promoted"


async def test_L41_one_that_has_not_declared_keeps_its_range() -> None:
    late, shop = caller("late"), [child("2.0.0"), child("3.0.0", WithoutShelf)]
    async with Remit(":memory:", processes=[late, *shop]) as app:
        await open_shop(app, *shop)
        await open_shop(app, late)
        assert await version_called(app, "late") == "2.0.0"
        await app.declare("late@1.0.0", with_="inventory@3")
        assert await version_called(app, "late", 2) == "3.0.0"


async def test_L41_a_declaration_widens_one_version_of_one_caller() -> None:
    callers = [caller("order"), caller("other")]
    shop = [child("2.0.0"), child("3.0.0", WithoutShelf)]
    async with Remit(":memory:", processes=[*callers, *shop]) as app:
        await open_shop(app, *shop, *callers)
        await app.declare("order@1.0.0", with_="inventory@3")
        assert await version_called(app, "order") == "3.0.0"
        assert await version_called(app, "other") == "2.0.0"


async def test_L41_a_declaration_must_name_what_the_caller_calls_and_which_versions() -> None:
    async with Remit(":memory:") as app:
        await app.publish(caller("order"))
        with pytest.raises(MisuseError, match="there are: order"):
            await app.declare("returns@1", with_="inventory@3")
        with pytest.raises(MisuseError, match=r"of 'order' there are: 1\.0\.0"):
            await app.declare("order@2", with_="inventory@3")
        with pytest.raises(MisuseError, match="declares no call of 'payment'"):
            await app.declare("order@1", with_="payment@3")
        with pytest.raises(InvalidInput, match="inventory@3"):
            await app.declare("order@1", with_="inventory")
        with pytest.raises(InvalidInput, match=r"order@1\.0\.0"):
            await app.declare("order", with_="inventory@3")


async def test_L40_a_version_that_callers_need_is_not_taken_away() -> None:
    order = caller("order")
    async with Remit(":memory:", processes=[child("2.0.0"), order]) as app:
        await open_shop(app, child("2.0.0"), order, published=(child("2.1.0"),))
        for act in (app.retire, app.rollback):
            with pytest.raises(MisuseError, match=r"No other version would be left for order@1\.0\.0") as refused:
                await act("inventory@2.0.0")
            assert refused.value.code == "callers_to_migrate"
        await app.promote("inventory@2.1.0")
        assert (await app.retire("inventory@2.0.0", by="ann")).changed_by == "ann"
        with pytest.raises(MisuseError, match=r"2\.0\.0 is retired") as refused:
            await app.promote("inventory@2.0.0")
        assert refused.value.code == "wrong_state"


async def test_L40_what_calls_nothing_published_is_not_touched_by_the_registry() -> None:
    @process("alone", calls=["echo@^1"])
    async def alone(n: int) -> int:
        return int((await call_process("echo", n)).unwrap())

    @process("echo")
    async def echo(n: int) -> int:
        return n

    async with Remit(":memory:", processes=[alone, echo]) as app:
        await app.publish(child("2.0.0"))
        assert (await (await app.start(alone, 7)).outcome(timeout=5)).unwrap() == 7

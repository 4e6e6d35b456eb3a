"""What failed is undone: child first, in reverse order of completion, however it ended (L20, L35, L37)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from remit import DomainError, Remit, SystemFailure, ask, call_process, process, start_process, step
from remit.engine.admission import RootTerms
from tests.laws.saga_scene import (
    PARTS,
    afresh,
    broken,
    do,
    done,
    fails_unless_mended,
    goes_on,
    look,
    part,
    rolled_back,
    undo,
    undone_by,
    whole,
    working_on_nothing,
)
from tests.laws.scene import every, flatten, wait_until, working


@pytest.fixture(autouse=True)
def _nothing_done():
    yield from afresh()


# -- the order ---------------------------------------------------------------------------------------------------------


async def test_L37_steps_are_undone_in_reverse_order_of_completion_with_their_result_and_arguments() -> None:
    async def body(_: str) -> None:
        await do("a")
        await look("nothing to undo here")
        await do("b")

    assert await undone_by(body) == ["undo b (B)", "undo a (A)"]


async def test_L37_the_order_is_that_of_completion_not_of_beginning() -> None:
    @step(compensate=undo)
    async def slow(what: str) -> str:
        await asyncio.sleep(0.05)
        return what.upper()

    async def body(_: str) -> None:
        await asyncio.gather(slow("slow"), do("quick"), do("as quick"))
        await do("last")

    undone = await undone_by(body)
    assert [undone[0], undone[1]] == ["undo last (LAST)", "undo slow (SLOW)"]
    assert sorted(undone[2:]) == ["undo as quick (AS QUICK)", "undo quick (QUICK)"]


async def test_L37_child_first_then_the_parent_the_step_that_spawned_the_child_included() -> None:
    async def body(_: str) -> None:
        await do("before")
        await do("spawn")
        await call_process(fails_unless_mended, "child")
        await do("after")

    broken.add("child")
    assert await undone_by(body) == [
        "undo child 1 (CHILD 1)",
        "undo after (AFTER)",
        "undo spawn (SPAWN)",
        "undo before (BEFORE)",
    ]


async def test_L37_a_child_that_had_completed_is_compensated_when_its_parent_fails_later() -> None:
    async def body(_: str) -> None:
        await do("before")
        (await call_process(part, "child")).unwrap()
        await do("after")

    async with Remit(":memory:", processes=[whole(body), *PARTS]) as app:
        record = await rolled_back(app, "whole")
        assert done[4:] == [
            "undo after (AFTER)",
            "undo child 2 (CHILD 2)",
            "undo child 1 (CHILD 1)",
            "undo before (BEFORE)",
        ]
        child = await app.get(f"{record.execution_id}.1")
        assert (child.status, child.compensation, child.result) == ("COMPLETED", "done", "CHILD 1CHILD 2")


async def test_L37_what_a_child_that_is_no_saga_called_is_undone_and_its_own_steps_are_not() -> None:
    @process("between", calls=[part])
    async def between(name: str) -> str:
        await do("not a saga's")
        return (await call_process(part, name)).unwrap()

    async def body(_: str) -> None:
        (await call_process(between, "below")).unwrap()

    assert await undone_by(body, between) == ["undo below 2 (BELOW 2)", "undo below 1 (BELOW 1)"]


async def test_L37_a_process_that_is_no_saga_undoes_nothing() -> None:
    @process("plain", calls=[part])
    async def plain(_: str) -> None:
        await do("a")
        await call_process(part, "child")
        raise DomainError("no_way")

    async with Remit(":memory:", processes=[plain, part]) as app:
        record = await rolled_back(app, plain)
        assert (record.status, record.shown_status, record.compensation) == ("FAILED", "FAILED", "none")
        assert not [line for line in done if line.startswith("undo")]


async def test_L37_an_async_child_goes_on_and_is_waited_for_and_then_undone_first_and_a_detached_one_never_is() -> None:
    async def body(_: str) -> None:
        await do("a")
        await start_process(goes_on, "detached", detached=True)
        await start_process(goes_on, "async")
        await working(0.02)
        await do("b")

    async with Remit(":memory:", processes=[whole(body), goes_on]) as app:
        execution = await app.start("whole", "x")
        assert (await execution.outcome(timeout=5)).status == "failed"
        await working_on_nothing(app, execution.id)
        assert [each["execution_id"] for each in (await app.get(execution.id)).waiting_on.first] == [
            execution.id + ".2"
        ]
        for child in (".1", ".2"):
            await app.send(execution.id + child, "go")
        record = await execution.compensated(timeout=5)
        assert [line for line in done if line.startswith("undo")] == [
            "undo async 2 (ASYNC 2)",
            "undo async 1 (ASYNC 1)",
            "undo b (B)",
            "undo a (A)",
        ]
        family = await every(app, record.execution_id)
        assert {place: str(each.compensation) for place, each in family.items()} == {
            "": "done",
            ".1": "none",
            ".2": "done",
        }


# -- whenever it ends without a result ---------------------------------------------------------------------------------


async def test_L37_after_a_timeout_too() -> None:
    @process("too_slow", saga=True, ttl=0.2)
    async def too_slow(_: str) -> None:
        await do("a")
        await asyncio.get_running_loop().create_future()

    async with Remit(":memory:", processes=[too_slow]) as app:
        record = await rolled_back(app, too_slow)
        assert (record.status, record.shown_status, record.compensation) == ("TIMED_OUT", "TIMED_OUT", "done")
        assert done == ["do a", "undo a (A)"]


async def test_L37_after_a_timeout_of_code_that_blocks_the_loop_when_it_is_replayed() -> None:
    @process("blocks", saga=True, ttl=0.6)
    async def blocks(_: str) -> None:
        await do("a")
        while time.monotonic():  # not within the event loop's reach
            pass

    async with Remit(":memory:", processes=[blocks]) as app:
        record = await rolled_back(app, blocks)
        assert (record.status, record.compensation) == ("TIMED_OUT", "done")
        assert done == ["do a", "undo a (A)"]


async def test_L35_a_cancelled_tree_is_compensated_leaf_first() -> None:
    @process("leaf", saga=True)
    async def leaf(name: str) -> str:
        await do(name)
        return await ask(str, name="never")

    @process("twig", saga=True, calls=[leaf])
    async def twig(name: str) -> str:
        await do(name)
        return (await call_process(leaf, "leaf")).unwrap()

    @process("trunk", saga=True, calls=[twig])
    async def trunk(name: str) -> str:
        await do(name)
        return (await call_process(twig, "twig")).unwrap()

    async with Remit(":memory:", processes=[trunk, twig, leaf]) as app:
        execution = await app.start(trunk, "trunk")
        await wait_until(app, execution.id + ".1.1", "WAITING_HUMAN_INPUT")
        await app.cancel(execution.id)
        await execution.compensated(timeout=5)
        assert done[3:] == ["undo leaf (LEAF)", "undo twig (TWIG)", "undo trunk (TRUNK)"]
        assert {each.shown_status for each in flatten(await app.tree(execution.id))} == {"CANCELLED"}


async def test_L20_a_system_error_ends_the_chain_and_all_of_it_is_undone() -> None:
    @process("breaks", saga=True)
    async def breaks(name: str) -> str:
        await do(name)
        raise SystemFailure("no such cluster")

    async def body(_: str) -> None:
        await do("above")
        await call_process(breaks, "below")

    async with Remit(":memory:", processes=[whole(body), breaks]) as app:
        record = await rolled_back(app, "whole")
        assert (record.status, record.shown_status) == ("FAILED_CHILD_WORKFLOW", "FAILED_ROLLED_BACK")
        assert done[2:] == ["undo below (BELOW)", "undo above (ABOVE)"]


async def test_L20_a_step_s_system_error_ends_the_chain_in_the_rollback_s_replay_as_it_did_live() -> None:
    @step(compensate=undo)
    async def aborts(what: str) -> str:
        raise SystemFailure(what)

    async def body(_: str) -> None:
        await asyncio.gather(do("a"), aborts("b"))

    async with Remit(":memory:", processes=[whole(body)]) as app:
        record = await rolled_back(app, "whole")
        assert record.compensation == "done"
        assert done == ["do a", "undo a (A)"]


async def test_L37_a_root_can_be_made_a_saga_when_it_is_started() -> None:
    """What the workflow builder does for a root whose process is none."""

    @process("no_saga")
    async def no_saga(_: str) -> None:
        await do("a")
        raise DomainError("no_way")

    async with Remit(":memory:", processes=[no_saga]) as app:
        terms = RootTerms(None, None, None, None, None, None, None, saga=True)
        record, _ = app.engine.start(no_saga.definition, "x", terms)
        assert (await app.compensated(record.id, timeout=5)).shown_status == "FAILED_ROLLED_BACK"
        assert done == ["do a", "undo a (A)"]


# -- the document's own example ----------------------------------------------------------------------------------------


def named(name: str, line: str) -> Any:
    """A step, and the line that its compensation adds to what is done."""

    def compensation(_result: Any, *_arguments: Any) -> None:
        done.append(line)

    @step(name, compensate=compensation)
    async def act(fails: bool = False) -> str:
        if fails:
            raise DomainError("ledger_locked")
        return name

    return act


check_stock = named("Check_Stock", "Child: Undo Check_Stock")
reserve_items = named("Reserve_Items", "Child: Undo Reserve_Items")
update_ledger = named("Update_Ledger", "Child: Undo Update_Ledger")
reserve_flight = named("Reserve_Flight", 'Parent: Compensate "Reserve_Flight" step')
allocate_inventory = named("Allocate_Inventory", 'Parent: Compensate "Allocate_Inventory" step')
charge_payment = named("Charge_Payment", "Parent: Undo Charge_Payment")


@process("InventoryAllocation", saga=True)
async def inventory_allocation(_: str) -> None:
    await check_stock()
    await reserve_items()
    await update_ledger(fails=True)


@process("OrderProcessing", saga=True, calls=[inventory_allocation])
async def order_processing(_: str) -> None:
    await reserve_flight()
    await allocate_inventory()
    (await call_process(inventory_allocation, "x")).unwrap()
    await charge_payment()


async def test_L37_the_compensation_order_of_the_document() -> None:
    """Parent: Reserve_Flight → Allocate_Inventory (child) → Charge_Payment; child: its third step fails."""
    async with Remit(":memory:", processes=[order_processing, inventory_allocation]) as app:
        record = await rolled_back(app, order_processing)
        child = await app.get(record.execution_id + ".1")
        listed = [
            f"{who}: {each.step} {each.status}"
            for who, below in (("Child", child), ("Parent", record))
            for each in below.compensations
        ]
        assert listed == [
            "Child: Update_Ledger skipped",
            "Child: Reserve_Items done",
            "Child: Check_Stock done",
            "Parent: Allocate_Inventory done",
            "Parent: Reserve_Flight done",
        ]
        assert done == [
            "Child: Undo Reserve_Items",
            "Child: Undo Check_Stock",
            'Parent: Compensate "Allocate_Inventory" step',
            'Parent: Compensate "Reserve_Flight" step',
        ]
        tree = await app.tree(record.execution_id)
        assert {each.shown_status for each in flatten(tree)} == {"FAILED_ROLLED_BACK"}

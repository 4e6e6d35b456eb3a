"""The examples of the documents that Remit was built from, number for number (L1 - L4, L9, L14, L22, L25, L27, L33)."""

from __future__ import annotations

import asyncio
from typing import Any

from remit import (
    Budget,
    Remit,
    TransientError,
    Usage,
    ask,
    call_process,
    charge,
    current,
    model,
    process,
    start_process,
    step,
    tool,
)
from tests.laws.scene import every, flatten, open_store, wait_until, working

# -- figure 03: trace stitching and cost rollup ---------------------------------------------------------------------


@model("model-call", max_input_tokens=30_000, max_tokens=5_000)
async def model_call(text: str) -> tuple[str, Usage]:
    return text, Usage(input_tokens=20_000, output_tokens=2_100, cost="0.221")


@tool("tool-invoke")
async def tool_invoke(text: str) -> tuple[str, Usage]:
    return text, Usage(tokens=16_100, cost="0.161")


@process("data_fetch")
async def data_fetch() -> None:
    await charge(Usage(tokens=12_400, cost="0.124"))


@process("model_part")
async def model_part() -> None:
    await model_call("text")


@process("tool_part")
async def tool_part() -> None:
    await tool_invoke("text")


@process("transform", calls=[model_part, tool_part])
async def transform() -> list[int]:
    outcomes = [await call_process(part) for part in (model_part, tool_part)]
    return [outcome.usage.subtree.tokens for outcome in outcomes]


@process("validate")
async def validate() -> None:
    await charge(Usage(tokens=34_100, cost="0.341"))


@process("pipeline", calls=[data_fetch, transform, validate])
async def pipeline() -> list[int]:
    outcomes = [await call_process(part) for part in (data_fetch, transform, validate)]
    return [outcome.usage.subtree.tokens for outcome in outcomes]


async def test_L27_figure_03_rolls_up_to_84700_tokens_and_0_847_of_a_100000_budget(tmp_path):
    processes = [pipeline, data_fetch, transform, validate, model_part, tool_part]
    async with Remit(open_store(tmp_path), processes=processes) as app:
        root = await app.start(pipeline, budget=Budget(tokens=100_000))
        outcome = await root.outcome(10)
        assert outcome.unwrap() == [12_400, 38_200, 34_100]
        assert (outcome.usage.subtree.tokens, outcome.usage.subtree.cost) == (84_700, "0.847")
        assert outcome.usage.own.tokens == 0
    async with Remit(open_store(tmp_path), processes=processes) as app:
        there = await every(app, root.id)
        subtree = {id_: (each.usage.subtree.tokens, each.usage.subtree.cost) for id_, each in there.items()}
        assert subtree == {
            "": (84_700, "0.847"),
            ".1": (12_400, "0.124"),
            ".2": (38_200, "0.382"),
            ".2.1": (22_100, "0.221"),
            ".2.2": (16_100, "0.161"),
            ".3": (34_100, "0.341"),
        }
        own = {id_: each.usage.own.tokens for id_, each in there.items()}
        assert own == {"": 0, ".1": 12_400, ".2": 0, ".2.1": 22_100, ".2.2": 16_100, ".3": 34_100}
        assert sum(own.values()) == 84_700 == 12_400 + 38_200 + 34_100
        assert there[""].budget["tokens"] == 100_000
        calls = [(entry.execution_id[len(root.id) :], entry.kind, entry.depth) for entry in await app.lineage(root.id)]
        assert calls == [(".2.1", "model", 2), (".2.2", "tool", 2)]


async def test_L25_a_sibling_that_would_exceed_what_figure_03_leaves_is_rejected():
    @process("idle")
    async def idle() -> None:
        return None

    @process("greedy", calls=[pipeline, idle])
    async def greedy() -> list[Any]:
        (await call_process(pipeline)).unwrap()
        refused = await call_process(idle, estimate=15_301)
        taken = await call_process(idle, estimate=15_300)
        assert refused.error is not None
        return [refused.error.code, refused.error.details["limit"], taken.status]

    processes = [greedy, idle, pipeline, data_fetch, transform, validate, model_part, tool_part]
    async with Remit(":memory:", processes=processes) as app:
        root = await app.start(greedy, budget=Budget(tokens=100_000))
        assert (await root.outcome(10)).unwrap() == ["budget_exceeded", 15_300, "completed"]


# -- figure 04: the five controls -----------------------------------------------------------------------------------

ran: list[str] = []


@step
async def once(what: str) -> str:
    ran.append(what)
    return what


@process("once_only")
async def once_only(what: str) -> str:
    return await once(what)


async def test_L3_figure_04_the_depth_limit_rejects_the_sixth_level_to_the_letter():
    def level(number: int) -> Any:
        @process(f"level{number}", calls=[f"level{number + 1}"])
        async def body() -> str:
            outcome = await call_process(f"level{number + 1}")
            return outcome.error.message if outcome.error else outcome.unwrap()

        return body

    async with Remit(":memory:", processes=[level(number) for number in range(7)]) as app:
        root = await app.start("level0")
        message = "Cannot nest sub-workflows deeper than 5 levels. Current depth: 5"
        assert (await root.outcome(5)).unwrap() == message
        assert max(record.depth for record in flatten(await app.tree(root.id))) == 5


async def test_L4_figure_04_the_self_call_guard_rejects_a_cycle_and_lets_a_straight_line_be():
    def link(name: str, below: str) -> Any:
        @process(name, calls=[below])
        async def body() -> str:
            outcome = await call_process(below)
            return outcome.error.message if outcome.error else outcome.unwrap()

        return body

    @process("C")
    async def end() -> str:
        return "OK"

    async with Remit(":memory:", processes=[link("A", "B"), link("B", "C"), link("C", "A")]) as app:
        assert "A → B → C → A" in (await (await app.start("A")).outcome(5)).unwrap()
        assert [alert.code for alert in await app.alerts()] == ["cycle_detected"]
    async with Remit(":memory:", processes=[link("A", "B"), link("B", "C"), end]) as app:
        assert (await (await app.start("A")).outcome(5)).unwrap() == "OK"
        assert await app.alerts() == []


async def test_L9_figure_04_a_call_made_twice_by_a_retried_parent_makes_one_child():
    ran.clear()
    tries = [0]

    @process("retried", calls=[once_only])
    async def retried() -> str:
        found = (await call_process(once_only, "charge the card")).unwrap()
        tries[0] += 1
        if tries[0] == 1:
            raise TransientError("the parent fails after the child has completed")
        return found

    async with Remit(":memory:", processes=[retried, once_only]) as app:
        root = await app.start(retried)
        assert (await root.outcome(10)).unwrap() == "charge the card"
        assert len(flatten(await app.tree(root.id))) == 2
        assert (await app.get(root.id)).attempt == 2
    assert ran == ["charge the card"]


async def test_L25_figure_04_the_budget_headroom_check_rejects_before_anything_runs():
    ran.clear()

    @process("poor", calls=[once_only])
    async def poor() -> list[str]:
        outcome = await call_process(once_only, "expensive", estimate=10_001)
        return [outcome.status, outcome.error.code if outcome.error else ""]

    async with Remit(":memory:", processes=[poor, once_only]) as app:
        root = await app.start(poor, budget=Budget(tokens=10_000))
        assert (await root.outcome(5)).unwrap() == ["rejected", "budget_exceeded"]
        assert len(flatten(await app.tree(root.id))) == 1
    assert ran == []


async def test_L22_figure_04_a_lease_that_runs_out_gives_a_typed_timeout_result():
    @process("hangs")
    async def hangs() -> None:
        await working(60)

    @process("waits_for_it", calls=[hangs])
    async def waits_for_it() -> list[Any]:
        begun = asyncio.get_running_loop().time()
        outcome = await call_process(hangs, ttl="200ms")
        took = asyncio.get_running_loop().time() - begun
        return [outcome.status, outcome.error.code if outcome.error else "", took < 1.2]

    async with Remit(":memory:", processes=[waits_for_it, hangs]) as app:
        root = await app.start(waits_for_it)
        assert (await root.outcome(5)).unwrap() == ["timed_out", "lease_expired", True]
        assert (await app.tree(root.id)).children[0].status == "TIMED_OUT"


# -- the ancestry record and the four levels ------------------------------------------------------------------------

sent: list[list[Any]] = []


@step
async def send(to: str) -> str:
    sent.append([current().depth, to])
    return to


@process("SendApprovalNotification")
async def send_approval_notification(to: str) -> str:
    await ask(bool, name="delivered")
    return await send(to)


@process("DelegateApproval", calls=[send_approval_notification])
async def delegate_approval(amount: int) -> str:
    return (await start_process(send_approval_notification, f"approver of {amount}")).id


@process("FinanceApproval", calls=[delegate_approval])
async def finance_approval(amount: int) -> str:
    return (await call_process(delegate_approval, amount)).unwrap()


@process("PurchaseOrderApproval", calls=[finance_approval])
async def purchase_order_approval(amount: int) -> str:
    return (await call_process(finance_approval, amount)).unwrap()


PURCHASE = [purchase_order_approval, finance_approval, delegate_approval, send_approval_notification]


async def test_L2_L14_purchase_order_approvals_four_levels_of_which_the_last_is_async():
    sent.clear()
    async with Remit(":memory:", processes=PURCHASE) as app:
        root = await app.start(purchase_order_approval, 12_000)
        last = (await root.outcome(5)).unwrap()
        assert [record.process for record in flatten(await app.tree(root.id))] == [each.name for each in PURCHASE]
        record = await wait_until(app, last, "WAITING_HUMAN_INPUT")
        assert (record.depth, record.awaited) == (3, False)
        statuses = [str(each.status) for each in flatten(await app.tree(last))]
        assert statuses == ["COMPLETED", "COMPLETED", "COMPLETED", "WAITING_HUMAN_INPUT"]
        await app.answer(last, True)
        assert (await app.outcome(last, 5)).unwrap() == "approver of 12000"
    assert sent == [[3, "approver of 12000"]]


async def test_L2_the_ancestry_record():
    async with Remit(":memory:", processes=PURCHASE) as app:
        root = await app.start(purchase_order_approval, 1)
        last = (await root.outcome(5)).unwrap()
        record = await app.get(last)
        assert record.execution_id == last == f"{root.id}.1.1.1"
        assert record.parent_execution_id == f"{root.id}.1.1"
        assert record.root_execution_id == root.id
        assert record.depth == 3
        assert list(record.ancestor_execution_ids) == [root.id, f"{root.id}.1", f"{root.id}.1.1"]
        await app.cancel(last)


# -- the hierarchy of sub-workflows ---------------------------------------------------------------------------------


@process("ShippingCostCalculation")
async def shipping_cost_calculation(order: str) -> bool:
    return await ask(bool, name="cost")


@process("WarehouseSelection", calls=[shipping_cost_calculation])
async def warehouse_selection(order: str) -> bool:
    return (await call_process(shipping_cost_calculation, order)).unwrap()


@process("InventoryAllocation", calls=[warehouse_selection])
async def inventory_allocation(order: str) -> dict[str, Any]:
    allocated = (await call_process(warehouse_selection, order)).unwrap()
    return {"allocated": allocated, "warehouse_id": "WH-1", "items_reserved": [{"sku": "WIDGET-1", "qty": 2}]}


@process("OrderProcessing", calls=[inventory_allocation])
async def order_processing(order: str) -> dict[str, Any]:
    return (await call_process(inventory_allocation, order)).unwrap()


ORDERS = [order_processing, inventory_allocation, warehouse_selection, shipping_cost_calculation]


async def test_L33_a_human_wait_three_levels_down_shows_on_every_level_and_lists_find_it():
    async with Remit(":memory:", processes=ORDERS) as app:
        root = await app.start(order_processing, "order-1")
        await wait_until(app, root.id, "WAITING_CHILD_HUMAN_INPUT")
        statuses = [str(each.status) for each in flatten(await app.tree(root.id))]
        assert statuses == [*["WAITING_CHILD_HUMAN_INPUT"] * 3, "WAITING_HUMAN_INPUT"]
        blocked = await app.list(status="WAITING_CHILD_HUMAN_INPUT")
        assert {each.process for each in blocked} == {each.name for each in ORDERS[:3]}
        [child] = await app.list(parent=root.id)
        assert child.process == "InventoryAllocation"
        await app.answer(root.id, True)
        expected = {"allocated": True, "warehouse_id": "WH-1", "items_reserved": [{"sku": "WIDGET-1", "qty": 2}]}
        assert (await root.outcome(5)).unwrap() == expected
        assert {str(each.status) for each in flatten(await app.tree(root.id))} == {"COMPLETED"}


async def test_L19_a_child_that_fails_makes_its_parent_failed_child_workflow():
    @process("UpdateLedger")
    async def update_ledger() -> None:
        raise ValueError("the ledger is closed")

    @process("Order", calls=[update_ledger])
    async def order() -> None:
        (await call_process(update_ledger)).unwrap()

    async with Remit(":memory:", processes=[order, update_ledger]) as app:
        root = await app.start(order)
        await root.outcome(5)
        statuses = [str(each.status) for each in flatten(await app.tree(root.id))]
        assert statuses == ["FAILED_CHILD_WORKFLOW", "FAILED"]


async def test_L15_the_risk_patterns_five_children_with_three_each_are_twenty_executions():
    @process("sub")
    async def sub(number: int) -> int:
        return number

    @process("downstream", calls=[sub])
    async def downstream(number: int) -> int:
        outcomes = await asyncio.gather(*(call_process(sub, number * 10 + each) for each in range(3)))
        return sum(outcome.ok for outcome in outcomes)

    @process("trigger", calls=[downstream])
    async def trigger() -> int:
        outcomes = await asyncio.gather(*(call_process(downstream, number) for number in range(5)))
        return sum(outcome.unwrap() for outcome in outcomes)

    async with Remit(":memory:", processes=[trigger, downstream, sub]) as app:
        root = await app.start(trigger)
        assert (await root.outcome(5)).unwrap() == 15
        assert len(flatten(await app.tree(root.id))) - 1 == 20

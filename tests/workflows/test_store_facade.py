"""`WorkflowStore`: executions as dicts, with filters that are known and times that code of the document can use (L33)."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remit import MisuseError, Remit, RemitError, call_process, process
from remit.workflows import WorkflowBuilder, WorkflowStore
from tests.laws.scene import wait_until
from tests.workflows.shops import shop, write

ORDER = {"order_id": "order-1"}


@process("leaf")
async def leaf(number: int) -> int:
    return number


@process("tree", calls=[leaf])
async def tree(width: int) -> int:
    return sum([(await call_process(leaf, number)).unwrap() for number in range(width)])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return shop(tmp_path / "shop")


async def waiting_order(app: Remit, **terms: Any) -> str:
    order = await app.start("OrderProcessing", ORDER, **terms)
    await wait_until(app, order.id, "WAITING_HUMAN_INPUT")
    return order.id


async def test_a_workflow_is_loaded_with_its_state(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        order = await waiting_order(app, owner="sales", region="eu", tenant="acme", key="k")
        loaded = await WorkflowStore(app).load_workflow(order)
    assert {name: loaded[name] for name in ("id", "workflow_type", "status", "current_step", "workflow_version")} == {
        "id": order,
        "workflow_type": "OrderProcessing",
        "status": "WAITING_HUMAN_INPUT",
        "current_step": "Approve",
        "workflow_version": "1.0.0",
    }
    assert (loaded["owner_id"], loaded["data_region"], loaded["tenant"]) == ("sales", "eu", "acme")
    assert (loaded["parent_workflow_id"], loaded["root_workflow_id"], loaded["depth"]) == (None, order, 0)
    assert (loaded["idempotency_key"], loaded["initial_data"]) == ("k", ORDER)
    assert loaded["state"] == {
        "order_id": "order-1",
        "total": 42,
        "warehouse_id": None,
        "approved": None,
        "sub_workflow_results": {
            "InventoryAllocation": {"warehouse_id": "WH-1"},
            "Allocate": {"warehouse_id": "WH-1"},
        },
        "step_failures": {},
    }
    assert loaded["waiting_on"][0]["name"] == "Approve"
    assert json.loads(json.dumps(loaded, default=str))["status"] == "WAITING_HUMAN_INPUT"


async def test_times_are_naive_and_in_utc(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        loaded = await WorkflowStore(app).load_workflow(await waiting_order(app))
    now = datetime.now(UTC).replace(tzinfo=None)
    for name in ("created_at", "started_at", "updated_at"):
        assert timedelta(0) <= now - loaded[name] < timedelta(seconds=5)
    assert loaded["ended_at"] is None


async def test_an_error_is_told_by_code_and_origin(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        root = await app.start("OrderProcessing", {"order_id": "bad"})
        await root.outcome(5)
        loaded = await WorkflowStore(app).load_workflow(root.id)
    assert (loaded["status"], loaded["error"]["message"], loaded["error"]["error_class"]) == (
        "FAILED",
        "no such order",
        "DOMAIN",
    )
    assert loaded["result"] is None


async def test_children_are_listed_in_the_order_of_their_calls_and_others_newest_first(home: Path) -> None:
    async with Remit(":memory:", processes=[home, tree, leaf]) as app:
        root = await app.start(tree, 5)
        await root.outcome(5)
        order = await waiting_order(app)
        store = WorkflowStore(app)
        children = [f"{root.id}.{number}" for number in range(1, 6)]
        assert [each["id"] for each in await store.list_workflows(parent_workflow_id=root.id)] == children
        page = await store.list_workflows(parent_workflow_id=root.id, limit=2, offset=3)
        assert [each["id"] for each in page] == children[3:]
        newest = [f"{order}.1", order, *reversed(children), root.id]
        assert [each["id"] for each in await store.list_workflows()] == newest
        assert [each["id"] for each in await store.list_workflows(limit=3, offset=1)] == newest[1:4]
        assert (await store.load_workflow(root.id))["state"] is None


async def test_filters_narrow(home: Path) -> None:
    async with Remit(":memory:", processes=[home, tree, leaf]) as app:
        order = await waiting_order(app, owner="sales", tenant="acme")
        other = await app.start(tree, 2)
        await other.outcome(5)
        store = WorkflowStore(app)

        async def ids(**narrowed: Any) -> list[str]:
            return [each["id"] for each in await store.list_workflows(**narrowed)]

        assert await ids(workflow_type="OrderProcessing") == [order]
        assert await ids(owner_id="sales") == [f"{order}.1", order]
        assert await ids(tenant="acme", status="COMPLETED") == [f"{order}.1"]
        assert await ids(root_workflow_id=order) == [f"{order}.1", order]
        assert await ids(status=["WAITING_HUMAN_INPUT", "PENDING"]) == [order]
        assert await ids(status="OPEN") == [order]
        assert await ids(status="WAITING_CHILD_HUMAN_INPUT") == []
        assert await ids(since=datetime.now(UTC) + timedelta(hours=1)) == []
        assert await ids(parent_workflow_id=f"{order}.9") == []


@pytest.mark.parametrize(
    ("narrowed", "says"),
    [
        ({"parent": "x"}, "did you mean 'parent_workflow_id'"),
        ({"stauts": "ACTIVE"}, "did you mean 'status'"),
        ({"colour": "red"}, "there are: parent_workflow_id"),
        ({"status": "WAITING"}, "is no status"),
        ({"status": 3}, "name of one"),
        ({"limit": 0}, "limit=0"),
        ({"limit": True}, "limit=True"),
        ({"offset": -1}, "offset=-1"),
        ({"owner_id": 3}, "owner"),
        ({"since": "yesterday"}, "give a datetime"),
    ],
)
async def test_L48_an_unknown_filter_or_value_is_refused(home: Path, narrowed: dict, says: str) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        with pytest.raises(RemitError, match=says) as raised:
            await WorkflowStore(app).list_workflows(**narrowed)
        assert raised.value.code == "invalid_input"


async def test_an_unknown_id_is_told(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        with pytest.raises(MisuseError) as raised:
            await WorkflowStore(app).load_workflow("exec_0")
        assert raised.value.code == "unknown_execution"


async def test_L32_a_rolled_back_workflow_is_found_by_what_it_shows(tmp_path: Path) -> None:
    home = write(
        tmp_path / "flows",
        steps__py="def do(state): return {}\ndef undo(state): return {}\ndef fail(state): raise ValueError('no')",
        trip__yaml="""
            workflow_type: Trip
            steps:
              - {name: Book, function: steps.do, compensate_function: steps.undo}
              - {name: Pay, function: steps.fail}
        """,
    )
    async with Remit(":memory:", processes=[home]) as app:
        store = WorkflowStore(app)
        plain, rolled_back = [await WorkflowBuilder(app).create_workflow("Trip") for _ in range(2)]
        rolled_back.enable_saga_mode()
        for each in (plain, rolled_back):
            await each.next_step(timeout=5)
        while rolled_back.status == "FAILED":
            assert (await app.get(rolled_back.id)).compensation == "running"
        assert (plain.status, rolled_back.status) == ("FAILED", "FAILED_ROLLED_BACK")
        assert [each["id"] for each in await store.list_workflows(status="FAILED_ROLLED_BACK")] == [rolled_back.id]
        assert [each["id"] for each in await store.list_workflows(status="FAILED")] == [plain.id]
        assert len(await store.list_workflows(status=["FAILED", "FAILED_ROLLED_BACK"])) == 2

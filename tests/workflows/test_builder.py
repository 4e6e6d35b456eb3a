"""`WorkflowBuilder`: workflows created first and started later, and handles on them (L9, L37, L46)."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from remit import Budget, InvalidInput, MisuseError, Remit, Retry
from remit.workflows import WorkflowBuilder, WorkflowHandle, WorkflowStore
from tests.laws.scene import look_at, open_store, wait_until
from tests.workflows.shops import shop

ORDER = {"order_id": "order-1"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return shop(tmp_path / "shop")


async def test_a_created_workflow_stays_pending_until_it_is_started(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        workflow = await WorkflowBuilder(app).create_workflow("OrderProcessing", ORDER)
        assert (workflow.status, workflow.workflow_type, workflow.workflow_version) == (
            "PENDING",
            "OrderProcessing",
            "1.0.0",
        )
        assert (await app.get(workflow.id)).started_at is None
        assert await app.journal(workflow.id) == []
        assert await workflow.start() is workflow
        await wait_until(app, workflow.id, "WAITING_HUMAN_INPUT")
        assert (workflow.status, workflow.state.total) == ("WAITING_HUMAN_INPUT", 42)
        await workflow.start()
        assert [entry.name for entry in await app.journal(workflow.id)] == [
            "Validate",
            "Allocate",
            "InventoryAllocation",
            "Approve",
        ]


async def test_L46_a_created_workflow_is_durable_and_does_not_begin_by_itself_when_the_app_opens_again(
    home: Path, tmp_path: Path
) -> None:
    async with Remit(open_store(tmp_path), processes=[home]) as app:
        created = (await WorkflowBuilder(app).create_workflow("OrderProcessing", ORDER)).id
    async with Remit(open_store(tmp_path), processes=[home]) as app:
        workflow = await WorkflowBuilder(app).load_workflow(created)
        await app.start("InventoryAllocation", ORDER, key="something else moves")
        assert workflow.status == "PENDING"
        assert await app.journal(created) == []
        await workflow.start()
        await wait_until(app, created, "WAITING_HUMAN_INPUT")
    assert look_at(tmp_path, "SELECT terms FROM executions WHERE id = ?", created) == [(None,)]


async def test_L9_one_idempotency_key_is_one_workflow(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        builder = WorkflowBuilder(app)
        first = await builder.create_workflow("OrderProcessing", ORDER, idempotency_key="k")
        await first.start()
        again = await builder.create_workflow("OrderProcessing", ORDER, idempotency_key="k")
        assert again.id == first.id
        await again.start()
        await wait_until(app, first.id, "WAITING_HUMAN_INPUT")
        assert len(await app.list()) == 2
        with pytest.raises(MisuseError, match="another input"):
            await builder.create_workflow("OrderProcessing", {"order_id": "other"}, idempotency_key="k")


async def test_owner_region_tenant_budget_and_terms_reach_the_execution(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        workflow = await WorkflowBuilder(app).create_workflow(
            "OrderProcessing",
            ORDER,
            owner_id="sales",
            data_region="eu",
            tenant="acme",
            budget=Budget(tokens=10),
            ttl="5m",
            retry=Retry(attempts=2),
        )
        record = await app.get(workflow.id)
        assert (record.owner, record.region, record.tenant) == ("sales", "eu", "acme")
        assert (record.budget["tokens"], record.ttl_ms) == (10, 300_000)


# -- saga mode ----------------------------------------------------------------------------------------------------------


async def test_L37_saga_mode_is_set_before_the_start_and_may_be_awaited_or_not(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        builder = WorkflowBuilder(app)
        plain, called, awaited = [await builder.create_workflow("OrderProcessing", ORDER) for _ in range(3)]
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            called.enable_saga_mode()
        assert told == []
        await awaited.enable_saga_mode()
        assert [each.saga_mode_enabled for each in (plain, called, awaited)] == [False, True, True]
        for each in (plain, called, awaited):
            await each.start()
        await wait_until(app, plain.id, "WAITING_HUMAN_INPUT")
        assert [each.saga_mode_enabled for each in (plain, called, awaited)] == [False, True, True]
        with pytest.raises(MisuseError, match="before start"):
            plain.enable_saga_mode()


async def test_L37_saga_mode_is_durable_with_the_start(home: Path, tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[home]) as app:
        workflow = await WorkflowBuilder(app).create_workflow("OrderProcessing", ORDER)
        workflow.enable_saga_mode()
        await workflow.start()
        assert look_at(tmp_path, "SELECT terms FROM executions WHERE id = ?", workflow.id) == [(b'{"saga":true}',)]


# -- going on -----------------------------------------------------------------------------------------------------------


async def test_next_step_starts_answers_and_gives_the_result(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        workflow = await WorkflowBuilder(app).create_workflow("OrderProcessing", ORDER)
        assert await workflow.next_step({}, timeout=5) == ({}, None)
        assert (workflow.status, workflow.state.approved) == ("WAITING_HUMAN_INPUT", None)
        with pytest.raises(InvalidInput, match="approved"):
            await workflow.next_step({"approved": "perhaps"}, timeout=5)
        result = {"total": 42, "approved": True, "warehouse_id": "WH-1"}
        assert await workflow.next_step({"approved": True}, timeout=5) == (result, None)
        assert (workflow.status, workflow.state.approved) == ("COMPLETED", True)
        assert (await workflow.outcome(5)).unwrap() == result
        with pytest.raises(MisuseError, match="has ended"):
            await workflow.next_step({})


async def test_next_step_gives_nothing_where_the_workflow_fails(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        workflow = await WorkflowBuilder(app).create_workflow("OrderProcessing", {"order_id": "bad"})
        assert await workflow.next_step(timeout=5) == ({}, None)
        assert (workflow.status, workflow.state.total) == ("FAILED", 0)


async def test_next_step_of_a_busy_workflow_takes_no_input_and_waits_for_its_time(home: Path) -> None:
    (home / "slow.yaml").write_text("workflow_type: Slow\nsteps:\n  - {name: Rest, type: WAIT, duration: 1h}\n")
    async with Remit(":memory:", processes=[home]) as app:
        workflow = await (await WorkflowBuilder(app).create_workflow("Slow")).start()
        await wait_until(app, workflow.id, "PENDING_ASYNC")
        with pytest.raises(MisuseError, match="waits for no input"):
            await workflow.next_step({"hurry": True})
        with pytest.raises(TimeoutError):
            await workflow.next_step(timeout=0.1)
        assert await workflow.cancel()
        assert (workflow.status, await workflow.cancel()) == ("CANCELLED", False)


async def test_a_workflow_may_be_cancelled_before_it_starts(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        workflow = await WorkflowBuilder(app).create_workflow("OrderProcessing", ORDER)
        assert await workflow.cancel()
        await workflow.start()
        assert workflow.status == "CANCELLED"


# -- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"workflow_type": "Nothing"}, MisuseError, "InventoryAllocation, OrderProcessing"),
        ({"workflow_type": 3}, MisuseError, "No workflow 3"),
        ({"initial_data": {"total": 1}}, InvalidInput, "order_id"),
        ({"initial_data": 7}, InvalidInput, "initial data"),
        ({"owner_id": 7}, InvalidInput, "owner_id"),
        ({"data_region": b"eu"}, InvalidInput, "data_region"),
        ({"budget": 7}, InvalidInput, "Budget"),
        ({"retry": 7}, InvalidInput, "Retry"),
        ({"ttl": "soon"}, InvalidInput, "ttl"),
    ],
)
async def test_L48_what_cannot_be_created_is_refused_and_creates_nothing(home: Path, given, error, says) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        with pytest.raises(error, match=says):
            await WorkflowBuilder(app).create_workflow(
                **{"workflow_type": "OrderProcessing", "initial_data": ORDER, **given}
            )
        assert await WorkflowStore(app).list_workflows() == []


async def test_an_unknown_id_is_told(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        with pytest.raises(MisuseError, match="no workflow 'exec_0'"):
            await WorkflowBuilder(app).load_workflow("exec_0")
        with pytest.raises(MisuseError) as raised:
            await WorkflowHandle(app, "exec_0").start()
        assert raised.value.code == "unknown_execution"


async def test_L9_starting_under_the_key_of_a_created_workflow_starts_it(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        workflow = await WorkflowBuilder(app).create_workflow("OrderProcessing", ORDER, idempotency_key="k")
        started = await app.start("OrderProcessing", ORDER, key="k")
        assert (started.id, started.new) == (workflow.id, False)
        await wait_until(app, workflow.id, "WAITING_HUMAN_INPUT")


async def test_what_is_created_and_not_started_leaves_memory(home: Path) -> None:
    async with Remit(":memory:", processes=[home]) as app:
        builder = WorkflowBuilder(app)
        created = [await builder.create_workflow("OrderProcessing", ORDER) for _ in range(3)]
        assert app.engine.traces.nodes == {}
        created[0].enable_saga_mode()
        assert [each.saga_mode_enabled for each in created] == [True, False, False]
        assert app.engine.traces.nodes == {}
        await created[0].next_step(timeout=5)
        assert (created[0].status, created[0].saga_mode_enabled) == ("WAITING_HUMAN_INPUT", True)

"""Workflow files in an app: by file and by directory, beside processes, and calling each other both ways (L6, L36)."""

from __future__ import annotations

import logging
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from remit import DefinitionError, MisuseError, Remit, call_process, process, run
from remit.workflows import WorkflowInvalid
from tests.laws.scene import until, wait_until, working
from tests.workflows.shops import ORDER, shop, write

ORDER_1 = {"order_id": "order-1"}


async def completed(app: Remit, name: str) -> dict:
    """The result of an order that is approved when it asks."""
    execution = await app.start(name, ORDER_1)
    await wait_until(app, execution.id, "WAITING_HUMAN_INPUT")
    await app.answer(execution.id, {"approved": True})
    return (await execution.outcome(5)).unwrap()


@pytest.mark.parametrize("spelt", [str, Path], ids=["text", "path"])
async def test_L6_a_directory_is_hosted_as_a_whole_and_its_workflows_may_call_each_other(tmp_path: Path, spelt) -> None:
    async with Remit(":memory:", processes=[spelt(shop(tmp_path / "shop"))]) as app:
        result = await completed(app, "OrderProcessing")
        assert result == {"total": 42, "approved": True, "warehouse_id": "WH-1"}


async def test_two_directories_with_modules_of_the_same_names_are_hosted_side_by_side(tmp_path: Path) -> None:
    homes = [shop(tmp_path / name, name, prefix) for name, prefix in (("one", ""), ("two", "New"))]
    async with Remit(":memory:", processes=homes) as app:
        assert (await completed(app, "OrderProcessing"))["warehouse_id"] == "WH-one"
        assert (await completed(app, "NewOrderProcessing"))["warehouse_id"] == "WH-two"


async def test_L6_a_workflow_may_not_call_what_another_directory_holds(tmp_path: Path) -> None:
    home = shop(tmp_path / "shop")
    far = write(
        tmp_path / "far",
        caller__yaml="""
            workflow_type: Caller
            steps:
              - {name: Spawn, function: steps.spawn}
        """,
        steps__py="""
            from remit.workflows import StartSubWorkflowDirective
            def spawn(state):
                raise StartSubWorkflowDirective("Inventory" + "Allocation", {"order_id": "order-1"})
        """,
    )
    async with Remit(":memory:", processes=[home, far]) as app:
        outcome = await (await app.start("Caller", {})).outcome(5)
        assert outcome.error is not None
        assert outcome.error.code == "undeclared_call"


async def test_L6_calls_may_reach_another_directory_once_they_are_declared(tmp_path: Path) -> None:
    home = shop(tmp_path / "shop")
    far = write(
        tmp_path / "far",
        caller__yaml="""
            workflow_type: Caller
            calls: [InventoryAllocation@^1]
            steps:
              - {name: Spawn, type: SUB_WORKFLOW, sub_workflow_type: InventoryAllocation, input: {order_id: "'a'"}}
        """,
    )
    async with Remit(":memory:", processes=[far, home]) as app:
        root = await app.start("Caller", {})
        assert (await root.outcome(5)).ok
        assert (await app.tree(root.id)).children[0].result == {"warehouse_id": "WH-1"}


@process("audit")
async def audit(order: dict) -> dict:
    return {"audited": order["order_id"]}


@process("front", calls=["OrderProcessing", "InventoryAllocation"])
async def front(order_id: str) -> str:
    outcome = await call_process("InventoryAllocation", {"order_id": order_id})
    return str(outcome.unwrap()["warehouse_id"])


async def test_a_process_calls_a_workflow_and_a_workflow_a_process(tmp_path: Path) -> None:
    home = shop(tmp_path / "shop")
    write(
        home,
        order__yaml="""
            workflow_type: OrderProcessing
            initial_state_model: models.OrderState
            calls: [audit]
            steps:
              - {name: Audit, type: SUB_WORKFLOW, sub_workflow_type: audit, input: {order_id: state.order_id}}
        """,
    )
    async with Remit(":memory:", processes=[front, audit, home]) as app:
        assert (await (await app.start(front, "a")).outcome(5)).unwrap() == "WH-1"
        order = await app.start("OrderProcessing", ORDER_1)
        assert (await order.outcome(5)).ok
        assert (await app.tree(order.id)).children[0].result == {"audited": "order-1"}


async def test_L13_bad_initial_data_are_refused_with_their_path(tmp_path: Path) -> None:
    async with Remit(":memory:", processes=[shop(tmp_path / "shop")]) as app:
        with pytest.raises(Exception, match="order_id") as raised:
            await app.start("OrderProcessing", {"total": 1})
        assert raised.value.code == "invalid_input"
        with pytest.raises(MisuseError, match="InventoryAllocation, OrderProcessing"):
            await app.start("OrderProcesing", ORDER_1)


def test_findings_keep_an_app_from_opening_and_are_told_all_at_once(tmp_path: Path) -> None:
    home = shop(tmp_path / "shop")
    write(home, order__yaml=ORDER.replace("steps.validate", "steps.valdate").replace("steps.ship", "os.system"))
    with pytest.raises(WorkflowInvalid, match="2 errors") as raised:
        Remit(":memory:", processes=[home])
    assert "Did you mean 'steps.validate'?" in str(raised.value)
    assert "order.yaml:5:" in str(raised.value)


def test_a_module_that_cannot_be_imported_is_told_with_its_place(tmp_path: Path) -> None:
    home = shop(tmp_path / "shop")
    (home / "steps.py").write_text((home / "steps.py").read_text().replace('HOME = "1"', "HOME = 1 / 0"))
    with pytest.raises(DefinitionError, match=r"steps\.py:5 raised ZeroDivisionError"):
        Remit(":memory:", processes=[home])


def test_warnings_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "remit.workflows"):
        Remit(":memory:", processes=[shop(tmp_path / "shop")])
    assert "[small_child]" in caplog.text


@pytest.mark.parametrize(
    ("hosted", "says"),
    [
        (["missing.yaml"], "no such file"),
        (["missing/"], "no such file"),
        ([3], "processes and modules"),
        ([ModuleType("empty")], "holds no process"),
        ("order.yaml", "is a list"),
        (front, "is a list"),
    ],
)
def test_L48_what_is_no_workflow_is_refused(tmp_path: Path, monkeypatch, hosted, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DefinitionError, match=says):
        Remit(":memory:", processes=hosted)


def test_L48_one_type_and_version_in_two_directories_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="InventoryAllocation"):
        Remit(":memory:", processes=[shop(tmp_path / "one"), shop(tmp_path / "two")])


async def test_workflow_imports_let_import_paths_lead_into_a_package(tmp_path: Path, monkeypatch) -> None:
    write(tmp_path / "lib" / "hosted_shop", __init____py="", tools__py="def price(state): return {'price': 3}")
    (tmp_path / "lib" / "hosted_shop" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / "lib")
    text = "workflow_type: Priced\nsteps:\n  - {name: Price, function: hosted_shop.tools.price}\n"
    home = write(tmp_path / "flows", priced__yaml=text)
    with pytest.raises(WorkflowInvalid, match="hosted_shop"):
        Remit(":memory:", processes=[home])
    with pytest.raises(DefinitionError, match="is a list"):
        Remit(":memory:", processes=[home], workflow_imports="hosted_shop")
    async with Remit(":memory:", processes=[home], workflow_imports=["hosted_shop"]) as app:
        assert (await (await app.start("Priced", {})).outcome(5)).unwrap() == {"price": 3}
    del sys.modules["hosted_shop.tools"], sys.modules["hosted_shop"]


def test_the_synchronous_entry_hosts_workflows_too(tmp_path: Path) -> None:
    outcome = run(front, "a", processes=[shop(tmp_path / "shop")], timeout=5)
    assert outcome.unwrap() == "WH-1"


async def test_an_app_may_be_opened_again(tmp_path: Path) -> None:
    app = Remit(f"sqlite:///{tmp_path}/remit.db", processes=[shop(tmp_path / "shop")])
    for _ in range(2):
        async with app:
            assert (await (await app.start("InventoryAllocation", ORDER_1)).outcome(5)).ok


async def test_the_current_step_is_named_as_the_file_names_it(tmp_path: Path) -> None:
    home = write(
        tmp_path / "flows",
        steps__py="""
            from remit import tool
            from remit.workflows import WorkflowPauseDirective

            @tool("erp.lookup", cost="0.01")
            def look_up(state):
                raise WorkflowPauseDirective(waiting_for="a look")

            def fine(state):
                return {}
        """,
        lead__yaml="""
            workflow_type: Lead
            steps:
              - {name: First, function: steps.fine}
              - {name: Tooled, function: steps.look_up}
              - {name: Call, type: SUB_WORKFLOW, sub_workflow_type: Task}
              - {name: Spread, type: PARALLEL, tasks: [{name: one, sub_workflow_type: Task}]}
              - {name: Last, function: steps.fine}
        """,
        task__yaml="workflow_type: Task\nsteps:\n  - {name: Approve, type: HUMAN_IN_LOOP}\n",
    )
    async with Remit(":memory:", processes=[home]) as app:
        root = (await app.start("Lead", {})).id
        for status, step in (
            ("WAITING_HUMAN_INPUT", "Tooled"),
            ("WAITING_CHILD_HUMAN_INPUT", "Call"),
            ("WAITING_CHILD_HUMAN_INPUT", "Spread.one"),
        ):
            await until(partial(at_step, app, root, step, status))
            assert (await app.tree(root)).current_step == step
            await app.answer(root, {})
        assert (await app.outcome(root, 5)).ok
        assert (await app.get(root)).current_step == "Last"
        assert (await app.get(f"{root}.1")).current_step == "Approve"


async def at_step(app: Remit, execution_id: str, step: str, status: str) -> bool:
    """Whether it shows that step and that status."""
    record = await app.get(execution_id)
    return (record.current_step, record.status) == (step, status)


async def test_a_process_that_calls_with_keys_shows_its_own_steps(tmp_path: Path) -> None:
    @process("keyed", calls=["InventoryAllocation"])
    async def keyed(order_id: str) -> bool:
        await working(0.0)
        return (await call_process("InventoryAllocation", {"order_id": order_id}, key="some key")).ok

    async with Remit(":memory:", processes=[keyed, shop(tmp_path / "shop")]) as app:
        root = await app.start(keyed, "a")
        assert (await root.outcome(5)).unwrap()
        assert (await app.get(root.id)).current_step == "working"

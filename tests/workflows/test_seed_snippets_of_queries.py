"""The third document's snippets that build, list and look at workflows, run as they are written but for imports (L33, L37).

Where the documents are not beside the checkout, this file is not collected.
"""

from __future__ import annotations

import re
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remit import Remit
from remit.workflows import WorkflowBuilder, WorkflowStore
from tests.workflows.seed_scene import FLIGHT, STOCK, code, gate, notes, shows, snippet, write

SUB, HUMAN = "PENDING_SUB_WORKFLOW", "WAITING_CHILD_HUMAN_INPUT"


@pytest.fixture(autouse=True)
def _nothing_said_and_shut() -> None:
    notes.clear()
    gate.shut()


async def executed(text: str, **names: Any) -> dict[str, Any]:
    """Run a snippet that awaits, as the body of a coroutine function; the names it has bound."""
    source = "async def body():\n" + textwrap.indent(text, "    ") + "\n    return locals()\n"
    exec(compile(source, "snippet", "exec"), names)
    return await names["body"]()


FILES = {
    "order": "- {name: Allocate, type: SUB_WORKFLOW, sub_workflow_type: InventoryAllocation}",
    "inventory": "- {name: Select, type: SUB_WORKFLOW, sub_workflow_type: WarehouseSelection}\n"
    "  - {name: Reserve, function: steps.hold}",
    "warehouse": "- {name: Choose, function: steps.noted}",
    "loan": "- {name: Ask, type: SUB_WORKFLOW, sub_workflow_type: Task}",
    "task": "- {name: Approve, type: HUMAN_IN_LOOP, prompt: Well?}",
}
TYPES = ("OrderProcessing", "InventoryAllocation", "WarehouseSelection", "LoanApproval", "Task")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An order three levels deep whose middle is held, and a loan that waits for a human."""
    files = {
        name: f"workflow_type: {type_}\nsteps:\n  {steps}\n"
        for (name, steps), type_ in zip(FILES.items(), TYPES, strict=True)
    }
    return write(tmp_path, "", **files)


async def test_L33_children_are_listed_by_their_parents_id(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with Remit(":memory:", processes=[directory]) as app:
        root = await app.start("OrderProcessing", {})
        await shows(app, root.id, SUB, "ACTIVE", "COMPLETED")
        await executed(code("children"), persistence=WorkflowStore(app), parent_id=root.id)
        gate.open("Reserve")
        assert (await root.outcome(5)).ok
    assert capsys.readouterr().out == f"Child: {root.id}.1, Type: InventoryAllocation, Status: ACTIVE\n"


async def test_L33_workflows_that_are_blocked_by_children_are_listed_by_status(directory: Path) -> None:
    async with Remit(":memory:", processes=[directory]) as app:
        order = await app.start("OrderProcessing", {})
        loan = await app.start("LoanApproval", {})
        await shows(app, order.id, SUB, "ACTIVE", "COMPLETED")
        await shows(app, loan.id, HUMAN, "WAITING_HUMAN_INPUT")
        persistence = WorkflowStore(app)
        by_child, by_human = code("blocked").split("# Or waiting for child human input")
        for text, expected in ((by_child, order.id), (by_human, loan.id)):
            found = (await executed(text, persistence=persistence))["blocked_workflows"]
            assert [each["id"] for each in found] == [expected]
        await app.answer(loan.id, {})
        gate.open("Reserve")
        assert (await order.outcome(5)).ok
        assert (await loan.outcome(5)).ok


async def test_L33_the_tree_is_printed_to_the_letter(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with Remit(":memory:", processes=[directory]) as app:
        root = await app.start("OrderProcessing", {})
        await shows(app, root.id, SUB, "ACTIVE", "COMPLETED")
        await executed(code("tree"), persistence=WorkflowStore(app), parent_id=root.id)
        gate.open("Reserve")
        assert (await root.outcome(5)).ok
    output = snippet("tree").partition("# Output:\n")[2]
    assert capsys.readouterr().out == "".join(f"{line.removeprefix('# ')}\n" for line in output.splitlines())


@pytest.mark.parametrize("hours", [0, 2])
async def test_L33_a_child_that_takes_too_long_is_told_by_its_parents_updated_at(directory: Path, hours: int) -> None:
    class Clock(datetime):
        """The document's `datetime`, some hours on."""

        @classmethod
        def utcnow(cls) -> datetime:
            return datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=hours)

    alerts: list[str] = []
    async with Remit(":memory:", processes=[directory]) as app:
        root = await app.start("OrderProcessing", {})
        await shows(app, root.id, SUB, "ACTIVE", "COMPLETED")
        names = {"datetime": Clock, "timedelta": timedelta, "alert_ops_team": alerts.append}
        await executed(code("timeouts"), persistence=WorkflowStore(app), parent_id=root.id, **names)
        gate.open("Reserve")
        assert (await root.outcome(5)).ok
    assert [each[: len("Child workflow stuck for 2:00:00")] for each in alerts] == (
        ["Child workflow stuck for 2:00:00"] if hours else []
    )


# -- saga ---------------------------------------------------------------------------------------------------------------

UNDO = """
def spawn(state, context):
    note(context.step_name)
    raise StartSubWorkflowDirective(workflow_type="InventoryAllocation")


def fails(state, context):
    raise ValueError("the ledger is closed")


def undo(state, context):
    note(f"undo {context.step_name}")
    return {}
"""


def listed(text: str) -> list[tuple[str, str]]:
    """The document's list of compensations: whose, and of which step."""
    return re.findall(r"^\d\. (Child|Parent): \w+ \"?(\w+)", text, re.MULTILINE)


async def test_L37_saga_mode_is_enabled_as_the_document_shows_and_undoes_in_the_order_that_it_lists(tmp_path: Path) -> None:
    expected = listed(snippet("compensation order"))
    assert len(expected) == 5
    async with Remit(":memory:", processes=[write(tmp_path, UNDO, order=FLIGHT, stock=STOCK)]) as app:
        made = await executed(code("saga"), builder=WorkflowBuilder(app), data={}, child_data={})
        parent, second = made["parent"], made["child"]
        assert (parent.status, parent.saga_mode_enabled) == ("PENDING", True)
        assert (second.status, second.saga_mode_enabled) == ("PENDING", True), "the child's file says so"
        await parent.start()
        assert (await app.compensated(parent.id, 5)).shown_status == "FAILED_ROLLED_BACK"
        child = f"{parent.id}.1"
        assert (await app.compensated(child, 5)).shown_status == "FAILED_ROLLED_BACK"
        entries = [(whose, each) for whose, id_ in (("Child", child), ("Parent", parent.id)) for each in await app.journal(id_)]
        undone = [(whose, each.params["step"]) for whose, each in entries if each.kind == "compensation"]
        assert undone == expected
        await second.cancel()
    forward = ["Reserve_Flight", "Allocate_Inventory", "Check_Stock", "Reserve_Items"]
    assert notes == [*forward, *(f"undo {step}" for _, step in expected if step != "Update_Ledger")]

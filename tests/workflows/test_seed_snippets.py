"""The third document's own snippets, taken from its text, run as they are written but for their imports (L19, L36, L44).

What the document leaves out with three dots is filled in, and a step without a function gets one that only says its name;
`seed_scene` does both. Where the documents are not beside the checkout, this file is not collected.
"""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path
from typing import Any

import pytest

from remit import Record, Remit
from tests.laws.scene import every
from tests.workflows.seed_scene import SNIPPETS, code, gate, notes, shown, shows, snippet, write, yaml

ITEMS = [{"sku": "WIDGET-1", "qty": 2}]


@pytest.fixture(autouse=True)
def _nothing_said_and_shut() -> None:
    notes.clear()
    gate.shut()


def order_of(*steps: str, name: str = "OrderProcessing") -> str:
    """A workflow whose steps are given as flow mappings without their braces."""
    head = f"workflow_type: {name}\ninitial_state_model: steps.OrderState\nsteps:\n"
    return head + "".join(f"  - {{{step}}}\n" for step in steps)


CALL = "name: Allocate_Inventory, function: steps.allocate_inventory"
CHILD = """
workflow_type: InventoryAllocation
steps:
  - {name: Allocate, function: steps.allocates}
"""
ALLOCATES = """
def allocates(state, context):
    note(["child", state.order_id, state.items])
    return {"allocated": True, "warehouse_id": "WH-1", "items_reserved": state.items}
"""


def as_step(name: str) -> str:
    """A snippet that is only a `raise`, as the body of a step function."""
    return "def allocate_inventory(state, context):\n" + textwrap.indent(code(name), "    ") + "\n"


async def run(directory: Path, data: dict[str, Any] | None = None, **terms: Any) -> tuple[Any, dict[str, Record]]:
    """The outcome of an order, and its trace."""
    async with Remit(":memory:", processes=[directory]) as app:
        root = await app.start("OrderProcessing", {"order_id": "42", "items": ITEMS, **(data or {})}, **terms)
        outcome = await root.outcome(5)
        return outcome, await every(app, root.id)


# -- why sub-workflows --------------------------------------------------------------------------------------------------


async def test_L36_the_monolith_runs_step_by_step_in_one_execution(tmp_path: Path) -> None:
    async with Remit(":memory:", processes=[write(tmp_path, "", monolith=yaml("monolith"))]) as app:
        root = await app.start("CompleteOrderProcessing", {})
        assert (await root.outcome(5)).ok
        assert await shown(app, root.id) == [("CompleteOrderProcessing", "COMPLETED")]
    listed = ["Allocate_Inventory_Item_1", "Allocate_Inventory_Item_2", "Calculate_Base_Price", "Apply_Discount_1"]
    assert notes == ["Validate_Customer", "Check_Fraud", *listed, "Charge_Payment"]


async def test_L36_the_composed_order_spawns_its_children_where_the_document_says(tmp_path: Path) -> None:
    order, inventory = yaml("composed").split("# Child workflow (reusable)\n")
    pricing = "workflow_type: PricingCalculation\nsteps:\n  - {name: Add_Up, function: steps.noted}\n"
    functions = """
        validate = charge = noted

        def allocate(state, context):
            note(context.step_name)
            raise StartSubWorkflowDirective(workflow_type="InventoryAllocation")

        def calculate(state, context):
            note(context.step_name)
            raise StartSubWorkflowDirective(workflow_type="PricingCalculation")
        """
    _, there = await run(write(tmp_path, functions, order=order, inventory=inventory, pricing=pricing))
    names = {place: record.process for place, record in there.items()}
    assert names == {"": "OrderProcessing", ".1": "InventoryAllocation", ".2": "PricingCalculation"}
    inside = ["Check_Stock", "Reserve_Items", "Update_Ledger"]
    expected = ["Validate_Customer", "Allocate_Inventory", *inside, "Calculate_Pricing", "Add_Up", "Charge_Payment"]
    assert notes == expected


# -- how sub-workflows work ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["sales", None])
async def test_L44_a_step_triggers_its_child_with_data_owner_and_region(tmp_path: Path, owner: str | None) -> None:
    directory = write(tmp_path, code("trigger") + ALLOCATES, order=order_of(CALL), child=CHILD)
    terms = {"owner": "sales", "region": "eu-west-1", "tenant": "acme"}
    outcome, there = await run(directory, {"owner_id": owner, "data_region": "eu-west-1"}, **terms)
    assert outcome.ok
    child = there[".1"]
    assert (child.process, child.input) == ("InventoryAllocation", {"order_id": "42", "items": ITEMS})
    assert (child.tenant, child.owner, child.region) == ("acme", "sales", "eu-west-1")
    assert notes == [["child", "42", ITEMS]]


AFTER = "name: After, function: steps.after"


async def test_L36_a_childs_results_are_in_the_parents_state_as_the_document_shows(tmp_path: Path) -> None:
    completes_with, assigned = (ast.literal_eval(node.value) for node in ast.parse(snippet("merging")).body)
    functions = f"""
def allocate_inventory(state, context):
    raise StartSubWorkflowDirective(workflow_type="InventoryAllocation")

def allocates(state, context):
    return {completes_with!r}

def after(state, context):
    note(state.sub_workflow_results["InventoryAllocation"])
    return {{}}
"""
    outcome, _ = await run(write(tmp_path, functions, order=order_of(CALL, AFTER), child=CHILD))
    assert outcome.ok
    expected = assigned["InventoryAllocation"]
    assert expected.pop("items_reserved") == [...]
    assert notes == [completes_with]
    assert {name: notes[0][name] for name in expected} == expected


# -- data flow ----------------------------------------------------------------------------------------------------------


async def test_L13_initial_data_reach_the_childs_state_model(tmp_path: Path) -> None:
    child = "workflow_type: InventoryAllocation\ninitial_state_model: steps.InventoryAllocationState\nsteps:\n"
    child += "  - {name: Look, function: steps.look}\n"
    functions = code("state model") + "\n\n" + as_step("initial data")
    functions += """
def look(state, context):
    note([isinstance(state, InventoryAllocationState), state.order_id, state.items, state.warehouse_preference])
    return {}
"""
    outcome, _ = await run(
        write(tmp_path, functions, order=order_of(CALL), child=child), {"customer_warehouse": "WH-7"}
    )
    assert outcome.ok
    assert notes == [[True, "42", ITEMS, "WH-7"]]


@pytest.mark.parametrize(
    ("allocated", "way"), [(True, ["Ship"]), (False, ["Handle_Allocation_Failure"])], ids=["allocated", "not allocated"]
)
async def test_L36_a_later_step_reads_the_childs_result_and_may_jump(
    tmp_path: Path, allocated: bool, way: list[str]
) -> None:
    functions = as_step("initial data") + code("retrieve results")
    functions += f"\n\ndef allocates(state, context):\n    return {{'allocated': {allocated}, 'warehouse_id': 'WH-1'}}\n"
    order = order_of(
        CALL,
        "name: Look, function: steps.after_inventory_allocation",
        "name: Ship, function: steps.noted, next_step: Finish",
        "name: Handle_Allocation_Failure, function: steps.noted",
        "name: Finish, function: steps.finish",
    )
    functions += "\n\ndef finish(state, context):\n    note(state.warehouse_id)\n    return {}\n"
    outcome, _ = await run(write(tmp_path, functions, order=order, child=CHILD))
    assert outcome.ok
    assert notes == [*way, "WH-1" if allocated else None]


@pytest.mark.parametrize(
    ("data", "code_"),
    [
        ({"owner_id": "acme-sales", "data_region": "eu"}, None),
        ({"owner_id": None, "data_region": None}, None),
        ({"owner_id": "globex", "data_region": "eu"}, "cross_tenant"),
        ({"owner_id": "acme-sales", "data_region": "us"}, "region_violation"),
    ],
)
async def test_L44_owner_and_region_are_inherited_and_others_end_the_chain(
    tmp_path: Path, data: dict[str, Any], code_: str | None
) -> None:
    directory = write(tmp_path, as_step("owner and region") + ALLOCATES, order=order_of(CALL), child=CHILD)
    outcome, there = await run(directory, data, tenant="acme", owner="acme-sales", region="eu")
    assert (outcome.error.code if outcome.error else None) == code_
    if code_ is None:
        assert {(each.tenant, each.owner, each.region) for each in there.values()} == {("acme", "acme-sales", "eu")}
    else:
        assert str(outcome.error.error_class) == "SYSTEM"
        assert set(there) == {""}
        assert notes == []


# -- error handling -----------------------------------------------------------------------------------------------------

FAILS = "\n\ndef allocates(state, context):\n    raise ValueError('no stock')\n"


async def test_L19_a_child_that_fails_fails_its_parent(tmp_path: Path) -> None:
    functions = code("propagation") + FAILS + "\n\nafter = noted\n"
    directory = write(tmp_path, functions, order=order_of(CALL, AFTER), child=CHILD)
    outcome, there = await run(directory)
    assert outcome.status == "failed"
    assert {place: str(each.status) for place, each in there.items()} == {"": "FAILED_CHILD_WORKFLOW", ".1": "FAILED"}
    assert notes == []


@pytest.mark.parametrize("fails", [True, False])
async def test_L19_on_failure_catches_a_childs_failure(tmp_path: Path, fails: bool) -> None:
    planned = textwrap.indent(yaml("on_failure"), "  ")
    order = f"""workflow_type: OrderProcessing
steps:
{planned}
  - {{name: Ship, function: steps.noted, next_step: Finish}}
  - {{name: Handle_Allocation_Failure, function: steps.handle}}
  - {{name: Finish, function: steps.noted}}
"""
    functions = """
        def allocates(state, context):
            if "fails" in notes:
                raise ValueError("no stock")

        def handle(state, context):
            note([context.step_name, state.step_failures["Allocate_Inventory"]["message"]])
        """
    notes.extend(["fails"] if fails else [])
    outcome, there = await run(write(tmp_path, functions, order=order, child=CHILD))
    assert outcome.ok
    assert (there[""].status, there[".1"].status) == ("COMPLETED", "FAILED" if fails else "COMPLETED")
    assert notes == (["fails", ["Handle_Allocation_Failure", "no stock"], "Finish"] if fails else ["Ship", "Finish"])


@pytest.mark.parametrize(
    ("failed", "way"), [(True, "Notify_Parent_Of_Failure"), (False, "Complete_Successfully")], ids=["failed", "reserved"]
)
async def test_L38_the_workaround_routes_inside_the_child(tmp_path: Path, failed: bool, way: str) -> None:
    child = "workflow_type: InventoryAllocation\n" + snippet("workaround").partition("\n")[2]
    child += "\n  - {name: Notify_Parent_Of_Failure, function: steps.noted, next_step: End}"
    child += "\n  - {name: Complete_Successfully, function: steps.noted}\n  - {name: End, function: steps.noted}\n"
    functions = f"def reserve(state, context):\n    return {{'reservation_failed': {failed}}}\n"
    order = order_of("name: Allocate_Inventory, type: SUB_WORKFLOW, sub_workflow_type: InventoryAllocation")
    outcome, _ = await run(write(tmp_path, functions, order=order, child=child))
    assert outcome.ok
    assert notes == [way, "End"]


# -- parallel -----------------------------------------------------------------------------------------------------------


async def test_L36_three_tasks_spawn_three_children_that_run_at_the_same_time(tmp_path: Path) -> None:
    names = ("InventoryAllocation", "PricingCalculation", "FraudCheck")
    files = {n: f"workflow_type: {n}\nsteps:\n  - {{name: Work_{n}, function: steps.hold}}\n" for n in names}
    order = "workflow_type: OrderProcessing\nsteps:\n" + textwrap.indent(yaml("parallel"), "  ")
    functions = code("spawners") + """

def spawn_fraud_workflow(state, context):
    raise StartSubWorkflowDirective(workflow_type="FraudCheck")
"""
    async with Remit(":memory:", processes=[write(tmp_path, functions, order=order, **files)]) as app:
        root = await app.start("OrderProcessing", {"order_id": "42", "items": ITEMS})
        records = await shows(app, root.id, "PENDING_SUB_WORKFLOW", "ACTIVE", "ACTIVE", "ACTIVE")
        assert {each.process for each in records[1:]} == set(names)
        for name in names:
            gate.open(f"Work_{name}")
        assert (await root.outcome(5)).ok
        await shows(app, root.id, *["COMPLETED"] * 4)
    assert sorted(notes) == sorted(f"Work_{name}" for name in names)


# -- best practices -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("already", [True, False])
async def test_L36_what_is_allocated_is_not_allocated_again(tmp_path: Path, already: bool) -> None:
    order = order_of(CALL)
    directory = write(tmp_path, code("idempotency") + ALLOCATES, order=order, child=CHILD)
    outcome, there = await run(directory, {"inventory_allocated": already})
    assert outcome.ok
    assert set(there) == ({""} if already else {"", ".1"})
    assert ("already_allocated" in outcome.value) is already


@pytest.mark.filterwarnings("ignore:The `dict` method is deprecated")
async def test_L13_a_child_gets_what_it_is_passed_and_no_more(tmp_path: Path) -> None:
    bad, good = code("minimal data").split("# ✅ Good: Passes only what child needs")
    inputs = {}
    for name, text in (("bad", bad), ("good", good)):
        notes.clear()
        directory = tmp_path / name
        directory.mkdir()
        step = "def allocate_inventory(state, context):\n" + textwrap.indent(text, "    ") + "\n"
        directory = write(directory, step + ALLOCATES, order=order_of(CALL), child=CHILD)
        outcome, there = await run(directory, {"customer_warehouse": "W" * 10_000})
        assert outcome.ok
        assert notes == [["child", "42", ITEMS]]
        inputs[name] = there[".1"].input
    assert inputs["good"] == {"order_id": "42", "items": ITEMS}
    assert {"order_id", "items", "customer_warehouse", "inventory_allocated"} <= set(inputs["bad"])
    assert len(str(inputs["good"])) < 1_000 < len(str(inputs["bad"]))


async def test_L13_the_contract_that_a_model_documents_is_checked(tmp_path: Path) -> None:
    child = "workflow_type: InventoryAllocation\ninitial_state_model: steps.InventoryAllocationState\nsteps:\n"
    child += "  - {name: Allocate, function: steps.allocates}\n"
    functions = code("contract") + ALLOCATES
    functions += """

def allocate_inventory(state, context):
    data = {"order_id": state.order_id, "items": state.items}
    if state.inventory_allocated:
        del data["order_id"]
    raise StartSubWorkflowDirective(workflow_type="InventoryAllocation", initial_data=data)
"""
    directory = write(tmp_path, functions, order=order_of(CALL), child=child)
    outcome, there = await run(directory)
    assert there[".1"].result == {"allocated": True, "warehouse_id": "WH-1", "items_reserved": ITEMS}
    outcome, there = await run(directory, {"inventory_allocated": True})
    assert (outcome.status, outcome.error.code, set(there)) == ("failed", "invalid_input", {""})
    assert "order_id" in outcome.error.details["path"]


def test_every_snippet_of_code_is_run_here_or_with_the_queries() -> None:
    here = Path(__file__).read_text("utf-8") + Path(__file__).with_name("test_seed_snippets_of_queries.py").read_text("utf-8")
    assert [name for name in SNIPPETS if f'"{name}"' not in here] == []

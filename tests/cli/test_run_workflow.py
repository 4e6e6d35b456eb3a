"""`remit run workflow.yaml`: the workflow and those beside it, with their functions; what it waits for, and what cannot be loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import Shell
from tests.workflows.shops import ORDER, shop, write

ORDER_1 = '{"order_id": "order-1"}'


@pytest.fixture
def home(shell: Shell) -> Path:
    return shop(shell.home / "flows")


@pytest.mark.usefixtures("home")
def test_a_workflow_runs_with_the_children_of_its_directory_until_somebody_must_answer(shell: Shell) -> None:
    ran = shell.json("run", "flows/order.yaml", "--input", ORDER_1, code=6)
    (wait,) = ran["waiting"]
    assert (ran["status"], wait["name"], wait["prompt"]) == ("waiting", "Approve", "Ship it?")
    shell.run("answer", ran["execution_id"], '{"approved": true}')
    resumed = shell.json("run", "flows/order.yaml", "--resume", ran["execution_id"])
    assert (resumed["status"], resumed["value"]["warehouse_id"]) == ("completed", "WH-1")
    tree = shell.run("tree", ran["execution_id"], "--plain").stdout
    assert tree == "└─ OrderProcessing (COMPLETED)\n  └─ InventoryAllocation (COMPLETED)\n"


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "target", ["flows/:InventoryAllocation", "flows/inventory.yaml", "flows/inventory.yaml:InventoryAllocation"]
)
def test_a_directory_or_a_file_and_a_name_are_targets_too(shell: Shell, target: str) -> None:
    ran = shell.json("run", target, "--input", ORDER_1)
    assert ran["value"] == {"warehouse_id": "WH-1"}


@pytest.mark.usefixtures("home")
def test_what_a_target_names_must_be_there_and_be_one(shell: Shell) -> None:
    assert "name one of flows:" in shell.run("run", "flows", "--input", ORDER_1, code=2).stderr
    told = shell.run("run", "flows:Inventory", code=2).stderr
    assert "no workflow 'Inventory'" in told
    assert "flows:InventoryAllocation" in told
    assert "There is no missing.yaml" in shell.run("run", "missing.yaml", code=2).stderr


def test_findings_are_told_with_their_place_and_nothing_is_started(shell: Shell, home: Path) -> None:
    write(home, order__yaml=ORDER.replace("steps.validate", "steps.valdate"))
    told = shell.run("run", "flows/order.yaml", "--input", ORDER_1, code=2).stderr
    assert "flows/order.yaml:5:" in told
    assert "Did you mean 'steps.validate'?" in told
    assert not (shell.home / "remit.db").exists()


def test_a_file_that_is_no_workflow_is_told_as_one_and_not_as_a_directory_without(shell: Shell) -> None:
    (shell.home / "bad.yaml").write_text("workflow_type Broken\n", encoding="utf-8")
    told = shell.run("run", "bad.yaml", code=2).stderr
    assert "bad.yaml:1:1:" in told
    assert "in this directory" not in told


def test_a_file_beside_the_target_that_cannot_be_loaded_is_left_out(shell: Shell, home: Path) -> None:
    write(home, broken__yaml="workflow_type: Broken\nsteps:\n  - {name: A, function: steps.nothing}\n")
    ran = shell.run("run", "flows/inventory.yaml", "--input", ORDER_1, "--json")
    assert "broken.yaml is not hosted" in ran.stderr


def test_what_the_target_needs_cannot_be_left_out(shell: Shell, home: Path) -> None:
    write(home, inventory__yaml="workflow_type: InventoryAllocation\nsteps:\n  - {name: A, function: steps.nothing}\n")
    calling = ORDER.replace(
        "{name: Allocate, function: steps.allocate}",
        "{name: Allocate, type: SUB_WORKFLOW, sub_workflow_type: InventoryAllocation}",
    )
    write(home, order__yaml=calling)
    assert "steps.nothing" in shell.run("run", "flows/order.yaml", "--input", ORDER_1, code=2).stderr


@pytest.mark.usefixtures("home")
def test_bad_initial_data_are_rejected(shell: Shell) -> None:
    ran = shell.json("run", "flows/order.yaml", "--input", '{"total": 1}', code=3)
    assert ran["error"]["code"] == "invalid_input"
    assert "--input" in shell.run("run", "flows/order.yaml", code=3).stderr


def test_allow_lets_import_paths_lead_into_a_package_of_the_working_directory(shell: Shell) -> None:
    write(shell.home / "lib", prices__py="def price(state): return {'price': 3}", __init____py="")
    (shell.home / "lib" / "__init__.py").touch()
    write(
        shell.home / "flows",
        priced__yaml="workflow_type: Priced\nsteps:\n  - {name: Price, function: lib.prices.price}\n",
    )
    assert "--allow lib" in shell.run("run", "flows/priced.yaml", "--input", "{}", code=2).stderr
    assert shell.json("run", "flows/priced.yaml", "--input", "{}", "--allow", "lib")["value"] == {"price": 3}


@pytest.mark.usefixtures("home")
def test_a_process_runs_with_workflows_beside_it(shell: Shell) -> None:
    (shell.home / "front.py").write_text(
        "from remit import call_process, process\n\n"
        "@process('front', calls=['InventoryAllocation@^1'])\n"
        "async def front(order_id: str) -> str:\n"
        "    return (await call_process('InventoryAllocation', {'order_id': order_id})).unwrap()['warehouse_id']\n"
    )
    ran = shell.json("run", "front.py:front", "--input", '"a"', "--with", "flows/")
    assert ran["value"] == "WH-1"


def test_L39_the_command_line_goes_on_by_the_definition_an_execution_began_with(shell: Shell, home: Path) -> None:
    ran = shell.json("run", "flows/order.yaml", "--input", ORDER_1, code=6)
    write(
        home, order__yaml=ORDER.replace("name: Ship,", "name: Shipped_Anew,").replace("name: Approve,", "name: Agree,")
    )
    shell.run("answer", ran["execution_id"], '{"approved": true}')
    assert shell.json("run", "flows/order.yaml", "--resume", ran["execution_id"])["status"] == "completed"
    names = [each["name"] for each in shell.json("journal", ran["execution_id"])["entries"]]
    assert names[-2:] == ["Approve", "Ship"]


@pytest.mark.usefixtures("home")
def test_resume_starts_a_workflow_that_was_created_and_not_started(shell: Shell) -> None:
    (shell.home / "create.py").write_text(
        "import asyncio\n"
        "from remit import Remit\n"
        "from remit.workflows import WorkflowBuilder\n\n"
        "async def main():\n"
        "    async with Remit('sqlite:///remit.db', processes=['flows/']) as app:\n"
        "        print((await WorkflowBuilder(app).create_workflow('InventoryAllocation', {'order_id': 'a'})).id)\n\n"
        "asyncio.run(main())\n"
    )
    created = subprocess.run(
        [sys.executable, "create.py"], cwd=shell.home, env=shell.env, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert shell.json("ps")["executions"][0]["status"] == "PENDING"
    ran = shell.json("run", "flows/inventory.yaml", "--resume", created)
    assert (ran["status"], ran["execution_id"]) == ("completed", created)

"""`remit check` as it is typed: what it prints, for people and for programs, and its exit codes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import Shell
from tests.house.sources import ROOT
from tests.workflows.expectations import BAD, GOOD


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    opened = Shell(tmp_path)
    yield opened
    opened.close()


def test_good_files_end_with_zero(shell: Shell) -> None:
    ran = shell.run("check", str(GOOD / "orders"), str(GOOD / "loan"))
    assert ran.stdout == "7 workflows: 0 errors, 0 warnings\n"


def test_warnings_end_with_zero_too(shell: Shell) -> None:
    ran = shell.run("check", str(BAD / "nesting"))
    assert "deep_nesting" in ran.stdout
    assert ran.stdout.endswith("5 workflows: 0 errors, 2 warnings\n")


def test_errors_end_with_two_and_stand_each_on_a_line_with_its_place(shell: Shell) -> None:
    shutil.copy(BAD / "missing_function.yaml", shell.home / "inventory.yaml")
    ran = shell.run("check", "inventory.yaml", code=2)
    assert ran.stdout.splitlines() == [
        "inventory.yaml:3:5: error: Step 'Check_Stock' has no `function`: a STANDARD step runs one; for another kind of step say its `type`. [missing_function]",
        "inventory.yaml:4:5: error: Step 'Reserve_Items' has no `function`: a STANDARD step runs one; for another kind of step say its `type`. [missing_function]",
        "inventory.yaml:7:5: error: Step 'Update_Ledger' has no `function`: an ASYNC step runs one. [missing_function]",
        "1 workflow: 3 errors, 0 warnings",
    ]


def test_programs_get_one_json_document(shell: Shell) -> None:
    told = json.loads(shell.run("check", "--json", str(BAD / "cycle"), code=2).stdout)
    assert told["ok"] is False
    assert [each["workflow_type"] for each in told["workflows"]] == ["Allocation", "Order", "Selection"]
    assert {each["code"] for each in told["findings"]} == {"cycle_detected"}
    assert set(told["findings"][0]) == {"code", "severity", "message", "file", "line", "column", "text", "suggestion"}
    good = json.loads(shell.run("check", "--json", str(GOOD / "every_step.yaml")).stdout)
    assert (good["ok"], good["findings"]) == (True, [])


def test_a_package_beside_the_workflows_is_allowed_by_name(shell: Shell) -> None:
    (shell.home / "flows").mkdir()
    (shell.home / "shop").mkdir()
    (shell.home / "shop" / "steps.py").write_text("def book(state, context): return {}\n")
    (shell.home / "flows" / "order.yaml").write_text(
        "{workflow_type: Order, steps: [{name: Book, function: shop.steps.book}]}"
    )
    refused = shell.run("check", "flows", code=2)
    assert "unknown_function" in refused.stdout
    assert "--allow shop" in refused.stdout
    assert shell.run("check", "flows", "--allow", "shop").stdout == "1 workflow: 0 errors, 0 warnings\n"


def test_the_schema_is_printed_as_it_is_published(shell: Shell) -> None:
    assert shell.run("check", "--schema").stdout == (ROOT / "docs" / "workflow.schema.json").read_text()


def test_nothing_to_check_is_said(shell: Shell) -> None:
    assert "Say what to check" in shell.run("check", code=2).stderr
    assert "missing_file" in shell.run("check", "nowhere.yaml", code=2).stdout


def test_explain_knows_the_codes_of_findings(shell: Shell) -> None:
    assert "To mend it: " in shell.run("explain", "duplicate_step").stdout
    assert shell.json("explain", "unreachable_step")["found_by"] == "remit check"
    assert "Did you mean duplicate_step" in shell.run("explain", "duplicate_stpe", code=2).stderr

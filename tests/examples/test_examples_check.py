"""Every example's workflow files are beyond reproach: `remit check` finds nothing, not even something to warn of."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from remit.workflows.load import load

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted({path.relative_to(ROOT).parts[1] for path in ROOT.glob("examples/**/*.yaml")})


def directories(example: str) -> list[Path]:
    """Each directory of an example that has workflows."""
    return sorted({path.parent for path in (ROOT / "examples" / example).rglob("*.yaml")})


def test_there_are_workflows_to_check() -> None:
    assert EXAMPLES == ["loans", "orders", "releases"]
    assert len(directories("orders")) == 7


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_workflows_of_an_example_are_clean_together(example: str) -> None:
    loaded = load(directories(example))
    assert loaded.findings == ()
    assert len(loaded.files) == len(list((ROOT / "examples" / example).rglob("*.yaml")))


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_directory_is_clean_by_itself(example: str) -> None:
    """A department need not have the others' files to know that its own are right."""
    found = [str(finding) for directory in directories(example) for finding in load([directory]).findings]
    assert found == []


def test_remit_check_says_so_to_programs() -> None:
    """As a reader of the READMEs runs it."""
    command = [sys.executable, "-m", "remit.cli", "check", "--json"]
    paths = [str(each.relative_to(ROOT)) for example in EXAMPLES for each in directories(example)]
    ran = subprocess.run([*command, *paths], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["ok"]
    assert told["findings"] == []
    assert {each["workflow_type"] for each in told["workflows"]} >= {"OrderProcessing", "LoanApproval", "ReleaseTrain"}

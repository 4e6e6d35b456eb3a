"""`remit contract diff` and `show`: two versions of a process, a workflow or a schema compared on the command line (L41)."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.terminal import Shell

PROCESS = """
from pydantic import BaseModel
from remit import process

print("imported")


class Request(BaseModel):
    sku: str
    quantity: int = 1
{request}

class Allocation(BaseModel):
    warehouse: str
{result}

@process("inventory", version="{version}")
async def inventory(request: Request) -> Allocation:
    return Allocation(warehouse="main")
"""
WORKFLOW = """
workflow_type: Greeting
workflow_version: {version}
initial_state_model:
  type: object
  properties: {{name: {{type: {type}}}}}
  required: [name]
steps:
  - {{name: Wait, type: WAIT, duration: 1s}}
"""


def _version(shell: Shell, directory: str, **parts: str) -> str:
    """The same module in a directory of its own, as two checkouts have it."""
    file = shell.home / directory / "inventory.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(PROCESS.format(**{"request": "", "result": "", "version": "1.0.0", **parts}))
    return f"{directory}/inventory.py:inventory"


def _schema(shell: Shell, name: str, schema: Any) -> str:
    (shell.home / name).write_text(json.dumps(schema))
    return name


def test_L41_a_compatible_version_ends_with_zero(shell: Shell) -> None:
    old = _version(shell, "old")
    new = _version(shell, "new", request="    note: str | None = None", result="    aisle: int = 0", version="1.1.0")
    ran = shell.run("contract", "diff", old, new)
    assert ran.stdout.splitlines() == [
        "input /note: compatible: is a new field; it may be left out",
        "result /aisle: compatible: is a new field; callers of the old version do not look at it",
        "0 breaking, 0 unknown, 2 compatible",
    ]
    same = shell.run("contract", "diff", old, old)
    assert same.stdout == "0 breaking, 0 unknown, 0 compatible\n"


def test_L41_a_breaking_version_ends_with_one_and_says_whom_it_breaks(shell: Shell) -> None:
    """A field with a default is written too, so its callers rely on it."""
    old = _version(shell, "old", result="    aisle: int = 0")
    new = _version(shell, "new", request="    region: str")
    ran = shell.run("contract", "diff", old, new, code=1)
    assert ran.stdout.splitlines() == [
        (
            "input /region: breaks: is a new field that is required (a text); callers of the old version do not know it."
            ' For example: {"sku": "x"}'
        ),
        (
            "result /aisle: breaks: is gone; callers of the old version rely on a whole number there."
            ' For example: {"warehouse": "x"}'
        ),
        "2 breaking, 0 unknown, 0 compatible",
    ]
    shell.run("contract", "diff", old, new, "--role", "result", code=1)
    found = shell.json("contract", "diff", old, new, code=1)
    assert (found["compatible"], found["new"]) == (False, {"target": new, "process": "inventory", "version": "1.0.0"})
    assert [(each["role"], each["pointer"], each["kind"]) for each in found["findings"]] == [
        ("input", "/region", "breaks"),
        ("result", "/aisle", "breaks"),
    ]


def test_L41_a_contract_that_was_kept_is_compared_with_later(shell: Shell) -> None:
    target = _version(shell, "old", version="2.0.1")
    printed = shell.run("contract", "show", target).stdout.splitlines()[-1]
    told = json.loads(printed)
    assert (told["process"], told["version"], sorted(told["input"]["properties"])) == (
        "inventory",
        "2.0.1",
        ["quantity", "sku"],
    )
    (shell.home / "kept.json").write_text(printed)
    found = shell.json("contract", "diff", "kept.json", target)
    assert (found["compatible"], found["old"]["version"]) == (True, "2.0.1")


def test_L41_workflows_are_compared_by_their_state(shell: Shell) -> None:
    for name, kind in (("old", "string"), ("new", "integer")):
        (shell.home / name).mkdir()
        (shell.home / name / "greeting.yaml").write_text(WORKFLOW.format(version="1.0.0", type=kind))
    found = shell.json("contract", "diff", "old/greeting.yaml", "new/greeting.yaml", code=1)
    assert [(each["role"], each["pointer"]) for each in found["findings"]] == [("input", "/name")]


def test_L41_schemas_need_a_role_and_what_is_unknown_ends_with_one(shell: Shell) -> None:
    old, new = (
        _schema(shell, "old.json", {"type": "string"}),
        _schema(shell, "new.json", {"type": "string", "pattern": "^(a|b)*$"}),
    )
    assert "--role input" in shell.run("contract", "diff", old, new, code=2).stderr
    assert shell.json("contract", "diff", old, new, "--role", "result")["compatible"] is True
    ran = shell.run("contract", "diff", old, new, "--role", "input", code=1)
    assert "/: unknown: cannot be compared" in ran.stdout


def test_what_cannot_be_read_says_so(shell: Shell) -> None:
    target = _version(shell, "old")
    assert "There is no file gone.json" in shell.run("contract", "diff", "gone.json", target, code=2).stderr
    assert "is no JSON Schema" in shell.run("contract", "diff", _schema(shell, "list.json", []), target, code=2).stderr
    told = shell.json("contract", "diff", target, "old/inventory.py:stock", code=2)["error"]
    assert (told["code"], "no process 'stock'" in told["message"]) == ("bad_definition", True)
    (shell.home / "leaves.py").write_text("import os\nos._exit(7)\n")
    assert "exit code 7" in shell.run("contract", "diff", target, "leaves.py:x", code=2).stderr

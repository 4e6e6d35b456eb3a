"""`remit tree | show | journal | lineage | ps | explain`: what they print, for people and as JSON."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from remit.errors import CODES
from tests.cli.terminal import SHOP, Shell

SLOWEST = '{"sku": "slowest"}'


def _order(shell: Shell, sku: str = "abc") -> str:
    return str(shell.json("run", f"{SHOP}:order", "--input", f'{{"sku": "{sku}"}}')["execution_id"])


def test_the_plain_tree_is_the_seeds_lines_to_the_letter(shell: Shell) -> None:
    shell.start("run", f"{SHOP}:order", "--input", SLOWEST)
    shell.waits("PENDING_SUB_WORKFLOW")
    root = shell.json("ps", "--process", "OrderProcessing")["executions"][0]["execution_id"]
    deadline = time.monotonic() + 5
    while "WarehouseSelection (COMPLETED)" not in (shown := shell.run("tree", root, "--plain").stdout):
        assert time.monotonic() < deadline, shown
    assert shown == (
        "└─ OrderProcessing (PENDING_SUB_WORKFLOW)\n"
        "  └─ InventoryAllocation (ACTIVE)\n"
        "    └─ WarehouseSelection (COMPLETED)\n"
    )


def test_L1_the_tree_is_the_same_from_its_root_and_from_a_leaf(shell: Shell) -> None:
    root = _order(shell)
    tree = shell.json("tree", root)
    assert tree == shell.json("tree", f"{root}.1.1")
    (child,) = tree["children"]
    (leaf,) = child["children"]
    assert [node["process"] for node in (tree, child, leaf)] == [
        "OrderProcessing",
        "InventoryAllocation",
        "WarehouseSelection",
    ]
    assert [node["usage"]["own"]["tokens"] for node in (tree, child, leaf)] == [0, 1200, 150]
    assert [node["usage"]["subtree"]["cost"] for node in (tree, child, leaf)] == ["0.01418", "0.01418", "0.00218"]
    shown = shell.run("tree", f"{root}.1.1").stdout
    assert "1,350 tokens · $0.01418" in shown
    assert "\x1b[" not in shown


def test_show_has_the_record_and_what_it_waits_for(shell: Shell) -> None:
    ran = shell.json(
        "run", f"{SHOP}:ship", "--input", '{"sku": "abc"}', "--tenant", "acme", "--budget-tokens", "50", code=6
    )
    child = f"{ran['execution_id']}.1"
    record = shell.json("show", child)
    assert (record["status"], record["tenant"], record["depth"]) == ("WAITING_HUMAN_INPUT", "acme", 1)
    assert record["waiting_on"]["count"] == 1
    shown = shell.run("show", child).stdout
    assert "Ship 1 of abc?" in shown
    assert f"remit answer {child} '{{\"approved\":true}}'" in shown
    assert "0 of 50 tokens" in shell.run("show", ran["execution_id"]).stdout


def test_journal_and_lineage_list_what_was_recorded(shell: Shell) -> None:
    root = _order(shell)
    entries = shell.json("journal", f"{root}.1")["entries"]
    assert [(entry["kind"], entry["name"]) for entry in entries] == [
        ("charge", "charge"),
        ("child", "WarehouseSelection"),
    ]
    calls = shell.json("lineage", root)["entries"]
    assert [(call["kind"], call["name"], call["usage"]["cost"]) for call in calls] == [
        ("model", "small", "0.00018"),
        ("tool", "erp.lookup", "0.002"),
    ]
    assert "erp.lookup" in shell.run("lineage", root).stdout
    assert "WarehouseSelection" in shell.run("journal", f"{root}.1").stdout


def test_ps_narrows_and_pages(shell: Shell) -> None:
    root = _order(shell)
    assert len(shell.json("ps")["executions"]) == 3
    assert [each["execution_id"] for each in shell.json("ps", "--parent", root)["executions"]] == [f"{root}.1"]
    assert shell.json("ps", "--status", "open")["executions"] == []
    page = shell.json("ps", "--limit", "2")
    rest = shell.json("ps", "--limit", "2", "--cursor", page["cursor"])
    assert [each["execution_id"] for each in rest["executions"]] == [root]
    assert rest["cursor"] is None
    listed = shell.run("ps").stdout
    assert f"{root}.1.1" in listed
    assert "use one of PENDING" in shell.run("ps", "--status", "DONE", code=2).stderr
    assert "no execution 'exec_9'" in shell.run("ps", "--parent", "exec_9", code=2).stderr


@pytest.mark.parametrize("verb", ["tree", "show", "journal", "lineage"])
def test_an_unknown_id_or_store_is_2_and_named(shell: Shell, verb: str) -> None:
    assert "There is no store" in shell.run(verb, "exec_1", code=2).stderr
    assert list(shell.home.iterdir()) == []
    _order(shell)
    assert shell.json(verb, "exec_1", code=2)["error"]["code"] == "unknown_execution"
    (shell.home / "notes.db").write_text("no database at all, but text that is long enough to be looked at" * 20)
    assert "no SQLite database" in shell.run(verb, "exec_1", "--store", "sqlite:///notes.db", code=2).stderr


def test_the_store_is_named_by_the_environment_too(shell: Shell) -> None:
    shell.env["REMIT_STORE"] = "sqlite:///other.db"
    _order(shell)
    assert (shell.home / "other.db").stat().st_mode & 0o777 == 0o600
    assert not (shell.home / "remit.db").exists()


def test_a_reader_that_leaves_early_gets_no_traceback(shell: Shell) -> None:
    _order(shell)
    command = f"{sys.executable} -m remit.cli ps --json | true; exit ${{PIPESTATUS[0]}}"
    ran = subprocess.run(
        ["bash", "-c", command], cwd=shell.home, env=shell.env, capture_output=True, text=True, check=False
    )
    assert ran.returncode in {0, 1}
    assert ran.stderr == ""


def test_explain_knows_every_code(shell: Shell) -> None:
    assert [row["code"] for row in shell.json("explain")["codes"]] == list(CODES)
    one = shell.json("explain", "budget_exceeded")
    assert one == {
        "code": "budget_exceeded",
        "error_class": "DOMAIN",
        "meaning": CODES["budget_exceeded"].meaning,
        "mend": CODES["budget_exceeded"].mend,
    }
    assert CODES["cross_tenant"].mend in shell.run("explain", "cross_tenant").stdout
    assert "Did you mean budget_exceeded" in shell.run("explain", "budget_exceded", code=2).stderr

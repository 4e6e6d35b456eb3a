"""`remit policy`: applied by whoever drives the store, else right here; shown, explained and withdrawn (L43)."""

from __future__ import annotations

from tests.cli.terminal import SHOP, Shell

PII = """
policy: pii
version: 1.0.0
applies_to: {process: WarehouseSelection}
limits: {ttl: 10m}
tools: {deny: [erp.*]}
filters: [{on: input, find: email, action: redact}]
"""


def test_L43_policies_are_applied_shown_explained_and_withdrawn(shell: Shell) -> None:
    shell.run("migrate")
    (shell.home / "pii.yaml").write_text(PII, "utf-8")
    assert shell.run("policy", "show").stdout == "No policy is in force.\n"
    assert "can be applied" in shell.run("policy", "check", "pii.yaml").stdout
    (applied,) = shell.json("policy", "apply", "pii.yaml", "--by", "ann")["policies"]
    assert (applied["policy"], applied["in_force"], applied["applied_by"]) == ("pii", True, "ann")
    assert shell.run("policy", "show", "pii").stdout == PII.rstrip("\n") + "\n"
    table = shell.run("policy", "show").stdout
    assert "process WarehouseSelection" in table
    assert "filters, limits, tools" in table
    ended = shell.json("run", f"{SHOP}:select_warehouse", "--input", '{"sku": "of a@b.de"}', code=1)
    assert ended["error"]["code"] == "policy_denied"
    told = shell.run("policy", "explain", ended["execution_id"]).stdout
    assert f"pii 1.0.0: process WarehouseSelection, at {ended['execution_id']}" in told
    assert "ttl_ms 600000, by pii@1.0.0" in told
    assert "redacted input of WarehouseSelection at /sku, by pii@1.0.0, filter email" in told
    assert "denied erp.lookup: Policy pii@1.0.0 does not let tool 'erp.lookup' be used" in told
    assert shell.json("policy", "explain", ended["execution_id"])["applied"][0]["policy"] == "pii"
    assert "pii@1.0.0" in shell.run("show", ended["execution_id"]).stdout
    assert "is withdrawn" in shell.run("policy", "remove", "pii", "--by", "bob").stdout
    assert "No policy 'pii' was applied; in force: none" in shell.run("policy", "remove", "pii", code=2).stderr
    (row,) = shell.json("policy", "show", "--all")["policies"]
    assert (row["in_force"], row["ended_by"]) == (False, "bob")
    assert "until 20" in shell.run("policy", "show", "--all").stdout


def test_L43_a_file_with_errors_is_told_in_full_and_not_applied(shell: Shell) -> None:
    shell.run("migrate")
    (shell.home / "bad.yaml").write_text("policy: p\nversion: 1.0.0\nlimit: {dept: 1}\n", "utf-8")
    for verb in ("check", "apply"):
        told = shell.run("policy", verb, "bad.yaml", code=2).stderr
        assert "bad.yaml:3:1: error: `limit` is no key of a policy" in told
        assert "Did you mean 'limits'?" in told
    assert shell.json("policy", "show")["policies"] == []


FOUR_EYES = "policy: eyes\nversion: 1.0.0\napprovals: {four_eyes: true}\n"


def test_L43_the_process_that_drives_the_store_applies_and_wants_four_eyes(shell: Shell) -> None:
    (shell.home / "eyes.yaml").write_text(FOUR_EYES, "utf-8")
    shell.start("run", f"{SHOP}:decide", "--input", '{"sku": "hammer"}', "--owner", "ann")
    asked = shell.waits("WAITING_HUMAN_INPUT")
    shell.run("policy", "apply", "eyes.yaml")
    answer = '{"approved": true}'
    assert "--as NAME" in shell.run("answer", asked, answer, code=2).stderr
    assert "somebody else has to answer" in shell.run("answer", asked, answer, "--as", "Ann", code=2).stderr
    shell.run("answer", asked, answer, "--as", "bob")

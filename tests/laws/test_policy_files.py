"""Policy files: all that is wrong at once, each at its line and column, and nothing applied (L43, L48)."""

from __future__ import annotations

from pathlib import Path

import pytest

from remit import InvalidInput, Remit
from remit.control.policies.files import PolicyInvalid, read_policies, texts_of
from remit.kernel.policies import policy_of

FULL = """
policy: full
version: "1.2"
description: everything there is
applies_to: {tenant: acme, department: [sales], process: ['tools.*'], version: ^2, tag: [pii, money]}
limits: {ttl: 10m, depth: 3, fan_out: 50, attempts: 2, budget: {tokens: 500, cost: 0.50}}
rate_limit: {calls: 100, per: 1m}
tools: {allow: 'mail.*', deny: [mail.all]}
models: {deny: ['*-preview']}
isolation: process
filters:
  - {name: mail, on: input, find: email, action: block}
  - {on: [result, tool], find: [card, iban], action: redact}
  - {on: tool, pattern: 'EMP-[0-9]+', action: block}
rules:
  - {name: eu, require: "call.region == 'eu'", message: only in the EU}
approvals: {four_eyes: yes}
"""


def test_L43_a_file_says_all_that_a_policy_can() -> None:
    (read,) = read_policies({"full.yaml": FULL})
    assert read.content == {
        "policy": "full",
        "version": "1.2.0",
        "description": "everything there is",
        "applies_to": {
            "tenant": ["acme"], "department": ["sales"], "process": ["tools.*"], "version": ["^2"], "tag": ["pii", "money"],
        },
        "limits": {"ttl_ms": 600_000, "depth": 3, "fan_out": 50, "attempts": 2, "tokens": 500, "cost": 500_000},
        "rate_limit": {"calls": 100, "per_ms": 60_000, "burst": 100, "by": "policy"},
        "tools": {"allow": ["mail.*"], "deny": ["mail.all"]},
        "models": {"deny": ["*-preview"]},
        "isolation": "process",
        "filters": [
            {"name": "mail", "on": ["input"], "find": ["email"], "action": "block"},
            {"name": "card+iban", "on": ["result", "tool"], "find": ["card", "iban"], "action": "redact"},
            {"name": "pattern", "on": ["tool"], "pattern": "EMP-[0-9]+", "action": "block"},
        ],
        "rules": [{"name": "eu", "require": "call.region == 'eu'", "message": "only in the EU"}],
        "four_eyes": True,
    }  # fmt: skip
    assert policy_of(read.content).label == "full@1.2.0"


BAD = """
policy: bad
version: 1.0.0
tenant: acme
aplies_to: {tag: pii}
limits: {ttl: soon, dept: 3}
rate_limit: {calls: 0, per: 1m, by: user}
tools: [mail]
applies_to: {version: nothing}
filters:
  - {on: inputs, find: email, action: block}
  - {on: input, find: email, pattern: x, action: block}
  - {on: input, pattern: '(a', action: hide}
rules:
  - {name: one, require: call.regin == 'eu'}
  - {name: two, require: "call.region = 'eu'"}
nonsense: 1
"""


def test_L48_everything_wrong_is_said_at_once_with_place_and_suggestion() -> None:
    with pytest.raises(PolicyInvalid) as refused:
        read_policies({"bad.yaml": BAD})
    found = {(each.position.line, each.position.column): each for each in refused.value.findings}
    said = {place: (each.code, each.suggestion) for place, each in found.items()}
    assert said == {
        (4, 1): ("unknown_key", None),
        (5, 1): ("unknown_key", "applies_to"),
        (6, 15): ("invalid_value", None),
        (6, 21): ("unknown_key", "depth"),
        (7, 21): ("invalid_value", None),
        (7, 37): ("invalid_value", None),
        (8, 8): ("invalid_value", None),
        (9, 23): ("invalid_value", None),
        (11, 10): ("invalid_value", "input"),
        (12, 5): ("invalid_value", None),
        (13, 27): ("invalid_value", None),
        (13, 40): ("invalid_value", None),
        (15, 26): ("unknown_field", "region"),
        (16, 39): ("bad_expression", "=="),
        (17, 1): ("unknown_key", None),
    }
    assert all(each.severity == "error" for each in refused.value.findings)
    assert "under `applies_to`" in found[4, 1].message
    assert "no effect" not in found[17, 1].message
    assert refused.value.message.startswith("15 errors in the policies:\nbad.yaml:4:1: error:")
    assert len(refused.value.details["findings"]) == 15


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("policy: [", "yaml_syntax"),
        ("policy: a\npolicy: b\nversion: 1.0.0\n", "yaml_duplicate_key"),
        ("policy: !!python/object:os.system {}\n", "yaml_tag"),
        ("version: 1.0.0\n", "missing_field"),
        ("- policy\n", "invalid_value"),
        ("", "invalid_value"),
        ("policy: a\nversion: newest\n", "invalid_value"),
        ("policy: a b\nversion: 1.0.0\n", "invalid_value"),
        ("policy: a\nversion: 1.0.0\napplies_to: {tag: []}\n", "invalid_value"),
    ],
)
def test_L48_what_is_no_policy_is_refused(text: str, code: str) -> None:
    with pytest.raises(PolicyInvalid) as refused:
        read_policies({"bad.yaml": text})
    assert code in {each.code for each in refused.value.findings}


EMPTY = [
    "tools: {allow: }", "models: {allow: null, deny: [a]}", "applies_to: {tenant: }", "limits: {ttl: }", "rate_limit:", "isolation: ~",
    "rules: [{name: a, require: 'True', message: }]", "evaluation: {recorded: 1, min_pass: }", "filters: [null]", "tools: {allow: [~]}",
]  # fmt: skip


@pytest.mark.parametrize("line", EMPTY)
async def test_L48_a_key_with_nothing_behind_it_is_refused_where_it_stands_and_changes_nothing(line: str, tmp_path: Path) -> None:
    for _ in range(2):
        async with Remit(f"sqlite:///{tmp_path / 'remit.db'}", processes=[]) as app:
            with pytest.raises(PolicyInvalid) as raised:
                await app.apply_policy(f"policy: empty\nversion: 1.0.0\n{line}\n")
            (finding,) = raised.value.findings
            assert (finding.code, finding.position.line) == ("invalid_value", 3)
            assert await app.policies() == []


def test_L43_a_list_of_what_may_be_used_that_was_kept_empty_lets_nothing_be_used() -> None:
    kept = policy_of({"policy": "kept", "version": "1.0.0", "tools": {"allow": None}})
    assert kept.tools is not None
    assert kept.tools.refuses("mail")


@pytest.mark.parametrize("per", ["0s", "0"])
def test_L48_a_rate_counts_in_some_time(per: str) -> None:
    with pytest.raises(PolicyInvalid, match="no time to count in: give at least 1ms"):
        read_policies({"p.yaml": f"policy: p\nversion: 1.0.0\nrate_limit: {{calls: 1, per: {per}}}\n"})


async def test_L43_a_file_or_its_text_is_applied(tmp_path: Path) -> None:
    path = tmp_path / "full.yaml"
    path.write_text(FULL, "utf-8")
    async with Remit(":memory:") as app:
        (view,) = await app.apply_policy(path, by="ann")
        assert (view.source, view.applied_by, view.in_force) == (FULL, "ann", True)
        assert await app.apply_policy(FULL) == [view]
        assert await app.policies("full@1.2.0") == [view]
        for wrong in (3, None):
            with pytest.raises(InvalidInput, match="give the path of a policy file"):
                await app.apply_policy(wrong)  # type: ignore[arg-type]
        for missing in ("gone.yaml", tmp_path, "a\0.yaml"):
            with pytest.raises(PolicyInvalid, match="cannot be read"):
                await app.apply_policy(missing)
    (tmp_path / "latin.yaml").write_bytes(b"policy: \xe4")
    with pytest.raises(PolicyInvalid, match="no UTF-8"):
        texts_of([tmp_path / "latin.yaml"])

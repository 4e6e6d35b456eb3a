"""`remit audit export | verify | keygen`: exit codes, and the row that is named (L49)."""

from __future__ import annotations

import getpass
import json

import apsw

from tests.cli.terminal import SHOP, Shell


def _ordered(shell: Shell) -> str:
    return str(shell.json("run", f"{SHOP}:order", "--input", '{"sku": "abc"}', "--tenant", "acme")["execution_id"])


def _edit(shell: Shell, statement: str) -> None:
    connection = apsw.Connection(str(shell.home / "remit.db"))
    connection.execute(statement)
    connection.close()


def test_L49_verify_finds_an_edited_row_and_names_it(shell: Shell) -> None:
    root = _ordered(shell)
    fine = shell.json("audit", "verify")
    assert (fine["ok"], fine["findings"], fine["checked"]) == (True, [], ["the executions that there are"])
    assert "no findings" in shell.run("audit", "verify").stdout
    _edit(shell, "UPDATE audit SET actor = 'mallory' WHERE seq = 2")
    told = shell.run("audit", "verify", code=1).stdout
    assert f"edited: row 2 of {root} does not give its hash" in told
    assert [each["seq"] for each in shell.json("audit", "verify", code=1)["findings"]] == [2]


def test_L49_a_signed_export_finds_a_cut_tail_later(shell: Shell) -> None:
    root = _ordered(shell)
    shell.run("audit", "keygen", "audit.key")
    assert "not signed" in shell.run("audit", "export").stderr
    shell.run("audit", "export", "-o", "march.jsonl", "--key", "audit.key")
    assert (shell.home / "march.jsonl").stat().st_mode & 0o777 == 0o600
    assert shell.json("audit", "verify", "march.jsonl", "--key", "audit.key.pub")["ok"]
    shell.run("audit", "verify", "--checkpoint", "march.jsonl", "--key", "audit.key.pub")
    _edit(shell, "DELETE FROM audit WHERE kind = 'completed'")
    assert "is found with --checkpoint FILE only" in shell.run("audit", "verify").stdout
    told = shell.run("audit", "verify", "--checkpoint", "march.jsonl", "--key", "audit.key.pub", code=1).stdout
    assert f"of {root} is cut off" in told
    lines = (shell.home / "march.jsonl").read_bytes().splitlines(keepends=True)
    (shell.home / "march.jsonl").write_bytes(b"".join(lines[1:]))
    assert "missing" in shell.run("audit", "verify", "march.jsonl", code=1).stdout


def test_L49_an_export_is_narrowed(shell: Shell) -> None:
    first, second = _ordered(shell), _ordered(shell)
    shell.run("run", f"{SHOP}:order", "--input", '{"sku": "abc"}')

    def exported(*narrowed: str) -> set[str]:
        lines = shell.run("audit", "export", *narrowed).stdout.splitlines()
        return {json.loads(line)["chain"] for line in lines[:-1]}

    assert len(exported()) == 3
    assert exported("--root", second) == {second}
    assert exported("--tenant", "acme") == {first, second}
    assert len(exported("--since", "2020-01-01")) == 3
    assert exported("--since", "2999-01-01T00:00+00:00") == set()


def test_L49_whoever_commands_is_in_the_log(shell: Shell) -> None:
    root = _ordered(shell)
    shell.run("retry", root, code=2)
    lines = [json.loads(line) for line in shell.run("audit", "export", "--root", root).stdout.splitlines()[:-1]]
    assert (lines[-1]["kind"], lines[-1]["actor"]) == ("refused", getpass.getuser())


def test_what_cannot_be_asked_for_is_2_and_says_how_to(shell: Shell) -> None:
    _ordered(shell)
    shell.run("audit", "keygen", "audit.key")
    for wrong in (
        ("export", "--since", "yesterday"), ("export", "--root", "x"), ("export", "-o", "audit.key"),
        ("export", "-o", "nowhere/x"), ("export", "--key", "missing"), ("keygen", "audit.key"),
        ("verify", "missing"), ("verify", "audit.key"), ("verify", "--key", "audit.key"),
        ("verify", "audit.key", "--checkpoint", "audit.key"), ("verify", "--checkpoint", "missing"),
    ):  # fmt: skip
        assert "invalid_input" in shell.run("audit", *wrong, code=2).stderr
    assert not list(shell.home.glob(".*"))

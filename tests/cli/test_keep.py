"""`remit backup | restore | migrate | doctor`: whole copies beside a writer, and what a sick store shows."""

from __future__ import annotations

import apsw
import pytest

from tests.cli.terminal import SHOP, Shell

RESTORED = "sqlite:///restored.db"


def test_a_backup_restores_to_the_same_executions(shell: Shell) -> None:
    root = shell.json("run", f"{SHOP}:order", "--input", '{"sku": "abc"}')["execution_id"]
    tree = shell.json("tree", root)
    shell.run("backup", "copy.bak")
    assert (shell.home / "copy.bak").stat().st_mode & 0o777 == 0o600
    shell.run("restore", "copy.bak", "--store", RESTORED)
    assert (shell.home / "restored.db").stat().st_mode & 0o777 == 0o600
    assert shell.json("tree", root, "--store", RESTORED) == tree
    again = shell.json("run", f"{SHOP}:order", "--input", '{"sku": "abc"}', "--store", RESTORED)
    assert again["status"] == "completed"


def test_L46_a_backup_beside_a_writer_is_whole(shell: Shell) -> None:
    """Children are being written while copies are made: each copy is one instant, none is torn."""
    running = shell.start("run", f"{SHOP}:steady")
    shell.waits("PENDING_SUB_WORKFLOW")
    for number in range(3):
        shell.run("backup", f"{number}.bak")
        copy = apsw.Connection(str(shell.home / f"{number}.bak"), flags=apsw.SQLITE_OPEN_READONLY)
        assert copy.execute("PRAGMA integrity_check").get == "ok"
        roots, children = copy.execute("SELECT sum(parent_n = 0), sum(parent_n <> 0) FROM executions").get
        assert roots == 1
        assert children >= 1
        copy.close()
    assert running.wait(60) == 0
    shell.run("restore", "0.bak", "--store", RESTORED)
    root = shell.json("ps", "--process", "Steady", "--store", RESTORED)["executions"][0]["execution_id"]
    assert shell.json("run", f"{SHOP}:steady", "--resume", root, "--store", RESTORED)["value"] == 100


def test_nothing_is_overwritten_unasked_nor_while_it_is_driven(shell: Shell) -> None:
    shell.run("run", f"{SHOP}:chatty")
    shell.run("backup", "copy.bak")
    assert "replace it with --force" in shell.run("backup", "copy.bak", code=2).stderr
    assert "replace it with --force" in shell.run("restore", "copy.bak", code=2).stderr
    shell.run("run", f"{SHOP}:chatty")
    shell.run("restore", "copy.bak", "--force")
    assert len(shell.json("ps")["executions"]) == 1
    shell.start("run", f"{SHOP}:sleeper")
    shell.waits("PENDING_ASYNC")
    assert shell.json("restore", "copy.bak", "--force", code=2)["error"]["code"] == "store_owned"
    assert "There is no file" in shell.run("restore", "nofile", "--store", RESTORED, code=2).stderr
    (shell.home / "text").write_text("plain text, and long enough for a look at its head" * 20)
    assert "no SQLite database" in shell.run("restore", "text", "--store", RESTORED, code=2).stderr
    assert not (shell.home / "restored.db").exists()


def test_migrate_makes_a_store_and_says_from_where_to_where(shell: Shell) -> None:
    made = shell.json("migrate")
    assert (made["from"], made["to"] > 0) == (0, True)
    assert "already" in shell.run("migrate").stdout


def _levels(report) -> dict[str, str]:
    return {finding["check"]: finding["level"] for finding in report["findings"]}


def test_a_healthy_store_is_0_and_shows_version_durability_and_owner(shell: Shell) -> None:
    running = shell.start("run", f"{SHOP}:sleeper")
    shell.waits("PENDING_ASYNC")
    report = shell.json("doctor")
    told = {finding["check"]: finding["message"] for finding in report["findings"]}
    assert report["healthy"] is True
    assert set(_levels(report).values()) == {"ok"}
    assert told["sqlite"] == apsw.sqlite_lib_version()
    assert told["durability"] == "journal mode WAL, synchronous FULL"
    assert f"process {running.pid} on" in told["owner"]


def test_doctor_finds_what_is_stuck(shell: Shell) -> None:
    running = shell.start("run", f"{SHOP}:sleeper")
    shell.waits("PENDING_ASYNC")
    running.kill()
    running.wait(10)
    with apsw.Connection(str(shell.home / "remit.db")) as connection:
        connection.execute("UPDATE journal SET due_at = 1 WHERE due_at IS NOT NULL")
    shell.json(
        "run",
        f"{SHOP}:costly",
        "--budget-tokens",
        "1",
        "--on-exhausted",
        "suspend",
        "--store",
        "sqlite:///p.db",
        code=6,
    )
    assert _levels(shell.json("doctor", code=1))["timers"] == "problem"
    assert _levels(shell.json("doctor", "--store", "sqlite:///p.db"))["paused"] == "note"
    assert (
        _levels(shell.json("doctor", "--store", "sqlite:///p.db", "--paused-hours", "0", code=1))["paused"] == "problem"
    )


def test_doctor_finds_the_unowned_the_readable_and_the_unsynced(shell: Shell) -> None:
    running = shell.start("run", f"{SHOP}:threaded")
    shell.waits("ACTIVE")
    running.kill()
    running.wait(10)
    (shell.home / "remit.db").chmod(0o644)
    report = shell.json("doctor", "--store", "sqlite:///remit.db?synchronous=NORMAL", code=1)
    levels = _levels(report)
    assert [levels[check] for check in ("unowned", "file mode", "durability")] == ["problem"] * 3
    told = shell.run("doctor", code=1).stdout
    assert "should run and nobody drives the store" in told
    assert "chmod 600" in told


def test_doctor_finds_a_damaged_page(shell: Shell) -> None:
    shell.run("run", f"{SHOP}:many")
    path = shell.home / "remit.db"
    with apsw.Connection(str(path)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'execution_by_call'").get
    page = bytearray(path.read_bytes())
    page[(root - 1) * 4096 + 200 : (root - 1) * 4096 + 4096] = bytes(3896)
    path.write_bytes(page)
    assert _levels(shell.json("doctor", code=1))["integrity"] == "problem"
    assert "damaged" in shell.run("backup", "x.bak", code=2).stderr
    assert not (shell.home / "x.bak").exists()


@pytest.mark.parametrize(("damaged", "checks"), [("schedule_by_next", ["schedules"]), ("execution_by_status", ["unowned", "paused"])])
def test_doctor_goes_on_where_a_check_reads_a_damaged_page(shell: Shell, damaged: str, checks: list[str]) -> None:
    shell.run("run", f"{SHOP}:many")
    path = shell.home / "remit.db"
    with apsw.Connection(str(path)) as connection:
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (damaged,)).get
    content = bytearray(path.read_bytes())
    content[(root - 1) * 4096 : root * 4096] = b"?" * 4096
    path.write_bytes(content)
    levels = _levels(shell.json("doctor", code=1))
    sick = [check for check, level in levels.items() if level == "problem"]
    assert sick[0] == "integrity"
    assert set(checks) <= set(sick)
    assert levels["file mode"] == "ok"
    assert "Restore a backup" in shell.run("doctor", code=1).stdout

"""A shared child drops a field, all of it on the command line, while another process drives the store (L41, L42)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cli.terminal import Shell, wait_for

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples" / "inventory_v3" / "shop.py"
CALLERS = ("audit", "order", "returns")


def own(shell: Shell) -> subprocess.Popen[str]:
    """Start the process that drives the store."""
    path = os.pathsep.join(filter(None, (str(ROOT), shell.env.get("PYTHONPATH"))))
    command = [sys.executable, str(Path(__file__).parent / "inventory_owner.py")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    owner = subprocess.Popen(command, cwd=shell.home, env={**shell.env, "PYTHONPATH": path}, text=True, **pipes)
    shell.started.append(owner)
    return owner


def missing(shell: Shell) -> list[str]:
    """Whom the refusal of version 3 names."""
    error = shell.json("promote", "inventory@3.0.0", "--share", "10%", code=2)["error"]
    assert error["code"] == "callers_to_migrate"
    return [each["caller"] for each in error["details"]["callers"]]


def newest(shell: Shell) -> dict[str, Any]:
    """Version 3 as it is published."""
    return next(each for each in shell.json("versions", "inventory")["versions"] if each["version"] == "3.0.0")


def test_L41_L42_a_shared_child_drops_a_field_on_the_command_line(shell: Shell) -> None:
    shell.run("migrate")
    owner = own(shell)
    running = shell.waits("PENDING_ASYNC")
    names = ("inventory", *CALLERS, "stocktaking")
    shell.json("publish", *(f"{SHOP}:{name}" for name in (*names, "inventory_without_shelf")), "--by", "ann")
    for name in names:
        shell.json("promote", f"{name}@{'2.0.0' if name == 'inventory' else '1.0.0'}")
    shell.json("declare", "stocktaking@1.0.0", "--with", "inventory@3")
    assert missing(shell) == ["audit", "order", "returns"]
    for name in ("audit", "order"):
        shell.json("declare", f"{name}@1.0.0", "--with", "inventory@3")
    assert missing(shell) == ["returns"]
    shell.json("declare", "returns@1.0.0", "--with", "inventory@3")
    view = shell.json("promote", "inventory@3.0.0", "--share", "10%")
    assert (view["state"], view["to_share"]) == ("published", 0.1)
    wait_for(lambda: newest(shell)["violations"] == 3)
    assert (newest(shell)["state"], newest(shell)["to_share"]) == ("published", 0.0)
    shell.json("send", running, "counted")
    wait_for(lambda: shell.json("show", running)["status"] == "COMPLETED")
    called = shell.json("tree", running)["children"]
    assert [each["version"] for each in called] == ["2.0.0", "2.0.0"]
    assert owner.poll() is None

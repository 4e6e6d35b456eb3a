"""Runs of the `remit` command as a user makes them: a process of its own, in an empty directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["SHOP", "Shell", "wait_for"]

SHOP = str(Path(__file__).parent / "shop.py")


def wait_for(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    """The first true value that `look` gives; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


class Shell:
    """A directory with a store `remit.db`, and `remit` run in it. Whatever was started in the background is ended."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.started: list[subprocess.Popen[str]] = []
        self.env = {
            name: each for name, each in os.environ.items() if name not in {"REMIT_STORE", "NO_COLOR", "FORCE_COLOR"}
        }

    def run(self, *arguments: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a verb to its end; it must end with that code, and never with a traceback."""
        command = [sys.executable, "-m", "remit.cli", *arguments]
        ran = subprocess.run(
            command, cwd=self.home, env=self.env, capture_output=True, text=True, input=stdin, timeout=60, check=False
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        assert ran.returncode == code, f"{arguments}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Run a verb with --json: exactly one document on standard output."""
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run a verb in the background."""
        command = [sys.executable, "-m", "remit.cli", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        process = subprocess.Popen(command, cwd=self.home, env=self.env, text=True, **pipes)
        self.started.append(process)
        return process

    def waits(self, status: str) -> str:
        """The id of the newest execution with that status, once there is one."""

        def look() -> Any:
            if not (self.home / "remit.db").exists():
                return None
            found = self.json("ps", "--status", status)["executions"]
            return found[0]["execution_id"] if found else None

        return str(wait_for(look))

    def close(self) -> None:
        """End what still runs."""
        for process in self.started:
            process.kill()
            process.communicate()

"""Kills a process with SIGKILL at a named boundary: the hook inside the victim, and the runner outside.

The victim's environment says where: `REMIT_KILL_AT=<boundary>` or `<boundary>:<nth>` (1-based, 1 by default).
Code that has boundaries calls the hook so, which costs one comparison where nobody asked for a kill:

    if kill.reach is not None:
        kill.reach("commit.before")
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ENVIRONMENT_NAME",
    "Exited",
    "Killed",
    "child_argv",
    "hook_from_environment",
    "reach",
    "run_until_killed",
]

ENVIRONMENT_NAME = "REMIT_KILL_AT"
_LAST_WORDS = "remit: killed at "


@dataclass(frozen=True, slots=True)
class Killed:
    """The child reached the boundary and died of SIGKILL there; what it had printed until then."""

    boundary: str
    nth: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Exited:
    """The child ended without that many visits to the boundary; a negative code is a foreign signal."""

    code: int
    stdout: str
    stderr: str


def hook_from_environment(environment: Mapping[str, str] = os.environ) -> Callable[[str], None] | None:
    """The hook for the boundary that `REMIT_KILL_AT` names; None where unset, ValueError if malformed."""
    wanted = environment.get(ENVIRONMENT_NAME)
    if not wanted:
        return None
    match = re.fullmatch(r"(?P<boundary>[^:]+)(:(?P<nth>[1-9][0-9]*))?", wanted)
    if match is None:
        raise ValueError(f"{ENVIRONMENT_NAME}={wanted!r}: write <boundary> or <boundary>:<nth>, nth from 1")
    return _hook(match["boundary"], int(match["nth"] or 1))


def child_argv(target: str, *arguments: str) -> list[str]:
    """The command that calls `package.module:function` or `path/file.py:function` with string arguments."""
    return [sys.executable, "-m", "remit.testing.faults", target, *arguments]


def run_until_killed(
    argv: Sequence[str],
    boundary: str,
    nth: int = 1,
    timeout: float = 30.0,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Killed | Exited:
    """Runs `argv` with the kill armed and tells how it ended.

    `environment` is added to this process's own. A child still running after `timeout` seconds is killed and
    subprocess.TimeoutExpired raised, with its output.
    """
    armed = {**os.environ, **(environment or {}), ENVIRONMENT_NAME: f"{boundary}:{nth}"}
    child = subprocess.run(argv, capture_output=True, timeout=timeout, cwd=cwd, env=armed, check=False)
    stdout, stderr = (stream.decode(errors="replace") for stream in (child.stdout, child.stderr))
    if child.returncode == -signal.SIGKILL and f"{_LAST_WORDS}{boundary}:{nth}\n" in stderr:
        return Killed(boundary, nth, stdout, stderr)
    return Exited(child.returncode, stdout, stderr)


def _hook(wanted: str, nth: int) -> Callable[[str], None]:
    left = nth

    def reach_boundary(boundary: str) -> None:
        nonlocal left
        if boundary != wanted:
            return
        left -= 1
        if left == 0:
            # Written past every buffer: a runner can tell this death from any other SIGKILL.
            os.write(2, f"{_LAST_WORDS}{wanted}:{nth}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    return reach_boundary


#: Called with a boundary's name at that boundary; None unless this process was started to be killed.
reach: Callable[[str], None] | None = hook_from_environment()

"""Runs workloads, one process at a time, and gathers what they answer."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from environments import ENVIRONMENTS, python_of
from measure import STORES
from plan import Group, Workload

__all__ = ["RIVALS", "Runner", "alone"]

BENCH = Path(__file__).resolve().parent
RIVALS = frozenset({"dbos", "langgraph"})

Answers = dict[str, list[dict[str, Any]]]


@contextmanager
def alone() -> Iterator[None]:
    """Refuse to start beside another benchmark: the two would measure each other."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("bench/run: another benchmark runs in this checkout; start this one when it has ended")
        yield


@dataclass(frozen=True)
class Runner:
    """How this run measures: with which counts, whom, how often, and where its files lie."""

    folder: Path
    quick: bool
    rivals: bool
    rounds: int
    python: str

    def measure(self, group: Group) -> Answers:
        """Workload → its answers, round after round, each workload in its turn."""
        workloads = [each for each in group.workloads if self.rivals or each.contender not in RIVALS]
        pythons = {each.contender: self._interpreter(each.contender) for each in workloads}
        answers: Answers = {each.name: [] for each in workloads}
        for number in range(1 if self.quick else self.rounds or group.rounds):
            print(f"{group.name}, round {number + 1}", file=sys.stderr)
            for each in workloads:
                answers[each.name].append(self._answer(each, pythons[each.contender]))
        return answers

    def _interpreter(self, contender: str) -> str:
        return self.python if contender == "remit" and self.python else str(python_of(contender))

    def _answer(self, workload: Workload, python: str) -> dict[str, Any]:
        """Run one workload to its end; what it prints last is its answer."""
        command = [python, str(BENCH / workload.script), *self._words(workload)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"bench/run: {' '.join(command)} ended with {done.returncode}")
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        print(f"  {workload.name}: {json.dumps(answer)}", file=sys.stderr)
        return answer

    def _words(self, workload: Workload) -> list[str]:
        options = workload.options | (workload.tiny if self.quick else {})
        places = {"folder": self.folder, "stores": STORES}
        return [f"--{name}={str(value).format(**places)}" for name, value in options.items()]

"""Workflows for a program that is killed: each run of a step function leaves a line in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from remit import Process
from remit.workflows import StartSubWorkflowDirective, WorkflowPauseDirective
from tests.workflows.making import compiled

__all__ = ["hosted"]


def hosted(notes: Path) -> list[Process[Any, Any]]:
    """A parent whose step starts three children side by side, one of which waits for a person."""

    def note(what: str) -> None:
        with notes.open("a") as file:
            file.write(f"{what}\n")
            file.flush()
            os.fsync(file.fileno())

    def noting(what: str) -> Any:
        def run(state: Any) -> dict[str, Any]:
            note(what)
            state.seen = [*state.get("seen", []), what] if state.get("seen") else [what]
            return {what: True}

        return run

    def starting(number: int) -> Any:
        def start(state: Any) -> None:
            note(f"start {number}")
            raise StartSubWorkflowDirective("child", {"number": number})

        return start

    def pausing(state: Any) -> None:
        note(f"child {state.number}")
        if state.number == 1:
            raise WorkflowPauseDirective(waiting_for="a word")

    child = compiled(
        "child",
        {"name": "Pause", "function": pausing},
        result={"number": "state.number", "word": "state.word | default('none')"},
    )
    tasks = [{"name": f"task{number}", "function": starting(number)} for number in range(3)]
    parent = compiled(
        "parent",
        {"name": "Before", "function": noting("before")},
        {"name": "Together", "type": "PARALLEL", "tasks": tasks},
        {"name": "After", "function": noting("after")},
        calls=["child"],
        result={"seen": "state.seen", "children": "state.sub_workflow_results.Together"},
    )
    return [parent, child]

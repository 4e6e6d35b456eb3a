from __future__ import annotations

from typing import Any

from remit.workflows import WorkflowJumpDirective


def ask(state: Any) -> dict[str, Any]:
    return {"asked": True}


def repeat(state: Any) -> None:
    state.rounds = 1
    raise WorkflowJumpDirective("Repeat")


def repeat_while_open(state: Any) -> None:
    if state.is_open:
        raise WorkflowJumpDirective("Repeat")

"""Workflows written as YAML: read, checked as a whole, and compiled to processes.

The names below are loaded when they are first used: a module of step functions that imports a directive does not load
the reader of YAML.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remit.workflows.directives import (
        SagaWorkflowException,
        StartSubWorkflowDirective,
        StepContext,
        WorkflowDirective,
        WorkflowJumpDirective,
        WorkflowPauseDirective,
    )
    from remit.workflows.findings import Finding, WorkflowInvalid

__all__ = [
    "Finding",
    "SagaWorkflowException",
    "StartSubWorkflowDirective",
    "StepContext",
    "WorkflowDirective",
    "WorkflowInvalid",
    "WorkflowJumpDirective",
    "WorkflowPauseDirective",
]

_HOMES = {
    "remit.workflows.directives": "SagaWorkflowException StartSubWorkflowDirective StepContext WorkflowDirective WorkflowJumpDirective WorkflowPauseDirective",
    "remit.workflows.findings": "Finding WorkflowInvalid",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'remit.workflows' has no attribute {name!r}; it has: {', '.join(__all__)}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""Workflows written as YAML: read, checked as a whole, and compiled to processes.

The names below are loaded when they are first used: a module of step functions that imports a directive does not load
the reader of YAML.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remit.workflows.builder import WorkflowBuilder, WorkflowHandle
    from remit.workflows.directives import (
        SagaWorkflowException,
        StartSubWorkflowDirective,
        StepContext,
        WorkflowDirective,
        WorkflowJumpDirective,
        WorkflowPauseDirective,
    )
    from remit.workflows.format.findings import Finding, WorkflowInvalid
    from remit.workflows.store import WorkflowStore

__all__ = [
    "Finding",
    "SagaWorkflowException",
    "StartSubWorkflowDirective",
    "StepContext",
    "WorkflowBuilder",
    "WorkflowDirective",
    "WorkflowHandle",
    "WorkflowInvalid",
    "WorkflowJumpDirective",
    "WorkflowPauseDirective",
    "WorkflowStore",
]

_HOMES = {
    "remit.workflows.builder": "WorkflowBuilder WorkflowHandle",
    "remit.workflows.directives": "SagaWorkflowException StartSubWorkflowDirective StepContext WorkflowDirective WorkflowJumpDirective WorkflowPauseDirective",
    "remit.workflows.format.findings": "Finding WorkflowInvalid",
    "remit.workflows.store": "WorkflowStore",
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

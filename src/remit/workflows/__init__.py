"""Workflows written as YAML: read, checked as a whole, and compiled to processes.

The names below are loaded when they are first used: a module of step functions that imports a directive does not load
the reader of YAML.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.lazy import lazy_names

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

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)

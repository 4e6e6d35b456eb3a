"""Remit: governed, nested workflow invocation. Write processes, call processes, keep control."""

from __future__ import annotations

from remit.authoring.effects import (
    Child,
    Current,
    ask,
    call_process,
    changed,
    charge,
    continue_as,
    current,
    set_progress,
    start_process,
)
from remit.authoring.outcome import Outcome
from remit.authoring.process import Process, ProcessRef, process
from remit.authoring.step import Step, model, step, tool
from remit.control.app import Execution, Remit, run
from remit.control.views import AlertView, Entry, Record
from remit.errors import (
    CallFailed,
    ContractViolation,
    DefinitionError,
    DomainError,
    ErrorClass,
    ErrorInfo,
    InvalidInput,
    LimitExceeded,
    MisuseError,
    RemitError,
    StepFailed,
    StoreError,
    StoreOwned,
    SystemFailure,
    TransientError,
)
from remit.kernel.preflight import Limits
from remit.kernel.retry import Retry
from remit.kernel.states import Compensation, Status
from remit.kernel.usage import Budget, Usage

__version__ = "0.1.0"

__all__ = [
    "AlertView",
    "Budget",
    "CallFailed",
    "Child",
    "Compensation",
    "ContractViolation",
    "Current",
    "DefinitionError",
    "DomainError",
    "Entry",
    "ErrorClass",
    "ErrorInfo",
    "Execution",
    "InvalidInput",
    "LimitExceeded",
    "Limits",
    "MisuseError",
    "Outcome",
    "Process",
    "ProcessRef",
    "Record",
    "Remit",
    "RemitError",
    "Retry",
    "Status",
    "Step",
    "StepFailed",
    "StoreError",
    "StoreOwned",
    "SystemFailure",
    "TransientError",
    "Usage",
    "ask",
    "call_process",
    "changed",
    "charge",
    "continue_as",
    "current",
    "model",
    "process",
    "run",
    "set_progress",
    "start_process",
    "step",
    "tool",
]

"""Remit: governed, nested workflow invocation. Write processes, call processes, keep control.

The names below are loaded when they are first used, so that `import remit` and the command line start quickly; what type
checkers see stands under TYPE_CHECKING, and a test holds the two lists together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.lazy import lazy_names

if TYPE_CHECKING:
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
    from remit.control.billing.costs import CostView
    from remit.control.billing.departments import DepartmentBudgetView
    from remit.control.custody import ErasureView, KeyView, RetentionView
    from remit.control.policies.views import AppliedPolicy, PolicyExplanation, PolicyVerdict, PolicyView
    from remit.control.releases.published import CallerView, VersionView
    from remit.control.schedules import ScheduleView
    from remit.control.tenants import Tenant
    from remit.control.views import AlertView, CompensationView, Entry, Record, UndoStatus
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
    from remit.store.keyring import Keyring

__version__ = "0.1.0"

__all__ = [
    "AlertView",
    "AppliedPolicy",
    "Budget",
    "CallFailed",
    "CallerView",
    "Child",
    "Compensation",
    "CompensationView",
    "ContractViolation",
    "CostView",
    "Current",
    "DefinitionError",
    "DepartmentBudgetView",
    "DomainError",
    "Entry",
    "ErasureView",
    "ErrorClass",
    "ErrorInfo",
    "Execution",
    "InvalidInput",
    "KeyView",
    "Keyring",
    "LimitExceeded",
    "Limits",
    "MisuseError",
    "Outcome",
    "PolicyExplanation",
    "PolicyVerdict",
    "PolicyView",
    "Process",
    "ProcessRef",
    "Record",
    "Remit",
    "RemitError",
    "RetentionView",
    "Retry",
    "ScheduleView",
    "Status",
    "Step",
    "StepFailed",
    "StoreError",
    "StoreOwned",
    "SystemFailure",
    "Tenant",
    "TransientError",
    "UndoStatus",
    "Usage",
    "VersionView",
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

_HOMES = {
    "remit.authoring.effects": "Child Current ask call_process changed charge continue_as current set_progress start_process",
    "remit.authoring.outcome": "Outcome",
    "remit.authoring.process": "Process ProcessRef process",
    "remit.authoring.step": "Step model step tool",
    "remit.control.app": "Execution Remit run",
    "remit.control.billing.costs": "CostView",
    "remit.control.custody": "ErasureView KeyView RetentionView",
    "remit.control.billing.departments": "DepartmentBudgetView",
    "remit.control.policies.views": "AppliedPolicy PolicyExplanation PolicyVerdict PolicyView",
    "remit.control.releases.published": "CallerView VersionView",
    "remit.control.schedules": "ScheduleView",
    "remit.control.tenants": "Tenant",
    "remit.control.views": "AlertView CompensationView Entry Record UndoStatus",
    "remit.errors": "CallFailed ContractViolation DefinitionError DomainError ErrorClass ErrorInfo InvalidInput LimitExceeded MisuseError RemitError StepFailed StoreError StoreOwned SystemFailure TransientError",
    "remit.kernel.preflight": "Limits",
    "remit.kernel.retry": "Retry",
    "remit.kernel.states": "Compensation Status",
    "remit.kernel.usage": "Budget Usage",
    "remit.store.keyring": "Keyring",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)

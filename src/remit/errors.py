"""Every error Remit raises or records, and what each code means.

RemitError                      carries: error_class, code, message, details
├── TransientError              may be retried by the invocation layer
├── DomainError                 for the parent to decide
│   ├── InvalidInput            a value broke the callee's input contract
│   ├── LimitExceeded           a size or count passed its bound
│   ├── CallFailed              `Outcome.unwrap()` of a call that did not complete
│   └── StepFailed              a step raised something that is not a RemitError
├── SystemFailure               aborts the chain up to the root
│   └── ContractViolation       a result broke the callee's own contract
├── DefinitionError             a process, step or type is defined wrongly
├── MisuseError                 an effect where none may be, an unknown id, a second answer
└── StoreError                  the store cannot be used
    └── StoreOwned              another process drives this store

Suspension                      a BaseException: how the engine leaves user code; never caught by `except Exception`
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

__all__ = [
    "CODES",
    "CallFailed",
    "CodeEntry",
    "ContractViolation",
    "DefinitionError",
    "DomainError",
    "ErrorClass",
    "ErrorInfo",
    "InvalidInput",
    "LimitExceeded",
    "MisuseError",
    "RemitError",
    "StepFailed",
    "StoreError",
    "StoreOwned",
    "Suspension",
    "SystemFailure",
    "TransientError",
    "class_of",
]


class ErrorClass(StrEnum):
    """Who acts on an error: the invocation layer, the parent, or nobody (L16)."""

    TRANSIENT = "TRANSIENT"
    DOMAIN = "DOMAIN"
    SYSTEM = "SYSTEM"


class CodeEntry(NamedTuple):
    """One row of the table of codes: its class, what happened, how to mend it."""

    error_class: ErrorClass
    meaning: str
    mend: str


_T, _D, _S = ErrorClass.TRANSIENT, ErrorClass.DOMAIN, ErrorClass.SYSTEM

CODES: dict[str, CodeEntry] = {
    # the governed call: rejections
    "depth_exceeded": CodeEntry(_D, "The call would nest deeper than the limit.", "Flatten the hierarchy, or start the work as a root of its own."),
    "cycle_detected": CodeEntry(_D, "The target is the caller itself or one of its ancestors.", "Break the cycle; the path in `details` shows it. `recursion=` needs the operator's max_recursion."),
    "undeclared_call": CodeEntry(_D, "The caller does not list the target in `calls=`.", "Add the target, with a version range, to the caller's `calls`."),
    "unknown_process": CodeEntry(_D, "No process of that name is registered here.", "Pass it in `Remit(..., processes=[...])`, or mend the name."),
    "no_matching_version": CodeEntry(_D, "No registered version lies in the declared range.", "Register a version in the range or widen the range."),
    "department_denied": CodeEntry(_D, "The target is for other departments than the caller's.", "Let the owner of the target name the caller's department in its `callers`."),
    "invalid_input": CodeEntry(_D, "The input does not fit the callee's input type.", "Mend the value at the path in `details`."),
    "policy_denied": CodeEntry(_D, "A policy in force forbids the call.", "See `details` for the policy; `remit policy explain` shows why."),
    "fanout_exceeded": CodeEntry(_D, "The trace has reached its limit of executions.", "Process fewer items per root, or raise `max_descendants`."),
    "budget_exceeded": CodeEntry(_D, "The estimate does not fit into what the root's budget, or a department's, has left.", "Top up the root (`remit top-up`) or raise the department's budget (`remit budget set`), or lower the estimate."),
    "idempotency_conflict": CodeEntry(_D, "The same key was used before with another input.", "Use another key for other work."),
    "cross_tenant": CodeEntry(_S, "The call names another tenant than its root's.", "Drop the tenant: it is inherited."),
    "region_violation": CodeEntry(_S, "The call names another region than its root's.", "Drop the region: it is inherited."),
    # how an execution ends
    "domain_error": CodeEntry(_D, "The process raised an exception.", "See the message; handle the outcome in the parent."),
    "transient_error": CodeEntry(_T, "A passing fault of infrastructure.", "It is retried by itself."),
    "system_failure": CodeEntry(_S, "A fault that must end the whole chain.", "See the message; mend the cause and retry the root."),
    "retries_exhausted": CodeEntry(_D, "Every attempt failed with a transient error.", "Mend the cause in `details`, then `remit retry`."),
    "attempts_exceeded": CodeEntry(_D, "The trace has used all its attempts.", "Find what keeps failing; start a new root."),
    "lease_expired": CodeEntry(_D, "The execution ran longer than its TTL.", "Give it a longer `ttl`, or make it quicker."),
    "cancelled": CodeEntry(_D, "The execution was cancelled.", "Start it again if it is still wanted."),
    "child_failed": CodeEntry(_D, "A child failed and the parent did not handle it.", "Handle the Outcome, or mend the child and retry the root."),
    "contract_violation": CodeEntry(_S, "A result does not fit its own contract.", "Mend the callee: its result must match its annotation."),
    "code_changed": CodeEntry(_S, "The code no longer makes the calls its history recorded.", "Restore the recorded call (see `details`), mark the branch with `changed()`, or `remit retry`."),
    "interrupted": CodeEntry(_D, "An at-most-once step was running in a crash.", "Find out whether it took effect, then decide in the parent."),
    "limit_exceeded": CodeEntry(_D, "A value or a history is larger than its limit.", "Pass less, or use `continue_as(input)` to start a fresh history."),
    "compensation_failed": CodeEntry(_D, "A compensation failed on every attempt.", "Undo by hand what `details` name; the rest is undone. `remit retry` then runs the execution in full."),
    "compensation_unreachable": CodeEntry(_D, "An earlier attempt did something that today's code does not lead to again.", "Undo it by hand: nothing tells what would."),
    "compensation_waits": CodeEntry(_D, "A rollback waits for code that is not hosted, or for that of a child.", "Open the store with a process that hosts the code named."),
    "blocked_event_loop": CodeEntry(_D, "A body blocked the event loop and was cut off.", "Move the work into a sync step, or use isolation=\"process\"."),
    "worker_died": CodeEntry(_T, "The process that ran isolated code ended.", "It is retried; see the exit status in `details`."),
    # effects
    "effect_inside_step": CodeEntry(_D, "A step tried to use an effect.", "Call effects from the process body only."),
    "outside_execution": CodeEntry(_D, "An effect was used outside an execution.", "Start the process with `app.start(...)` or `remit.run(...)`."),
    "ask_timeout": CodeEntry(_D, "Nobody answered in time.", "Answer earlier, or pass `on_timeout=`."),
    "event_timeout": CodeEntry(_D, "The event did not arrive in time.", "Send it earlier, or give a longer timeout."),
    "budget_exhausted": CodeEntry(_D, "A metered effect found no headroom left, or took more than there was.", "Top up the root or raise the department's budget, or use on_exhausted=\"suspend\"."),
    "condition_failed": CodeEntry(_D, "A condition or template met a value it cannot use.", "See `part` in `details`; put `| default(…)` where a value may be missing."),
    "usage_rejected": CodeEntry(_D, "Reported usage was negative, not finite or absurd.", "Mend what the tool or model reports; its reservation was charged."),
    "too_many_stuck_threads": CodeEntry(_T, "Too many threads are stuck in steps that outlived their lease.", "Give stuck steps isolation=\"process\"."),
    # HTTP steps of workflows
    "http_unavailable": CodeEntry(_T, "Nobody answered, or the server answered 429 or 5xx.", "It is retried by itself; `http_config.retry_policy` says how often."),
    "http_status": CodeEntry(_D, "The server answered with a status that is no success.", "See `details` for the status and the beginning of the body; `on_failure` may handle it."),
    "http_refused": CodeEntry(_D, "The request would have gone where it must not, or carried what it must not; it was not sent.", "See the message; the operator may list the host: Remit(..., http_hosts=[...])."),
    "http_certificate": CodeEntry(_D, "The server's certificate is not trusted.", "Mend the certificate, or name its issuer with SSL_CERT_FILE."),
    "http_response": CodeEntry(_D, "The response cannot be read as what it says it is, or cannot be kept.", "Mend the server, or fetch the data in a step of its own."),
    # schedules, as alerts
    "schedule_missed": CodeEntry(_D, "Firings of a schedule lay further back than its catch-up window.", "Keep a process running that hosts the target, or widen `catch_up`."),
    "schedule_failed": CodeEntry(_D, "A firing of a schedule could not be started.", "See the message; register the schedule again once it is mended."),
    # workflows
    "invalid_state": CodeEntry(_D, "A step gave the workflow's state a value its model does not allow.", "Return a value of the declared type; see the path in `details`."),
    "saga_rollback": CodeEntry(_D, "A step raised SagaWorkflowException.", "See the message; what the workflow did is compensated where it has a saga."),
    "merge_conflict": CodeEntry(_D, "Two tasks of a PARALLEL step give a key different values.", "Return other names, or set `merge_conflict_behavior`."),
    "ambiguous_result": CodeEntry(_D, "Several steps called children of the type that was asked for.", "Ask `sub_workflow_results` by the name of the step."),
    "unknown_step": CodeEntry(_D, "A jump leads to a step that the workflow does not have.", "Mend the name; the message lists the steps."),
    "invalid_directive": CodeEntry(_D, "A step function gave a directive that cannot be followed.", "Raise it in the function itself, with the names and the plain data that the message asks for."),
    "no_route": CodeEntry(_D, "No route of a DECISION step holds and it has no default.", "Add `- default: <step>` as the last route."),
    "not_started": CodeEntry(_D, "An AWAIT step waits for a child that no step on the way has started.", "Name the step that starts it, and come past it first."),
    "step_timeout": CodeEntry(_D, "A step took longer than its `timeout`.", "Give it more time, or handle it with `on_timeout`."),
    # operations
    "bad_definition": CodeEntry(_D, "A process, step or type is defined wrongly.", "See the message."),
    "unknown_execution": CodeEntry(_D, "There is no execution of that id.", "Check the id with `remit ps`."),
    "already_answered": CodeEntry(_D, "The ask has its answer.", "Nothing: the first answer stands."),
    "no_open_ask": CodeEntry(_D, "Nothing below this execution waits for an answer.", "See who waits with `remit tree`."),
    "ambiguous_ask": CodeEntry(_D, "Several asks are open and none was named.", "Name one of those listed: `ask=`."),
    "version_exists": CodeEntry(_D, "The same version was published before with other content.", "Give what has changed a higher version."),
    "unknown_version": CodeEntry(_D, "No such version was published.", "See what there is with `remit versions NAME`."),
    "declared_cycle": CodeEntry(_D, "Publishing would close a cycle of declared calls.", "Break the cycle; the path in `details` shows it."),
    "callers_to_migrate": CodeEntry(_D, "Callers of a process have not declared that they work with a version, or would be left without one.", "Declare for each caller in `details`: `remit declare CALLER@VERSION --with NAME@VERSION`."),
    "contract_breaks": CodeEntry(_D, "A version would break the callers of its major.", "Mend what `details` point at, or publish it as a new major."),
    "evaluation_required": CodeEntry(_D, "No evaluation of a version's content shows what is required of it.", "Run the command in the message; `remit evaluate` shows which cases do not pass."),
    "unrecorded_effect": CodeEntry(_S, "In an evaluation a version did something that was not recorded.", "Give the effect in the case, or let a step run with `--live`."),
    "nothing_recorded": CodeEntry(_D, "No calls are recorded that a version could be evaluated with.", "Give cases: `--cases FILE`."),
    "not_rolled_back": CodeEntry(_D, "A promoted version fails its callers, and some of them have no other.", "Promote a version in the range of the callers in `details`, then take this one back: `remit rollback`."),
    "rolled_back": CodeEntry(_D, "A version was taken back; new calls go to the one before.", "See the message; publish a mended version."),
    "policy_exists": CodeEntry(_D, "The same version of a policy was applied before with other content.", "Give what has changed a higher version."),
    "unknown_policy": CodeEntry(_D, "No such policy was applied.", "See what is in force with `remit policy show`."),
    "policy_applied": CodeEntry(_D, "A policy was put in force.", "Nothing: it is told so that it is noticed."),
    "policy_removed": CodeEntry(_D, "A policy was withdrawn.", "Nothing: it is told so that it is noticed."),
    "four_eyes": CodeEntry(_D, "A policy wants another person than the owner of the trace to answer.", "Let somebody else answer, by name: `remit answer ID VALUE --as NAME`."),
    "topped_up": CodeEntry(_D, "An operator raised the budget of a root.", "Nothing: it tells that it was done."),
    "unknown_alert": CodeEntry(_D, "There is no alert of that number.", "See what there is with `remit alerts`."),
    # keeping and erasing
    "execution_deleted": CodeEntry(_D, "Retention has deleted the execution; a tombstone keeps its id and its key.", "Use another key for other work; `remit retention show` tells how long trees are kept."),
    "erased": CodeEntry(_D, "What the execution worked on was erased with its tenant's data.", "Nothing: its id, status, times and usage are all that is left."),
    "open_executions": CodeEntry(_D, "Executions or schedules of the tenant are open, and their payloads are in use.", "Let them end, or cancel them with it: `remit erase --cancel-open`."),
    "keyring_unusable": CodeEntry(_D, "The key file of an encrypted store is missing, another store's, or does not open with the KEK.", "See the message; REMIT_KEYS names the file, REMIT_KEK or REMIT_KEK_FILE the KEK."),
    "key_missing": CodeEntry(_D, "A payload is sealed with a key that the key file does not hold.", "Bring back the newest copy of the key file."),
    "payload_damaged": CodeEntry(_S, "A sealed payload was changed in the database, or put in another's place.", "Restore a backup, and find out who writes to the file."),
    "webhook_undelivered": CodeEntry(_D, "A webhook did not take a message in any of its attempts.", "See `remit webhooks list`; mend or remove the webhook."),
    "wrong_state": CodeEntry(_D, "The execution's status does not allow this.", "See its status with `remit show`."),
    "store_owned": CodeEntry(_D, "Another process drives this store.", "Stop that process, or send it commands with the `remit` CLI."),
    "store_unusable": CodeEntry(_S, "The store cannot be opened or written.", "See the message."),
    "fenced": CodeEntry(_S, "A former owner tried to write.", "Nothing: the write was refused; the new owner goes on."),
}  # fmt: skip


def class_of(code: str) -> ErrorClass:
    """The class of a code; a code of the user's own is DOMAIN (L16)."""
    entry = CODES.get(code)
    return entry.error_class if entry is not None else ErrorClass.DOMAIN


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """A machine-readable error as recorded and as seen through an Outcome (L16)."""

    error_class: ErrorClass
    code: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)
    origin: str | None = None
    attempt: int | None = None

    def __str__(self) -> str:
        return self.code if self.message == self.code else f"{self.code}: {self.message}"


_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+\Z")


class RemitError(Exception):
    """An error with a class, a code, a message and details.

    ``RemitError("No stock left", code="out_of_stock", sku="A-1")``: keywords become `details`. A message that is
    itself a snake_case code (``DomainError("out_of_stock")``) serves as the code too.
    """

    default_code = "domain_error"
    default_class: ErrorClass | None = None

    def __init__(
        self, message: str = "", *, code: str | None = None, details: dict[str, Any] | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or (message if _CODE.match(message) else self.default_code)
        self.details = {**(details or {}), **more}

    @property
    def error_class(self) -> ErrorClass:
        """Who acts on it; by its code where the exception's own class does not say (L16)."""
        return self.default_class or class_of(self.code)

    def info(self, origin: str | None = None, attempt: int | None = None) -> ErrorInfo:
        """The same error as a record."""
        return ErrorInfo(self.error_class, self.code, self.message or self.code, self.details, origin, attempt)

    def __str__(self) -> str:
        return self.message or self.code


class TransientError(RemitError):
    """A passing fault: the invocation layer retries the execution (L18)."""

    default_code = "transient_error"
    default_class = ErrorClass.TRANSIENT


class DomainError(RemitError):
    """A fault of the domain: the parent sees it in the Outcome and decides (L19)."""

    default_class = ErrorClass.DOMAIN


class InvalidInput(DomainError):
    """A value does not fit the type it crosses into (L13)."""

    default_code = "invalid_input"


class LimitExceeded(DomainError):
    """A value, an error or a history is larger than its limit (L48)."""

    default_code = "limit_exceeded"


class CallFailed(DomainError):
    """`Outcome.unwrap()` met a call that did not complete; left unhandled it fails the parent (L19)."""

    default_code = "child_failed"

    def __init__(
        self, message: str = "", *, error: ErrorInfo | None = None, execution_id: str | None = None, **more: Any
    ) -> None:
        super().__init__(message, **more)
        self.error = error
        self.execution_id = execution_id


class StepFailed(DomainError):
    """A step raised; `code`, `message` and `details` are what was recorded (L11)."""


class SystemFailure(RemitError):
    """A fault that ends every ancestor along awaited edges (L20)."""

    default_code = "system_failure"
    default_class = ErrorClass.SYSTEM


class ContractViolation(SystemFailure):
    """A result does not fit the callee's own contract (L13)."""

    default_code = "contract_violation"


class DefinitionError(RemitError):
    """A process, step or type is defined wrongly; raised where it is defined."""

    default_code = "bad_definition"


class MisuseError(RemitError):
    """A request that cannot be carried out as asked; nothing was changed."""


class StoreError(RemitError):
    """The store cannot be opened, read or written; TRANSIENT where the disk or a lock may let it be soon."""

    default_code = "store_unusable"

    @property
    def error_class(self) -> ErrorClass:
        """TRANSIENT for a fault that may pass, else by the code."""
        return ErrorClass.TRANSIENT if self.details.get("transient") else super().error_class


class StoreOwned(StoreError):
    """Another process drives this store; `details` says which."""

    default_code = "store_owned"


class Suspension(BaseException):
    """The engine leaves user code: no `Exception`, so that user code does not swallow it by accident."""

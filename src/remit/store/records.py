"""The rows of a store. An execution's row is also its parent's journal entry of the call, so that a call is one row (L8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from remit.kernel.states import Compensation, Status
from remit.kernel.usage import Usage, decimal_string

__all__ = [
    "UNHEARD",
    "AlertFilter",
    "AlertRecord",
    "BudgetRecord",
    "ChildEnd",
    "Command",
    "DefinitionRecord",
    "EffectKind",
    "ErasureRecord",
    "EvaluationRecord",
    "EventRecord",
    "ExecutionFilter",
    "ExecutionRecord",
    "JournalRecord",
    "LedgerRecord",
    "MessageRecord",
    "OpenReservation",
    "PolicyRecord",
    "RateRecord",
    "RequirementRecord",
    "RetentionRecord",
    "ScheduleRecord",
    "Tombstone",
    "UsageKey",
    "UsageTotals",
    "WebhookRecord",
]


UNHEARD = -1
"""In the place of an order of completion: the branch gave up in the very turn in which the end came, and has not heard of it."""


class EffectKind(StrEnum):
    """What a journal entry records."""

    STEP = "step"
    TOOL = "tool"
    MODEL = "model"
    ASK = "ask"
    SLEEP = "sleep"
    EVENT = "event"
    VALUE = "value"
    CHARGE = "charge"
    CHANGED = "changed"
    REJECTED = "rejected"
    COMPENSATION = "compensation"
    SCHEDULE = "schedule"
    CHILD = "child"
    WAIT = "wait"


@dataclass(slots=True)
class ExecutionRecord:
    """One execution. Times are milliseconds since 1970, costs micro-dollars, payloads canonical JSON."""

    n: int
    id: str
    parent_n: int
    process: str
    version: str
    status: Status
    created_at: int
    ttl_ms: int
    digest: bytes
    input: bytes
    key: bytes | None = None
    label: str | None = None
    occurrence: int = 0
    position: int = 0
    """Its place among all that its parent has recorded."""
    department: str | None = None
    tenant: str | None = None
    owner: str | None = None
    region: str | None = None
    awaited: bool = True
    detached: bool = False
    compensation: Compensation = Compensation.NONE
    attempt: int = 1
    generation: int = 0
    epoch: int = 1
    result: bytes | None = None
    error: bytes | None = None
    progress: bytes | None = None
    ttl_used_ms: int = 0
    ttl_since: int | None = None
    started_at: int | None = None
    updated_at: int = 0
    ended_at: int | None = None
    wake_at: int | None = None
    answered: int | None = None
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    estimated: bool = False
    estimate_tokens: int = 0
    estimate_cost: int = 0
    reserved_tokens: int = 0
    reserved_cost: int = 0
    limit_tokens: int | None = None
    limit_cost: int | None = None
    terms: bytes | None = None

    def own(self) -> Usage:
        """What this execution itself used."""
        return Usage.of(self.tokens, self.input_tokens, self.output_tokens, self.cost)


@dataclass(slots=True)
class JournalRecord:
    """One recorded effect of one execution; `completed` is its place in the order of completion, None while open."""

    execution_n: int
    generation: int
    position: int
    kind: EffectKind
    name: str
    key: bytes
    params: bytes | None = None
    result: bytes | None = None
    error: bytes | None = None
    started_at: int = 0
    ended_at: int | None = None
    completed: int | None = None
    due_at: int | None = None
    attempt: int = 1
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0
    reserved_tokens: int = 0
    reserved_cost: int = 0
    terms: bytes | None = None


class ChildEnd(NamedTuple):
    """How far a child has come, without its payloads: what its parent's rollback must know of it."""

    id: str
    n: int
    position: int
    answered: int | None
    ended_at: int | None
    terms: bytes | None


@dataclass(slots=True)
class EventRecord:
    """A sent event: buffered until an execution takes it, and then kept as taken, once (L50)."""

    execution_id: str
    name: str
    payload: bytes
    sent_at: int
    dedupe: str | None = None
    n: int = 0
    taken_by: int | None = None


@dataclass(slots=True)
class AlertRecord:
    """Something an operator should see."""

    code: str
    execution_id: str | None
    tenant: str | None
    message: str
    details: bytes
    raised_at: int
    n: int = 0
    subject: str = ""
    """What it is about: the same code about the same thing again is counted, not told anew."""
    count: int = 1
    last_at: int = 0
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None

    def __post_init__(self) -> None:
        self.subject = self.subject or self.execution_id or ""


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """What a listing of alerts is narrowed to; None means any."""

    code: str | None = None
    execution_id: str | None = None
    tenant: str | None = None
    since_ms: int | None = None
    acknowledged: bool | None = None
    limit: int = 100


@dataclass(slots=True)
class ErasureRecord:
    """An erasure of all that a tenant's executions worked on, and how far it has come (L53)."""

    n: int
    tenant: str
    asked_at: int
    asked_by: str | None
    until_n: int
    until_key: int
    from_n: int = 0
    executions: int = 0
    done_at: int | None = None


@dataclass(frozen=True, slots=True)
class RetentionRecord:
    """How long the trees of a tenant are kept after their end ('': of all without a row of their own); None: for ever."""

    tenant: str
    keep_ms: int | None
    set_at: int
    set_by: str | None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a deleted root."""

    id: str
    process: str
    deleted_at: int


@dataclass(slots=True)
class ScheduleRecord:
    """One schedule of a tenant ('' for none): what it starts and when, and how far it has come (L54).

    `next_at` is None where it fires no more; `waiting` holds the firings that queue for the end of `last_execution`.
    """

    tenant: str
    name: str
    expression: str
    zone: str
    skipped: str | None
    repeated: str | None
    overlap: str
    catch_up_ms: int
    target: str
    versions: str
    input: bytes
    owner: str | None
    region: str | None
    limit_tokens: int | None
    limit_cost: int | None
    registered_by: str | None
    created_at: int
    updated_at: int
    next_at: int | None
    last_at: int | None = None
    last_execution: str | None = None
    waiting: bytes | None = None
    fired: int = 0
    skips: int = 0
    missed: int = 0
    failed: int = 0


@dataclass(slots=True)
class Command:
    """What another process asks the owner of the store to do."""

    id: str
    verb: str
    arguments: dict[str, Any]
    sent_at: int
    reply: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DefinitionRecord:
    """What a workflow said when the executions from row `first_n` on began (L39)."""

    process: str
    version: str
    first_n: int
    digest: bytes
    source: bytes
    kept_at: int


@dataclass(slots=True)
class VersionRecord:
    """A published version (L40); `contract` and `rollout` are JSON, `recent` tells its last ends."""

    process: str
    version: str
    digest: bytes
    contract: bytes
    state: str
    published_at: int
    published_by: str | None
    changed_at: int
    changed_by: str | None
    rollout: bytes | None = None
    violations: int = 0
    recent: str = ""


@dataclass(frozen=True, slots=True)
class DeclarationRecord:
    """A version of a caller works with these versions of a target too (L41)."""

    caller: str
    caller_version: str
    target: str
    versions: str
    declared_at: int
    declared_by: str | None


@dataclass(frozen=True, slots=True)
class BudgetRecord:
    """What a department may spend in each period, with all tenants ('') or with one (L45)."""

    department: str
    tenant: str
    period: str
    zone: str
    limit_tokens: int | None
    limit_cost: int | None
    on_exhausted: str
    set_at: int
    set_by: str | None


@dataclass(slots=True)
class LedgerRecord:
    """What was spent under a department's budget from one moment up to another."""

    department: str
    tenant: str
    begins: int
    ends: int
    tokens: int = 0
    cost: int = 0


class OpenReservation(NamedTuple):
    """What an open execution has reserved, its open effects included."""

    id: str
    tenant: str | None
    created_at: int
    tokens: int
    cost: int
    terms: bytes | None


class UsageKey(NamedTuple):
    """Whose usage it is and who caused it, on a day (UTC, counted from 1970); '' stands for none (L31)."""

    day: int
    tenant: str
    department: str
    process: str
    version: str
    model: str
    root_department: str
    root_process: str
    root_version: str


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """A URL that hears of what happens to versions; `private` is 1 where its host need not be public."""

    id: str
    url: str
    secret: str = field(repr=False)
    owner: str | None
    private: int
    added_at: int
    added_by: str | None


@dataclass(slots=True)
class MessageRecord:
    """A message for a webhook; `next_at` is None once it is delivered, or given up."""

    id: str
    webhook: str
    body: bytes
    created_at: int
    attempts: int
    next_at: int | None
    delivered_at: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """What an evaluation of a version has shown; `summary` is JSON."""

    process: str
    version: str
    digest: bytes
    summary: bytes
    evaluated_at: int
    evaluated_by: str | None


@dataclass(frozen=True, slots=True)
class RequirementRecord:
    """What an evaluation must show before a version of the process is promoted; `terms` is JSON, null for nothing."""

    process: str
    terms: bytes
    cases_file: str | None
    required_at: int
    required_by: str | None


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A version of a policy that was applied (L43); `content` is what its file says as JSON, `source` the file itself."""

    name: str
    version: str
    digest: bytes
    content: bytes
    source: str
    applied_at: int
    applied_by: str | None
    ended_at: int | None = None
    ended_by: str | None = None

    @property
    def in_force(self) -> bool:
        """Whether calls are under it."""
        return self.ended_at is None


class RateRecord(NamedTuple):
    """How far a policy's rate is used up for what it is counted by: until `due`, in 1/`scale` milliseconds since 1970."""

    policy: str
    counted: str
    due: int
    scale: int


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """Sums over several executions, in integers."""

    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: int = 0

    def usage(self) -> Usage:
        """As people see it."""
        return Usage(self.tokens, self.input_tokens, self.output_tokens, decimal_string(self.cost))


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """What a listing is narrowed to; None and empty mean any."""

    status: frozenset[str] = field(default_factory=frozenset)
    process: str | None = None
    parent: str | None = None
    root: str | None = None
    tenant: str | None = None
    owner: str | None = None
    since_ms: int | None = None
    limit: int = 100
    before_n: int | None = None

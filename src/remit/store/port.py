"""What the engine needs of a store. The engine decides; a store keeps what was decided, whole batches at a time (L8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from remit.kernel.audit import Entry, Head
from remit.store.keyring import Keyring
from remit.store.records import (
    AlertFilter,
    AlertRecord,
    BudgetRecord,
    ChildEnd,
    Command,
    DeclarationRecord,
    DefinitionRecord,
    ErasureRecord,
    EvaluationRecord,
    EventRecord,
    ExecutionFilter,
    ExecutionRecord,
    JournalRecord,
    LedgerRecord,
    MessageRecord,
    OpenReservation,
    PolicyRecord,
    RateRecord,
    RequirementRecord,
    RetentionRecord,
    ScheduleRecord,
    Tombstone,
    UsageKey,
    UsageTotals,
    VersionRecord,
    WebhookRecord,
)

__all__ = ["Batch", "Reader", "Store"]


class Batch:
    """All that has changed since the last commit. It is written as one transaction or not at all."""

    __slots__ = (
        "acknowledged",
        "alerts",
        "audit",
        "audit_salts",
        "budgets",
        "changed",
        "created",
        "declarations",
        "definitions",
        "evaluations",
        "events",
        "journal",
        "ledgers",
        "messages",
        "new_journal",
        "policies",
        "rates",
        "replies",
        "requirements",
        "schedules",
        "set_aside",
        "unclaimed",
        "usage",
        "versions",
        "webhooks",
    )

    def __init__(self) -> None:
        self.created: dict[int, ExecutionRecord] = {}
        self.changed: dict[int, ExecutionRecord] = {}
        self.unclaimed: list[int] = []
        """Of which executions the key no longer stands for the call: its caller makes it anew."""
        self.new_journal: dict[int, JournalRecord] = {}
        self.journal: dict[int, JournalRecord] = {}
        self.events: list[EventRecord] = []
        self.alerts: list[AlertRecord] = []
        self.audit: list[Entry] = []
        self.audit_salts: dict[str, bytes] = {}
        self.acknowledged: list[tuple[int, str | None, int]] = []
        """When, by whom, which alert."""
        self.replies: list[Command] = []
        self.schedules: dict[tuple[str, str], ScheduleRecord | None] = {}
        """By tenant and name; None where the schedule is removed."""
        self.set_aside: list[JournalRecord] = []
        self.definitions: list[DefinitionRecord] = []
        self.versions: dict[tuple[str, str], VersionRecord] = {}
        self.declarations: list[DeclarationRecord] = []
        self.policies: list[PolicyRecord] = []
        self.rates: dict[tuple[str, str], tuple[int, int] | None] = {}
        """By policy and what is counted: `due` and `scale` of a RateRecord."""
        self.evaluations: list[EvaluationRecord] = []
        self.requirements: list[RequirementRecord] = []
        self.webhooks: dict[str, WebhookRecord | None] = {}
        """By id; None where it is removed, with its messages."""
        self.messages: dict[str, MessageRecord] = {}
        self.budgets: dict[tuple[str, str, str], BudgetRecord | None] = {}
        """By department, tenant and period; None where the budget is removed."""
        self.ledgers: dict[int, LedgerRecord] = {}
        self.usage: dict[UsageKey, tuple[int, ...]] = {}
        """What is added to: tokens, input tokens, output tokens, micro-dollars."""

    def __bool__(self) -> bool:
        return bool(
            self.created
            or self.changed
            or self.unclaimed
            or self.new_journal
            or self.journal
            or self.events
            or self.alerts
            or self.acknowledged
            or self.audit
            or self.audit_salts
            or self.replies
            or self.schedules
            or self.set_aside
            or self.definitions
            or self.versions
            or self.declarations
            or self.policies
            or self.rates
            or self.evaluations
            or self.requirements
            or self.webhooks
            or self.messages
            or self.budgets
            or self.ledgers
            or self.usage
        )


class Reader(Protocol):
    """Reads of what is durable (L46)."""

    def execution(self, execution_id: str) -> ExecutionRecord | None:
        """The execution of that id."""

    def is_of_tenant(self, execution_id: str, tenant: str) -> bool:
        """Whether there is an execution of that id and tenant; one of another's is looked for as one that is not there (L44)."""

    def by_n(self, n: int) -> ExecutionRecord | None:
        """The execution of that row number."""

    def by_root_key(self, key: bytes) -> ExecutionRecord | None:
        """The root that was started under that idempotency key."""

    def children(self, parent_n: int) -> list[ExecutionRecord]:
        """Direct children, in the order of admission."""

    def child_ends(self, parent_n: int, since: int) -> list[ChildEnd]:
        """The children that are not detached, from that position of the parent's on."""

    def rolling_back(self, at_or_below: str | None = None) -> list[str]:
        """Ids of the executions whose compensations run, oldest first; all of them, or one execution's and its subtree's."""

    def newest_call(self, parent_n: int) -> tuple[str, int, int, int | None] | None:
        """The last call that an execution made with a key of its own: the key, its position, when it began and ended."""

    def subtree(self, execution_id: str, *, open_only: bool = False) -> list[ExecutionRecord]:
        """The execution and everything below it, ancestors before descendants."""

    def usage_below(self, execution_id: str) -> UsageTotals:
        """What the execution and everything below it used."""

    def reserved_below(self, execution_id: str) -> tuple[int, int]:
        """Unused reservations of the execution and everything open below it, as (tokens, micro-dollars)."""

    def family(self, parent_n: int) -> list[tuple[str, str, bool, bool, bool]]:
        """Each child of an execution as (id, status, awaited, open, its clock runs)."""

    def count_open_asks(self, execution_n: int, generation: int) -> int:
        """How many asks of the execution itself wait for an answer."""

    def next_position(self, execution_n: int) -> int:
        """The first journal position never used by the execution."""

    def journal_entry(self, execution_n: int, generation: int, position: int) -> JournalRecord | None:
        """One entry of a journal."""

    def untaken_event(self, execution_id: str, name: str) -> EventRecord | None:
        """The oldest event of that name that nobody has taken yet."""

    def has_event(self, execution_id: str, name: str, dedupe: str) -> bool:
        """Whether an event with that deduplication key was sent before."""

    def journal(self, execution_n: int, generation: int | None = None) -> list[JournalRecord]:
        """An execution's journal in the order of its entries; one generation's, or all."""

    def newest_effects(self, execution_id: str) -> dict[int, JournalRecord]:
        """The step, tool, model or ask that the execution and each below it began last, by their numbers."""

    def compensations(self, execution_n: int, generation: int) -> list[JournalRecord]:
        """What was done to undo an execution, in order."""

    def lineage(self, root_id: str) -> list[tuple[str, JournalRecord]]:
        """Every tool and model call of a trace with the id of the execution that made it, oldest first (L29)."""

    def open_asks(self, execution_id: str) -> list[tuple[str, JournalRecord]]:
        """The asks that wait for an answer at the execution or below it."""

    def events(self, execution_id: str) -> list[EventRecord]:
        """All events sent to an execution, oldest first."""

    def keeps_definition(self, process: str, version: str) -> bool:
        """Whether that process is a workflow: what it said is kept."""

    def definitions(self) -> list[DefinitionRecord]:
        """What workflows said, those with the lowest `first_n` first."""

    def versions(self) -> list[VersionRecord]:
        """All published versions, by process."""

    def declarations(self) -> list[DeclarationRecord]:
        """What callers have declared, oldest first."""

    def policies(self) -> list[PolicyRecord]:
        """All versions of policies that were ever applied, by name."""

    def rates(self) -> list[RateRecord]:
        """How far each rate is used up."""

    def evaluations(self, process: str, version: str | None = None) -> list[EvaluationRecord]:
        """Evaluations of a process, or of one version of it, newest first."""

    def requirement(self, process: str) -> RequirementRecord | None:
        """What an evaluation of its versions must show."""

    def webhooks(self) -> list[WebhookRecord]:
        """All webhooks, the oldest first."""

    def messages_waiting(self) -> dict[str, tuple[int, str | None]]:
        """By webhook: how many messages are to be delivered, and why an attempt at one of them failed."""

    def messages_due(self, until_ms: int, limit: int) -> list[MessageRecord]:
        """Messages to be delivered by then, the earliest first."""

    def next_message(self) -> int | None:
        """When the next message is to be delivered."""

    def listing(self, narrowed: ExecutionFilter) -> list[ExecutionRecord]:
        """Executions, newest first."""

    def usage_by(
        self, by: str, since: int | None, until: int | None, tenant: str | None, *, caused: bool
    ) -> dict[str, UsageTotals]:
        """Usage by department, tenant, process, version or model, on days from `since` on and before `until` (L31).

        With `caused`, by that of the roots; '' stands for none.
        """

    def alerts(self, narrowed: AlertFilter) -> list[AlertRecord]:
        """Alerts, newest first."""

    def alert(self, n: int) -> AlertRecord | None:
        """One alert."""

    def tombstone(self, root_id: str) -> Tombstone | None:
        """What is left of a root that was deleted."""

    def buried(self, key: bytes) -> Tombstone | None:
        """What is left of the deleted root that was started under that idempotency key."""

    def retention(self) -> list[RetentionRecord]:
        """How long ended trees are kept, by tenant."""

    def audit_head(self, chain: str) -> Head | None:
        """How far a chain of the audit log has come; None where it has not begun."""

    def audit_salt(self, tenant: str) -> bytes | None:
        """What digests of a tenant's payloads in the audit log are keyed with; None where there is none yet."""

    def audit_id(self) -> bytes:
        """What tells this store's chains from those of others."""

    def audit_chains(self, among: str | None = None, since_ms: int = 0) -> list[str]:
        """The chains that have entries of that time or later, in order; of all, or one."""

    def audit_chains_of(self, tenant: str) -> list[str]:
        """The chain of a tenant ('' for none) and those of its roots, in order."""

    def audit_entries(self, chain: str) -> list[Entry]:
        """The rows of a chain, whatever somebody has made of them."""

    def audit_listing(self, chain: str | None, kind: str | None, since_ms: int, limit: int) -> list[Entry]:
        """Rows of a chain, or of all, oldest first."""

    def unaudited(self) -> list[str]:
        """Ids of the executions whose admission is missing in the log, oldest first; it began with this store or a migration."""

    def department_budgets(self) -> list[BudgetRecord]:
        """What departments may spend, by department, tenant and period."""

    def department_spent(self, department: str, tenant: str, begins: int, ends: int) -> tuple[int, int]:
        """What was spent under a department's budget in one period, as (tokens, micro-dollars)."""

    def department_used(self, department: str, tenant: str, first_day: int) -> tuple[int, int]:
        """What a department used itself or its roots caused, as billed since that day (since 1970): (tokens, micro-dollars)."""

    def open_reservations(self) -> list[OpenReservation]:
        """What open executions have reserved."""

    def departments_of(self, execution_ids: Iterable[str]) -> dict[str, str | None]:
        """The departments of executions, by id."""

    def schedules(self, tenant: str | None = None) -> list[ScheduleRecord]:
        """The schedules of a tenant ('' for those of none), or of all, by name."""

    def schedule(self, tenant: str, name: str) -> ScheduleRecord | None:
        """One schedule."""


class Store(Reader, Protocol):
    """One durable home of executions, driven by one owner."""

    @property
    def next_n(self) -> int:
        """The row number of the next execution."""

    @property
    def epoch(self) -> int:
        """The epoch at which this process owns the file."""

    def commit(self, batch: Batch) -> None:
        """Write the batch, durably, as one transaction; raises `StoreError` and writes nothing otherwise."""

    def renew(self) -> None:
        """Renew the owner's claim (L21)."""

    def to_recover(self) -> Iterable[str]:
        """Ids of the executions that were being driven or were about to be, oldest first."""

    def trace_counts(self, root_id: str) -> tuple[int, int]:
        """How many executions stand below the root, and the attempts of the whole trace."""

    def due(self, until_ms: int, limit: int) -> list[tuple[str, int]]:
        """Executions with a timer due by then, as (id, 0 for a pause of its own or the journal position + 1), earliest first."""

    def next_due(self) -> int | None:
        """When the earliest timer is due."""

    def due_schedules(self, until_ms: int, targets: list[str], limit: int) -> list[ScheduleRecord]:
        """Schedules of these processes that fire by then, earliest first."""

    def next_schedule(self, targets: list[str]) -> int | None:
        """When the next schedule of these processes fires."""

    def queued_schedules(self, targets: list[str]) -> list[ScheduleRecord]:
        """Schedules of these processes with firings that wait for the end of an execution."""

    def commands(self) -> list[Command]:
        """Commands without a reply, oldest first."""

    def inbox_changed(self) -> bool:
        """Whether another connection has written since the last time this was asked."""

    @property
    def keyring(self) -> Keyring | None:
        """What its payloads are sealed with."""

    def set_retention(self, record: RetentionRecord | str) -> None:
        """Keep a tenant's trees so long; the tenant alone: as long as all others'."""

    def roots_ended(
        self, tenant: str | None, before_ms: int, after: tuple[int, int], limit: int
    ) -> list[tuple[str, int, int]]:
        """Roots of a tenant that ended before then and after the last of an earlier page, as (id, end, row number)."""

    def is_over(self, root: str, before_ms: int) -> bool:
        """Whether everything in a tree has ended before then, rollbacks included."""

    def tenants(self) -> list[str | None]:
        """The tenants that have roots which have ended."""

    def delete_roots(self, doomed: Iterable[str], now_ms: int, seconds: float) -> tuple[int, int]:
        """Delete of these roots, and of what earlier ones have left, as much as fits into the time; (roots, executions)."""

    def delete_alerts(self, tenants: Iterable[str | None], before_ms: int, limit: int) -> int:
        """Delete alerts of these tenants that occurred last before then; how many there were."""

    def delete_commands(self, before_ms: int, limit: int) -> int:
        """Delete commands that were replied to before then; how many there were."""

    def ask_erasure(self, tenant: str, now_ms: int, by: str | None) -> ErasureRecord:
        """Decide, durably, that what the tenant's executions have worked on so far is erased."""

    def erasures(self) -> list[ErasureRecord]:
        """Erasures that are not done."""

    def erase_some(self, erasure: ErasureRecord, rows: int) -> bool:
        """Erase the payloads in so many more rows; False once there is none left."""

    def erase_beside(self, erasure: ErasureRecord) -> None:
        """Erase what lies outside executions: alerts, schedules, commands, keys of tombstones."""

    def scrub(self) -> bool:
        """Rewrite the file without what was deleted from it, and empty the WAL; False where a reader is in the way."""

    def end_erasure(self, erasure: ErasureRecord) -> None:
        """It is done."""

    def close(self) -> None:
        """Copy the WAL into the database and let the file go."""

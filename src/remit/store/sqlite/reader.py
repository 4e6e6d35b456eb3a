"""Queries over what is durable; every one runs on an index or on the subtree it is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import apsw
import orjson

from remit.kernel.audit import Entry, Head, control_chain
from remit.kernel.states import OPEN
from remit.kernel.trace import descendant_range, is_execution_id
from remit.store.records import (
    AlertFilter,
    AlertRecord,
    BudgetRecord,
    ChildEnd,
    DeclarationRecord,
    DefinitionRecord,
    EvaluationRecord,
    EventRecord,
    ExecutionFilter,
    ExecutionRecord,
    JournalRecord,
    MessageRecord,
    OpenReservation,
    PolicyRecord,
    RateRecord,
    RequirementRecord,
    RetentionRecord,
    ScheduleRecord,
    Tombstone,
    UsageTotals,
    VersionRecord,
    WebhookRecord,
)
from remit.store.sqlite.database import Location, explained
from remit.store.sqlite.rows import (
    ALERT_COLUMNS,
    BUDGET_COLUMNS,
    DECLARATION_COLUMNS,
    EVALUATION_COLUMNS,
    EXECUTION_COLUMNS,
    JOURNAL_COLUMNS,
    MESSAGE_COLUMNS,
    POLICY_COLUMNS,
    REQUIREMENT_COLUMNS,
    SCHEDULE_COLUMNS,
    VERSION_COLUMNS,
    WEBHOOK_COLUMNS,
    execution_of,
    journal_of,
)
from remit.store.sqlite.sealing import Sealing

__all__ = ["SqliteReader"]

_OPEN = "ended_at IS NULL"
_JOURNAL_OF_TREE = f"""
    SELECT e.id, {", ".join("j." + name for name in JOURNAL_COLUMNS.split(", "))} FROM executions e JOIN journal j ON j.execution_n = e.n
    WHERE (e.id = ? OR (e.id > ? AND e.id < ?))"""


_AUDIT_TEXTS = frozenset({"chain", "kind", "execution", "actor"})
# Texts are read as bytes: one that was edited need not be UTF-8, and must be told of all the same.
_AUDIT_AS_IT_IS = ", ".join(f"CAST({each} AS BLOB)" if each in _AUDIT_TEXTS else each for each in Entry._fields)


def _entry(
    chain: bytes, seq: int, at: int, kind: bytes, execution: bytes, actor: bytes, details: bytes, hashed: bytes
) -> Entry:
    texts = (each.decode("utf-8", "replace") for each in (chain, kind, execution, actor))
    named, what, who, by = texts
    return Entry(named, seq, at, what, who, by, details, hashed)


class SqliteReader:
    """Reads on one connection."""

    def __init__(self, connection: apsw.Connection, location: Location, sealing: Sealing | None = None) -> None:
        self._reads = connection
        self._where = location
        self._sealing = sealing
        self._execution_of = execution_of if sealing is None else sealing.execution_of
        self._journal_of = journal_of if sealing is None else sealing.journal_of

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """All rows of a query; raises StoreError where the disk fails."""
        try:
            return self._reads.execute(query, values).fetchall()
        except apsw.Error as error:
            with explained(self._where, "read"):
                raise error from None

    def _first(self, query: str, values: tuple[Any, ...] = ()) -> Any:
        """The first row of a query; None where there is none."""
        rows = self._rows(query, values)
        return rows[0] if rows else None

    def _value(self, query: str, values: tuple[Any, ...] = ()) -> Any:
        """The first value of the first row; None where there is none."""
        row = self._first(query, values)
        return row[0] if row is not None else None

    def _executions(self, where: str, values: tuple[Any, ...]) -> list[ExecutionRecord]:
        return [
            self._execution_of(row) for row in self._rows(f"SELECT {EXECUTION_COLUMNS} FROM executions WHERE {where}", values)
        ]

    def _one(self, where: str, values: tuple[Any, ...]) -> ExecutionRecord | None:
        found = self._executions(where, values)
        return found[0] if found else None

    def execution(self, execution_id: str) -> ExecutionRecord | None:
        """The execution of that id."""
        return self._one("id = ?", (execution_id,)) if is_execution_id(execution_id) else None

    def is_of_tenant(self, execution_id: str, tenant: str) -> bool:
        """Whether there is an execution of that id and tenant; one of another's is looked for as one that is not there (L44)."""
        query = "SELECT count(*) FROM executions WHERE id = ? AND tenant = ?"
        return is_execution_id(execution_id) and bool(self._value(query, (execution_id, tenant)))

    def by_n(self, n: int) -> ExecutionRecord | None:
        """The execution of that row number."""
        return self._one("n = ?", (n,))

    def by_root_key(self, key: bytes) -> ExecutionRecord | None:
        """The root that was started under that idempotency key."""
        return self._one("parent_n = 0 AND key = ?", (key,))

    def children(self, parent_n: int) -> list[ExecutionRecord]:
        """Direct children, in the order of admission."""
        return self._executions("parent_n = ? ORDER BY n", (parent_n,))

    def child_ends(self, parent_n: int, since: int) -> list[ChildEnd]:
        """The children that are not detached, from that position of the parent's on."""
        query = "SELECT id, n, position, answered, ended_at, terms FROM executions WHERE parent_n = ? AND position >= ? AND NOT detached"
        return [ChildEnd(*row) for row in self._rows(query, (parent_n, since))]

    def rolling_back(self, at_or_below: str | None = None) -> list[str]:
        """Ids of the executions whose compensations run, oldest first; all of them, or one execution's and its subtree's."""
        query = "SELECT id FROM executions WHERE compensation = 'running'"
        if at_or_below is None:
            return [row[0] for row in self._rows(f"{query} ORDER BY n")]
        low, high = descendant_range(at_or_below)
        found = self._rows(f"{query} AND (id = ? OR (id > ? AND id < ?)) ORDER BY n", (at_or_below, low, high))
        return [row[0] for row in found]

    def newest_call(self, parent_n: int) -> tuple[str, int, int, int | None] | None:
        """The last call that an execution made with a key of its own: the key, its position, when it began and ended."""
        query = "SELECT label, position, created_at, ended_at, id FROM executions WHERE parent_n = ? AND label IS NOT NULL ORDER BY position DESC LIMIT 1"
        row = self._first(query, (parent_n,))
        if row is None:
            return None
        label = row[0] if self._sealing is None else self._sealing.label(row[4], row[0])
        return label, row[1], row[2], row[3]

    def subtree(self, execution_id: str, *, open_only: bool = False) -> list[ExecutionRecord]:
        """The execution and everything below it, ancestors before descendants."""
        low, high = descendant_range(execution_id)
        narrowed = f"AND {_OPEN}" if open_only else ""
        return self._executions(f"(id = ? OR (id > ? AND id < ?)) {narrowed} ORDER BY n", (execution_id, low, high))

    def usage_below(self, execution_id: str) -> UsageTotals:
        """What the execution and everything below it used."""
        low, high = descendant_range(execution_id)
        query = "SELECT total(tokens), total(input_tokens), total(output_tokens), total(cost) FROM executions WHERE id = ? OR (id > ? AND id < ?)"
        return UsageTotals(*(int(value) for value in self._first(query, (execution_id, low, high))))

    def reserved_below(self, execution_id: str) -> tuple[int, int]:
        """Unused reservations of the execution and everything open below it, as (tokens, micro-dollars)."""
        low, high = descendant_range(execution_id)
        query = f"SELECT total(reserved_tokens), total(reserved_cost) FROM executions WHERE (id = ? OR (id > ? AND id < ?)) AND {_OPEN}"
        tokens, cost = self._first(query, (execution_id, low, high))
        return int(tokens), int(cost)

    def family(self, parent_n: int) -> list[tuple[str, str, bool, bool, bool]]:
        """Each child of an execution as (id, status, awaited, open, its clock runs)."""
        query = "SELECT id, status, awaited, ended_at IS NULL, ttl_since IS NOT NULL FROM executions WHERE parent_n = ?"
        return [(row[0], row[1], bool(row[2]), bool(row[3]), bool(row[4])) for row in self._rows(query, (parent_n,))]

    def count_open_asks(self, execution_n: int, generation: int) -> int:
        """How many asks of the execution itself wait for an answer."""
        query = "SELECT count(*) FROM journal WHERE execution_n = ? AND generation = ? AND kind = 'ask' AND ended_at IS NULL"
        return int(self._value(query, (execution_n, generation)))

    def next_position(self, execution_n: int) -> int:
        """The first journal position never used by the execution."""
        query = """
            SELECT max((SELECT coalesce(max(position), -1) FROM journal WHERE execution_n = ?1),
                       (SELECT coalesce(max(position), -1) FROM executions WHERE parent_n = ?1)) + 1"""
        return int(self._value(query, (execution_n,)))

    def journal_entry(self, execution_n: int, generation: int, position: int) -> JournalRecord | None:
        """One entry of a journal."""
        query = f"SELECT {JOURNAL_COLUMNS} FROM journal WHERE execution_n = ? AND generation = ? AND position = ?"
        row = self._first(query, (execution_n, generation, position))
        return self._journal_of(row) if row else None

    def untaken_event(self, execution_id: str, name: str) -> EventRecord | None:
        """The oldest event of that name that nobody has taken yet."""
        query = "SELECT execution_id, name, payload, sent_at, dedupe, n, taken_by FROM events WHERE execution_id = ? AND name = ? AND taken_by IS NULL ORDER BY n LIMIT 1"
        row = self._first(query, (execution_id, name))
        return self._event_of(row) if row else None

    def has_event(self, execution_id: str, name: str, dedupe: str) -> bool:
        """Whether an event with that deduplication key was sent before."""
        query = "SELECT count(*) FROM events WHERE execution_id = ? AND name = ? AND dedupe = ?"
        return bool(self._value(query, (execution_id, name, dedupe)))

    def journal(self, execution_n: int, generation: int | None = None) -> list[JournalRecord]:
        """An execution's journal in the order of its entries; one generation's, or all."""
        narrowed, values = ("", (execution_n,)) if generation is None else ("AND generation = ?", (execution_n, generation))
        query = f"SELECT {JOURNAL_COLUMNS} FROM journal WHERE execution_n = ? {narrowed} ORDER BY generation, position"
        return [self._journal_of(row) for row in self._rows(query, values)]

    def newest_effects(self, execution_id: str) -> dict[int, JournalRecord]:
        """The step, tool, model or ask that the execution and each below it began last, by their numbers."""
        condition = "j.generation = e.generation AND j.kind IN ('step', 'tool', 'model', 'ask') GROUP BY j.execution_n HAVING max(j.position) >= 0"
        return {entry.execution_n: entry for _, entry in self._journal_of_tree(execution_id, condition)}

    def compensations(self, execution_n: int, generation: int) -> list[JournalRecord]:
        """What was done to undo an execution, in order."""
        query = f"SELECT {JOURNAL_COLUMNS} FROM journal WHERE execution_n = ? AND generation = ? AND kind = 'compensation' ORDER BY position"
        return [self._journal_of(row) for row in self._rows(query, (execution_n, generation))]

    def _journal_of_tree(self, execution_id: str, condition: str) -> list[tuple[str, JournalRecord]]:
        low, high = descendant_range(execution_id)
        rows = self._rows(f"{_JOURNAL_OF_TREE} AND {condition}", (execution_id, low, high))
        return [(row[0], self._journal_of(row[1:])) for row in rows]

    def lineage(self, root_id: str) -> list[tuple[str, JournalRecord]]:
        """Every tool and model call of a trace with the id of the execution that made it, oldest first (L29)."""
        return self._journal_of_tree(root_id, "j.kind IN ('tool', 'model') ORDER BY j.started_at, e.n, j.position")

    def open_asks(self, execution_id: str) -> list[tuple[str, JournalRecord]]:
        """The asks that wait for an answer at the execution or below it."""
        waiting = "j.kind = 'ask' AND j.ended_at IS NULL AND j.generation = e.generation AND e.ended_at IS NULL"
        return self._journal_of_tree(execution_id, f"{waiting} ORDER BY e.n, j.position")

    def events(self, execution_id: str) -> list[EventRecord]:
        """All events sent to an execution, oldest first."""
        query = "SELECT execution_id, name, payload, sent_at, dedupe, n, taken_by FROM events WHERE execution_id = ? ORDER BY n"
        return [self._event_of(row) for row in self._rows(query, (execution_id,))]

    def _event_of(self, row: Any) -> EventRecord:
        event = EventRecord(*row)
        return event if self._sealing is None else self._sealing.event_of(event)

    def keeps_definition(self, process: str, version: str) -> bool:
        """Whether that process is a workflow: what it said is kept."""
        query = "SELECT count(*) FROM definitions WHERE process = ? AND version = ?"
        return bool(self._value(query, (process, version)))

    def definitions(self) -> list[DefinitionRecord]:
        """What workflows said, those with the lowest `first_n` first."""
        query = "SELECT process, version, first_n, digest, source, kept_at FROM definitions ORDER BY first_n"
        return [DefinitionRecord(*row) for row in self._rows(query)]

    def versions(self) -> list[VersionRecord]:
        """All published versions, by process."""
        return [VersionRecord(*row) for row in self._rows(f"SELECT {VERSION_COLUMNS} FROM versions")]

    def declarations(self) -> list[DeclarationRecord]:
        """What callers have declared, oldest first."""
        query = f"SELECT {DECLARATION_COLUMNS} FROM declarations ORDER BY declared_at"
        return [DeclarationRecord(*row) for row in self._rows(query)]

    def policies(self) -> list[PolicyRecord]:
        """All versions of policies that were ever applied, by name."""
        return [PolicyRecord(*row) for row in self._rows(f"SELECT {POLICY_COLUMNS} FROM policies")]

    def rates(self) -> list[RateRecord]:
        """How far each rate is used up."""
        return [RateRecord(*row) for row in self._rows("SELECT policy, counted, due, scale FROM rates")]

    def evaluations(self, process: str, version: str | None = None) -> list[EvaluationRecord]:
        """Evaluations of a process, or of one version of it, newest first."""
        query = f"SELECT {EVALUATION_COLUMNS} FROM evaluations WHERE process = ? AND (? IS NULL OR version = ?) ORDER BY n DESC"
        return [EvaluationRecord(*row) for row in self._rows(query, (process, version, version))]

    def requirement(self, process: str) -> RequirementRecord | None:
        """What an evaluation of its versions must show."""
        rows = self._rows(f"SELECT {REQUIREMENT_COLUMNS} FROM requirements WHERE process = ?", (process,))
        return next((RequirementRecord(*row) for row in rows), None)

    def department_budgets(self) -> list[BudgetRecord]:
        """What departments may spend, by department, tenant and period."""
        query = f"SELECT {BUDGET_COLUMNS} FROM department_budgets ORDER BY department, tenant, period"
        return [BudgetRecord(*row) for row in self._rows(query)]

    def department_spent(self, department: str, tenant: str, begins: int, ends: int) -> tuple[int, int]:
        """What was spent under a department's budget in one period, as (tokens, micro-dollars)."""
        query = "SELECT tokens, cost FROM department_ledgers WHERE department = ? AND tenant = ? AND begins = ? AND ends = ?"
        row = self._first(query, (department, tenant, begins, ends))
        return (0, 0) if row is None else (row[0], row[1])

    def department_used(self, department: str, tenant: str, first_day: int) -> tuple[int, int]:
        """What a department used itself or its roots caused, as billed since that day (since 1970): (tokens, micro-dollars)."""
        query = """
            SELECT coalesce(sum(tokens), 0), coalesce(sum(cost), 0) FROM usage
            WHERE day >= ?1 AND (department = ?2 OR root_department = ?2) AND (?3 = '' OR tenant = ?3)"""
        (row,) = self._rows(query, (first_day, department, tenant))
        return row[0], row[1]

    def open_reservations(self) -> list[OpenReservation]:
        """What open executions have reserved."""
        statuses = ", ".join(f"'{status}'" for status in sorted(OPEN))
        query = f"""
            SELECT id, tenant, created_at, reserved_tokens, reserved_cost, terms FROM executions
            WHERE status <> 'COMPLETED' AND status IN ({statuses}) AND (reserved_tokens > 0 OR reserved_cost > 0)"""
        return [OpenReservation(*row) for row in self._rows(query)]

    def departments_of(self, execution_ids: Iterable[str]) -> dict[str, str | None]:
        """The departments of executions, by id."""
        query = "SELECT id, department FROM executions WHERE id IN (SELECT value FROM json_each(?))"
        return dict(self._rows(query, (orjson.dumps(list(execution_ids)).decode(),)))

    def usage_by(
        self, by: str, since: int | None, until: int | None, tenant: str | None, *, caused: bool
    ) -> dict[str, UsageTotals]:
        """Usage by department, tenant, process, version or model, on days from `since` on and before `until` (L31).

        With `caused`, by that of the roots; '' stands for none.
        """
        of = "root_" if caused and by in ("department", "process", "version") else ""
        name = f"{of}process || '@' || {of}version" if by == "version" else of + by
        query = f"""
            SELECT {name}, sum(tokens), sum(input_tokens), sum(output_tokens), sum(cost) FROM usage
            WHERE day >= coalesce(?1, day) AND day < coalesce(?2, day + 1) AND tenant = coalesce(?3, tenant) GROUP BY 1"""
        return {row[0]: UsageTotals(*row[1:]) for row in self._rows(query, (since, until, tenant))}

    def webhooks(self) -> list[WebhookRecord]:
        """All webhooks, the oldest first."""
        found = [WebhookRecord(*row) for row in self._rows(f"SELECT {WEBHOOK_COLUMNS} FROM webhooks ORDER BY added_at")]
        if self._sealing is None:
            return found
        return [replace(each, secret=self._sealing.secret_of(each.id, each.secret)) for each in found]

    def messages_waiting(self) -> dict[str, tuple[int, str | None]]:
        """By webhook: how many messages are to be delivered, and why an attempt at one of them failed."""
        query = "SELECT webhook, count(*), max(problem) FROM outbox WHERE next_at IS NOT NULL GROUP BY webhook"
        return {webhook: (count, problem) for webhook, count, problem in self._rows(query)}

    def messages_due(self, until_ms: int, limit: int) -> list[MessageRecord]:
        """Messages to be delivered by then, the earliest first."""
        query = f"SELECT {MESSAGE_COLUMNS} FROM outbox WHERE next_at <= ? ORDER BY next_at LIMIT ?"
        return [MessageRecord(*row) for row in self._rows(query, (until_ms, limit))]

    def next_message(self) -> int | None:
        """When the next message is to be delivered."""
        ((next_at,),) = self._rows("SELECT min(next_at) FROM outbox WHERE next_at IS NOT NULL")
        return None if next_at is None else int(next_at)

    def listing(self, narrowed: ExecutionFilter) -> list[ExecutionRecord]:
        """Executions, newest first."""
        terms: list[tuple[str, Any]] = []
        if narrowed.status:
            marks = ", ".join(f"'{status}'" for status in sorted(narrowed.status))
            excluded = "" if "COMPLETED" in narrowed.status else "status <> 'COMPLETED' AND "
            terms.append((f"{excluded}status IN ({marks})", None))
        for column, value in (("process", narrowed.process), ("tenant", narrowed.tenant), ("owner", narrowed.owner)):
            if value is not None:
                terms.append((f"{column} = ?", value))
        if narrowed.since_ms is not None:
            terms.append(("created_at >= ?", narrowed.since_ms))
        if narrowed.before_n is not None:
            terms.append(("n < ?", narrowed.before_n))
        if narrowed.parent is not None:
            parent = self.execution(narrowed.parent)
            terms.append(("parent_n = ?", parent.n if parent else -1))
        if narrowed.root is not None:
            low, high = descendant_range(narrowed.root)
            terms += [("(id = ?", narrowed.root), ("id > ?", low), ("id < ?)", high)]
        where = (
            " AND ".join(text for text, _ in terms).replace(
                "(id = ? AND id > ? AND id < ?)", "(id = ? OR (id > ? AND id < ?))"
            )
            or "1"
        )
        values = tuple(value for text, value in terms if "?" in text)
        return self._executions(f"{where} ORDER BY n DESC LIMIT ?", (*values, narrowed.limit))

    def alerts(self, narrowed: AlertFilter) -> list[AlertRecord]:
        """Alerts, the newest first; one that occurred again is as new as its last occurrence."""
        terms = [
            ("code = ?", narrowed.code),
            ("execution_id = ?", narrowed.execution_id),
            ("tenant = ?", narrowed.tenant),
            ("last_at >= ?", narrowed.since_ms),
            ("(acknowledged_at IS NOT NULL) = ?", narrowed.acknowledged),
        ]
        given = [(text, value) for text, value in terms if value is not None]
        where = " AND ".join(text for text, _ in given) or "1"
        query = f"SELECT {ALERT_COLUMNS} FROM alerts WHERE {where} ORDER BY last_at DESC, n DESC LIMIT ?"
        rows = self._rows(query, (*(value for _, value in given), narrowed.limit))
        return [self._alert_of(row) for row in rows]

    def alert(self, n: int) -> AlertRecord | None:
        """One alert."""
        row = self._first(f"SELECT {ALERT_COLUMNS} FROM alerts WHERE n = ?", (n,))
        return self._alert_of(row) if row else None

    def _alert_of(self, row: Any) -> AlertRecord:
        alert = AlertRecord(*row)
        return alert if self._sealing is None else self._sealing.alert_of(alert)

    def audit_head(self, chain: str) -> Head | None:
        """How far a chain of the audit log has come; None where it has not begun."""
        row = self._first("SELECT seq, hash FROM audit WHERE chain = ? ORDER BY seq DESC LIMIT 1", (chain,))
        return Head(*row) if row else None

    def audit_salt(self, tenant: str) -> bytes | None:
        """What digests of a tenant's payloads in the audit log are keyed with; None where there is none yet."""
        found: bytes | None = self._value("SELECT salt FROM audit_salts WHERE tenant = ?", (tenant,))
        return found if found is None or self._sealing is None else self._sealing.salt_of(tenant, found)

    def audit_id(self) -> bytes:
        """What tells this store's chains from those of others."""
        found, first_n = self._first("SELECT id, first_n FROM audit_store") or (b"", 0)
        return bytes(found) + int(first_n).to_bytes(8, "big", signed=True)

    def audit_chains(self, among: str | None = None, since_ms: int = 0) -> list[str]:
        """The chains that have entries of that time or later, in order; of all, or one."""
        query = "SELECT DISTINCT chain FROM audit WHERE (?1 IS NULL OR chain = ?1) AND at >= ?2 ORDER BY chain"
        return [row[0] for row in self._rows(query, (among, since_ms))]

    def audit_chains_of(self, tenant: str) -> list[str]:
        """The chain of a tenant ('' for none) and those of its roots, in order."""
        query = """
            SELECT chain FROM audit WHERE seq = 1 AND (chain = ?1 OR kind = 'admitted' AND json_valid(CAST(details AS TEXT))
              AND coalesce(json_extract(CAST(details AS TEXT), '$.tenant'), '') = ?2) ORDER BY chain"""
        return [row[0] for row in self._rows(query, (control_chain(tenant), tenant))]

    def audit_entries(self, chain: str) -> list[Entry]:
        """The rows of a chain, whatever somebody has made of them."""
        query = f"SELECT {_AUDIT_AS_IT_IS} FROM audit WHERE chain = ? ORDER BY seq"
        return [_entry(*row) for row in self._rows(query, (chain,))]

    def audit_listing(self, chain: str | None, kind: str | None, since_ms: int, limit: int) -> list[Entry]:
        """Rows of a chain, or of all, oldest first."""
        query = f"""
            SELECT {_AUDIT_AS_IT_IS} FROM audit WHERE (?1 IS NULL OR chain = ?1) AND (?2 IS NULL OR kind = ?2) AND at >= ?3
            ORDER BY at, chain, seq LIMIT ?4"""
        return [_entry(*row) for row in self._rows(query, (chain, kind, since_ms, limit))]

    def unaudited(self) -> list[str]:
        """Ids of the executions whose admission is missing in the log, oldest first; it began with this store or a migration."""
        query = """
            SELECT e.id FROM executions e, audit_store s WHERE e.n >= s.first_n AND NOT EXISTS (
              SELECT 1 FROM audit a WHERE a.chain = substr(e.id, 1, 29) AND a.execution = e.id AND a.kind = 'admitted')
            ORDER BY e.n"""
        return [row[0] for row in self._rows(query)]

    def _schedules(self, where: str, values: tuple[Any, ...] = ()) -> list[ScheduleRecord]:
        rows = self._rows(f"SELECT {SCHEDULE_COLUMNS} FROM schedules WHERE {where}", values)
        found = [ScheduleRecord(*row) for row in rows]
        return found if self._sealing is None else [self._sealing.schedule_of(each) for each in found]

    def schedules(self, tenant: str | None = None) -> list[ScheduleRecord]:
        """The schedules of a tenant ('' for those of none), or of all, by name."""
        return self._schedules("(?1 IS NULL OR tenant = ?1) ORDER BY tenant, name", (tenant,))

    def schedule(self, tenant: str, name: str) -> ScheduleRecord | None:
        """One schedule."""
        found = self._schedules("tenant = ? AND name = ?", (tenant, name))
        return found[0] if found else None

    def reply(self, command_id: str) -> dict[str, Any] | None:
        """The owner's reply to a command; None while there is none."""
        found = self._value("SELECT reply FROM inbox WHERE id = ?", (command_id,))
        if found and self._sealing is not None:
            found = self._sealing.command_part(found, command_id, "reply")
        return orjson.loads(found) if found else None

    def tombstone(self, root_id: str) -> Tombstone | None:
        """What is left of a root that was deleted."""
        return self._tombstone("id = ?", root_id) if is_execution_id(root_id) else None

    def buried(self, key: bytes) -> Tombstone | None:
        """What is left of the deleted root that was started under that idempotency key."""
        return self._tombstone("key = ?", key)

    def _tombstone(self, where: str, value: str | bytes) -> Tombstone | None:
        row = self._first(f"SELECT id, process, deleted_at FROM tombstones WHERE {where}", (value,))
        return Tombstone(*row) if row else None

    def retention(self) -> list[RetentionRecord]:
        """How long ended trees are kept, by tenant."""
        rows = self._rows("SELECT tenant, keep_ms, set_at, set_by FROM retention ORDER BY tenant")
        return [RetentionRecord(*row) for row in rows]

    def owner(self) -> tuple[str, int]:
        """Who owns the store, and the last sign of life in milliseconds since 1970."""
        owner, renewed_at = self._first("SELECT owner, renewed_at FROM ownership")
        return owner, renewed_at

"""Executions as people see them: records, trees, journal and lineage entries, alerts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from remit.engine.ending.faults import decode_error
from remit.engine.terms import terms_of
from remit.engine.values.plain_json import dumps, loads
from remit.engine.values.redaction import redact
from remit.errors import ErrorInfo
from remit.kernel.states import Compensation, Status, shown
from remit.kernel.trace import ancestors_of, depth_of, parent_of, root_of
from remit.kernel.usage import Usage, decimal_string
from remit.store.codec import ERASED_TEXT
from remit.store.records import AlertRecord, EffectKind, ExecutionRecord, JournalRecord

__all__ = [
    "AlertView",
    "Alerts",
    "CompensationView",
    "Compensations",
    "Entries",
    "Entry",
    "Record",
    "RecordUsage",
    "UndoStatus",
    "WaitingOn",
    "alert_view",
    "compensation_view",
    "entry_view",
    "moment",
    "plain",
]


@dataclass(frozen=True, slots=True)
class RecordUsage:
    """What an execution used itself, and with everything below it."""

    own: Usage
    subtree: Usage


@dataclass(frozen=True, slots=True)
class WaitingOn:
    """What an execution waits for: the first 100, and how many there are (L33)."""

    count: int = 0
    first: tuple[dict[str, Any], ...] = ()


class UndoStatus(StrEnum):
    """How far a compensation has come: of a step that failed there is nothing to undo (L37)."""

    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CompensationView:
    """One compensation: `name` undoes `step`, recorded at the journal's position `undoes`. Secrets are redacted."""

    name: str
    step: str
    undoes: int | None
    status: UndoStatus
    skipped: str | None
    result: Any
    error: ErrorInfo | None
    attempt: int
    started_at: datetime
    ended_at: datetime | None


@dataclass(slots=True)
class Record:
    """One execution. As a node of a tree it has `children`, in ordinal order."""

    execution_id: str
    process: str
    version: str
    status: Status
    compensation: Compensation
    current_step: str | None
    attempt: int
    generation: int
    parent_execution_id: str | None
    root_execution_id: str
    depth: int
    ancestor_execution_ids: tuple[str, ...]
    tenant: str | None
    owner: str | None
    region: str | None
    department: str | None
    key: str | None
    awaited: bool
    input: Any
    result: Any
    error: ErrorInfo | None
    progress: Any
    usage: RecordUsage
    budget: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    updated_at: datetime
    ended_at: datetime | None
    ttl_ms: int
    policies: list[str] = field(default_factory=list)
    """The versions of policies that it was admitted under, such as 'pii@1.0.0' (L43)."""
    waiting_on: WaitingOn = field(default_factory=WaitingOn)
    compensations: list[CompensationView] = field(default_factory=list)
    """In the order in which they ran: last first (L37)."""
    children: list[Record] = field(default_factory=list)

    @property
    def shown_status(self) -> str:
        """The status as people see it (FAILED_ROLLED_BACK after compensation)."""
        return shown(self.status, self.compensation)

    @property
    def erased(self) -> bool:
        """Whether what it worked on was erased: its payloads are "[erased]" then (L53)."""
        return bool(self.input == ERASED_TEXT)

    @property
    def duration_ms(self) -> int | None:
        """From the first start to the end; None while it runs."""
        if self.started_at is None or self.ended_at is None:
            return None
        return int((self.ended_at - self.started_at).total_seconds() * 1_000)


@dataclass(frozen=True, slots=True)
class Entry:
    """One recorded effect. Parameters and results have their secrets redacted (L29)."""

    execution_id: str
    depth: int
    ancestor_execution_ids: tuple[str, ...]
    position: int
    generation: int
    kind: str
    name: str
    params: Any
    result: Any
    error: ErrorInfo | None
    usage: Usage
    verdict: str
    attempt: int
    started_at: datetime
    ended_at: datetime | None
    duration_ms: int | None
    due_at: datetime | None
    by: str | None = None
    """Of an ask: who answered, where that was said."""
    undoes: int | None = None
    """Of a compensation: the position of the step that it undoes."""
    skipped: str | None = None
    """Of a compensation that did not run: the code with which its step had failed."""


@dataclass(frozen=True, slots=True)
class AlertView:
    """Something an operator should see; told again within an hour and not acknowledged, it is counted (L49).

    Message and details are those of the last occurrence.
    """

    id: int
    code: str
    execution_id: str | None
    tenant: str | None
    subject: str
    message: str
    details: dict[str, Any]
    raised_at: datetime
    last_at: datetime
    count: int
    acknowledged_at: datetime | None
    acknowledged_by: str | None


Compensations = list[CompensationView]
Entries = list[Entry]
Alerts = list[AlertView]


def moment(milliseconds: int | None) -> datetime | None:
    """Milliseconds since 1970 as a UTC time."""
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1_000, UTC)


def _certain(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC)


def _json(payload: bytes | None) -> Any:
    return None if payload is None else loads(payload)


def record_view(
    record: ExecutionRecord, subtree: Usage, last: JournalRecord | None = None, waiting_on: WaitingOn | None = None
) -> Record:
    """An execution's row, with what its subtree used and its newest journal entry."""
    budget = {
        "tokens": record.limit_tokens,
        "cost": decimal_string(record.limit_cost) if record.limit_cost is not None else None,
        "estimate_tokens": record.estimate_tokens,
        "estimate_cost": decimal_string(record.estimate_cost),
        "reserved_tokens": record.reserved_tokens,
        "reserved_cost": decimal_string(record.reserved_cost),
        "estimated": record.estimated,
    }
    updated = max(record.updated_at, (last.ended_at or last.started_at) if last else 0)
    return Record(
        execution_id=record.id,
        process=record.process,
        version=record.version,
        status=record.status,
        compensation=record.compensation,
        current_step=last.name if last else None,
        attempt=record.attempt,
        generation=record.generation,
        parent_execution_id=parent_of(record.id),
        root_execution_id=root_of(record.id),
        depth=depth_of(record.id),
        ancestor_execution_ids=ancestors_of(record.id),
        tenant=record.tenant,
        owner=record.owner,
        region=record.region,
        department=record.department,
        key=record.label,
        awaited=record.awaited,
        input=_json(record.input),
        result=_json(record.result),
        error=decode_error(record.error) if record.error is not None else None,
        progress=_json(record.progress),
        usage=RecordUsage(record.own(), subtree),
        budget=budget,
        created_at=_certain(record.created_at),
        started_at=moment(record.started_at),
        updated_at=_certain(updated),
        ended_at=moment(record.ended_at),
        ttl_ms=record.ttl_ms,
        policies=terms_of(record).get("policies", []),
        waiting_on=waiting_on or WaitingOn(),
    )


def entry_view(execution_id: str, entry: JournalRecord) -> Entry:
    """A journal entry."""
    from_lineage = entry.ended_at is not None
    return Entry(
        execution_id=execution_id,
        depth=depth_of(execution_id),
        ancestor_execution_ids=ancestors_of(execution_id),
        position=entry.position,
        generation=entry.generation,
        kind=str(entry.kind),
        name=entry.name,
        params=_json(entry.params),
        result=_json(entry.result),
        error=decode_error(entry.error) if entry.error is not None else None,
        usage=Usage.of(entry.tokens, entry.input_tokens, entry.output_tokens, entry.cost),
        verdict=_verdict(entry),
        by=(_json(entry.terms) or {}).get("by") if entry.kind is EffectKind.ASK else None,
        attempt=entry.attempt,
        started_at=_certain(entry.started_at),
        ended_at=moment(entry.ended_at),
        duration_ms=entry.ended_at - entry.started_at if from_lineage and entry.ended_at is not None else None,
        due_at=moment(entry.due_at),
        **(_of_compensation(entry) if entry.kind is EffectKind.COMPENSATION else {}),
    )


def _verdict(entry: JournalRecord) -> str:
    """What policies said: allowed, allowed without something, or denied."""
    if entry.error is not None and b'"policy_denied"' in entry.error:
        error = decode_error(entry.error)
        return f"denied by {error.details.get('policy')}" if error.code == "policy_denied" else "allowed"
    redacted = _json(entry.terms).get("redacted") if entry.terms is not None and b'"redacted"' in entry.terms else None
    return f"redacted by {', '.join(dict.fromkeys(each[0] for each in redacted))}" if redacted else "allowed"


def _of_compensation(entry: JournalRecord) -> dict[str, Any]:
    return {"undoes": _dict(_json(entry.params)).get("undoes"), "skipped": _dict(_json(entry.terms) or {}).get("skipped")}


def compensation_view(entry: JournalRecord) -> CompensationView:
    """A compensation, from its journal entry."""
    of = _of_compensation(entry)
    if entry.ended_at is None:
        status = UndoStatus.RUNNING
    elif of["skipped"] is not None:
        status = UndoStatus.SKIPPED
    else:
        status = UndoStatus.FAILED if entry.error is not None else UndoStatus.DONE
    return CompensationView(
        name=entry.name,
        step=_dict(_json(entry.params)).get("step", ERASED_TEXT),
        status=status,
        result=redact(_json(entry.result)),
        error=decode_error(entry.error) if entry.error is not None else None,
        attempt=entry.attempt,
        started_at=_certain(entry.started_at),
        ended_at=moment(entry.ended_at),
        **of,
    )


def alert_view(alert: AlertRecord) -> AlertView:
    """An alert."""
    return AlertView(
        id=alert.n,
        code=alert.code,
        execution_id=alert.execution_id,
        tenant=alert.tenant,
        subject=alert.subject,
        message=alert.message,
        details=_dict(orjson.loads(alert.details)),
        raised_at=_certain(alert.raised_at),
        last_at=_certain(alert.last_at),
        count=alert.count,
        acknowledged_at=moment(alert.acknowledged_at),
        acknowledged_by=alert.acknowledged_by,
    )


def _dict(value: Any) -> dict[str, Any]:
    """What was erased is no dict any more (L53)."""
    return value if isinstance(value, dict) else {"erased": True}


def plain(view: Any) -> Any:
    """A view as JSON-able data with the same snake_case names."""
    return loads(dumps(view, str))

"""Reads: one execution, listings, trees, journals, lineage, alerts. They show only what is durable (L46)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from remit.control.views import (
    Alerts,
    Compensations,
    Entries,
    Entry,
    Record,
    WaitingOn,
    alert_view,
    compensation_view,
    entry_view,
    moment,
    record_view,
)
from remit.engine.values.redaction import redact
from remit.engine.values.texts import optional_text
from remit.errors import MisuseError
from remit.kernel.states import OPEN, Compensation, Status
from remit.kernel.trace import parent_of, root_of
from remit.kernel.usage import Usage
from remit.store.port import Reader
from remit.store.records import AlertFilter, EffectKind, ExecutionFilter, ExecutionRecord, JournalRecord, Tombstone

__all__ = ["Page", "Queries", "deleted", "limit_of", "only_own", "since_of", "unknown"]

_FIRST = 100
_SHOWN = frozenset({EffectKind.STEP, EffectKind.TOOL, EffectKind.MODEL, EffectKind.ASK})
"""The effects that are told as the current step."""
_WAITING = frozenset(
    {
        Status.PENDING_ASYNC,
        Status.PENDING_SUB_WORKFLOW,
        Status.WAITING_HUMAN_INPUT,
        Status.WAITING_CHILD_HUMAN_INPUT,
        Status.PAUSED,
    }
)


def unknown(execution_id: str) -> MisuseError:
    """There is no such execution, or it is another tenant's (L44)."""
    return MisuseError(
        f"There is no execution {execution_id!r}: list those there are with `remit ps` or app.list()",
        code="unknown_execution",
        execution_id=execution_id,
    )


def only_own(reader: Reader, tenant: str | None, execution_id: str) -> None:
    """Raise `unknown` unless the execution is that tenant's; with None everything is. Nothing else of it is looked at (L44)."""
    if tenant is not None and not reader.is_of_tenant(execution_id, tenant):
        raise unknown(execution_id)


def deleted(gone: Tombstone, execution_id: str) -> MisuseError:
    """Retention has deleted it (L53)."""
    return MisuseError(
        f"{execution_id} was deleted on {moment(gone.deleted_at):%Y-%m-%d}: it had been kept as long as `remit retention show` says",
        code="execution_deleted",
        execution_id=gone.id,
    )


class Page(list[Record]):
    """A listing; `cursor` continues it, None at its end."""

    cursor: str | None = None


class Queries:
    """Views over one store."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._workflows: dict[tuple[str, str], bool] = {}

    def record(self, execution_id: str) -> ExecutionRecord:
        """The row; raises MisuseError `unknown_execution`."""
        found = self._reader.execution(execution_id)
        if found is None:
            gone = self._reader.tombstone(root_of(execution_id)) if isinstance(execution_id, str) else None
            raise unknown(execution_id) if gone is None else deleted(gone, execution_id)
        return found

    def refuse_unknown(self, execution_id: str, tenant: str | None = None) -> None:
        """Raise MisuseError `unknown_execution` where there is none of that id, or it is another tenant's."""
        only_own(self._reader, tenant, execution_id)
        self.record(execution_id)

    def get(self, execution_id: str) -> Record:
        """One execution, with what it waits on."""
        record = self.record(execution_id)
        return self._view(record, self._reader.usage_below(record.id).usage(), self._newest_effect(record))

    def _view(self, record: ExecutionRecord, subtree: Usage, newest: JournalRecord | None) -> Record:
        """The same of an execution, whether it is asked for alone, in a listing or in a tree."""
        view = record_view(record, subtree, self._newest(record, newest), self._waiting_on(record))
        view.compensations = self._compensations(record)
        return view

    def _compensations(self, record: ExecutionRecord) -> Compensations:
        """What was done to undo it; nothing is read where there was nothing."""
        if record.compensation is Compensation.NONE:
            return []
        return [compensation_view(entry) for entry in self._reader.compensations(record.n, record.generation)]

    def _newest_effect(self, record: ExecutionRecord) -> JournalRecord | None:
        entries = self._reader.journal(record.n, record.generation)
        return next((entry for entry in reversed(entries) if entry.kind in _SHOWN), None)

    def _newest(self, record: ExecutionRecord, newest: JournalRecord | None) -> JournalRecord | None:
        """What it began last, of which `newest` is its newest effect; in a workflow named as the step is, calls included."""
        if not self._is_workflow(record):
            return newest
        called = self._reader.newest_call(record.n)
        if called is not None and (newest is None or called[1] > newest.position):
            name, position, began, ended = called
            step = _VISIT.sub("", name)
            return JournalRecord(record.n, 0, position, EffectKind.CHILD, step, b"", started_at=began, ended_at=ended)
        if newest is not None and newest.kind is not EffectKind.ASK:
            params = orjson.loads(newest.params or b"{}")
            newest.name = params.get("step", newest.name) if isinstance(params, dict) else newest.name
        return newest

    def _is_workflow(self, record: ExecutionRecord) -> bool:
        which = (record.process, record.version)
        if which not in self._workflows:
            self._workflows[which] = self._reader.keeps_definition(*which)
        return self._workflows[which]

    def _waiting_on(self, record: ExecutionRecord) -> WaitingOn:
        """The awaited children that still run, and waits of its own; of a rollback, the children that it waits for."""
        if record.compensation is Compensation.RUNNING:
            return self._rollback_waiting_on(record)
        if record.status not in _WAITING:
            return WaitingOn()
        children = [child for child in self._reader.children(record.n) if child.awaited and child.ended_at is None]
        own = [
            entry
            for entry in self._reader.journal(record.n, record.generation)
            if entry.ended_at is None and entry.kind in (EffectKind.ASK, EffectKind.EVENT, EffectKind.SLEEP)
        ]
        found: list[dict[str, Any]] = [_wait_of(record, entry) for entry in own]
        found += [_wait_for(child) for child in children]
        return WaitingOn(len(found), tuple(found[:_FIRST]))

    def _rollback_waiting_on(self, record: ExecutionRecord) -> WaitingOn:
        """The children that go on, or are being rolled back themselves (L37)."""
        found = [
            _wait_for(child)
            for child in self._reader.children(record.n)
            if not child.detached and (child.ended_at is None or child.compensation is Compensation.RUNNING)
        ]
        return WaitingOn(len(found), tuple(found[:_FIRST]))

    def list(
        self,
        *,
        status: str | Iterable[str] | None = None,
        process: str | None = None,
        parent: str | None = None,
        root: str | None = None,
        tenant: str | None = None,
        owner: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        """Executions, newest first."""
        for name, text in (
            ("process", process),
            ("parent", parent),
            ("root", root),
            ("tenant", tenant),
            ("owner", owner),
        ):
            optional_text(text, name)
        narrowed = ExecutionFilter(
            status=_statuses(status),
            process=process,
            parent=parent,
            root=root,
            tenant=tenant,
            owner=owner,
            since_ms=since_of(since),
            limit=limit_of(limit) + 1,
            before_n=_before(cursor),
        )
        rows = self._reader.listing(narrowed)
        page = Page(
            self._view(row, self._reader.usage_below(row.id).usage(), self._newest_effect(row)) for row in rows[:limit]
        )
        page.cursor = f"n{rows[limit - 1].n}" if len(rows) > limit else None
        return page

    def tree(self, execution_id: str) -> Record:
        """The whole tree of the trace, from its root, whichever of its executions is named (L1)."""
        rows = self._reader.subtree(self.record(root_of(execution_id)).id)
        newest = self._reader.newest_effects(root_of(execution_id))
        sums = _subtree_sums(rows)
        nodes: dict[str, Record] = {}
        for row in rows:
            nodes[row.id] = node = self._view(row, Usage.of(*sums[row.id]), newest.get(row.n))
            above = parent_of(row.id)
            if above is not None and above in nodes:
                nodes[above].children.append(node)
        for node in nodes.values():
            node.children.sort(key=lambda child: int(child.execution_id.rpartition(".")[2]))
        return nodes[root_of(execution_id)]

    def journal(self, execution_id: str) -> Entries:
        """What an execution has recorded, in order, its calls included; secrets redacted."""
        record = self.record(execution_id)
        entries = [self._entry(record.id, entry) for entry in self._reader.journal(record.n)]
        calls = [_call_entry(record.id, child) for child in self._reader.children(record.n)]
        return sorted(entries + calls, key=lambda entry: entry.position)

    def lineage(self, root_id: str) -> Entries:
        """Every tool and model call below an execution with its context (L29)."""
        self.record(root_id)
        return [self._entry(execution_id, entry) for execution_id, entry in self._reader.lineage(root_id)]

    def _entry(self, execution_id: str, entry: JournalRecord) -> Entry:
        view = entry_view(execution_id, entry)
        object.__setattr__(view, "params", redact(view.params))
        object.__setattr__(view, "result", redact(view.result))
        return view

    def alerts(
        self,
        *,
        code: str | None = None,
        execution_id: str | None = None,
        tenant: str | None = None,
        since: datetime | None = None,
        acknowledged: bool | None = None,
        limit: int = 100,
    ) -> Alerts:
        """Alerts, newest first."""
        for name, text in (("code", code), ("execution_id", execution_id), ("tenant", tenant)):
            optional_text(text, name)
        if acknowledged is not None and not isinstance(acknowledged, bool):
            raise MisuseError(f"acknowledged={acknowledged!r}: give True or False", code="invalid_input")
        narrowed = AlertFilter(code, execution_id, tenant, since_of(since), acknowledged, limit_of(limit))
        return [alert_view(alert) for alert in self._reader.alerts(narrowed)]


def _call_entry(execution_id: str, child: ExecutionRecord) -> Entry:
    as_entry = JournalRecord(
        execution_n=child.parent_n,
        generation=child.generation,
        position=child.position,
        kind=EffectKind.CHILD,
        name=child.process,
        key=child.key or b"",
        params=child.input,
        result=child.result,
        error=child.error,
        started_at=child.created_at,
        ended_at=child.ended_at,
        attempt=child.attempt,
        tokens=child.tokens,
        input_tokens=child.input_tokens,
        output_tokens=child.output_tokens,
        cost=child.cost,
    )
    return entry_view(execution_id, as_entry)


def _wait_of(record: ExecutionRecord, entry: JournalRecord) -> dict[str, Any]:
    wait = {
        "execution_id": record.id,
        "process": record.process,
        "kind": str(entry.kind),
        "name": entry.name,
        "due_at": entry.due_at,
    }
    if entry.kind is EffectKind.ASK and entry.params is not None:
        wait |= orjson.loads(entry.params)
    return wait


def _wait_for(child: ExecutionRecord) -> dict[str, Any]:
    return {"execution_id": child.id, "process": child.process, "status": str(child.status), "reason": _code(child)}


def _code(child: ExecutionRecord) -> str | None:
    return str(orjson.loads(child.error)["code"]) if child.error is not None else None


def _subtree_sums(rows: list[ExecutionRecord]) -> dict[str, list[int]]:
    """Sums of own usage up the tree; rows come ancestors first."""
    sums = {row.id: [row.tokens, row.input_tokens, row.output_tokens, row.cost] for row in rows}
    for row in reversed(rows):
        above = parent_of(row.id)
        if above is not None and above in sums:
            sums[above] = [have + more for have, more in zip(sums[above], sums[row.id], strict=True)]
    return sums


def _statuses(status: str | Iterable[str] | None) -> frozenset[str]:
    if status is not None and not isinstance(status, Iterable):
        raise MisuseError(f"status={status!r}: give one of {', '.join(Status)}, or several", code="invalid_input")
    wanted = [status] if isinstance(status, str) else list(status or ())
    if wanted == ["OPEN"]:
        return frozenset(OPEN)
    for each in wanted:
        if each not in Status.__members__:
            raise MisuseError(f"{each!r} is no status: use one of {', '.join(Status)}", code="invalid_input")
    return frozenset(str(each) for each in wanted)


def limit_of(limit: int) -> int:
    """How many rows at most; raises MisuseError."""
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= 10_000:
        raise MisuseError(f"limit={limit!r}: give a whole number from 1 to 10000", code="invalid_input")
    return limit


def since_of(since: datetime | None) -> int | None:
    """A time in milliseconds since 1970; raises MisuseError."""
    if since is None:
        return None
    if not isinstance(since, datetime):
        raise MisuseError(f"since={since!r}: give a datetime with its time zone", code="invalid_input")
    return int(since.timestamp() * 1_000)


_VISIT = re.compile(r"#[0-9]+\Z")
"""What the key of a call has behind the step's name where a workflow came to that step again."""
_CURSOR = re.compile(r"n([0-9]{1,18})\Z")


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    found = _CURSOR.match(cursor) if isinstance(cursor, str) else None
    if found is None:
        raise MisuseError(
            f"cursor={str(cursor)[:40]!r} is none that a listing gave: pass the `cursor` of an earlier page",
            code="invalid_input",
        )
    return int(found[1])

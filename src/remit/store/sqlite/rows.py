"""Records as rows and back; the columns are the records' fields, by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Any

from remit.kernel.audit import Entry
from remit.kernel.states import Compensation, Status
from remit.store.records import (
    AlertRecord,
    BudgetRecord,
    DeclarationRecord,
    EffectKind,
    EvaluationRecord,
    ExecutionRecord,
    JournalRecord,
    LedgerRecord,
    MessageRecord,
    PolicyRecord,
    RateRecord,
    RequirementRecord,
    ScheduleRecord,
    UsageKey,
    UsageTotals,
    VersionRecord,
    WebhookRecord,
)

__all__ = [
    "ADD_USAGE",
    "ALERT_COLUMNS",
    "BUDGET_COLUMNS",
    "DECLARATION_COLUMNS",
    "EVALUATION_COLUMNS",
    "EXECUTION",
    "EXECUTION_COLUMNS",
    "EXECUTION_UPDATE",
    "INSERT_AUDIT",
    "INSERT_EVALUATION",
    "INSERT_EXECUTION",
    "INSERT_JOURNAL",
    "JOURNAL",
    "JOURNAL_COLUMNS",
    "JOURNAL_UPDATE",
    "MESSAGE_COLUMNS",
    "POLICY_COLUMNS",
    "PUT_BUDGET",
    "PUT_DECLARATION",
    "PUT_LEDGER",
    "PUT_MESSAGE",
    "PUT_POLICY",
    "PUT_RATE",
    "PUT_REQUIREMENT",
    "PUT_SCHEDULE",
    "PUT_VERSION",
    "PUT_WEBHOOK",
    "REQUIREMENT_COLUMNS",
    "SCHEDULE",
    "SCHEDULE_COLUMNS",
    "UNCLAIM_EXECUTION",
    "UPDATE_EXECUTION",
    "UPDATE_JOURNAL",
    "VERSION_COLUMNS",
    "WEBHOOK_COLUMNS",
    "budget_row",
    "declaration_row",
    "evaluation_row",
    "execution_of",
    "execution_row",
    "execution_update",
    "journal_of",
    "journal_row",
    "journal_update",
    "ledger_row",
    "message_row",
    "policy_row",
    "requirement_row",
    "schedule_row",
    "version_row",
    "webhook_row",
]

_ALERT = [field.name for field in fields(AlertRecord)]
EXECUTION = [field.name for field in fields(ExecutionRecord)]
JOURNAL = [field.name for field in fields(JournalRecord)]
SCHEDULE = [field.name for field in fields(ScheduleRecord)]
_VERSION = [field.name for field in fields(VersionRecord)]
_BUDGET = [field.name for field in fields(BudgetRecord)]
_LEDGER = [field.name for field in fields(LedgerRecord)]
_DECLARATION = [field.name for field in fields(DeclarationRecord)]
_POLICY = [field.name for field in fields(PolicyRecord)]
_EVALUATION = [field.name for field in fields(EvaluationRecord)]
_WEBHOOK = [field.name for field in fields(WebhookRecord)]
_MESSAGE = [field.name for field in fields(MessageRecord)]
_REQUIREMENT = [field.name for field in fields(RequirementRecord)]
_FIXED = {
    "n",
    "id",
    "parent_n",
    "process",
    "created_at",
    "label",
    "key",
    "digest",
    "occurrence",
    "position",
    "department",
    "tenant",
    "owner",
    "region",
    "detached",
    "estimate_tokens",
    "estimate_cost",
}
_MUTABLE = [name for name in EXECUTION if name not in _FIXED]
_JOURNAL_FIXED = {"execution_n", "generation", "position", "kind", "name", "key", "params", "started_at"}
_JOURNAL_MUTABLE = [name for name in JOURNAL if name not in _JOURNAL_FIXED]
_JOURNAL_ID = ["execution_n", "generation", "position"]
EXECUTION_UPDATE = [*_MUTABLE, "n"]
JOURNAL_UPDATE = [*_JOURNAL_MUTABLE, *_JOURNAL_ID]

EXECUTION_COLUMNS = ", ".join(EXECUTION)
JOURNAL_COLUMNS = ", ".join(JOURNAL)
SCHEDULE_COLUMNS = ", ".join(SCHEDULE)
VERSION_COLUMNS = ", ".join(_VERSION)
BUDGET_COLUMNS = ", ".join(_BUDGET)
DECLARATION_COLUMNS = ", ".join(_DECLARATION)
POLICY_COLUMNS = ", ".join(_POLICY)
ALERT_COLUMNS = ", ".join(_ALERT)

EVALUATION_COLUMNS = ", ".join(_EVALUATION)
WEBHOOK_COLUMNS = ", ".join(_WEBHOOK)
MESSAGE_COLUMNS = ", ".join(_MESSAGE)
REQUIREMENT_COLUMNS = ", ".join(_REQUIREMENT)


def _insert(table: str, columns: list[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _put(table: str, columns: list[str]) -> str:
    return _insert(table, columns).replace("INSERT", "INSERT OR REPLACE", 1)


def _update(table: str, columns: list[str], identity: Iterable[str]) -> str:
    return f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in columns)} WHERE {' AND '.join(f'{name} = ?' for name in identity)}"


INSERT_EXECUTION = _insert("executions", EXECUTION)
UPDATE_EXECUTION = _update("executions", _MUTABLE, ["n"])
UNCLAIM_EXECUTION = "UPDATE executions SET key = NULL WHERE n = ?"
"""By itself: an update that names the key writes its entry in the index anew, even where it is the same."""
INSERT_JOURNAL = _insert("journal", JOURNAL)
INSERT_AUDIT = _insert("audit", list(Entry._fields))
UPDATE_JOURNAL = _update("journal", _JOURNAL_MUTABLE, _JOURNAL_ID)
PUT_SCHEDULE = _put("schedules", SCHEDULE)
PUT_VERSION = _put("versions", _VERSION)
PUT_DECLARATION = _put("declarations", _DECLARATION)
PUT_POLICY = _put("policies", _POLICY)
PUT_RATE = _put("rates", list(RateRecord._fields))
INSERT_EVALUATION = _insert("evaluations", _EVALUATION)
PUT_WEBHOOK = _put("webhooks", _WEBHOOK)
PUT_MESSAGE = _put("outbox", _MESSAGE)
PUT_REQUIREMENT = _put("requirements", _REQUIREMENT)
PUT_BUDGET = _put("department_budgets", _BUDGET)
PUT_LEDGER = _put("department_ledgers", _LEDGER)
_USED = [field.name for field in fields(UsageTotals)]
ADD_USAGE = (
    _insert("usage", [*UsageKey._fields, *_USED])
    + f" ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _USED)}"
)

execution_row = attrgetter(*EXECUTION)
execution_update = attrgetter(*EXECUTION_UPDATE)
journal_row = attrgetter(*JOURNAL)
journal_update = attrgetter(*JOURNAL_UPDATE)
schedule_row = attrgetter(*SCHEDULE)
version_row = attrgetter(*_VERSION)
budget_row = attrgetter(*_BUDGET)
ledger_row = attrgetter(*_LEDGER)
declaration_row = attrgetter(*_DECLARATION)
policy_row = attrgetter(*_POLICY)
evaluation_row = attrgetter(*_EVALUATION)
webhook_row = attrgetter(*_WEBHOOK)
message_row = attrgetter(*_MESSAGE)
requirement_row = attrgetter(*_REQUIREMENT)

_STATUS = {status.value: status for status in Status}
_KIND = {kind.value: kind for kind in EffectKind}


def execution_of(row: tuple[Any, ...], kind: type[ExecutionRecord] = ExecutionRecord) -> ExecutionRecord:
    """The record of a row selected as `EXECUTION_COLUMNS`."""
    record = kind(*row)
    record.status = _STATUS[record.status]
    record.compensation = Compensation(record.compensation)
    record.awaited, record.detached, record.estimated = (
        bool(record.awaited),
        bool(record.detached),
        bool(record.estimated),
    )
    return record


def journal_of(row: tuple[Any, ...], kind: type[JournalRecord] = JournalRecord) -> JournalRecord:
    """The record of a row selected as `JOURNAL_COLUMNS`."""
    record = kind(*row)
    record.kind = _KIND[record.kind]
    return record

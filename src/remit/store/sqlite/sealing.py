"""Between records and the rows of a store that is encrypted: payload columns are sealed on their way in, opened when read (L53).

A record that is read holds its payloads as they lie in the row, and opens one when somebody looks at it: listings that show
none of them cost nothing. A payload is bound to its table, row and column, so that none can be put in another's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import apsw
import orjson

from remit.errors import StoreError
from remit.store.codec import ERASED, ERASED_ERROR, ERASED_TEXT, Codec, is_sealed
from remit.store.keyring import Keyring
from remit.store.records import AlertRecord, Command, EventRecord, ExecutionRecord, JournalRecord, ScheduleRecord
from remit.store.sqlite.database import Location, explained
from remit.store.sqlite.rows import (
    EXECUTION,
    EXECUTION_UPDATE,
    JOURNAL,
    JOURNAL_UPDATE,
    SCHEDULE,
    execution_of,
    journal_of,
)

__all__ = ["PAYLOADS", "Sealing", "unlock"]

PAYLOADS: dict[str, tuple[str, ...]] = {
    "executions": ("input", "label", "result", "error", "progress"),
    "journal": ("params", "result", "error", "terms"),
    "events": ("payload",),
    "schedules": ("input",),
    "alerts": ("message", "details"),
    "inbox": ("arguments", "reply"),
    "audit_salts": ("salt",),
    "webhooks": ("secret",),
}
"""The columns that hold what tenants' executions work on, and what signs; docs/retention.md says of every other one why it does not."""

_TEXTS = frozenset({"label", "message", "secret"})
_INSTEAD = {"error": ERASED_ERROR, "terms": None, "salt": None}
"""What stands for a payload whose key was destroyed, where that is not ERASED."""
_WHOSE_MAX = 50_000
R = TypeVar("R", ExecutionRecord, JournalRecord)


def unlock(connection: apsw.Connection, keyring: Keyring | None, location: Location) -> Sealing | None:
    """How the payloads of this store are read and written; None where it is not encrypted and is not to be.

    Raises StoreError for a store that is encrypted where there is no keyring, or another one.
    """
    with explained(location, "open the store"):
        ring = _ring_of(connection)
    if ring is None and keyring is None:
        return None
    if keyring is None:
        raise StoreError(
            f"{location.path} is encrypted with keyring {ring}: open it with Remit(..., encryption=Keyring(FILE)),"
            " or name the key file in REMIT_KEYS or with `remit --keys FILE`",
            code="keyring_unusable",
            path=location.path,
        )
    keyring.open(ring)
    return Sealing(keyring, connection)


def _ring_of(connection: apsw.Connection) -> str | None:
    """The keyring that the store is sealed with; None where nothing of it is."""
    if not connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'encryption'").get:
        return None
    row = connection.execute("SELECT ring FROM encryption").fetchone()
    return None if row is None else str(row[0])


class Sealing:
    """Rows of sealed payloads, made with one keyring."""

    def __init__(self, keyring: Keyring, connection: apsw.Connection) -> None:
        self.keyring = keyring
        self._codec: Codec = keyring
        self._connection = connection
        self._whose: dict[int | str, str] = {}
        self._execution: type[ExecutionRecord] = _opening(ExecutionRecord, "executions", _execution_key, self._open)
        self._journal: type[JournalRecord] = _opening(JournalRecord, "journal", _journal_key, self._open)

    # -- one payload --------------------------------------------------------------------------------------------------

    def _seal(self, tenant: str, value: bytes | str, table: str, row: str, column: str) -> bytes:
        plain = value.encode() if isinstance(value, str) else value
        return self._codec.seal(tenant, plain, _identity(table, row, column))

    def _open(self, value: Any, table: str, row: str, column: str) -> Any:
        """The payload, or what stands for one whose key was destroyed; a plain one as it is."""
        if not is_sealed(value):
            return value
        found = self._codec.unseal(value, _identity(table, row, column))
        if column in _TEXTS:
            return ERASED_TEXT if found is None else found.decode()
        return _INSTEAD.get(column, ERASED) if found is None else found

    def _sealed_row(self, values: list[Any], places: list[tuple[int, str]], tenant: str, table: str, row: str) -> list[Any]:
        for place, column in places:
            value = values[place]
            if value is not None and not is_sealed(value):
                values[place] = self._seal(tenant, value, table, row, column)
        return values

    def _tenant_of(self, which: int | str) -> str:
        """Whose an execution is, by its row's number or its id."""
        found = self._whose.get(which)
        if found is None:
            column = "n" if isinstance(which, int) else "id"
            row = self._connection.execute(f"SELECT tenant FROM executions WHERE {column} = ?", (which,)).fetchone()
            if len(self._whose) >= _WHOSE_MAX:
                self._whose.clear()
            found = self._whose[which] = (row[0] or "") if row is not None else ""
        return found

    # -- executions, journals -----------------------------------------------------------------------------------------

    def execution_of(self, row: tuple[Any, ...]) -> ExecutionRecord:
        """The record of a row; its payloads are opened when they are read."""
        return execution_of(row, self._execution)

    def journal_of(self, row: tuple[Any, ...]) -> JournalRecord:
        """The record of a row; its payloads are opened when they are read."""
        return journal_of(row, self._journal)

    def new_executions(self, records: Iterable[ExecutionRecord]) -> Iterator[list[Any]]:
        """Rows to insert."""
        for record in records:
            self._whose[record.n] = record.tenant or ""
            yield self._row(record, _EXECUTION, _EXECUTION_SEALED, record.tenant or "", "executions", record.id)

    def executions(self, records: Iterable[ExecutionRecord]) -> Iterator[list[Any]]:
        """Values of an update."""
        for record in records:
            yield self._row(record, _EXECUTION_UPDATE, _UPDATE_SEALED, record.tenant or "", "executions", record.id)

    def new_journal(self, entries: Iterable[JournalRecord]) -> Iterator[list[Any]]:
        """Rows to insert; those of new executions come after them."""
        for entry in entries:
            tenant = self._tenant_of(entry.execution_n)
            yield self._row(entry, _JOURNAL, _JOURNAL_SEALED, tenant, "journal", _journal_key(entry))

    def journal(self, entries: Iterable[JournalRecord]) -> Iterator[list[Any]]:
        """Values of an update."""
        for entry in entries:
            tenant = self._tenant_of(entry.execution_n)
            yield self._row(entry, _JOURNAL_UPDATE, _JOURNAL_UPDATE_SEALED, tenant, "journal", _journal_key(entry))

    def _row(
        self, record: Any, slots: list[Any], places: list[tuple[int, str]], tenant: str, table: str, row: str
    ) -> list[Any]:
        # By the slots themselves: what was read and not opened since goes back as it lay there.
        return self._sealed_row([slot.__get__(record) for slot in slots], places, tenant, table, row)

    def label(self, execution_id: str, label: Any) -> Any:
        """The key that a caller gave a call."""
        return self._open(label, "executions", execution_id, "label")

    # -- the rest -----------------------------------------------------------------------------------------------------

    def event(self, event: EventRecord) -> bytes:
        """The payload of a new event."""
        return self._seal(self._tenant_of(event.execution_id), event.payload, "events", _event_key(event), "payload")

    def event_of(self, event: EventRecord) -> EventRecord:
        """The record that was read."""
        event.payload = self._open(event.payload, "events", _event_key(event), "payload")
        return event

    def schedule(self, values: tuple[Any, ...]) -> list[Any]:
        """The row of a schedule."""
        return self._sealed_row(list(values), _SCHEDULE_SEALED, values[0], "schedules", _pair(values[0], values[1]))

    def schedule_of(self, schedule: ScheduleRecord) -> ScheduleRecord:
        """The record that was read."""
        schedule.input = self._open(schedule.input, "schedules", _pair(schedule.tenant, schedule.name), "input")
        return schedule

    def alert(self, alert: AlertRecord) -> tuple[bytes, bytes]:
        """Message and details of an alert."""
        tenant, row = alert.tenant or "", _pair(alert.code, alert.subject)
        sealed = [self._seal(tenant, value, "alerts", row, column) for column, value in (("message", alert.message), ("details", alert.details))]
        return sealed[0], sealed[1]

    def alert_of(self, alert: AlertRecord) -> AlertRecord:
        """The record that was read."""
        row = _pair(alert.code, alert.subject)
        alert.message = self._open(alert.message, "alerts", row, "message")
        alert.details = self._open(alert.details, "alerts", row, "details")
        return alert

    def salt(self, tenant: str, salt: bytes) -> bytes:
        """The salt of a tenant's digests in the audit log."""
        return self._seal(tenant, salt, "audit_salts", tenant, "salt")

    def salt_of(self, tenant: str, salt: bytes) -> bytes | None:
        """The salt that was read; None where its key was destroyed: another takes its place."""
        found: bytes | None = self._open(salt, "audit_salts", tenant, "salt")
        return found

    def secret(self, webhook_id: str, secret: str) -> bytes:
        """What the messages of a webhook are signed with."""
        return self._seal("", secret, "webhooks", webhook_id, "secret")

    def secret_of(self, webhook_id: str, secret: Any) -> str:
        """The secret that was read."""
        found: str = self._open(secret, "webhooks", webhook_id, "secret")
        return found

    def command(self, command_id: str, arguments: dict[str, Any]) -> bytes:
        """The arguments of a command, sealed for whom it concerns."""
        return self._seal(self._concerns(arguments), orjson.dumps(arguments), "inbox", command_id, "arguments")

    def reply(self, command: Command) -> bytes:
        """The reply to a command."""
        return self._seal(self._concerns(command.arguments), orjson.dumps(command.reply), "inbox", command.id, "reply")

    def command_part(self, value: Any, command_id: str, column: str) -> bytes:
        """Arguments or reply as JSON."""
        found: bytes = self._open(value, "inbox", command_id, column)
        return found

    def _concerns(self, arguments: dict[str, Any]) -> str:
        # What names a tenant only, an erasure say, holds none of its data: its reply must not make the tenant a new key.
        named = arguments.get("execution_id")
        return self._tenant_of(named) if isinstance(named, str) else ""


def _identity(table: str, row: str, column: str) -> bytes:
    return f"{table}\0{row}\0{column}".encode()


def _pair(first: str, second: str) -> str:
    return f"{len(first)}\0{first}\0{second}"


def _execution_key(record: ExecutionRecord) -> str:
    return record.id


def _journal_key(entry: JournalRecord) -> str:
    # Without the generation, which changes when a retry sets the entry aside; no position is used twice.
    return f"{entry.execution_n}\0{entry.position}"


def _event_key(event: EventRecord) -> str:
    return _pair(event.execution_id, f"{event.name}\0{event.sent_at}\0{event.dedupe or ''}")


def _opening(record: type[R], table: str, key: Callable[[R], str], open_: Callable[..., Any]) -> type[R]:
    """The record type whose payloads, as they lie in the row, are opened when they are read for the first time."""

    def opened(column: str) -> property:
        slot = record.__dict__[column]

        def read(self: R) -> Any:
            value = slot.__get__(self)
            if is_sealed(value):
                value = open_(value, table, key(self), column)
                slot.__set__(self, value)
            return value

        return property(read, slot.__set__)

    payloads = {column: opened(column) for column in PAYLOADS[table]}
    return type(f"Sealed{record.__name__}", (record,), {"__slots__": (), **payloads})


def _places(columns: list[str], table: str) -> list[tuple[int, str]]:
    return [(columns.index(column), column) for column in PAYLOADS[table] if column in columns]


def _slots(record: type[Any], columns: list[str]) -> list[Any]:
    return [record.__dict__[column] for column in columns]


_EXECUTION, _EXECUTION_SEALED = _slots(ExecutionRecord, EXECUTION), _places(EXECUTION, "executions")
_EXECUTION_UPDATE, _UPDATE_SEALED = _slots(ExecutionRecord, EXECUTION_UPDATE), _places(EXECUTION_UPDATE, "executions")
_JOURNAL, _JOURNAL_SEALED = _slots(JournalRecord, JOURNAL), _places(JOURNAL, "journal")
_JOURNAL_UPDATE, _JOURNAL_UPDATE_SEALED = _slots(JournalRecord, JOURNAL_UPDATE), _places(JOURNAL_UPDATE, "journal")
_SCHEDULE_SEALED = _places(SCHEDULE, "schedules")

"""The SQLite store: a writer that commits whole batches, a reader that sees what is durable."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import apsw
import orjson

from remit.errors import StoreError
from remit.kernel.trace import descendant_range
from remit.store import boundaries
from remit.store.keyring import Keyring
from remit.store.port import Batch
from remit.store.records import AlertRecord, Command, ScheduleRecord
from remit.store.sqlite.database import Location, connect, explained, migrate, parse_location, prepare_file
from remit.store.sqlite.keeping import SqliteKeeping
from remit.store.sqlite.owner import Ownership
from remit.store.sqlite.rows import (
    ADD_USAGE,
    INSERT_AUDIT,
    INSERT_EVALUATION,
    INSERT_EXECUTION,
    INSERT_JOURNAL,
    PUT_BUDGET,
    PUT_DECLARATION,
    PUT_LEDGER,
    PUT_MESSAGE,
    PUT_POLICY,
    PUT_RATE,
    PUT_REQUIREMENT,
    PUT_SCHEDULE,
    PUT_VERSION,
    PUT_WEBHOOK,
    UNCLAIM_EXECUTION,
    UPDATE_EXECUTION,
    UPDATE_JOURNAL,
    budget_row,
    declaration_row,
    evaluation_row,
    execution_row,
    execution_update,
    journal_row,
    journal_update,
    ledger_row,
    message_row,
    policy_row,
    requirement_row,
    schedule_row,
    version_row,
    webhook_row,
)
from remit.store.sqlite.sealing import unlock

__all__ = ["ALERT_WINDOW_MS", "CHECKPOINT_PAGES", "SqliteStore"]

CHECKPOINT_PAGES = 4_000
"""WAL pages (16 MiB) after which they are copied into the database, by a thread of its own."""

_log = logging.getLogger("remit.store")
_INSERT_EVENT = "INSERT INTO events (execution_id, name, payload, sent_at, dedupe, taken_by) VALUES (?, ?, ?, ?, ?, ?)"
_SET_ASIDE = "UPDATE journal SET generation = -generation - 1 WHERE execution_n = ? AND generation = ? AND position = ?"
_KEEP_DEFINITION = (
    "INSERT OR REPLACE INTO definitions (process, version, first_n, digest, source, kept_at) VALUES (?, ?, ?, ?, ?, ?)"
)
_INSERT_ALERT = "INSERT INTO alerts (code, execution_id, tenant, message, details, raised_at, subject, last_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_ALERT_AGAIN = """
    UPDATE alerts SET count = count + 1, last_at = ?, message = ?, details = ? WHERE n = (
      SELECT n FROM alerts WHERE subject = ? AND code = ? AND tenant IS ? AND acknowledged_at IS NULL AND last_at > ? ORDER BY n DESC LIMIT 1)"""
_ACKNOWLEDGE = "UPDATE alerts SET acknowledged_at = ?, acknowledged_by = ? WHERE n = ? AND acknowledged_at IS NULL"
ALERT_WINDOW_MS = 3_600_000
"""An alert of the same code about the same subject within an hour of the last one is counted, not told anew."""
_FORGET_RATE = "DELETE FROM rates WHERE policy = ? AND counted = ?"
_ADD_SALT = "INSERT OR REPLACE INTO audit_salts VALUES (?, ?)"
_NEXT_N = "SELECT max((SELECT coalesce(max(n), 0) FROM executions), (SELECT highest FROM row_numbers)) + 1"

_Rows = Callable[[Iterable[Any]], Iterable[Any]]
_AMONG = "target IN (SELECT value FROM json_each(?))"


class SqliteStore(SqliteKeeping):
    """The owner's view of one file. `commit` is called on the event loop, once per turn at most.

    With a keyring, payloads are sealed. Raises `StoreOwned` where another process drives the file, `StoreError` where it
    cannot be used.
    """

    def __init__(self, url: str, now_ms: Callable[[], int], keyring: Keyring | None = None) -> None:
        self.location: Location = parse_location(url)
        self._now_ms = now_ms
        prepare_file(self.location)
        self._writes = connect(self.location)
        try:
            migrate(self._writes, self.location, empty_only=True)
            unlock(self._writes, keyring, self.location)
            self._ownership = Ownership(self._writes, self.location, now_ms())
        except BaseException:
            self._writes.close()
            raise
        try:
            migrate(self._writes, self.location)  # of a file in use, only its owner changes the schema
            reads = self._writes if self.location.in_memory else connect(self.location, readonly=True)
            super().__init__(reads, self.location, unlock(self._writes, keyring, self.location))
            with explained(self.location, "read the store"):
                self._say_sealed()
                self.next_n = int(self._writes.execute(_NEXT_N).get)
        except BaseException:
            self._writes.close()
            self._ownership.release()
            raise
        if boundaries.reach is not None:
            boundaries.reach("ownership.taken")
        self._writes.set_wal_hook(self._committed)
        self._wal_pages = 0
        self._checkpointing: threading.Thread | None = None
        self._data_version = -1

    @property
    def epoch(self) -> int:
        """The epoch at which this process owns the file."""
        return self._ownership.epoch

    def commit(self, batch: Batch) -> None:
        """Write the batch as one transaction with one sync; nothing of it is written where an error is raised (L8, L46)."""
        with self._owned("commit") as writes:
            self._write(writes, batch)
        if boundaries.reach is not None:
            boundaries.reach("commit.after")
        if self._wal_pages >= CHECKPOINT_PAGES:
            self._start_checkpoint()

    @contextmanager
    def _owned(self, doing: str) -> Iterator[apsw.Connection]:
        """One transaction of the owner's; what is raised inside undoes all of it."""
        writes = self._writes
        with explained(self.location, doing):
            if boundaries.reach is not None:
                boundaries.reach("commit.before")
            writes.execute("BEGIN IMMEDIATE")
            try:
                if not self._ownership.holds():
                    raise StoreError(
                        "Another process has taken this store over: everything this one still had to write is refused",
                        code="fenced",
                        path=self.location.path,
                    )
                yield writes
                if boundaries.reach is not None:
                    boundaries.reach("commit.written")
                writes.execute("COMMIT")
            except BaseException:
                if writes.in_transaction:
                    writes.execute("ROLLBACK")
                raise

    def _write(self, writes: apsw.Connection, batch: Batch) -> None:
        if batch.created:
            writes.executemany(INSERT_EXECUTION, self._new_executions(batch.created.values()))
        if batch.changed:
            writes.executemany(UPDATE_EXECUTION, self._executions_changed(batch.changed.values()))
        if batch.unclaimed:
            writes.executemany(UNCLAIM_EXECUTION, [(n,) for n in batch.unclaimed])
        if batch.new_journal:
            writes.executemany(INSERT_JOURNAL, self._new_journal(batch.new_journal.values()))
        if batch.journal:
            writes.executemany(UPDATE_JOURNAL, self._journal_changed(batch.journal.values()))
        self._write_beside(writes, batch)
        for event in batch.events:
            if event.n:
                writes.execute("UPDATE events SET taken_by = ? WHERE n = ?", (event.taken_by, event.n))
            else:
                payload = event.payload if self._sealing is None else self._sealing.event(event)
                row = (event.execution_id, event.name, payload, event.sent_at, event.dedupe, event.taken_by)
                writes.execute(_INSERT_EVENT, row)
        _write_bills(writes, batch)
        self._write_for_outsiders(writes, batch)

    def _write_beside(self, writes: apsw.Connection, batch: Batch) -> None:
        """What goes with executions and their journals."""
        if batch.audit_salts:
            writes.executemany(_ADD_SALT, self._salts(batch.audit_salts))
        if batch.audit:
            writes.executemany(INSERT_AUDIT, batch.audit)
        if batch.rates:
            writes.executemany(PUT_RATE, [(*key, *rate) for key, rate in batch.rates.items() if rate is not None])
            writes.executemany(_FORGET_RATE, [key for key, rate in batch.rates.items() if rate is None])
        for entry in batch.set_aside:
            writes.execute(_SET_ASIDE, (entry.execution_n, entry.generation, entry.position))

    def _write_for_outsiders(self, writes: apsw.Connection, batch: Batch) -> None:
        """What operators see and set: alerts, schedules, definitions, replies to commands."""
        self._write_alerts(writes, batch)
        for key, schedule in batch.schedules.items():
            if schedule is None:
                writes.execute("DELETE FROM schedules WHERE tenant = ? AND name = ?", key)
            else:
                row = schedule_row(schedule)
                writes.execute(PUT_SCHEDULE, row if self._sealing is None else self._sealing.schedule(row))
        if batch.definitions:
            kept = [(d.process, d.version, d.first_n, d.digest, d.source, d.kept_at) for d in batch.definitions]
            writes.executemany(_KEEP_DEFINITION, kept)
        self._write_control(writes, batch)
        for command in batch.replies:
            reply = orjson.dumps(command.reply) if self._sealing is None else self._sealing.reply(command)
            writes.execute("UPDATE inbox SET reply = ?, replied_at = ? WHERE id = ?", (reply, self._now_ms(), command.id))

    def _salts(self, salts: dict[str, bytes]) -> list[tuple[str, bytes]]:
        sealing = self._sealing
        return [(whose, salt if sealing is None else sealing.salt(whose, salt)) for whose, salt in salts.items()]

    def _write_alerts(self, writes: apsw.Connection, batch: Batch) -> None:
        for alert in batch.alerts:
            self._write_alert(writes, alert)
        if batch.acknowledged:
            writes.executemany(_ACKNOWLEDGE, batch.acknowledged)

    def _write_alert(self, writes: apsw.Connection, alert: AlertRecord) -> None:
        """One that is told already, and that nobody has acknowledged, is counted; it tells what happened last."""
        message, details = (
            (alert.message, alert.details) if self._sealing is None else self._sealing.alert(alert)
        )
        again = (alert.raised_at, message, details, alert.subject, alert.code, alert.tenant, alert.raised_at - ALERT_WINDOW_MS)
        writes.execute(_ALERT_AGAIN, again)
        if not writes.changes():
            row = (alert.code, alert.execution_id, alert.tenant, message, details, alert.raised_at, alert.subject)
            writes.execute(_INSERT_ALERT, (*row, alert.raised_at))

    def _arguments(self, command_id: str, arguments: bytes) -> dict[str, Any]:
        plain = arguments if self._sealing is None else self._sealing.command_part(arguments, command_id, "arguments")
        found = orjson.loads(plain)
        return found if isinstance(found, dict) else {"erased": True}

    def _say_sealed(self) -> None:
        """From the first time on that it is opened with a keyring, the store says which one it needs."""
        sealing = self._sealing
        if sealing is None:
            self._new_executions: _Rows = partial(map, execution_row)
            self._executions_changed: _Rows = partial(map, execution_update)
            self._new_journal: _Rows = partial(map, journal_row)
            self._journal_changed: _Rows = partial(map, journal_update)
            return
        self._new_executions, self._executions_changed = sealing.new_executions, sealing.executions
        self._new_journal, self._journal_changed = sealing.new_journal, sealing.journal
        said = "INSERT OR IGNORE INTO encryption VALUES (1, ?, ?)"
        self._writes.execute(said, (sealing.keyring.open(None), self._now_ms()))
        self._seal_secrets(self._writes)

    def _seal_secrets(self, writes: apsw.Connection) -> None:
        """Of all that was written in the clear before, what signs does not stay so."""
        if self._sealing is not None:
            plain = writes.execute("SELECT id, secret FROM webhooks WHERE typeof(secret) = 'text'").fetchall()
            sealed = [(self._sealing.secret(str(name), str(secret)), name) for name, secret in plain]
            writes.executemany("UPDATE webhooks SET secret = ? WHERE id = ?", sealed)

    def _write_control(self, writes: apsw.Connection, batch: Batch) -> None:
        """What decides which versions and policies are in force, and who hears of it."""
        if batch.versions:
            writes.executemany(PUT_VERSION, map(version_row, batch.versions.values()))
        if batch.declarations:
            writes.executemany(PUT_DECLARATION, map(declaration_row, batch.declarations))
        if batch.policies:
            writes.executemany(PUT_POLICY, map(policy_row, batch.policies))
        if batch.evaluations:
            writes.executemany(INSERT_EVALUATION, map(evaluation_row, batch.evaluations))
        if batch.requirements:
            writes.executemany(PUT_REQUIREMENT, map(requirement_row, batch.requirements))
        if batch.messages:
            writes.executemany(PUT_MESSAGE, map(message_row, batch.messages.values()))
        for webhook_id, webhook in batch.webhooks.items():
            if webhook is None:
                writes.execute("DELETE FROM webhooks WHERE id = ?", (webhook_id,))
                writes.execute("DELETE FROM outbox WHERE webhook = ?", (webhook_id,))
            else:
                writes.execute(PUT_WEBHOOK, webhook_row(webhook))
                self._seal_secrets(writes)

    def _committed(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _start_checkpoint(self) -> None:
        """Copy the WAL into the database beside the writer; the small rest that came meanwhile is copied in `_finish_checkpoint`."""
        if self._checkpointing is not None:
            if self._checkpointing.is_alive():
                return
            self._checkpointing = None
            self.checkpoint()
            return
        self._checkpointing = threading.Thread(target=self._checkpoint_beside, name="remit-checkpoint", daemon=True)
        self._checkpointing.start()

    def _checkpoint_beside(self) -> None:
        try:
            connection = connect(self.location)
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            connection.close()
        except (apsw.Error, StoreError) as error:
            _log.warning("a checkpoint of %s failed (%s); it is tried again", self.location.path, error)

    def checkpoint(self) -> None:
        """Copy what the WAL still holds into the database, so that the WAL starts anew."""
        if boundaries.reach is not None:
            boundaries.reach("checkpoint.before")
        try:
            self._writes.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            _log.warning("a checkpoint of %s failed (%s); it is tried again", self.location.path, error)
        if boundaries.reach is not None:
            boundaries.reach("checkpoint.after")
        self._wal_pages = 0

    def renew(self) -> None:
        """Renew the owner's claim (L21)."""
        self._ownership.renew(self._now_ms())

    def to_recover(self) -> Iterable[str]:
        """Ids of the executions that were being driven or were about to be, oldest first."""
        query = "SELECT id FROM executions WHERE status <> 'COMPLETED' AND status IN ('PENDING', 'ACTIVE', 'PENDING_ASYNC', 'PENDING_SUB_WORKFLOW', 'PAUSED') ORDER BY n"
        return [row[0] for row in self._rows(query)]

    def trace_counts(self, root_id: str) -> tuple[int, int]:
        """How many executions stand below the root, and the attempts of the whole trace."""
        low, high = descendant_range(root_id)
        below, attempts = self._first(
            "SELECT count(*), coalesce(sum(attempt), 0) FROM executions WHERE id > ? AND id < ?", (low, high)
        )
        own = self._value("SELECT attempt FROM executions WHERE id = ?", (root_id,)) or 0
        return below, attempts + own

    def due(self, until_ms: int, limit: int) -> list[tuple[str, int]]:
        """Executions with a timer due by then, as (id, 0 for a pause of its own or the journal position + 1), earliest first."""
        query = """
            SELECT id, 0, wake_at FROM executions WHERE wake_at IS NOT NULL AND wake_at <= ?1
            UNION ALL
            SELECT e.id, j.position + 1, j.due_at FROM journal j JOIN executions e ON e.n = j.execution_n
            WHERE j.due_at IS NOT NULL AND j.ended_at IS NULL AND j.due_at <= ?1 AND e.ended_at IS NULL AND j.generation = e.generation
            ORDER BY 3 LIMIT ?2"""
        return [(row[0], row[1]) for row in self._rows(query, (until_ms, limit))]

    def next_due(self) -> int | None:
        """When the earliest timer is due."""
        execution = self._value("SELECT min(wake_at) FROM executions WHERE wake_at IS NOT NULL")
        # What an ended execution, or an earlier history, has left open will never ring: taking it for due would spin.
        effect = self._value(
            """
            SELECT j.due_at FROM journal j JOIN executions e ON e.n = j.execution_n
            WHERE j.due_at IS NOT NULL AND j.ended_at IS NULL AND e.ended_at IS NULL AND j.generation = e.generation
            ORDER BY j.due_at LIMIT 1"""
        )
        return min((value for value in (execution, effect) if value is not None), default=None)

    def due_schedules(self, until_ms: int, targets: list[str], limit: int) -> list[ScheduleRecord]:
        """Schedules of these processes that fire by then, earliest first."""
        where = f"next_at IS NOT NULL AND next_at <= ? AND {_AMONG} ORDER BY next_at LIMIT ?"
        return self._schedules(where, (until_ms, orjson.dumps(targets).decode(), limit))

    def next_schedule(self, targets: list[str]) -> int | None:
        """When the next schedule of these processes fires."""
        query = f"SELECT next_at FROM schedules WHERE next_at IS NOT NULL AND {_AMONG} ORDER BY next_at LIMIT 1"
        found: int | None = self._value(query, (orjson.dumps(targets).decode(),))
        return found

    def queued_schedules(self, targets: list[str]) -> list[ScheduleRecord]:
        """Schedules of these processes with firings that wait for the end of an execution."""
        return self._schedules(f"waiting IS NOT NULL AND {_AMONG}", (orjson.dumps(targets).decode(),))

    def inbox_changed(self) -> bool:
        """Whether another connection has written since the last time this was asked."""
        version = self._writes.pragma("data_version")
        changed, self._data_version = bool(version != self._data_version), version
        return changed

    def commands(self) -> list[Command]:
        """Commands without a reply, oldest first."""
        rows: list[Any] = self._writes.execute(
            "SELECT id, verb, arguments, sent_at FROM inbox WHERE reply IS NULL ORDER BY sent_at"
        ).fetchall()
        return [Command(row[0], row[1], self._arguments(row[0], row[2]), row[3]) for row in rows]

    def close(self) -> None:
        """Copy the WAL into the database and let the file go."""
        if self._checkpointing is not None:
            self._checkpointing.join()
        try:
            if not self.location.in_memory:
                self._reads.close()
                self.checkpoint()
            self._writes.close()
        finally:
            self._ownership.release()


def _write_bills(writes: apsw.Connection, batch: Batch) -> None:
    """What was used, and what departments may use and have used."""
    if batch.usage:
        writes.executemany(ADD_USAGE, [(*key, *counts) for key, counts in batch.usage.items()])
    if batch.ledgers:
        writes.executemany(PUT_LEDGER, map(ledger_row, batch.ledgers.values()))
    for place, budget in batch.budgets.items():
        if budget is None:
            writes.execute("DELETE FROM department_budgets WHERE department = ? AND tenant = ? AND period = ?", place)
        else:
            writes.execute(PUT_BUDGET, budget_row(budget))

"""The SQLite store: a writer that commits whole batches, a reader that sees what is durable."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

import apsw
import orjson

from remit.errors import StoreError
from remit.kernel.trace import descendant_range
from remit.store import boundaries
from remit.store.port import Batch
from remit.store.records import Command, ScheduleRecord
from remit.store.sqlite.database import Location, connect, explained, migrate, parse_location, prepare_file
from remit.store.sqlite.owner import Ownership
from remit.store.sqlite.reader import SqliteReader
from remit.store.sqlite.rows import (
    ADD_USAGE,
    INSERT_EVALUATION,
    INSERT_EXECUTION,
    INSERT_JOURNAL,
    PUT_DECLARATION,
    PUT_POLICY,
    PUT_RATE,
    PUT_REQUIREMENT,
    PUT_SCHEDULE,
    PUT_VERSION,
    UPDATE_EXECUTION,
    UPDATE_JOURNAL,
    declaration_row,
    evaluation_row,
    execution_row,
    execution_update,
    journal_row,
    journal_update,
    policy_row,
    requirement_row,
    schedule_row,
    version_row,
)

__all__ = ["CHECKPOINT_PAGES", "SqliteStore"]

CHECKPOINT_PAGES = 4_000
"""WAL pages (16 MiB) after which they are copied into the database, by a thread of its own."""

_log = logging.getLogger("remit.store")
_INSERT_EVENT = "INSERT INTO events (execution_id, name, payload, sent_at, dedupe, taken_by) VALUES (?, ?, ?, ?, ?, ?)"
_SET_ASIDE = "UPDATE journal SET generation = -generation - 1 WHERE execution_n = ? AND generation = ? AND position = ?"
_KEEP_DEFINITION = (
    "INSERT OR REPLACE INTO definitions (process, version, first_n, digest, source, kept_at) VALUES (?, ?, ?, ?, ?, ?)"
)
_INSERT_ALERT = "INSERT INTO alerts (code, execution_id, tenant, message, details, raised_at) VALUES (?, ?, ?, ?, ?, ?)"

_AMONG = "target IN (SELECT value FROM json_each(?))"


class SqliteStore(SqliteReader):
    """The owner's view of one file. `commit` is called on the event loop, once per turn at most.

    Raises `StoreOwned` where another process drives the file, `StoreError` where it cannot be used.
    """

    def __init__(self, url: str, now_ms: Callable[[], int]) -> None:
        self.location: Location = parse_location(url)
        self._now_ms = now_ms
        prepare_file(self.location)
        self._writes = connect(self.location)
        try:
            migrate(self._writes, self.location, empty_only=True)
            self._ownership = Ownership(self._writes, self.location, now_ms())
        except BaseException:
            self._writes.close()
            raise
        try:
            migrate(self._writes, self.location)  # of a file in use, only its owner changes the schema
            reads = self._writes if self.location.in_memory else connect(self.location, readonly=True)
            super().__init__(reads, self.location)
            with explained(self.location, "read the store"):
                self.next_n = int(self._writes.execute("SELECT coalesce(max(n), 0) + 1 FROM executions").get)
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
        writes = self._writes
        with explained(self.location, "commit"):
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
                self._write(writes, batch)
                if boundaries.reach is not None:
                    boundaries.reach("commit.written")
                writes.execute("COMMIT")
            except BaseException:
                if writes.in_transaction:
                    writes.execute("ROLLBACK")
                raise
        if boundaries.reach is not None:
            boundaries.reach("commit.after")
        if self._wal_pages >= CHECKPOINT_PAGES:
            self._start_checkpoint()

    def _write(self, writes: apsw.Connection, batch: Batch) -> None:
        if batch.created:
            writes.executemany(INSERT_EXECUTION, map(execution_row, batch.created.values()))
        if batch.changed:
            writes.executemany(UPDATE_EXECUTION, map(execution_update, batch.changed.values()))
        if batch.new_journal:
            writes.executemany(INSERT_JOURNAL, map(journal_row, batch.new_journal.values()))
        if batch.journal:
            writes.executemany(UPDATE_JOURNAL, map(journal_update, batch.journal.values()))
        if batch.rates:
            writes.executemany(PUT_RATE, batch.rates.values())
        for entry in batch.set_aside:
            writes.execute(_SET_ASIDE, (entry.execution_n, entry.generation, entry.position))
        for event in batch.events:
            if event.n:
                writes.execute("UPDATE events SET taken_by = ? WHERE n = ?", (event.taken_by, event.n))
            else:
                writes.execute(
                    _INSERT_EVENT,
                    (event.execution_id, event.name, event.payload, event.sent_at, event.dedupe, event.taken_by),
                )
        if batch.usage:
            writes.executemany(ADD_USAGE, [(*key, *counts) for key, counts in batch.usage.items()])
        self._write_for_outsiders(writes, batch)

    def _write_for_outsiders(self, writes: apsw.Connection, batch: Batch) -> None:
        """What operators see and set: alerts, schedules, definitions, replies to commands."""
        if batch.alerts:
            rows = [(a.code, a.execution_id, a.tenant, a.message, a.details, a.raised_at) for a in batch.alerts]
            writes.executemany(_INSERT_ALERT, rows)
        for key, schedule in batch.schedules.items():
            if schedule is None:
                writes.execute("DELETE FROM schedules WHERE tenant = ? AND name = ?", key)
            else:
                writes.execute(PUT_SCHEDULE, schedule_row(schedule))
        if batch.definitions:
            kept = [(d.process, d.version, d.first_n, d.digest, d.source, d.kept_at) for d in batch.definitions]
            writes.executemany(_KEEP_DEFINITION, kept)
        self._write_control(writes, batch)
        for command in batch.replies:
            writes.execute(
                "UPDATE inbox SET reply = ?, replied_at = ? WHERE id = ?",
                (orjson.dumps(command.reply), self._now_ms(), command.id),
            )

    def _write_control(self, writes: apsw.Connection, batch: Batch) -> None:
        """What decides which versions and policies are in force."""
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
        except (apsw.Error, StoreError):
            _log.warning("a checkpoint of %s failed; it is tried again", self.location.path, exc_info=True)

    def checkpoint(self) -> None:
        """Copy what the WAL still holds into the database, so that the WAL starts anew."""
        if boundaries.reach is not None:
            boundaries.reach("checkpoint.before")
        try:
            self._writes.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error:
            _log.warning("a checkpoint of %s failed; it is tried again", self.location.path, exc_info=True)
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
        rows = self._writes.execute(
            "SELECT id, verb, arguments, sent_at FROM inbox WHERE reply IS NULL ORDER BY sent_at"
        )
        return [Command(row[0], row[1], orjson.loads(row[2]), row[3]) for row in rows]

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

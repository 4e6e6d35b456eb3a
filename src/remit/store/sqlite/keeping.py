"""Deleting what is kept no longer, and erasing what tenants' executions worked on: small transactions that can be broken off (L53)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import astuple, fields
from time import perf_counter
from typing import Any

import apsw
import orjson

from remit.kernel.trace import descendant_range
from remit.store import boundaries
from remit.store.codec import ERASED, ERASED_ERROR, ERASED_TEXT
from remit.store.keyring import Keyring
from remit.store.records import ErasureRecord, RetentionRecord, Tombstone
from remit.store.sqlite.database import explained
from remit.store.sqlite.reader import SqliteReader

__all__ = ["SqliteKeeping"]

_UNIT = 100
"""Journal entries deleted between two looks at the time."""
_ERASURE = ", ".join(field.name for field in fields(ErasureRecord))
_ERASE_EXECUTIONS = """
    UPDATE executions SET input = ?1, digest = x'', key = NULL, label = NULL, progress = iif(progress IS NULL, NULL, ?1),
      result = iif(result IS NULL, NULL, ?1), error = iif(error IS NULL, NULL, ?2),
      terms = iif(instr(terms, '"redacted"'), CAST(json_remove(CAST(terms AS TEXT), '$.redacted') AS BLOB), terms)
    WHERE tenant = ?3 AND n > ?4 AND n <= ?5"""
_ERASE_JOURNAL = """
    UPDATE journal SET key = x'', terms = NULL, params = iif(params IS NULL, NULL, ?1), result = iif(result IS NULL, NULL, ?1),
      error = iif(error IS NULL, NULL, ?2)
    WHERE execution_n IN (SELECT n FROM executions WHERE tenant = ?3 AND n > ?4 AND n <= ?5)"""
_ERASE_EVENTS = "DELETE FROM events WHERE execution_id IN (SELECT id FROM executions WHERE tenant = ? AND n > ? AND n <= ?)"
_ERASE_ALERTS = "UPDATE alerts SET message = ?, details = ? WHERE tenant = ? AND raised_at <= ?"
_ERASED_REPLY = orjson.dumps({"error": {"code": "erased", "class": "DOMAIN", "message": ERASED_TEXT, "details": {}}})
_NOT_OVER = """
    SELECT 1 FROM executions WHERE (id = ?1 OR (id > ?2 AND id < ?3))
      AND (ended_at IS NULL OR ended_at >= ?4 OR compensation = 'running') LIMIT 1"""


class SqliteKeeping(SqliteReader):
    """The part of the store that forgets. Every method is one transaction, and leaves nothing in memory."""

    _writes: apsw.Connection
    _buries: bool | None = None

    @abstractmethod
    def _owned(self, doing: str) -> AbstractContextManager[apsw.Connection]:
        """One transaction of the owner's."""

    @property
    def keyring(self) -> Keyring | None:
        """What its payloads are sealed with."""
        return self._sealing.keyring if self._sealing is not None else None

    # -- retention ----------------------------------------------------------------------------------------------------

    def set_retention(self, record: RetentionRecord | str) -> None:
        """Keep a tenant's trees so long; the tenant alone: as long as all others'."""
        with self._owned("set the retention") as writes:
            if isinstance(record, str):
                writes.execute("DELETE FROM retention WHERE tenant = ?", (record,))
            else:
                writes.execute("INSERT OR REPLACE INTO retention VALUES (?, ?, ?, ?)", astuple(record))

    def tenants(self) -> list[str | None]:
        """The tenants that have roots which have ended: one look into the index for each."""
        ended = "FROM executions WHERE parent_n = 0 AND ended_at IS NOT NULL"
        found: list[str | None] = [None] if self._value(f"SELECT 1 {ended} AND tenant IS NULL LIMIT 1") else []
        last = self._value(f"SELECT min(tenant) {ended}")
        while last is not None:
            found.append(last)
            last = self._value(f"SELECT min(tenant) {ended} AND tenant > ?", (last,))
        return found

    def roots_ended(
        self, tenant: str | None, before_ms: int, after: tuple[int, int], limit: int
    ) -> list[tuple[str, int, int]]:
        """Roots of a tenant that ended before then and after the last of an earlier page, as (id, end, row number)."""
        query = """
            SELECT id, ended_at, n FROM executions WHERE parent_n = 0 AND ended_at IS NOT NULL AND tenant IS ?
              AND ended_at < ? AND (ended_at, n) > (?, ?) ORDER BY ended_at, n LIMIT ?"""
        return self._rows(query, (tenant, before_ms, *after, limit))

    def is_over(self, root: str, before_ms: int) -> bool:
        """Whether everything in a tree has ended before then, rollbacks included."""
        return self._first(_NOT_OVER, (root, *descendant_range(root), before_ms)) is None

    def delete_roots(self, doomed: Iterable[str], now_ms: int, seconds: float) -> tuple[int, int]:
        """Delete of these roots, and of what earlier ones have left, as much as fits into the time; (roots, executions)."""
        until, roots, executions = perf_counter() + seconds, 0, 0
        with self._owned("delete what is kept no longer") as writes:
            left: list[Any] = writes.execute("SELECT id FROM tombstones WHERE rest LIMIT 10").fetchall()
            for (root,) in left:
                executions += self._delete_below(writes, root, until)
            for root in doomed:
                if (left or roots) and perf_counter() >= until:
                    break
                self._bury(writes, root, now_ms)
                roots += 1
                if boundaries.reach is not None:
                    boundaries.reach("retention.buried")
                executions += self._delete_below(writes, root, until)
        return roots, executions

    def buried(self, key: bytes) -> Tombstone | None:
        """What is left of the deleted root that was started under that idempotency key; nothing is read where none was deleted."""
        if self._buries is None:
            self._buries = bool(self._value("SELECT 1 FROM tombstones LIMIT 1"))
        return super().buried(key) if self._buries else None

    def _bury(self, writes: apsw.Connection, root: str, now_ms: int) -> None:
        """The tombstone, with how far row numbers have come; from here on the tree is gone for whoever asks for its root."""
        self._buries = True
        low, high = descendant_range(root)
        newest = writes.execute("SELECT max(n) FROM executions WHERE id = ? OR (id > ? AND id < ?)", (root, low, high)).get
        writes.execute("UPDATE row_numbers SET highest = max(highest, ?)", (newest,))
        writes.execute(
            "INSERT INTO tombstones SELECT id, key, tenant, process, ?, 1 FROM executions WHERE id = ?", (now_ms, root)
        )
        writes.execute("UPDATE executions SET key = NULL WHERE id = ?", (root,))

    def _delete_below(self, writes: apsw.Connection, root: str, until: float) -> int:
        """Delete executions of a buried root, itself the first, until the time is up or none is left."""
        low, high = descendant_range(root)
        deleted = 0
        while True:
            row = writes.execute(
                "SELECT n, id FROM executions WHERE id = ? OR (id > ? AND id < ?) ORDER BY n LIMIT 1", (root, low, high)
            ).fetchone()
            if row is None:
                writes.execute("UPDATE tombstones SET rest = 0 WHERE id = ?", (root,))
                return deleted
            deleted += self._delete_one(writes, *row)
            if perf_counter() >= until:
                return deleted

    def _delete_one(self, writes: apsw.Connection, n: int, execution_id: str) -> int:
        """Delete an execution, or some of its journal where that is long; how many executions."""
        writes.execute(
            "DELETE FROM journal WHERE execution_n = ?1 AND (generation, position) IN"
            " (SELECT generation, position FROM journal WHERE execution_n = ?1 LIMIT ?2)",
            (n, _UNIT),
        )
        if writes.changes() == _UNIT:
            return 0
        writes.execute("DELETE FROM events WHERE execution_id = ?", (execution_id,))
        writes.execute("DELETE FROM executions WHERE n = ?", (n,))
        return 1

    def delete_alerts(self, tenants: Iterable[str | None], before_ms: int, limit: int) -> int:
        """Delete alerts of these tenants that occurred last before then; how many there were."""
        among = orjson.dumps([tenant or "" for tenant in tenants]).decode()
        query = "SELECT n FROM alerts WHERE last_at < ? AND coalesce(tenant, '') IN (SELECT value FROM json_each(?)) LIMIT ?"
        return self._delete("alerts", "n", self._rows(query, (before_ms, among, limit)))

    def delete_commands(self, before_ms: int, limit: int) -> int:
        """Delete commands that were replied to before then; how many there were."""
        query = "SELECT id FROM inbox WHERE replied_at < ? LIMIT ?"
        return self._delete("inbox", "id", self._rows(query, (before_ms, limit)))

    def _delete(self, table: str, column: str, rows: list[Any]) -> int:
        if rows:
            with self._owned("delete what is kept no longer") as writes:
                writes.executemany(f"DELETE FROM {table} WHERE {column} = ?", rows)
        return len(rows)

    # -- erasure ------------------------------------------------------------------------------------------------------

    def ask_erasure(self, tenant: str, now_ms: int, by: str | None) -> ErasureRecord:
        """Decide, durably, that what the tenant's executions have worked on so far is erased."""
        mark = self.keyring.mark(tenant) if self.keyring is not None else 0
        with self._owned("decide the erasure") as writes:
            until = int(writes.execute("SELECT coalesce(max(n), 0) FROM executions").get)
            writes.execute(
                "INSERT INTO erasures (tenant, asked_at, asked_by, until_n, until_key, from_n, executions)"
                " VALUES (?, ?, ?, ?, ?, 0, 0)",
                (tenant, now_ms, by, until, mark),
            )
            n = writes.last_insert_rowid()
        return ErasureRecord(n, tenant, now_ms, by, until, mark)

    def erasures(self) -> list[ErasureRecord]:
        """Erasures that are not done."""
        return [ErasureRecord(*row) for row in self._rows(f"SELECT {_ERASURE} FROM erasures WHERE done_at IS NULL ORDER BY n")]

    def erase_some(self, erasure: ErasureRecord, rows: int) -> bool:
        """Erase the payloads in so many more rows; False once there is none left."""
        if erasure.from_n >= erasure.until_n:
            return False
        low, high = erasure.from_n, min(erasure.from_n + rows, erasure.until_n)
        with self._owned("erase") as writes:
            which = (erasure.tenant, low, high)
            writes.execute(_ERASE_JOURNAL, (ERASED, ERASED_ERROR, *which))
            writes.execute(_ERASE_EVENTS, which)
            writes.execute(_ERASE_EXECUTIONS, (ERASED, ERASED_ERROR, *which))
            erasure.executions += writes.changes()
            erasure.from_n = high
            come = (high, erasure.executions, erasure.n)
            writes.execute("UPDATE erasures SET from_n = ?, executions = ? WHERE n = ?", come)
        return True

    def erase_beside(self, erasure: ErasureRecord) -> None:
        """Erase what lies outside executions: alerts, schedules, commands, keys of tombstones, the salt of the audit log."""
        with self._owned("erase") as writes:
            told = (ERASED_TEXT, b'{"erased":true}', erasure.tenant, erasure.asked_at)
            writes.execute(_ERASE_ALERTS, told)
            writes.execute("DELETE FROM schedules WHERE tenant = ? AND created_at <= ?", (erasure.tenant, erasure.asked_at))
            writes.execute("UPDATE tombstones SET key = NULL WHERE tenant = ?", (erasure.tenant,))
            writes.execute("DELETE FROM audit_salts WHERE tenant = ?", (erasure.tenant,))
            for command_id, replied in self._commands_of(writes, erasure.tenant):
                reply = b'{"done":null}' if replied else _ERASED_REPLY
                writes.execute(
                    "UPDATE inbox SET arguments = ?, reply = ?, replied_at = coalesce(replied_at, sent_at) WHERE id = ?",
                    (b'{"erased":true}', reply, command_id),
                )

    def _commands_of(self, writes: apsw.Connection, tenant: str) -> list[tuple[str, bool]]:
        """The commands about the tenant's executions, with whether there is a reply."""
        found = []
        rows: list[Any] = writes.execute("SELECT id, arguments, reply IS NOT NULL, verb FROM inbox").fetchall()
        for command_id, arguments, replied, verb in rows:
            if verb == "erase" and not replied:
                continue  # this very erasure, or one that waits behind it: who asked is still to be told what was done
            plain = arguments if self._sealing is None else self._sealing.command_part(arguments, command_id, "arguments")
            about = orjson.loads(plain)
            named = about.get("execution_id") if isinstance(about, dict) else None
            whose = writes.execute("SELECT tenant FROM executions WHERE id = ?", (named,)).get if named else None
            shows_recorded = verb == "evaluate" and replied  # results of whoever called what was evaluated
            if whose == tenant or shows_recorded or not isinstance(about, dict):
                found.append((command_id, bool(replied)))
        return found

    def scrub(self) -> bool:
        """Rewrite the file without what was deleted from it, and empty the WAL; False where a reader is in the way."""
        with explained(self._where, "erase"):
            try:
                self._writes.execute("VACUUM")
                if boundaries.reach is not None:
                    boundaries.reach("erasure.rewritten")
                self._writes.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError:
                return False
        return True

    def end_erasure(self, erasure: ErasureRecord) -> None:
        """It is done."""
        with self._owned("end the erasure") as writes:
            writes.execute("UPDATE erasures SET done_at = ? WHERE n = ?", (erasure.done_at, erasure.n))

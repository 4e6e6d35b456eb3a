"""Histories as JSON: what executions have recorded, to be kept beside the tests of their code.

One file holds an execution and everything below it. Keys and digests are hexadecimal, payloads are the JSON they were
recorded as, times are milliseconds since 1970; what has its default is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar

from remit import Compensation, InvalidInput, Keyring, MisuseError, Remit, Status, StoreError
from remit.engine.values.redaction import redact
from remit.store.port import Reader
from remit.store.records import EffectKind, ExecutionRecord, JournalRecord
from remit.store.sqlite.database import APPLICATION_ID, connect, parse_location
from remit.store.sqlite.reader import SqliteReader
from remit.store.sqlite.sealing import unlock

__all__ = ["Recorded", "export_history", "histories_in"]

_FORM = 1
_PAYLOADS = frozenset({"params", "input", "result", "error", "terms", "progress"})
_SECRETIVE = ("params", "input", "result", "progress")
_OWN = frozenset({"n", "parent_n", "execution_n", "epoch", "ttl_since"})
"""What means something in its own store only."""
_ENUMS: dict[str, Any] = {"status": Status, "compensation": Compensation, "kind": EffectKind}
T = TypeVar("T", ExecutionRecord, JournalRecord)


class Recorded:
    """One execution as it was recorded: its row, its journal, and the rows of what it called."""

    def __init__(self, record: ExecutionRecord, entries: list[JournalRecord], calls: list[ExecutionRecord]) -> None:
        self.record = record
        self.entries = entries
        self.calls = calls


async def export_history(
    source: Remit | str, execution_id: str, path: str | Path | None = None, *, redacted: bool = True
) -> dict[str, Any]:
    """The history of an execution and of everything below it, for `replay`; written to `path` where one is given.

    `source` is an open app or the URL of a store, which another process may drive meanwhile. Secrets are redacted; where
    code computes with one of them, it is recorded as it is with `redacted=False`. Raises MisuseError `unknown_execution`.
    """
    if isinstance(source, Remit):
        await source.engine.durability.settled()
        history = _history(source.engine.store, execution_id, redacted=redacted)
    else:
        location = parse_location(source)
        connection = connect(location, readonly=True)
        try:
            if connection.pragma("application_id") != APPLICATION_ID:
                raise StoreError(f"{location.path} is no store of Remit's: there is no execution to export")
            sealing = unlock(connection, Keyring.of_environment(), location)
            history = _history(SqliteReader(connection, location, sealing), execution_id, redacted=redacted)
        finally:
            connection.close()
    if path is not None:
        _write(Path(path), history)
    return history


def _write(path: Path, history: dict[str, Any]) -> None:
    path.write_text(json.dumps(history, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _history(reader: Reader, execution_id: str, *, redacted: bool) -> dict[str, Any]:
    rows = reader.subtree(execution_id) if reader.execution(execution_id) is not None else []
    if not rows:
        raise MisuseError(
            f"There is no execution {execution_id!r} here: list those there are with `remit ps`",
            code="unknown_execution",
            execution_id=execution_id,
        )
    return {
        "remit_history": _FORM,
        "redacted": redacted,
        "executions": [
            _plain(row, redacted=redacted)
            | {
                "caller": row.id.rpartition(".")[0] or None,
                "journal": [_plain(each, redacted=redacted) for each in reader.journal(row.n, row.generation)],
            }
            for row in rows
        ],
    }


def histories_in(history: dict[str, Any] | str | Path) -> Iterator[Recorded]:
    """Each execution of an exported history; raises InvalidInput for what is none."""
    exported = json.loads(Path(history).read_text(encoding="utf-8")) if isinstance(history, str | Path) else history
    if not isinstance(exported, dict) or exported.get("remit_history") != _FORM:
        raise InvalidInput("This is no history that this remit can read: make one with remit.testing.export_history")
    rows = exported["executions"]
    for row in rows:
        calls = [_record(ExecutionRecord, each) for each in rows if each["caller"] == row["id"]]
        entries = [_record(JournalRecord, each) for each in row["journal"]]
        yield Recorded(_record(ExecutionRecord, row), entries, calls)


def _plain(record: ExecutionRecord | JournalRecord, *, redacted: bool) -> dict[str, Any]:
    return {
        field.name: _outward(field.name, getattr(record, field.name), redacted=redacted)
        for field in fields(record)
        if field.name not in _OWN and getattr(record, field.name) != _default(field)
    }


def _default(field: Field[Any]) -> Any:
    return field.default if field.default is not MISSING else _default


def _outward(name: str, value: Any, *, redacted: bool) -> Any:
    if name in _PAYLOADS:
        payload = json.loads(value)
        return redact(payload) if redacted and name in _SECRETIVE else payload
    return value.hex() if isinstance(value, bytes) else value


def _record(kind: type[T], plain: dict[str, Any]) -> T:
    values: dict[str, Any] = dict.fromkeys((field.name for field in fields(kind) if field.default is MISSING), 0)
    known = {field.name for field in fields(kind)}
    values |= {name: _inward(name, value) for name, value in plain.items() if name in known}
    return kind(**values)


def _inward(name: str, value: Any) -> Any:
    if name in _PAYLOADS:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    if name in ("key", "digest"):
        return bytes.fromhex(value)
    return _ENUMS[name](value) if name in _ENUMS else value

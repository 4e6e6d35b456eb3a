"""`remit doctor`: whether a store is sound, who drives it, and what is stuck in it."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import apsw
import typer
from rich.text import Text

from remit.cli.looks import age
from remit.cli.options import DEFAULT_STORE, JsonFlag, StoreUrl
from remit.cli.output import Ending, console, print_json, reported
from remit.control.client import Client
from remit.control.views import moment
from remit.errors import StoreError
from remit.kernel.lease import claim_lapsed
from remit.kernel.states import OPEN, Status
from remit.store.records import ExecutionFilter
from remit.store.sqlite.database import Location, connect, explained
from remit.store.sqlite.reader import SqliteReader

__all__ = ["doctor"]

_SAFE_SQLITE = (3, 51, 3)
_OVERDUE_MS = 5_000
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `level` is ok, note or problem; a problem says how to mend it."""

    check: str
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class _Patient:
    location: Location
    connection: apsw.Connection
    reader: SqliteReader
    now_ms: int
    driven: bool
    paused_ms: int


_Check = Callable[[_Patient], Finding | list[Finding]]


@reported
def doctor(
    store: StoreUrl = DEFAULT_STORE,
    paused_hours: Annotated[
        float, typer.Option(metavar="H", min=0, help="An execution paused for longer is a problem.")
    ] = 24,
    as_json: JsonFlag = False,
) -> None:
    """Examine a store: SQLite, durability, integrity, owner, stuck executions. Exit code 1 where something is wrong."""
    client = Client(store)
    findings = _findings(client, int(paused_hours * 3_600_000))
    sick = any(finding.level == "problem" for finding in findings)
    if as_json:
        print_json(
            {"store": client.location.path, "healthy": not sick, "findings": [asdict(finding) for finding in findings]}
        )
    else:
        _print(findings)
    raise typer.Exit(Ending.FAILED if sick else Ending.COMPLETED)


def _findings(client: Client, paused_ms: int) -> list[Finding]:
    findings: list[Finding] = []
    try:
        with client.reader() as reader:
            connection = connect(client.location, readonly=True)
            now_ms = int(time.time() * 1_000)
            patient = _Patient(client.location, connection, reader, now_ms, _is_driven(client.location), paused_ms)
            findings = [finding for check in _CHECKS for finding in _examined(check, patient)]
            connection.close()
    except StoreError:
        if not findings:  # SQLite cannot end a read that met a damaged page; that page is among the findings
            raise
    return findings


def _examined(check: _Check, patient: _Patient) -> list[Finding]:
    """What a check found: where pages are damaged that it reads, that, and the others go on."""
    try:
        with explained(patient.location, "look at it"):
            found = check(patient)
    except StoreError as error:
        if error.details.get("transient"):
            raise
        return [Finding(check.__name__.strip("_"), "problem", str(error))]
    return found if isinstance(found, list) else [found]


def _print(findings: list[Finding]) -> None:
    screen = console()
    styles = {"ok": ("✓", "green"), "note": ("·", "yellow"), "problem": ("✗", "bold red")}
    for finding in findings:
        sign, style = styles[finding.level]
        screen.print(
            Text.assemble((f"{sign} ", style), (f"{finding.check}: ", "bold"), finding.message), soft_wrap=True
        )


def _is_driven(location: Location) -> bool:
    """Whether a living process holds the owner's lock; a shared lock is tried for an instant."""
    try:
        handle = os.open(location.path + ".owner", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _sqlite(_patient: _Patient) -> Finding:
    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split("."))) < _SAFE_SQLITE:
        return Finding(
            "sqlite",
            "problem",
            f"{version} may corrupt a database when its WAL starts anew: install apsw 3.54 or newer",
        )
    return Finding("sqlite", "ok", version)


def _durability(patient: _Patient) -> Finding:
    mode = str(patient.connection.pragma("journal_mode"))
    told = f"journal mode {mode.upper()}, synchronous {patient.location.synchronous}"
    if mode != "wal":
        return Finding("durability", "note", f"{told}; the next owner sets WAL")
    if patient.location.synchronous not in ("FULL", "EXTRA"):
        return Finding(
            "durability",
            "problem",
            f"{told}: a power cut loses acknowledged work. Drop synchronous= from the store's URL.",
        )
    return Finding("durability", "ok", told)


def _integrity(patient: _Patient) -> Finding:
    found = [str(row[0]) for row in patient.connection.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        return Finding("integrity", "problem", f"{'; '.join(found)}. Restore a backup: `remit restore FILE`.")
    size = Path(patient.location.path).stat().st_size
    return Finding("integrity", "ok", f"every page of {size:,} bytes")


def _privacy(patient: _Patient) -> Finding:
    mode = stat.S_IMODE(Path(patient.location.path).stat().st_mode)
    if mode & 0o077:
        return Finding(
            "file mode", "problem", f"{mode:04o} lets others read payloads: chmod 600 {patient.location.path}"
        )
    return Finding("file mode", "ok", f"{mode:04o}")


def _owner(patient: _Patient) -> Finding:
    name, renewed_at = patient.reader.owner()
    seen = moment(renewed_at)
    if not name or seen is None:
        return Finding("owner", "ok", "nobody has driven it yet")
    last = f"{name}, last sign of life {age(seen)}"
    if not patient.driven:
        return Finding("owner", "ok", f"nobody now; the last was {last}")
    if claim_lapsed(renewed_at, patient.now_ms):
        return Finding("owner", "problem", f"{last}: it hangs. Another process may take the store over; end this one.")
    return Finding("owner", "ok", last)


def _executions(patient: _Patient) -> Finding:
    """Open ones only: there may be millions that have ended."""
    query = "SELECT status, count(*) FROM executions WHERE status <> 'COMPLETED' GROUP BY status"
    counts = {str(status): int(count) for status, count in patient.connection.execute(query)}
    told = ", ".join(f"{count:,} {status}" for status, count in counts.items() if status in OPEN)
    failed = sum(count for status, count in counts.items() if status not in OPEN)
    return Finding("executions", "ok", f"open: {told or 'none'}; failed, timed out or cancelled: {failed:,}")


def _unowned(patient: _Patient) -> Finding:
    found = patient.reader.listing(ExecutionFilter(status=frozenset({Status.ACTIVE, Status.PENDING}), limit=_SHOWN + 1))
    if patient.driven or not found:
        return Finding("unowned", "ok", "no execution is being driven by nobody")
    return Finding(
        "unowned",
        "problem",
        f"{_several([row.id for row in found])} should run and nobody drives the store: `remit run TARGET --resume ID`",
    )


def _rollbacks(patient: _Patient) -> Finding:
    """What has failed and is not undone yet (L37)."""
    found = patient.reader.rolling_back()
    if not found:
        return Finding("rollbacks", "ok", "none is under way")
    if patient.driven:
        return Finding("rollbacks", "note", f"{_several(found)}: `remit show ID` says what it waits for, if it does")
    return Finding(
        "rollbacks",
        "problem",
        f"{_several(found)} failed, is not undone yet, and nobody drives the store: `remit run TARGET --resume ID`",
    )


def _timers(patient: _Patient) -> Finding:
    limit = patient.now_ms - _OVERDUE_MS
    query = """
        SELECT id FROM executions WHERE wake_at IS NOT NULL AND wake_at <= ?1
        UNION SELECT e.id FROM journal j JOIN executions e ON e.n = j.execution_n
        WHERE j.due_at IS NOT NULL AND j.ended_at IS NULL AND j.due_at <= ?1 AND e.ended_at IS NULL
          AND j.generation = e.generation LIMIT ?2"""
    found = [str(row[0]) for row in patient.connection.execute(query, (limit, _SHOWN + 1))]
    if not found:
        return Finding("timers", "ok", "none is overdue")
    why = (
        "its owner hangs or is overloaded"
        if patient.driven
        else "nobody drives the store: `remit run TARGET --resume ID`"
    )
    return Finding("timers", "problem", f"overdue at {_several(found)}: {why}")


def _schedules(patient: _Patient) -> Finding:
    limit = patient.now_ms - _OVERDUE_MS
    query = "SELECT name, target FROM schedules WHERE next_at <= ? ORDER BY next_at LIMIT ?"
    found = [(str(row[0]), str(row[1])) for row in patient.connection.execute(query, (limit, _SHOWN + 1))]
    if not found:
        return Finding("schedules", "ok", "none lags")
    targets = ", ".join(sorted({target for _, target in found}))
    why = f"its owner hosts no {targets}" if patient.driven else "nobody drives the store"
    return Finding("schedules", "problem", f"{_several([name for name, _ in found])} should have fired: {why}")


def _paused(patient: _Patient) -> list[Finding]:
    rows = patient.reader.listing(ExecutionFilter(status=frozenset({Status.PAUSED}), limit=_SHOWN))
    if not rows:
        return [Finding("paused", "ok", "none")]
    found = []
    for row in rows:
        long = patient.now_ms - row.updated_at > patient.paused_ms
        since = moment(row.updated_at)
        assert since is not None
        told = f"{row.id} ({row.process}) paused {age(since)}: `remit show {row.id}` says why"
        found.append(Finding("paused", "problem" if long else "note", told))
    return found


def _several(ids: list[str]) -> str:
    shown = ", ".join(ids[:3])
    rest = len(ids) - 3
    return shown if rest <= 0 else f"{shown} and {'at least ' if len(ids) > _SHOWN else ''}{rest} more"


_CHECKS: tuple[_Check, ...] = (
    _sqlite,
    _durability,
    _integrity,
    _privacy,
    _owner,
    _executions,
    _unowned,
    _rollbacks,
    _timers,
    _schedules,
    _paused,
)

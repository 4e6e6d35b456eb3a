"""Numbered batches for the store: a test can see which of them are there, and whether they are whole."""

from __future__ import annotations

import time

from remit.kernel.states import Status
from remit.store.port import Batch
from remit.store.records import AlertFilter, AlertRecord, EffectKind, ExecutionFilter, ExecutionRecord, JournalRecord
from remit.store.sqlite import SqliteStore

__all__ = ["batch", "check_whole", "now_ms", "numbers", "open_store"]

_FIRST = 1_000_000


def now_ms() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1_000)


def open_store(url: str) -> SqliteStore:
    """The store at the URL, owned by this process."""
    return SqliteStore(url, now_ms)


def batch(number: int) -> Batch:
    """Batch `number`: a root with one recorded step and one alert; it ends the root of the batch before."""
    made = Batch()
    root = made.created[number] = _root(number, Status.ACTIVE)
    entry = JournalRecord(root.n, 0, 0, EffectKind.STEP, "step", b"k", result=b"1" * (number % 700), ended_at=1)
    made.new_journal[id(entry)] = entry
    if number > 1:
        made.changed[number - 1] = _root(number - 1, Status.COMPLETED)
    made.alerts.append(AlertRecord("lease_expired", root.id, None, "message", b"{}", raised_at=number))
    return made


def numbers(store: SqliteStore) -> set[int]:
    """The numbers of the batches that are there."""
    return {record.n for record in store.listing(ExecutionFilter(limit=100_000))}


def check_whole(store: SqliteStore) -> set[int]:
    """Asserts that every batch is there wholly or not at all (L8); gives the numbers of those that are."""
    found = numbers(store)
    alerts = store.alerts(AlertFilter(limit=100_000))
    assert {alert.raised_at for alert in alerts} == found
    for number in found:
        root = store.by_n(number)
        assert root is not None
        assert root.status is (Status.COMPLETED if number + 1 in found else Status.ACTIVE)
        assert [len(entry.result or b"") for entry in store.journal(number)] == [number % 700]
    return found


def _root(number: int, status: Status) -> ExecutionRecord:
    ended = number if status is Status.COMPLETED else None
    name = f"exec_{_FIRST + number:024d}"
    return ExecutionRecord(
        number,
        name,
        0,
        "order",
        "1.0.0",
        status,
        number,
        900_000,
        b"digest",
        b"{}",
        updated_at=number,
        ended_at=ended,
    )

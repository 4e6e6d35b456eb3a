"""What open asks are called where several have one name: a body that asks about each of many things uses one name for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from remit.store.records import JournalRecord

__all__ = ["called", "labels"]


def labels(found: Sequence[tuple[str, JournalRecord]]) -> list[str]:
    """What each ask of executions is called: its name, with its position behind it (`approve#3`) where another there has the name.

    The position is part of the record, so that one stays what it is called when another has its answer.
    """
    twice = Counter((owner, entry.name) for owner, entry in found)
    return [_exact(entry) if twice[owner, entry.name] > 1 else entry.name for owner, entry in found]


def called(entry: JournalRecord, ask: str) -> bool:
    """Whether an ask is meant by that name, or by its name and position."""
    return ask in (entry.name, _exact(entry))


def _exact(entry: JournalRecord) -> str:
    return f"{entry.name}#{entry.position}"

"""What a record keeps beside its columns, as JSON: rare things, so that an ordinary execution's row does not carry them."""

from __future__ import annotations

from typing import Any

import orjson

from remit.engine.values.seam import trimmed
from remit.store.records import ChildEnd, ExecutionRecord

__all__ = ["has_saga", "history_begins", "is_at_work", "is_held", "note", "note_redacted", "terms_of"]


def terms_of(record: ExecutionRecord | ChildEnd) -> dict[str, Any]:
    """All of them: `retry`, `on_exhausted`, `saga`, `lent`, `since`, `at_work`, `tags`, `policies`, `redacted`, and at the end `fault` and `subtree`."""
    terms: dict[str, Any] = orjson.loads(record.terms) if record.terms else {}
    return terms


def note(record: ExecutionRecord, notes: dict[str, Any]) -> None:
    """Add to them; a value of None takes one away. Whoever does so touches the record."""
    terms = {name: value for name, value in {**terms_of(record), **notes}.items() if value is not None}
    record.terms = trimmed(orjson.dumps(terms)) if terms else None


def note_redacted(record: ExecutionRecord, redacted: dict[str, Any]) -> None:
    """Add to what was taken out of its values, as `judgement.noted` gives it."""
    known = terms_of(record).get("redacted", [])
    note(record, {"redacted": [*known, *(each for each in redacted["redacted"] if each not in known)]})


def has_saga(record: ExecutionRecord | ChildEnd) -> bool:
    """Whether what the execution did is undone when it fails, as its process said when it was admitted (L37, L39)."""
    return bool(terms_of(record).get("saga"))


def is_held(record: ExecutionRecord) -> bool:
    """Whether it has been admitted, and does not begin before somebody lets it go."""
    return record.terms is not None and b'"held":true' in record.terms


def is_at_work(record: ExecutionRecord) -> bool:
    """Whether it shows PENDING_ASYNC for a step that was running, not for something it sleeps through."""
    return record.terms is not None and b'"at_work":true' in record.terms


def history_begins(record: ExecutionRecord | ChildEnd) -> int:
    """The position of the present history's first entry: what stands before it belongs to an earlier generation.

    A child's own `generation` does not tell which of its caller's histories it belongs to, since both are raised apart.
    """
    return int(terms_of(record).get("since", 0))

"""What a compensatable step's journal entry says about undoing it, from before the step runs (L37)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from remit.engine.definitions import StepDefinition
from remit.engine.ending.faults import decode_error, encode_error
from remit.engine.values.seam import SeamError, canonical, trimmed
from remit.errors import ErrorClass, ErrorInfo, LimitExceeded
from remit.kernel.saga import Undo, undoing
from remit.store.records import UNHEARD, JournalRecord

if TYPE_CHECKING:
    from remit.engine.node import Node

__all__ = ["as_json", "intent_of", "is_compensatable", "leave", "left_running", "name_of", "undo_of", "was_left"]


def name_of(compensate: Callable[..., Any]) -> str:
    """What a compensation is called where people see it."""
    return str(getattr(compensate, "__name__", type(compensate).__name__))


def intent_of(step: StepDefinition) -> bytes | None:
    """What the entry says when the step is about to run; None where there is no way to undo it."""
    return trimmed(orjson.dumps({"compensate": name_of(step.compensate)})) if step.compensate is not None else None


def is_compensatable(entry: JournalRecord) -> bool:
    """Whether the step had a compensation when it ran."""
    return entry.terms is not None and "compensate" in orjson.loads(entry.terms)


def left_running(entry: JournalRecord) -> None:
    """The step was left while it ran: what is recorded as its error says nothing of how far it came."""
    if entry.terms is not None:
        entry.terms = orjson.dumps({**orjson.loads(entry.terms), "left": True})


def leave(node: Node, entry: JournalRecord, message: str, now_ms: int) -> None:
    """The entry ends without its result: the branch that was to have it has gone."""
    details = {"left": True}
    entry.error = encode_error(ErrorInfo(ErrorClass.DOMAIN, "cancelled", message, details, node.id, node.record.attempt))
    entry.ended_at = now_ms


def was_left(entry: JournalRecord) -> bool:
    """Whether its branch was cancelled before it heard of its end; where it had none yet, the error it has recorded says only that."""
    if entry.completed == UNHEARD:
        return True
    if entry.error is None or b'"left":true' not in entry.error:  # which settles nearly all
        return False
    error = decode_error(entry.error)
    return error.code == "cancelled" and error.details == {"left": True}


def undo_of(entry: JournalRecord) -> Undo:
    """What is to be done about the step."""
    left = entry.ended_at is None or "left" in orjson.loads(entry.terms or b"{}")
    return undoing(left=left, failed=entry.error is not None)


def as_json(value: object) -> bytes:
    """What a compensation returned, for people to see; nothing else is made of it, so what JSON cannot hold is named."""
    try:
        return canonical(value, "a compensation's result")
    except (SeamError, LimitExceeded) as error:
        return orjson.dumps(f"a {type(value).__name__} that cannot be recorded ({error.code})")

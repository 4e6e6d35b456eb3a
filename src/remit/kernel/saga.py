"""What is undone when an execution is rolled back, in which order, and how that ends (L34, L37).

The table in docs/design.md is drawn from `COMPENSATIONS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from math import inf
from typing import Generic, NamedTuple, TypeVar

from remit.kernel.states import TERMINAL, Compensation, Status

__all__ = [
    "COMPENSATIONS",
    "Deed",
    "Undo",
    "concluded",
    "last_first",
    "may_become",
    "needs_rollback",
    "starts_over",
    "undoing",
]

T = TypeVar("T")
C = Compensation

COMPENSATIONS: tuple[tuple[Compensation, Compensation, str], ...] = (
    (C.NONE, C.RUNNING, "it ended without a result, or what called it is rolled back"),
    (C.RUNNING, C.DONE, "all of it is undone"),
    (C.RUNNING, C.FAILED, "something could not be undone"),
    (C.RUNNING, C.NONE, "it is tried again by itself before anything is undone"),
    (C.DONE, C.NONE, "operator's retry"),
    (C.FAILED, C.NONE, "operator's retry"),
)
"""Every change of an execution's `compensation`, and what brings it about (L32)."""

_MAY = frozenset((before, after) for before, after, _ in COMPENSATIONS)


def may_become(before: Compensation, after: Compensation) -> bool:
    """Whether the table permits the change."""
    return (before, after) in _MAY


class Undo(StrEnum):
    """What is done about a compensatable step."""

    WITH_RESULT = "with_result"
    WITHOUT_RESULT = "without_result"
    SKIP = "skip"


def undoing(*, left: bool, failed: bool) -> Undo:
    """What a step's record calls for: it was `left` while it ran, so nobody knows how far it came, or it `failed`."""
    if left:
        return Undo.WITHOUT_RESULT
    return Undo.SKIP if failed else Undo.WITH_RESULT


class Deed(NamedTuple, Generic[T]):
    """Something an execution did that has to be undone: a step, or a call with all that the child did.

    `position` is its place among all that was begun, `completed` among all that was awaited, None where nobody did.
    """

    position: int
    completed: int | None
    ended_at: int | None
    what: T


def last_first(deeds: Iterable[Deed[T]]) -> list[Deed[T]]:
    """The reverse order of completion.

    What was awaited is in its recorded order, whatever clocks said meanwhile; what nobody awaited stands where it ended
    between those, and what never ended comes first.
    """
    latest, ranked = 0, list[tuple[tuple[float, int, int], Deed[T]]]()
    for deed in sorted(deeds, key=lambda each: each.completed or 0):
        if deed.completed is not None:
            latest = max(latest, deed.ended_at or 0)
            ranked.append(((latest, 0, deed.completed), deed))
        else:
            ranked.append(((inf if deed.ended_at is None else deed.ended_at, 1, deed.position), deed))
    return [deed for _, deed in sorted(ranked, key=lambda each: each[0], reverse=True)]


def needs_rollback(status: Status, *, saga: bool) -> bool:
    """Whether an execution that has just ended so is to be rolled back."""
    return saga and status in TERMINAL and status is not Status.COMPLETED


def concluded(compensations: Iterable[bool]) -> Compensation:
    """How a rollback has ended: each of its compensations was done, or could not be."""
    return C.DONE if all(compensations) else C.FAILED


def starts_over(compensations: Iterable[Compensation]) -> bool:
    """Whether an operator's retry is a full rerun: the execution, or one above it, has been rolled back (L34)."""
    return any(each in (C.DONE, C.FAILED) for each in compensations)

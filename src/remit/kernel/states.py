"""Every status, every transition and how a child's status shows on its parent, as tables (L32, L33).

The diagram in docs/design.md is drawn from `TRANSITIONS`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = [
    "OPEN",
    "PROPAGATION",
    "TERMINAL",
    "TRANSITIONS",
    "Compensation",
    "Status",
    "Transition",
    "Waits",
    "may",
    "parked_status",
    "shown",
]


class Status(StrEnum):
    """What an execution is doing, or how it ended (L32)."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    PENDING_ASYNC = "PENDING_ASYNC"
    PENDING_SUB_WORKFLOW = "PENDING_SUB_WORKFLOW"
    WAITING_HUMAN_INPUT = "WAITING_HUMAN_INPUT"
    WAITING_CHILD_HUMAN_INPUT = "WAITING_CHILD_HUMAN_INPUT"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    FAILED_CHILD_WORKFLOW = "FAILED_CHILD_WORKFLOW"
    TIMED_OUT = "TIMED_OUT"
    CANCELLED = "CANCELLED"


class Compensation(StrEnum):
    """How far an ended execution's compensations have come (L32)."""

    NONE = "none"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


S = Status
TERMINAL = frozenset({S.COMPLETED, S.FAILED, S.FAILED_CHILD_WORKFLOW, S.TIMED_OUT, S.CANCELLED})
OPEN = frozenset(Status) - TERMINAL


class Transition(NamedTuple):
    """One permitted change of status, and what brings it about."""

    before: Status
    after: Status
    cause: str


_PARKED = (S.PENDING_ASYNC, S.PENDING_SUB_WORKFLOW, S.WAITING_HUMAN_INPUT, S.WAITING_CHILD_HUMAN_INPUT)

TRANSITIONS: tuple[Transition, ...] = (
    Transition(S.PENDING, S.ACTIVE, "claimed"),
    *(Transition(S.ACTIVE, parked, "parks") for parked in _PARKED),
    *(Transition(parked, S.ACTIVE, "woken") for parked in _PARKED),
    *(Transition(parked, S.PENDING, "woken, waits for a slot") for parked in _PARKED),
    *(Transition(a, b, "what it waits for changes") for a in _PARKED for b in _PARKED if a is not b),
    *(Transition(S.PENDING, parked, "what it waits for changes") for parked in _PARKED),
    *(Transition(before, S.PAUSED, "code changed or budget exhausted") for before in (S.PENDING, S.ACTIVE, *_PARKED)),
    Transition(S.PAUSED, S.PENDING, "resumed"),
    Transition(S.ACTIVE, S.PENDING, "ownership lost"),
    Transition(S.ACTIVE, S.COMPLETED, "returns"),
    Transition(S.ACTIVE, S.FAILED, "raises"),
    *(Transition(before, S.FAILED, "refused before it runs") for before in (S.PENDING, *_PARKED, S.PAUSED)),
    *(Transition(before, S.FAILED_CHILD_WORKFLOW, "a child failed unhandled") for before in sorted(OPEN)),
    *(Transition(before, S.TIMED_OUT, "TTL or longest wait ran out") for before in sorted(OPEN)),
    *(Transition(before, S.CANCELLED, "cancelled") for before in sorted(OPEN)),
    *(Transition(ended, S.PENDING, "operator's retry") for ended in sorted(TERMINAL - {S.COMPLETED})),
)

_MAY = frozenset((t.before, t.after) for t in TRANSITIONS)

PROPAGATION: dict[Status, Status] = {
    S.PENDING: S.PENDING_SUB_WORKFLOW,
    S.ACTIVE: S.PENDING_SUB_WORKFLOW,
    S.PENDING_ASYNC: S.PENDING_SUB_WORKFLOW,
    S.PENDING_SUB_WORKFLOW: S.PENDING_SUB_WORKFLOW,
    S.PAUSED: S.PENDING_SUB_WORKFLOW,
    S.WAITING_HUMAN_INPUT: S.WAITING_CHILD_HUMAN_INPUT,
    S.WAITING_CHILD_HUMAN_INPUT: S.WAITING_CHILD_HUMAN_INPUT,
    S.COMPLETED: S.ACTIVE,
    S.FAILED: S.FAILED_CHILD_WORKFLOW,
    S.FAILED_CHILD_WORKFLOW: S.FAILED_CHILD_WORKFLOW,
    S.TIMED_OUT: S.FAILED_CHILD_WORKFLOW,
    S.CANCELLED: S.FAILED_CHILD_WORKFLOW,
}
"""An awaited child's status → what its parent shows; for a failure: unless the parent handles it (L19)."""


class Waits(NamedTuple):
    """What a parked execution waits for: open asks of its own, awaited children, those of them with a human below."""

    asks: int
    children: int
    human_children: int


def may(before: Status, after: Status) -> bool:
    """Whether the table permits the change."""
    return (before, after) in _MAY


def parked_status(waits: Waits) -> Status:
    """What an execution shows when every branch of it waits (L33)."""
    if waits.asks:
        return S.WAITING_HUMAN_INPUT
    if waits.human_children:
        return S.WAITING_CHILD_HUMAN_INPUT
    if waits.children:
        return S.PENDING_SUB_WORKFLOW
    return S.PENDING_ASYNC


def shown(status: Status, compensation: Compensation) -> str:
    """The status as people see it: a failed execution whose compensations are done is FAILED_ROLLED_BACK (L32)."""
    if compensation is Compensation.DONE and status in (S.FAILED, S.FAILED_CHILD_WORKFLOW):
        return "FAILED_ROLLED_BACK"
    return str(status)

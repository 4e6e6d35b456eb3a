"""What comes back from a call: the engine's side of an Outcome."""

from __future__ import annotations

from typing import Any, Literal

from remit.errors import ErrorClass, ErrorInfo
from remit.kernel.states import Status
from remit.kernel.usage import Usage

__all__ = ["Answer", "OutcomeStatus", "outcome_status"]

OutcomeStatus = Literal["completed", "failed", "timed_out", "rejected", "cancelled"]

_STATUSES: dict[Status, OutcomeStatus] = {
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    Status.FAILED_CHILD_WORKFLOW: "failed",
    Status.TIMED_OUT: "timed_out",
    Status.CANCELLED: "cancelled",
}


def outcome_status(status: Status) -> OutcomeStatus:
    """A terminal status as an Outcome names it (L12)."""
    return _STATUSES[status]


class Answer:
    """The end of a call: completed with a value, or not with an error. `seen`: whether workflow code has looked (L19)."""

    __slots__ = ("error", "execution_id", "own", "seen", "status", "subtree", "value")

    def __init__(
        self,
        status: OutcomeStatus,
        value: Any,
        error: ErrorInfo | None,
        execution_id: str | None,
        own: Usage,
        subtree: Usage,
    ) -> None:
        self.status = status
        self.value = value
        self.error = error
        self.execution_id = execution_id
        self.own = own
        self.subtree = subtree
        self.seen = False

    @property
    def aborts(self) -> bool:
        """Whether the chain must end with it: a SYSTEM error (L20)."""
        return self.error is not None and self.error.error_class is ErrorClass.SYSTEM

"""What a call gives its caller: a structured result, never an exception of the child's (L12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from remit.engine.answer import Answer, OutcomeStatus
from remit.errors import CallFailed, ErrorInfo
from remit.kernel.usage import Usage

__all__ = ["Outcome", "OutcomeUsage"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OutcomeUsage:
    """What a call used: the callee itself, and the callee with everything below it."""

    own: Usage
    subtree: Usage


class Outcome(Generic[T]):
    """The end of a call. Looking at it (status, ok, value, error, unwrap) counts as handling a failure (L19)."""

    __slots__ = ("_answer",)

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    @property
    def status(self) -> OutcomeStatus:
        """'completed', 'failed', 'timed_out', 'rejected' or 'cancelled'."""
        self._answer.seen = True
        return self._answer.status

    @property
    def ok(self) -> bool:
        """Whether the call completed."""
        self._answer.seen = True
        return self._answer.status == "completed"

    @property
    def value(self) -> T | None:
        """The result; None unless the call completed."""
        self._answer.seen = True
        return cast("T | None", self._answer.value)

    @property
    def error(self) -> ErrorInfo | None:
        """What went wrong; None if the call completed."""
        self._answer.seen = True
        return self._answer.error

    @property
    def execution_id(self) -> str | None:
        """The callee's id; None for a rejected call, which created nothing."""
        return self._answer.execution_id

    @property
    def usage(self) -> OutcomeUsage:
        """Tokens and cost."""
        return OutcomeUsage(self._answer.own, self._answer.subtree)

    def unwrap(self) -> T:
        """The result; raises CallFailed where the call did not complete: left unhandled it fails the caller (L19)."""
        self._answer.seen = True
        if self._answer.status == "completed":
            return cast("T", self._answer.value)
        error = self._answer.error
        what = f"{self._answer.execution_id or 'The call'} {self._answer.status}"
        if error is None:
            raise CallFailed(what, execution_id=self._answer.execution_id)
        raise CallFailed(
            f"{what}: {error}",
            code=error.code,
            error=error,
            details=error.details,
            execution_id=self._answer.execution_id,
        )

    def __repr__(self) -> str:
        inner = repr(self._answer.value) if self._answer.status == "completed" else str(self._answer.error)
        return f"<Outcome {self._answer.status} {self._answer.execution_id or ''} {inner}>"

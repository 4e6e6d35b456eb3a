"""Which failures are tried again, how often and when (L17, L18)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from remit.errors import ErrorClass, ErrorInfo, RemitError
from remit.kernel.durations import Duration, milliseconds

__all__ = ["Classifier", "Retry", "backoff_ms", "classify", "exhausted", "retries"]

Classifier = Callable[[BaseException], ErrorClass | None]


@dataclass(frozen=True, slots=True)
class Retry:
    """How TRANSIENT failures are retried: attempts in all, first and longest pause, and whether an expiry counts."""

    attempts: int = 3
    first: Duration = 0.5
    longest: Duration = 60
    retry_on_timeout: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.attempts, bool) or not isinstance(self.attempts, int) or not 1 <= self.attempts <= 1_000:
            raise ValueError(f"Retry(attempts={self.attempts!r}): give a whole number from 1 to 1000")
        milliseconds(self.first)
        milliseconds(self.longest)


def retries(error: ErrorInfo, attempt: int, policy: Retry) -> bool:
    """Whether the invocation layer tries again by itself after this attempt."""
    eligible = error.error_class is ErrorClass.TRANSIENT or (error.code == "lease_expired" and policy.retry_on_timeout)
    return eligible and attempt < policy.attempts


def exhausted(error: ErrorInfo, attempt: int) -> ErrorInfo:
    """What the parent sees once no attempt is left: DOMAIN, so that nobody further up retries again (L18)."""
    message = f"All {attempt} attempts failed; the last: {error.message}"
    details = {"attempts": attempt, "last": {"code": error.code, "message": error.message, "details": error.details}}
    return ErrorInfo(ErrorClass.DOMAIN, "retries_exhausted", message, details, error.origin, attempt)


def backoff_ms(attempt: int, policy: Retry, chance: float) -> int:
    """The pause after a failed attempt: exponential, with full jitter (`chance` in [0, 1))."""
    ceiling = min(milliseconds(policy.longest), milliseconds(policy.first) * 2 ** min(attempt - 1, 40))
    return int(ceiling * chance)


def classify(error: BaseException, classifier: Classifier | None = None) -> ErrorClass:
    """The class of an exception: its own, the process's classifier's, else by kind (L17)."""
    if isinstance(error, RemitError):
        return error.error_class
    if classifier is not None:
        chosen = classifier(error)
        if chosen is not None:
            return chosen
    if isinstance(error, ConnectionError | TimeoutError):
        return ErrorClass.TRANSIENT
    status = _http_status(error)
    if status is not None and (status == 429 or 500 <= status <= 599):
        return ErrorClass.TRANSIENT
    if any(
        kind.__name__ in ("TransportError", "ConnectError", "ConnectTimeout", "ReadTimeout")
        for kind in type(error).__mro__
    ):
        return ErrorClass.TRANSIENT
    return ErrorClass.DOMAIN


def _http_status(error: BaseException) -> int | None:
    """The HTTP status an exception of a client library carries, wherever that library keeps it."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
                return value
    return None

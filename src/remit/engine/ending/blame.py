"""What a body failed of when an exception left it: the error on its record, and what a retry is to make anew (L17, L19, L34)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from remit.engine.ending.faults import info_of
from remit.errors import CallFailed, ErrorClass, ErrorInfo
from remit.kernel.retry import Classifier

__all__ = ["Blame", "blame_of", "fault_of"]

_WORST_FIRST = (ErrorClass.SYSTEM, ErrorClass.DOMAIN, ErrorClass.TRANSIENT)
_TOLD_MAX = 5


class Blame(NamedTuple):
    """The error, the failed children and the positions of the failed records it came from."""

    error: ErrorInfo
    children: list[str]
    positions: list[int]
    child_failed: bool
    """Whether failures of children are all that it was."""


def blame_of(error: BaseException, origin: str, attempt: int, classifier: Classifier | None) -> Blame:
    """Judge an exception; of a group its members are judged, and the worst of them speaks for all."""
    members = list(_members(error))
    causes = [_handed_out(each) for each in members]
    infos = [
        cause.error
        if cause is each and isinstance(cause, CallFailed) and cause.error is not None
        else info_of(each, origin, attempt, classifier)
        for each, cause in zip(members, causes, strict=True)
    ]
    unwrapped = [cause is each and isinstance(cause, CallFailed) for each, cause in zip(members, causes, strict=True)]
    worst = min(infos, key=lambda each: _WORST_FIRST.index(each.error_class))
    others = [each for each in infos if each is not worst]
    return Blame(
        _among(worst, others) if others else worst,
        [each.execution_id for each in causes if isinstance(each, CallFailed) and each.execution_id is not None],
        [position for each in causes if (position := getattr(each, "position", None)) is not None],
        all(unwrapped),
    )


def fault_of(
    children: Iterable[str], positions: Iterable[int], lately: Iterable[str | int] = ()
) -> dict[str, Any] | None:
    """What the record keeps of it; `lately`: what else had failed when the body began no more effects. None for nothing."""
    more = list(lately)
    fault = {
        "children": list(dict.fromkeys([*children, *(each for each in more if isinstance(each, str))])),
        "positions": list(dict.fromkeys([*positions, *(each for each in more if isinstance(each, int))])),
    }
    return {name: found for name, found in fault.items() if found} or None


def _members(error: BaseException) -> Iterator[BaseException]:
    """The exceptions of a group, however deep; else the exception itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _members(each)
    else:
        yield error


def _handed_out(error: BaseException) -> BaseException | None:
    """The exception the engine handed to the body that this one is, or was raised from."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, CallFailed) or hasattr(current, "position"):
            return current
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return None


def _among(worst: ErrorInfo, others: list[ErrorInfo]) -> ErrorInfo:
    """The error, with what failed beside it."""
    told = [{"code": each.code, "message": each.message[:500]} for each in others[:_TOLD_MAX]]
    return replace(worst, details={**worst.details, "beside": told, "failures": len(others) + 1})

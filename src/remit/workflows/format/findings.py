"""What is wrong with a workflow, or worth a second look: each finding has its place, its words and its remedy."""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from remit.errors import DefinitionError
from remit.workflows.format.source import Position

__all__ = ["Finding", "Severity", "WorkflowInvalid", "did_you_mean", "in_order", "sparingly"]

_COMPARED_MOST = 40
"""Names that one name is compared with letter by letter: those that begin and end most like it."""
_COMPARISONS_MOST = 2_000
_left: ContextVar[list[int] | None] = ContextVar("remit_suggestions_left", default=None)
"""How many comparisons the files that are being looked at may still cost; None: any number."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: where, what, the text it is about, and what to write instead where that is known."""

    code: str
    severity: Severity
    message: str
    position: Position
    text: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        hint = f" Did you mean {self.suggestion!r}?" if self.suggestion is not None else ""
        end = "" if self.message.endswith("?") else "."
        return f"{self.position}: {self.severity}: {self.message}{end}{hint} [{self.code}]"

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "file": self.position.file,
            "line": self.position.line,
            "column": self.position.column,
            "text": self.text,
            "suggestion": self.suggestion,
        }


class WorkflowInvalid(DefinitionError):
    """Workflows that cannot be loaded; `findings` has every one of what is wrong, in order of place."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(in_order(findings))
        errors = [each for each in self.findings if each.severity == "error"]
        told = "\n".join(str(each) for each in errors)
        super().__init__(
            f"{_counted(len(errors))} in the workflows:\n{told}",
            details={"findings": [each.as_dict() for each in errors]},
        )


def _counted(errors: int) -> str:
    return "1 error" if errors == 1 else f"{errors} errors"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By file, line and column; the same finding once."""
    return sorted(dict.fromkeys(findings), key=lambda each: (each.position, each.severity, each.code, each.message))


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """The known name that is closest to another one, if any is close."""
    left = _left.get()
    if left is not None and left[0] <= 0:
        return None
    folded = {each.lower().replace("-", "_"): each for each in known}
    wanted = name.lower().replace("-", "_")[:200]
    alike: Iterable[str] = folded
    if len(folded) > _COMPARED_MOST:
        alike = heapq.nlargest(_COMPARED_MOST, folded, key=lambda each: _shared(wanted, each))
    if left is not None:
        left[0] -= min(len(folded), _COMPARED_MOST) + len(folded) // 20
    close = difflib.get_close_matches(wanted, alike, n=1, cutoff=cutoff)
    return folded[close[0]] if close else None


def _shared(one: str, other: str) -> int:
    """How many letters two names have in common at their beginning and at their end."""
    ends = zip(one, other, strict=False), zip(reversed(one), reversed(other), strict=False)
    return sum(sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], end)) for end in ends)


@contextmanager
def sparingly() -> Iterator[None]:
    """Bound what suggestions take together: of thousands of wrong names the first get one, and all are told."""
    token = _left.set([_COMPARISONS_MOST])
    try:
        yield
    finally:
        _left.reset(token)

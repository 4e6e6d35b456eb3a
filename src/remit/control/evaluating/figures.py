"""What comes of an evaluation: how each case ended in the candidate and in the current version, and what differs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remit.kernel.usage import Amount, decimal_string

__all__ = ["CaseResult", "Evaluation", "Evaluations", "Figures", "Problem", "Totals", "total"]


@dataclass(frozen=True, slots=True)
class Figures:
    """How one version ended on one input. `duration_ms` is what its effects took when they were recorded, one after the other."""

    status: str
    error: str | None
    result: Any
    used: Amount
    duration_ms: int
    effects: list[str]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "status": self.status,
            "error": self.error,
            "result": self.result,
            "tokens": self.used.tokens,
            "cost": decimal_string(self.used.cost),
            "duration_ms": self.duration_ms,
            "effects": self.effects,
        }


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a case did not pass. `kind`: input, status, result, contract, condition, policy, department_denied or unrecorded_effect; `pointer`: where in a value."""

    kind: str
    message: str
    pointer: str | None = None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case: its problems, what differs from the current version's result, and the figures of both."""

    case: str
    problems: list[Problem]
    differences: list[dict[str, Any]]
    unmade: list[str]
    """Recorded effects that the candidate did not make."""
    candidate: Figures
    current: Figures | None

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "case": self.case,
            "passed": self.passed,
            "problems": [{"kind": each.kind, "message": each.message, "pointer": each.pointer} for each in self.problems],
            "differences": self.differences,
            "unmade": self.unmade,
            "candidate": self.candidate.as_dict(),
            "current": self.current.as_dict() if self.current is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over cases: how many completed, and what they used."""

    completed: int
    tokens: int
    cost_micros: int
    duration_ms: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "completed": self.completed,
            "tokens": self.tokens,
            "cost": decimal_string(self.cost_micros),
            "duration_ms": self.duration_ms,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A version beside the current one. It passed where every case did and no contract of the same major breaks.

    `source` is {"cases": digest} or {"recorded": N}; `current` is None where no version is, or none could be run.
    """

    process: str
    version: str
    digest: str
    baseline: str | None
    source: dict[str, Any]
    findings: list[dict[str, Any]]
    breaks: bool
    """Whether a finding breaks callers of the same major."""
    cases: list[CaseResult]
    evaluated_at: datetime
    evaluated_by: str | None

    @property
    def passes(self) -> int:
        """How many cases passed."""
        return sum(each.passed for each in self.cases)

    @property
    def passed(self) -> bool:
        """Whether all is well."""
        return not self.breaks and self.passes == len(self.cases)

    @property
    def candidate(self) -> Totals:
        """Over all cases, or those that have figures of the current version, where there are such."""
        return total(each.candidate for each in self._beside())

    @property
    def current(self) -> Totals | None:
        """Over the same cases."""
        figures = [each.current for each in self._beside() if each.current is not None]
        return total(figures) if figures else None

    def _beside(self) -> list[CaseResult]:
        return [each for each in self.cases if each.current is not None] or self.cases

    def summary(self) -> dict[str, Any]:
        """All but the cases."""
        return {
            "process": self.process,
            "version": self.version,
            "digest": self.digest,
            "baseline": self.baseline,
            "source": self.source,
            "passed": self.passed,
            "cases": len(self.cases),
            "passes": self.passes,
            "breaks": self.breaks,
            "candidate": self.candidate.as_dict(),
            "current": self.current.as_dict() if self.current is not None else None,
            "evaluated_at": self.evaluated_at.isoformat(),
            "evaluated_by": self.evaluated_by,
        }

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: the summary, the findings of the contract check, and each case."""
        return {**self.summary(), "findings": self.findings, "results": [each.as_dict() for each in self.cases]}


Evaluations = list[dict[str, Any]]
"""Summaries, newest first."""


def total(figures: Iterable[Figures]) -> Totals:
    """Their sums."""
    each = list(figures)
    return Totals(
        sum(one.status == "COMPLETED" for one in each),
        sum(one.used.tokens for one in each),
        sum(one.used.cost for one in each),
        sum(one.duration_ms for one in each),
    )

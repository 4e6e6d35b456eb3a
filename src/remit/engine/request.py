"""What a body asks for when it calls another process, or has one started again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remit.engine.values.seam import Seam
from remit.kernel.retry import Retry
from remit.kernel.usage import Amount

__all__ = ["CallRequest", "ScheduleRequest"]


@dataclass(slots=True)
class CallRequest:
    """One call; None leaves it to the callee's definition."""

    target: str
    input: object
    versions: str | None = None
    key: str | None = None
    ttl_ms: int | None = None
    estimate: Amount | None = None
    limit_tokens: int | None = None
    limit_cost: int | None = None
    retry: Retry | None = None
    detached: bool = False
    result: Seam[Any] | None = None


@dataclass(slots=True)
class ScheduleRequest:
    """One schedule (L54); `skipped` and `repeated` are None where the expression itself decides."""

    name: str
    expression: str
    zone: str
    target: str
    versions: str | None
    input: object
    overlap: str
    catch_up_ms: int
    skipped: str | None = None
    repeated: str | None = None
    limit_tokens: int | None = None
    limit_cost: int | None = None

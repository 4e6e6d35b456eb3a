"""`await schedule(...)`: from now on a process is started again and again, whatever becomes of this execution (L54)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from remit.authoring.process import Process, ProcessRef, split_reference
from remit.engine.body.port import current_port
from remit.engine.request import ScheduleRequest
from remit.engine.values.texts import optional_ms
from remit.errors import InvalidInput
from remit.kernel.durations import Duration
from remit.kernel.schedules import Overlap, problem_of, problem_of_name
from remit.kernel.usage import Budget

__all__ = ["CATCH_UP", "OnRepeated", "OnSkipped", "OverlapPolicy", "schedule", "schedule_request"]

OverlapPolicy = Literal["skip", "queue", "allow"]
OnSkipped = Literal["run_after", "skip"]
OnRepeated = Literal["first", "second", "both"]
CATCH_UP = "1h"
"""How late a firing may be that nobody was there for."""


def schedule_request(
    name: str,
    cron: str,
    target: Any,
    input: object = None,
    *,
    timezone: str = "UTC",
    overlap: OverlapPolicy = "skip",
    catch_up: Duration = CATCH_UP,
    on_skipped: OnSkipped | None = None,
    on_repeated: OnRepeated | None = None,
    budget: Budget | None = None,
) -> ScheduleRequest:
    """A schedule as people write it, checked as far as it can be without the target; raises InvalidInput."""
    problem = problem_of_name(name) or problem_of(cron, timezone)
    if problem is not None:
        raise InvalidInput(f"schedule {name!r:.210}: {problem}")
    if overlap not in set(Overlap):
        raise InvalidInput(f"schedule {name!r}: overlap={overlap!r:.50} is none of {', '.join(Overlap)}")
    if budget is not None and not isinstance(budget, Budget):
        raise InvalidInput(f"schedule {name!r}: budget={budget!r}: give a Budget(tokens=..., cost=...)")
    process, versions = _target(name, target)
    return ScheduleRequest(
        name,
        cron,
        timezone,
        process,
        versions,
        input,
        overlap,
        optional_ms(catch_up, "catch_up") or 0,
        on_skipped,
        on_repeated,
        budget.tokens if budget else None,
        budget.cost_micros if budget else None,
    )


def _target(name: str, target: Any) -> tuple[str, str | None]:
    if isinstance(target, Process):
        return target.name, f"^{target.version}"
    if isinstance(target, ProcessRef):
        return target.name, target.versions
    if isinstance(target, str):
        return split_reference(target, where=f"schedule {name!r}")
    raise InvalidInput(f"schedule {name!r}: {target!r} is no process: pass a process, its name, or a ProcessRef")


async def schedule(
    name: str,
    cron: str,
    target: Any,
    input: object = None,
    *,
    timezone: str = "UTC",
    overlap: OverlapPolicy = "skip",
    catch_up: Duration = CATCH_UP,
    on_skipped: OnSkipped | None = None,
    on_repeated: OnRepeated | None = None,
    budget: Budget | None = None,
) -> datetime | None:
    """Register a schedule, or replace the one of that name in this tenant; once, however often this is replayed (L54).

    Each firing starts `target` as a root of its own, with this execution's tenant, owner and region, under `budget`.
    `cron` is read in the wall time of `timezone` (IANA). `overlap`: what a firing does while the one before still runs.
    `catch_up`: how late a firing may be that nobody was there for. `on_skipped`, `on_repeated`: what becomes of a time
    that daylight saving skips or repeats; absent: as in Debian's cron. The target must be among the process's `calls`.
    Returns when it fires first, in UTC. Raises DOMAIN `invalid_input`, `undeclared_call`, `unknown_process`.
    """
    request = schedule_request(
        name,
        cron,
        target,
        input,
        timezone=timezone,
        overlap=overlap,
        catch_up=catch_up,
        on_skipped=on_skipped,
        on_repeated=on_repeated,
        budget=budget,
    )
    first_at = await current_port("schedule()").schedule(request)
    return None if first_at is None else datetime.fromtimestamp(first_at / 1_000, UTC)

"""Schedules as operators handle them: set up from outside, listed, removed (L54)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

import orjson

from remit.authoring.schedules import OnRepeated, OnSkipped, OverlapPolicy, schedule_request
from remit.control.views import moment
from remit.engine.definitions import Definition
from remit.engine.engine import Engine
from remit.engine.time.schedules import Holder
from remit.engine.values.texts import optional_text, short_text
from remit.kernel.durations import Duration
from remit.kernel.usage import Budget, decimal_string
from remit.store.port import Reader
from remit.store.records import ScheduleRecord

__all__ = ["ScheduleTerms", "ScheduleView", "ScheduleViews", "remove", "schedule_views", "set_up"]


class ScheduleTerms(TypedDict, total=False):
    """What `Remit.schedule` takes by name, beside tenant, owner and region; see `remit.durable.schedule`."""

    timezone: str
    overlap: OverlapPolicy
    catch_up: Duration
    on_skipped: OnSkipped | None
    on_repeated: OnRepeated | None
    budget: Budget | None


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """One schedule: what it starts, when, for whom, and how far it has come.

    `waiting` firings queue for the end of `last_execution_id`; `fired` counts roots started, `skipped` firings that found
    the one before still running, `missed` times at which firings were too late, `failed` those that could not be started.
    """

    name: str
    cron: str
    timezone: str
    target: str
    versions: str
    input: Any
    overlap: str
    catch_up_ms: int
    on_skipped: str | None
    on_repeated: str | None
    budget: dict[str, Any]
    tenant: str | None
    owner: str | None
    region: str | None
    registered_by: str | None
    created_at: datetime | None
    updated_at: datetime | None
    next_at: datetime | None
    last_at: datetime | None
    last_execution_id: str | None
    waiting: int
    fired: int
    skipped: int
    missed: int
    failed: int


ScheduleViews = list[ScheduleView]


def schedule_views(reader: Reader, tenant: str | None = None) -> ScheduleViews:
    """A tenant's schedules, or all, by name."""
    return [_view(record) for record in reader.schedules(optional_text(tenant, "tenant"))]


def _view(record: ScheduleRecord) -> ScheduleView:
    cost = decimal_string(record.limit_cost) if record.limit_cost is not None else None
    return ScheduleView(
        name=record.name,
        cron=record.expression,
        timezone=record.zone,
        target=record.target,
        versions=record.versions,
        input=orjson.loads(record.input),
        overlap=record.overlap,
        catch_up_ms=record.catch_up_ms,
        on_skipped=record.skipped,
        on_repeated=record.repeated,
        budget={"tokens": record.limit_tokens, "cost": cost},
        tenant=record.tenant or None,
        owner=record.owner,
        region=record.region,
        registered_by=record.registered_by,
        created_at=moment(record.created_at),
        updated_at=moment(record.updated_at),
        next_at=moment(record.next_at),
        last_at=moment(record.last_at),
        last_execution_id=record.last_execution,
        waiting=len(orjson.loads(record.waiting or b"[]")),
        fired=record.fired,
        skipped=record.skips,
        missed=record.missed,
        failed=record.failed,
    )


async def set_up(
    engine: Engine,
    definition_of: Callable[[str], Definition],
    name: str,
    cron: str,
    target: Any,
    input: object,
    holder: Holder,
    **terms: Unpack[ScheduleTerms],
) -> ScheduleView:
    """Set up a schedule, or replace the one of that name, durably; `definition_of` finds what 'inventory@^2' names, or raises.

    Raises InvalidInput.
    """
    request = schedule_request(name, cron, target, input, **terms)
    for what in ("tenant", "owner", "region"):
        optional_text(getattr(holder, what), what)
    versions = request.versions or "*"
    definition = definition_of(f"{request.target}@{versions}")
    await engine.durability.settled()
    record = engine.schedules.put(request, definition, versions, holder)
    await engine.durability.barrier()
    return _view(record)


async def remove(engine: Engine, name: str, tenant: str | None) -> bool:
    """Remove a schedule, durably; False where there is none of that name. What it has started goes on."""
    short_text(name, "name")
    await engine.durability.settled()
    removed = engine.schedules.remove(optional_text(tenant, "tenant") or "", name)
    await engine.durability.barrier()
    return removed

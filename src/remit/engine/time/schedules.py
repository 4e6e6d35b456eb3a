"""Schedules: registered by executions or from outside, fired by the wall clock, each firing an idempotent start (L54).

A firing starts a root under a key that names schedule and moment, and moves the schedule on; both are one event. Where
none of the code hosted here is the target, a schedule stays as it is, for whoever hosts it.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from remit.engine.admission import RootTerms
from remit.engine.definitions import Definition
from remit.engine.ending.faults import exception_of
from remit.engine.request import ScheduleRequest
from remit.engine.values.seam import SeamError
from remit.errors import DomainError, InvalidInput, RemitError, StoreError
from remit.kernel.durations import spell
from remit.kernel.schedules import Overlap, Rule, due, firing_key, problem_of_name
from remit.kernel.usage import Budget, decimal_string
from remit.store.records import AlertRecord, ScheduleRecord

if TYPE_CHECKING:
    from remit.engine.body.run import Run
    from remit.engine.engine import Engine

__all__ = ["Holder", "Schedules"]

_AT_ONCE = 100
"""Schedules, and firings of one, that are seen to before the loop turns to others."""
_QUEUE_MAX = 100
_LOOK_EVERY_MS = 600_000
"""How long at most until the wall clock is looked at again: it may have been set."""
_log = logging.getLogger("remit.schedules")


class Holder(NamedTuple):
    """On whose behalf a schedule starts roots, and who registered it (None: somebody outside)."""

    tenant: str | None
    owner: str | None
    region: str | None
    execution_id: str | None


class Schedules:
    """Keeps schedules in the store and starts what is due."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._following: dict[tuple[str, str], asyncio.Task[None]] = {}

    # -- register, remove ---------------------------------------------------------------------------------------------

    def register(self, run: Run, request: ScheduleRequest) -> ScheduleRecord:
        """Register for an execution: its tenant, owner and region go with the schedule (L44).

        It may schedule what it may call (L6), and its own process: a firing is a root, so nothing goes in a circle.
        """
        caller, record = run.definition, run.node.record
        holder = Holder(record.tenant, record.owner, record.region, record.id)
        if request.target == caller.name and request.versions is None:
            return self.put(request, caller, f"^{caller.version}", holder)
        found = self._engine.catalog.resolve(caller, request.target, request.versions, record.id)
        if not isinstance(found, Definition):
            raise exception_of(found)
        rules = [rule.versions for rule in caller.calls if rule.covers(request.target)]
        return self.put(request, found, request.versions or " || ".join(rules), holder)

    def put(self, request: ScheduleRequest, definition: Definition, versions: str, holder: Holder, /) -> ScheduleRecord:
        """Register a schedule, or replace the one of that name; raises InvalidInput.

        All that was decided before is durable by now: the caller has waited for it. The same schedule again changes nothing.
        """
        now = self._wall()
        known = self._engine.store.schedule(holder.tenant or "", request.name)
        try:
            rule = Rule.of(request.expression, request.zone, request.skipped, request.repeated)
        except ValueError as error:
            raise InvalidInput(f"Schedule {request.name!r}: {error}") from None
        record = _record(request, _payload(request, definition), versions, holder, now)
        record.next_at = rule.next_after(now)
        if known is not None:
            _carry_on(record, known)
        self._engine.durability.schedule(record.tenant, record.name, record)
        following = self._look_at(record.next_at)
        if following is not None:
            self._engine.timers.expect(following)
        return record

    def remove(self, tenant: str, name: str) -> bool:
        """Remove a schedule; False where there is none. What it has started goes on."""
        found = self._engine.store.schedule(tenant, name) is not None
        if found:
            self._engine.durability.schedule(tenant, name, None)
        return found

    # -- fire ---------------------------------------------------------------------------------------------------------

    def _wall(self) -> int:
        return int(self._engine.clock.date().timestamp() * 1_000)

    def _look_at(self, next_at: int | None) -> int | None:
        """A time of the wall as one of the engine's clock."""
        if next_at is None:
            return None
        return self._engine.clock.now() + min(max(0, next_at - self._wall()), _LOOK_EVERY_MS)

    def next_look(self) -> int | None:
        """When to look at schedules next, by the engine's clock; None where there is nothing to fire."""
        targets = self._engine.catalog.names()
        return self._look_at(self._engine.store.next_schedule(targets)) if targets else None

    def recover(self) -> None:
        """Take up what queued when the last owner ended."""
        for record in self._engine.store.queued_schedules(self._engine.catalog.names()):
            self._follow(record)

    def fire(self) -> None:
        """Start what is due. All that was decided before is durable."""
        targets = self._engine.catalog.names()
        if targets:
            now = self._wall()
            for record in self._engine.store.due_schedules(now, targets, _AT_ONCE):
                self._settle(record, now)

    def _settle(self, record: ScheduleRecord, now: int) -> None:
        assert record.next_at is not None
        try:
            rule = Rule.of(record.expression, record.zone, record.skipped, record.repeated)
        except ValueError as error:  # this machine may lack the zone
            record.next_at = None
            self._failed(record, str(error))
        else:
            owed = due(rule, record.next_at, now, record.catch_up_ms, _AT_ONCE)
            if owed.missed is not None:
                self._missed(record, *owed.missed)
            for at in owed.fire:
                self._fire(record, at)
            record.next_at = owed.following
        self._engine.durability.schedule(record.tenant, record.name, record)

    def _fire(self, record: ScheduleRecord, at: int) -> None:
        if record.overlap == Overlap.ALLOW or not self._overlaps(record):
            self._start(record, at)
        elif record.overlap == Overlap.SKIP:
            record.skips += 1
            _log.info("schedule %s skips %s: %s still runs", record.name, _iso(at), record.last_execution)
        else:
            self._queue(record, at)

    def _overlaps(self, record: ScheduleRecord) -> bool:
        if record.waiting is not None:
            return True
        if record.last_execution is None:
            return False
        node = self._engine.traces.nodes.get(record.last_execution)
        if node is not None:
            return not node.ended
        last = self._engine.store.execution(record.last_execution)
        return last is not None and last.ended_at is None

    def _start(self, record: ScheduleRecord, at: int) -> None:
        """Start the root of one firing; one that cannot be started is told, and the schedule goes on."""
        key = firing_key(record.name, at)
        try:
            definition = self._engine.catalog.newest(record.target, record.versions)
            if definition is None:
                raise DomainError(
                    f"No version of {record.target!r} in {record.versions} is hosted here", code="no_matching_version"
                )
            self._refuse_others(record, definition)
            value = definition.input.decode(record.input)
            terms = RootTerms(key, record.tenant or None, record.owner, record.region, _budget(record), None, None)
            started, new = self._engine.start(definition, value, terms)
        except RemitError as error:
            self._failed(record, f"the firing of {_iso(at)} could not be started ({error})")
            return
        record.last_at, record.last_execution = at, started.id
        record.fired += new

    def _refuse_others(self, record: ScheduleRecord, definition: Definition) -> None:
        """What an execution has registered fires what its department may call, also when that has changed since (L45)."""
        by = self._engine.store.execution(record.registered_by) if record.registered_by is not None else None
        if by is not None and by.process != definition.name:
            fault = self._engine.catalog.closed_to(by.process, by.department, definition)
            if fault is not None:
                raise exception_of(fault)

    # -- one after another --------------------------------------------------------------------------------------------

    def _queue(self, record: ScheduleRecord, at: int) -> None:
        waiting = _moments(record)
        if len(waiting) >= _QUEUE_MAX:
            record.missed += 1
            self._alert(
                record,
                "schedule_missed",
                f"Schedule {record.name!r} does not start for {_iso(at)}: {_QUEUE_MAX} firings wait for {record.last_execution}",
                {"from": _iso(at), "to": _iso(at)},
            )
            return
        record.waiting = orjson.dumps([*waiting, at])
        self._follow(record)

    def _follow(self, record: ScheduleRecord) -> None:
        """Start the next in line once the last execution has ended."""
        key = (record.tenant, record.name)
        if key not in self._following:
            # In a context of its own: a timer's is that of whoever armed it, perhaps of a body, whose branch this is not.
            task = asyncio.Task(self._next_in_line(*key), loop=self._engine.loop, context=Context())
            self._following[key] = task

    async def _next_in_line(self, tenant: str, name: str) -> None:
        engine = self._engine
        try:
            while True:
                await engine.durability.settled()
                record = engine.store.schedule(tenant, name)
                if record is None or record.waiting is None:
                    return
                if record.last_execution is not None:
                    ended = await engine.outcomes.ended(record.last_execution)
                    await engine.durability.settled()
                    record = engine.store.schedule(tenant, name)
                    if record is None or record.waiting is None or (ended and ended.id != record.last_execution):
                        continue
                at, *rest = _moments(record)
                self._start(record, at)
                record.waiting = orjson.dumps(rest) if rest else None
                engine.durability.schedule(tenant, name, record)
        except StoreError as error:
            _log.warning("schedule %s waits for the next owner of the store: %s", name, error)
        finally:  # at once: whoever queues another firing from here on must find that nobody follows
            del self._following[tenant, name]

    def close(self) -> None:
        """Stop."""
        for task in list(self._following.values()):
            task.cancel()

    # -- what operators are told --------------------------------------------------------------------------------------

    def _missed(self, record: ScheduleRecord, since: int, until: int) -> None:
        record.missed += 1
        self._alert(
            record,
            "schedule_missed",
            f"Schedule {record.name!r} was not fired from {_iso(since)} to {_iso(until)}:"
            f" that is further back than its catch-up window of {spell(record.catch_up_ms)}",
            {"from": _iso(since), "to": _iso(until)},
        )

    def _failed(self, record: ScheduleRecord, why: str) -> None:
        record.failed += 1
        _log.error("schedule %s could not be fired; its alert says why", record.name)
        self._alert(record, "schedule_failed", f"Schedule {record.name!r}: {why}", {"why": why})

    def _alert(self, record: ScheduleRecord, code: str, message: str, details: dict[str, Any]) -> None:
        payload = orjson.dumps({"schedule": record.name, **details})
        now = self._engine.clock.now()
        self._engine.durability.alert(
            AlertRecord(
                code, record.registered_by, record.tenant or None, message, payload, now, subject=f"schedule {record.name}"
            )
        )


def _payload(request: ScheduleRequest, definition: Definition) -> bytes:
    problem = problem_of_name(request.name)
    if problem is not None:
        raise InvalidInput(problem)
    try:
        return definition.input.accept(request.input)
    except SeamError as error:
        raise InvalidInput(
            f"Schedule {request.name!r}: process {definition.name!r} cannot take this input: {error}", path=error.path
        ) from None


def _record(request: ScheduleRequest, payload: bytes, versions: str, holder: Holder, now: int) -> ScheduleRecord:
    return ScheduleRecord(
        tenant=holder.tenant or "",
        name=request.name,
        expression=request.expression,
        zone=request.zone,
        skipped=request.skipped,
        repeated=request.repeated,
        overlap=request.overlap,
        catch_up_ms=request.catch_up_ms,
        target=request.target,
        versions=versions,
        input=payload,
        owner=holder.owner,
        region=holder.region,
        limit_tokens=request.limit_tokens,
        limit_cost=request.limit_cost,
        registered_by=holder.execution_id,
        created_at=now,
        updated_at=now,
        next_at=None,
    )


_WHEN = ("expression", "zone", "skipped", "repeated")
_WHAT = ("target", "versions", "input", "overlap", "catch_up_ms", "owner", "region", "limit_tokens", "limit_cost")
_SO_FAR = ("created_at", "last_at", "last_execution", "fired", "skips", "missed", "failed")


def _carry_on(record: ScheduleRecord, known: ScheduleRecord) -> None:
    """What the replaced schedule has done stays known; what it still owes stays owed where nothing about it has changed."""
    for field in _SO_FAR:
        setattr(record, field, getattr(known, field))
    if all(getattr(record, field) == getattr(known, field) for field in (*_WHEN, *_WHAT)):
        record.next_at, record.waiting, record.updated_at = known.next_at, known.waiting, known.updated_at


def _budget(record: ScheduleRecord) -> Budget | None:
    if record.limit_tokens is None and record.limit_cost is None:
        return None
    return Budget(
        tokens=record.limit_tokens,
        cost=decimal_string(record.limit_cost) if record.limit_cost is not None else None,
    )


def _moments(record: ScheduleRecord) -> list[int]:
    moments: list[int] = orjson.loads(record.waiting or b"[]")
    return moments


def _iso(at: int) -> str:
    return firing_key("", at).removeprefix("schedule::")

"""Durable steps, tools and models: replayed if recorded, else run behind the barrier and recorded (L46, L47)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from remit.engine.definitions import StepDefinition
from remit.engine.faults import decode_error, encode_error, exception_of, info_of
from remit.engine.metering import Hold
from remit.engine.port import INSIDE_STEP
from remit.engine.seam import SeamError, canonical, digest
from remit.engine.watchdog import LoopBlocked
from remit.errors import ContractViolation, DomainError, ErrorClass, ErrorInfo, RemitError, TransientError
from remit.kernel.usage import Usage
from remit.store import boundaries
from remit.store.records import JournalRecord

if TYPE_CHECKING:
    from remit.engine.run import Run

__all__ = ["perform"]


class _Recorded:
    """A recorded step on its way to a branch; a `Completion`."""

    __slots__ = ("_run", "entry", "future")

    def __init__(self, run: Run, entry: JournalRecord) -> None:
        self._run = run
        self.entry = entry
        self.future: asyncio.Future[None] = run.loop.create_future()

    def place(self, order: int) -> None:
        self.entry.completed = order
        self._run.engine.durability.amend(self.entry)

    def resolve(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


async def perform(run: Run, step: StepDefinition, arguments: dict[str, Any]) -> Any:
    """Run a step once, or return what it recorded; raises what it recorded too."""
    await run.enter()
    params = canonical(arguments, f"the arguments of {step.kind} {step.name!r}")
    key = run.history.effect_key(step.kind, step.name, digest(params))
    entry = run.claim(key) if run.history.recorded else None
    if entry is None:
        await run.go_live(f"{step.kind}:{step.name}", {"effect": f"{step.kind} {step.name}({params[:500].decode('utf-8', 'replace')})", "target": step.name})
        entry = _enter(run, step, key, params)
    else:
        assert isinstance(entry, JournalRecord)
        if entry.ended_at is None:
            _restart(run, step, entry)
    if entry.ended_at is None:
        await _run(run, step, arguments, entry)
        if run.single and not run.delivery.owing:
            run.delivery.complete(_Recorded(run, entry))
            return await _value(run, step, entry)
    recorded = _Recorded(run, entry)
    if entry.completed is None:
        run.delivery.complete(recorded)
    elif run.delivery.replay(entry.completed, recorded):
        recorded.resolve()
    if not recorded.future.done():
        await run.wait(recorded.future, fresh=False)
    return await _value(run, step, entry)


async def _value(run: Run, step: StepDefinition, entry: JournalRecord) -> Any:
    """The recorded result; a recorded error is raised, and a SYSTEM one ends the execution without coming back (L20)."""
    if entry.error is not None:
        info = decode_error(entry.error)
        if info.error_class is ErrorClass.SYSTEM:
            run.engine.endings.fail(run.node, info, {"position": entry.position})
            await run.never()
        error = exception_of(info)
        error.position = entry.position  # type: ignore[attr-defined]  # which record a retry must set aside (L18, L34)
        raise error
    return step.result.decode(entry.result or b"null")


def _enter(run: Run, step: StepDefinition, key: bytes, params: bytes) -> JournalRecord:
    record = run.node.record
    position = run.history.admit(len(params))
    entry = JournalRecord(record.n, record.generation, position, step.kind, step.name, key, params, attempt=record.attempt, started_at=run.engine.clock.now())
    run.engine.durability.enter(entry)
    return entry


def _restart(run: Run, step: StepDefinition, entry: JournalRecord) -> None:
    """A step that was running in a crash: run again, unless at most once was promised (L47); what it reserved is charged (L27)."""
    engine = run.engine
    engine.metering.charge_unrecorded(run.node, entry)
    if step.at_most_once:
        message = f"{step.kind} {step.name!r} was running when its process ended; at_most_once forbids running it again"
        entry.error = encode_error(ErrorInfo(ErrorClass.DOMAIN, "interrupted", message, {"step": step.name}, run.node.id, run.node.record.attempt))
        entry.ended_at = engine.clock.now()
    entry.attempt = run.node.record.attempt
    engine.durability.amend(entry)


async def _run(run: Run, step: StepDefinition, arguments: dict[str, Any], entry: JournalRecord) -> None:
    """Reserve, wait until all that precedes is durable, do the work, record it."""
    engine = run.engine
    hold = await _hold(run, step, entry)
    await engine.durability.barrier()
    if not run.valid:
        engine.refused(run)
        await run.never()
    if boundaries.reach is not None:
        boundaries.reach("step.before")
    draft = replace(entry)
    try:
        usage = await _work(run, step, arguments, draft)
    except asyncio.CancelledError:
        if hold is not None and run.valid:
            engine.metering.abandon_one(run.node, entry, hold)
        raise
    if not run.valid:
        engine.refused(run)
        await run.never()
    entry.result, entry.error = draft.result, draft.error
    if boundaries.reach is not None:
        boundaries.reach("step.after")
    entry.ended_at = engine.clock.now()
    if hold is not None or usage is not None:
        engine.metering.settle(hold, run.node, entry, usage)
    engine.durability.amend(entry)
    if boundaries.reach is not None:
        boundaries.reach("step.recorded")


async def _hold(run: Run, step: StepDefinition, entry: JournalRecord) -> Hold | None:
    if not (step.maximum.tokens or step.maximum.cost):
        return None
    try:
        return await run.engine.metering.hold(run, entry, step.maximum)
    except RemitError as error:
        entry.error = encode_error(error.info(run.node.id, run.node.record.attempt))
        entry.ended_at = run.engine.clock.now()
        run.engine.durability.amend(entry)
        error.position = entry.position  # type: ignore[attr-defined]
        raise


async def _work(run: Run, step: StepDefinition, arguments: dict[str, Any], entry: JournalRecord) -> Usage | None:
    """Call the function and put its result or error into the entry; what it reports as used."""
    inside = INSIDE_STEP.set(step.name)
    value: Any = None
    try:
        value = await run.engine.workers.call(run, step, arguments)
        entry.result, arrived = step.result.cross(value)
    except SeamError as error:
        violation = ContractViolation(f"{step.kind} {step.name!r} returned what its annotation does not allow: {error}", path=error.path)
        _fail(run, entry, violation)
        return step.usage(value)
    except LoopBlocked as blocked:
        message = f"{step.kind} {step.name!r} blocked the event loop in {blocked} and was cut off. Make it a plain `def`: sync steps run in threads."
        _fail(run, entry, DomainError(message, code="blocked_event_loop"))
    except Exception as error:
        _fail(run, entry, error)
        reported = getattr(error, "usage", None)
        return reported if isinstance(reported, Usage) else None
    else:
        return step.usage(arrived)
    finally:
        INSIDE_STEP.reset(inside)
    return None


def _fail(run: Run, entry: JournalRecord, error: Exception) -> None:
    if isinstance(error, TransientError):
        run.engine.log.debug("%s %s failed with a transient error", entry.kind, entry.name, exc_info=error)
    info = info_of(error, run.node.id, run.node.record.attempt, run.definition.classifier)
    entry.error = encode_error(info)

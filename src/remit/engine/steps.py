"""Durable steps, tools and models: replayed if recorded, else run behind the barrier and recorded (L46, L47)."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from remit.engine.apart.watchdog import LoopBlocked
from remit.engine.body.history import effect_of
from remit.engine.body.port import INSIDE_STEP
from remit.engine.definitions import StepDefinition
from remit.engine.ending.faults import decode_error, encode_error, exception_of, info_of
from remit.engine.ending.intents import intent_of, leave, left_running, was_left
from remit.engine.governing.ahead import ahead_of_effect
from remit.engine.governing.judgement import judge_effect, noted
from remit.engine.metering import Hold
from remit.engine.values.plain_json import loads
from remit.engine.values.seam import SeamError, canonical, digest
from remit.errors import ContractViolation, DomainError, ErrorClass, ErrorInfo, RemitError, Suspension
from remit.kernel.usage import Usage
from remit.store import boundaries
from remit.store.records import EffectKind, JournalRecord

if TYPE_CHECKING:
    from remit.engine.body.run import Run

__all__ = ["crossed", "enter", "enter_governed", "in_turn", "own", "perform", "recorded_value", "retyped"]

_IMMUTABLE = frozenset({str, int, float, bool, bytes, type(None)})


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


class _Work(NamedTuple):
    """What came of calling a step's function."""

    result: bytes | None
    error: bytes | None
    value: Any
    usage: Usage | None


async def perform(run: Run, step: StepDefinition, arguments: dict[str, Any]) -> Any:
    """Run a step once, or return what it recorded; raises what it recorded too."""
    if not run.may_act():
        await run.never()
    params = canonical(arguments, f"the arguments of {step.kind} {step.name!r}")
    history = run.history
    key = history.effect_key(step.kind, step.name, digest(params))
    entry = run.claim(key) if history.recorded else None
    if entry is None:
        if history.recorded:
            await run.go_live(f"{step.kind}:{step.name}", effect_of(step.kind, step.name, params))
        governed = run.engine.governance is not None and step.kind is not EffectKind.STEP
        if governed:
            await _looked_through(run, step, key, params)
        entry = enter_governed(run, step, key, params) if governed else enter(run, step, key, params)
    else:
        assert isinstance(entry, JournalRecord)
        if entry.ended_at is None:
            _restart(run, step, entry)
        elif was_left(entry):
            await run.given_up()
    if entry.ended_at is None:
        crossing = own(arguments) if entry.terms is None else crossed(step, arguments, entry)
        value = await _run(run, step, crossing, entry)
        order = run.delivery.alone()
        if order is not None:
            entry.completed = order
            return value if entry.error is None else await recorded_value(run, step, entry)
    await in_turn(run, entry)
    return await recorded_value(run, step, entry)


def own(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as the step's own: what it does to them, the body sees neither live nor in replay (L13)."""
    return arguments if all(type(each) in _IMMUTABLE for each in arguments.values()) else deepcopy(arguments)


async def in_turn(run: Run, entry: JournalRecord) -> None:
    """Wait for the turn of this completion among those of other branches (L11)."""
    recorded, told = _Recorded(run, entry), entry.completed is not None
    if entry.completed is None:
        run.delivery.complete(recorded)
    elif run.delivery.replay(entry.completed, recorded):
        return
    if recorded.future.done():
        return
    try:
        await run.wait(recorded.future, fresh=False, told=told)
    except asyncio.CancelledError:
        if run.valid:
            run.unheard(recorded)
        raise


async def recorded_value(run: Run, step: StepDefinition, entry: JournalRecord) -> Any:
    """The recorded result; a recorded error is raised, and a SYSTEM one ends the execution without coming back (L20)."""
    if entry.error is None:
        return step.result.decode(entry.result or b"null")
    info = decode_error(entry.error)
    if info.error_class is ErrorClass.SYSTEM:
        run.engine.endings.fail(run.node, info, {"position": entry.position})
        await run.never()
    run.failed_lately.append((entry.position, info.error_class))
    error = exception_of(info)
    error.position = entry.position  # type: ignore[attr-defined]  # which record a retry must set aside (L18, L34)
    raise error


def enter(run: Run, step: StepDefinition, key: bytes, params: bytes) -> JournalRecord:
    """The step's journal entry, as it is before the step runs."""
    record = run.node.record
    position = run.history.admit(len(params))
    entry = JournalRecord(
        record.n,
        record.generation,
        position,
        step.kind,
        step.name,
        key,
        params,
        attempt=record.attempt,
        started_at=run.engine.clock.now(),
        terms=intent_of(step) if step.compensate is not None else None,
    )
    run.engine.durability.enter(entry)
    return entry


async def _looked_through(run: Run, step: StepDefinition, key: bytes, params: bytes) -> None:
    """Wait for filters that look through the parameters for long; a branch that gives up meanwhile gives up there in replay too (L11)."""
    try:
        await ahead_of_effect(run, params)
    except asyncio.CancelledError:
        if run.valid:
            entry = enter(run, replace(step, compensate=None), key, b"{}")  # it has not begun, and is not undone
            leave(run.node, entry, f"The branch that was to run {step.kind} {step.name!r} was cancelled", run.engine.clock.now())
            run.engine.audit.refused(run.node.id, entry)
        raise
    if not run.valid:
        run.engine.refused(run)
        await run.never()


def enter_governed(run: Run, step: StepDefinition, key: bytes, params: bytes) -> JournalRecord:
    """The entry of a tool or model call as policies let it pass: without what filters take out, or refused (L43)."""
    engine = run.engine
    assert engine.governance is not None
    passed = judge_effect(engine.governance, run.node, step, params)
    entry = enter(run, step, key, passed.payload)
    if passed.redacted:
        kept = orjson.loads(entry.terms) if entry.terms is not None else {}
        entry.terms = orjson.dumps({**kept, **noted(passed.redacted, "tool")})
    if passed.denial is not None:
        error = passed.denial.error(run.node.id, run.node.path)
        entry.error = encode_error(error)
        entry.ended_at = engine.clock.now()
        engine.audit.refused(run.node.id, entry)
        details = {**error.details, str(step.kind): step.name}
        engine.alert(run.node, error.code, error.message, details, about=f"{step.kind} {step.name}")
    return entry


def crossed(step: StepDefinition, arguments: dict[str, Any], entry: JournalRecord) -> dict[str, Any]:
    """The arguments as the entry has them, where something was taken out of them; else the step's own."""
    if b'"redacted"' not in (entry.terms or b""):
        return own(arguments)
    return retyped(step, entry.params or b"{}")


def retyped(step: StepDefinition, params: bytes) -> dict[str, Any]:
    """Arguments from their JSON, as the function's annotations name them."""
    plain: dict[str, Any] = loads(params)
    return step.retype(plain) if step.retype is not None else plain


def _restart(run: Run, step: StepDefinition, entry: JournalRecord) -> None:
    """A step that was running in a crash: run again, unless at most once was promised (L47); what it reserved is charged (L27)."""
    engine = run.engine
    engine.metering.charge_unrecorded(run.node, entry)
    if step.at_most_once:
        message = f"{step.kind} {step.name!r} was running when its process ended; at_most_once forbids running it again"
        entry.error = encode_error(
            ErrorInfo(
                ErrorClass.DOMAIN, "interrupted", message, {"step": step.name}, run.node.id, run.node.record.attempt
            )
        )
        entry.ended_at = engine.clock.now()
        left_running(entry)
    entry.attempt = run.node.record.attempt
    engine.durability.amend(entry)
    if entry.ended_at is not None:
        engine.audit.returned(run.node.id, entry)


async def _run(run: Run, step: StepDefinition, arguments: dict[str, Any], entry: JournalRecord) -> Any:
    """Reserve, wait until all that precedes is durable, do the work, record it; the value, where there is one."""
    engine = run.engine
    hold = await _hold(run, step, entry) if step.maximum.tokens or step.maximum.cost else None
    if entry.ended_at is not None:
        return None
    engine.audit.called(run.node.id, entry)
    try:
        work = await (_pending(run, step, arguments) if step.pending else _begun(run, step, arguments))
    except asyncio.CancelledError:
        if run.valid:
            _leave(run, entry, hold)
        raise
    if not run.valid:
        engine.refused(run)
        await run.never()
    if boundaries.reach is not None:
        boundaries.reach("step.after")
    entry.result, entry.error = work.result, work.error
    run.history.bytes += len(entry.result or b"")
    entry.ended_at = engine.clock.now()
    metered = hold is not None or work.usage is not None
    if metered:
        engine.metering.settle(hold, run.node, entry, work.usage)
    engine.durability.amend(entry)
    engine.audit.returned(run.node.id, entry)
    if metered and entry.error is None:
        await _pay_for(run, entry)
    if boundaries.reach is not None:
        boundaries.reach("step.recorded")
    return work.value


async def _pay_for(run: Run, entry: JournalRecord) -> None:
    """An effect that took more than it had reserved may have passed the limit: its result is told once there is room for it (L26)."""
    try:
        await run.engine.metering.stay_within(run, entry.name)
    except RemitError as error:
        entry.error = encode_error(error.info(run.node.id, run.node.record.attempt))
        run.engine.durability.amend(entry)


async def _pending(run: Run, step: StepDefinition, arguments: dict[str, Any]) -> _Work:
    """Do work that shows as PENDING_ASYNC."""
    run.engine.waiting.work_begins(run.node)
    try:
        return await _begun(run, step, arguments)
    finally:
        if run.valid:
            run.engine.waiting.work_ends(run.node)


async def _begun(run: Run, step: StepDefinition, arguments: dict[str, Any]) -> _Work:
    """Do the work once all that precedes is durable (L46)."""
    await run.engine.durability.barrier()
    if not run.valid:
        run.engine.refused(run)
        await run.never()
    if boundaries.reach is not None:
        boundaries.reach("step.before")
    return await _work(run, step, arguments)


def _leave(run: Run, entry: JournalRecord, hold: Hold | None) -> None:
    """The branch was cancelled: nobody needs the step any more, and replay, which comes to it again, does not run it again."""
    engine = run.engine
    if hold is not None:
        engine.metering.abandon_one(run.node, entry, hold)
        return
    leave(run.node, entry, f"The branch that ran {entry.kind} {entry.name!r} was cancelled", engine.clock.now())
    left_running(entry)
    engine.durability.amend(entry)
    engine.audit.returned(run.node.id, entry)


async def _hold(run: Run, step: StepDefinition, entry: JournalRecord) -> Hold | None:
    """Reserve the effect's maximum; where there is no headroom, that is what the step has recorded (L26)."""
    try:
        return await run.engine.metering.hold(run, entry, step.maximum)
    except RemitError as error:
        entry.error = encode_error(error.info(run.node.id, run.node.record.attempt))
        entry.ended_at = run.engine.clock.now()
        run.engine.durability.amend(entry)
        run.engine.audit.refused(run.node.id, entry)
        return None


async def _work(run: Run, step: StepDefinition, arguments: dict[str, Any]) -> _Work:
    """Call the function; its result as it crosses, or its error, and what it reports as used."""
    inside = INSIDE_STEP.set(step.name)
    value: Any = None
    try:
        value = await run.engine.workers.call(step, arguments)
        result, arrived = step.result.cross(value)
    except SeamError as error:
        violation = ContractViolation(
            f"{step.kind} {step.name!r} returned what its annotation does not allow: {error}", path=error.path
        )
        return _Work(None, _failure(run, violation), None, step.usage(value))
    except LoopBlocked as blocked:
        message = f"{step.kind} {step.name!r} blocked the event loop in {blocked} and was cut off. Make it a plain `def`: sync steps run in threads."
        return _Work(None, _failure(run, DomainError(message, code="blocked_event_loop")), None, None)
    except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, Suspension):
        raise
    except BaseException as error:  # SystemExit too: what a step raises fails the step, not this program
        return _Work(None, _failure(run, error), None, step.usage_of_failure(error))
    finally:
        INSIDE_STEP.reset(inside)
    return _Work(result, None, arrived, step.usage(arrived))


def _failure(run: Run, error: BaseException) -> bytes:
    return encode_error(info_of(error, run.node.id, run.node.record.attempt, run.definition.classifier))

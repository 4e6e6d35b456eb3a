"""What a body may wait for besides children and steps: people, time, events; and values that differ from run to run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from remit.engine.body.history import effect_of
from remit.engine.ending.faults import decode_error, encode_error, exception_of
from remit.engine.ending.intents import was_left
from remit.engine.request import ScheduleRequest
from remit.engine.values.seam import Seam, SeamError, canonical, digest, trimmed
from remit.errors import ErrorClass, ErrorInfo, RemitError
from remit.kernel.lease import MAX_WAIT_MS
from remit.kernel.usage import Usage
from remit.store.records import EffectKind, JournalRecord

if TYPE_CHECKING:
    from remit.engine.body.run import Run

__all__ = ["Wait", "ask", "changed", "charge", "schedule", "sleep", "value", "wait_event"]


class Wait:
    """A branch that waits for a journal entry to be settled; a `Completion`."""

    __slots__ = ("entry", "future", "on_timeout", "run")

    def __init__(self, run: Run, entry: JournalRecord, on_timeout: bytes | None = None) -> None:
        self.run = run
        self.entry = entry
        self.future: asyncio.Future[None] = run.loop.create_future()
        self.on_timeout = on_timeout

    def place(self, order: int) -> None:
        """Record the place in the order of completion."""
        self.entry.completed = order
        self.run.history.bytes += len(self.entry.result or b"")
        self.run.engine.durability.amend(self.entry)

    def resolve(self) -> None:
        """Let the branch go on."""
        if not self.future.done():
            self.future.set_result(None)


async def _claim(run: Run, kind: EffectKind, name: str, params: bytes) -> tuple[JournalRecord | None, bytes]:
    """The recorded entry of this effect, or the key under which to make one."""
    if not run.may_act():
        await run.never()
    key = run.history.effect_key(kind, name, digest(params))
    found = run.claim(key) if run.history.recorded else None
    if found is None:
        if run.history.recorded:
            await run.go_live(f"{kind}:{name}", effect_of(kind, name, params))
        return None, key
    assert isinstance(found, JournalRecord)
    return found, key


def _enter(
    run: Run,
    kind: EffectKind,
    name: str,
    key: bytes,
    params: bytes,
    due_at: int | None = None,
    terms: bytes | None = None,
) -> JournalRecord:
    record = run.node.record
    position = run.history.admit(len(params))
    entry = JournalRecord(
        record.n,
        record.generation,
        position,
        kind,
        name,
        key,
        params,
        attempt=record.attempt,
        started_at=run.engine.clock.now(),
        due_at=due_at,
        terms=terms,
    )
    run.engine.durability.enter(entry)
    if due_at is not None:
        run.engine.timers.expect(due_at)
    return entry


async def _settled(run: Run, entry: JournalRecord, *, fresh: bool) -> JournalRecord:
    """Wait until the entry has its result, and for its turn. One that its branch gave up is given up again, by what did it then."""
    if was_left(entry):
        await run.given_up()
    wait, told = Wait(run, entry), False
    if entry.ended_at is None:
        run.waits[entry.position] = wait
    elif entry.completed is None:
        run.delivery.complete(wait)
    elif run.delivery.replay(entry.completed, wait):
        wait.resolve()
    else:
        told = True
    if not wait.future.done():
        try:
            await run.wait(wait.future, fresh=fresh, told=told)
        except asyncio.CancelledError:
            if run.valid and run.waits.pop(entry.position, None) is not None:
                run.engine.settling.withdraw(run, entry)
            elif run.valid:
                run.unheard(wait)
            raise
    if entry.error is not None:
        error = exception_of(decode_error(entry.error))
        error.position = entry.position  # type: ignore[attr-defined]  # which record a retry must set aside (L34)
        raise error
    return entry


async def ask(
    run: Run,
    answer: Seam[Any],
    name: str,
    prompt: str,
    to: str | None,
    timeout_ms: int | None,
    on_timeout: bytes | None,
) -> Any:
    """Ask a human and wait; without an answer in time the default, or DOMAIN `ask_timeout`."""
    params = canonical({"prompt": prompt, "to": to}, f"ask {name!r}")
    entry, key = await _claim(run, EffectKind.ASK, name, params)
    fresh = entry is None
    if entry is None:
        default = on_timeout.decode() if on_timeout is not None else None
        terms = trimmed(orjson.dumps({"schema": answer.schema(), "on_timeout": default}))
        due_at = run.engine.clock.now() + min(timeout_ms if timeout_ms is not None else MAX_WAIT_MS, MAX_WAIT_MS)
        entry = _enter(run, EffectKind.ASK, name, key, params, due_at, terms)
        run.node.asks += 1
    settled = await _settled(run, entry, fresh=fresh)
    try:
        return answer.decode(settled.result or b"null")
    except SeamError as error:
        raise exception_of(
            ErrorInfo(
                ErrorClass.DOMAIN,
                "invalid_input",
                f"The answer to {name!r} does not fit: {error}",
                {"path": error.path},
            )
        ) from None


async def sleep(run: Run, duration_ms: int) -> None:
    """Sleep durably."""
    entry, key = await _claim(run, EffectKind.SLEEP, "sleep", str(duration_ms).encode())
    fresh = entry is None
    if entry is None:
        due_at = run.engine.clock.now() + min(duration_ms, MAX_WAIT_MS)
        entry = _enter(run, EffectKind.SLEEP, "sleep", key, str(duration_ms).encode(), due_at)
    await _settled(run, entry, fresh=fresh)


async def wait_event(run: Run, name: str, label: str | None, timeout_ms: int | None) -> Any:
    """Wait for an event of that name; one that came early is taken at once (L50)."""
    params = canonical({"key": label}, f"event {name!r}")
    entry, key = await _claim(run, EffectKind.EVENT, name, params)
    fresh = entry is None
    if entry is None:
        await run.engine.durability.settled()  # an event that cannot be read yet would be missed
        if not run.may_act():
            await run.never()
        due_at = run.engine.clock.now() + min(timeout_ms if timeout_ms is not None else MAX_WAIT_MS, MAX_WAIT_MS)
        entry = _enter(run, EffectKind.EVENT, name, key, params, due_at)
    if entry.ended_at is None:  # a crash may have come between the wait and the event that was there already
        run.engine.settling.take_early_event(run.node, entry)
    return orjson.loads((await _settled(run, entry, fresh=fresh)).result or b"null")


async def value(run: Run, name: str, produce: Callable[[], Any]) -> Any:
    """A value that differs from run to run, recorded the first time: a JSON-able one (L52)."""
    entry, key = await _claim(run, EffectKind.VALUE, name, b"null")
    if entry is None:
        entry = _enter(run, EffectKind.VALUE, name, key, b"null")
        entry.result = trimmed(orjson.dumps(produce()))
        entry.ended_at = run.engine.clock.now()
        run.engine.durability.amend(
            entry
        )  # producing it may have flushed: cancelling a child that has left memory does
    return orjson.loads(entry.result or b"null")


async def schedule(run: Run, request: ScheduleRequest) -> int | None:
    """Register a schedule on behalf of the execution, once: when it fires first (L54)."""
    params = canonical(request, f"schedule {request.name!r}")
    entry, key = await _claim(run, EffectKind.SCHEDULE, request.name, params)
    if entry is None:
        await run.engine.durability.settled()  # a schedule of that name that cannot be read yet would not be replaced
        if not run.may_act():
            await run.never()
        entry = _enter(run, EffectKind.SCHEDULE, request.name, key, params)
        try:
            entry.result = trimmed(orjson.dumps(run.engine.schedules.register(run, request).next_at))
        except RemitError as error:
            entry.error = encode_error(error.info(run.node.id, run.node.record.attempt))
        entry.ended_at = run.engine.clock.now()
        run.engine.durability.amend(entry)
    first_at: int | None = orjson.loads((await _settled(run, entry, fresh=False)).result or b"null")
    return first_at


async def charge(run: Run, usage: Usage) -> None:
    """Count usage that no tool or model reports, once."""
    params = (
        canonical([usage.tokens, usage.input_tokens, usage.output_tokens, str(usage.cost)], "charge()")
        if _plain(usage)
        else repr(usage).encode()
    )
    entry, key = await _claim(run, EffectKind.CHARGE, "charge", params)
    if entry is None:
        entry = _enter(run, EffectKind.CHARGE, "charge", key, params if _plain(usage) else b"null")
        entry.ended_at = run.engine.clock.now()
        try:
            await run.engine.metering.report(run, usage, entry)
        except Exception as error:
            entry.error = encode_error(error.info(run.node.id, run.node.record.attempt))  # type: ignore[attr-defined]
            raise
    if entry.error is not None:
        raise exception_of(decode_error(entry.error))


def _plain(usage: Usage) -> bool:
    return all(isinstance(count, int) for count in (usage.tokens, usage.input_tokens, usage.output_tokens))


def changed(run: Run, identity: str) -> bool:
    """Whether the execution takes the new branch: False where its history went past here before the branch was marked (L11)."""
    if not run.valid:
        run.engine.refused(run)
        return False
    history = run.history
    key = history.effect_key(EffectKind.CHANGED, identity, b"")
    if key in history.markers:
        return True
    if history.recorded:
        return False
    entry = _enter(run, EffectKind.CHANGED, identity, key, b"null")
    entry.ended_at = run.engine.clock.now()
    return True

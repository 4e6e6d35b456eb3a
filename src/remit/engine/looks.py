"""Waits of a branch that the journal holds, so that replay comes to them again: for filters, before a call; and any given up (L11, L43)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from remit.engine.ending.intents import leave, was_left
from remit.engine.governing.ahead import ahead_of_call, takes_long
from remit.engine.steps import in_turn
from remit.engine.values.seam import canonical
from remit.store.records import EffectKind, JournalRecord

if TYPE_CHECKING:
    from remit.engine.body.history import CallIdentity
    from remit.engine.body.run import Run
    from remit.engine.definitions import Definition

__all__ = ["is_looked_through", "leave_wait", "look_through", "looked_through_before"]

_FILTERS = "filters"
"""What the journal calls that which a call waited for while its input was looked through."""
_LOOKED = f"{EffectKind.WAIT}:{_FILTERS}"


def is_looked_through(run: Run, definition: Definition, payload: bytes) -> bool:
    """Whether filters take long over what a call is about to give."""
    governance = run.engine.governance
    return governance is not None and takes_long(governance.called(run.node, definition).ruled.input, payload)


async def look_through(run: Run, definition: Definition, identity: CallIdentity, payload: bytes) -> None:
    """Wait for filters that look through the input for long; its end is recorded, so that what follows keeps its turn in replay (L11)."""
    key = identity.look or _next_look(run, identity)
    about, began = canonical(identity.target, "a target"), run.engine.clock.now()
    try:
        await ahead_of_call(run, definition, payload)
    except asyncio.CancelledError:
        if run.valid:
            leave_wait(run, _FILTERS, key, about, began)
        raise
    if not run.valid:
        run.engine.refused(run)
        await run.never()
    entry = _waited(run, _FILTERS, key, about, began)
    entry.ended_at = run.engine.clock.now()
    run.engine.durability.enter(entry)
    await in_turn(run, entry)


async def looked_through_before(run: Run, identity: CallIdentity) -> None:
    """Come again to a call's waits for filters, or to one's having been given up; most calls have none."""
    while _LOOKED in run.history.unclaimed_targets:
        identity.look = _next_look(run, identity)
        entry = run.claim(identity.look)
        if not isinstance(entry, JournalRecord):
            return
        identity.look = None  # what a crash kept from being made after it is looked through again
        if was_left(entry):
            await run.given_up()
        await in_turn(run, entry)


def _next_look(run: Run, identity: CallIdentity) -> bytes:
    return run.history.effect_key(EffectKind.WAIT, _FILTERS, identity.key + identity.digest)


def leave_wait(run: Run, name: str, key: bytes, params: bytes, began: int) -> None:
    """Record that a branch was cancelled while it waited, so that a replay comes to that wait too (L11)."""
    entry = _waited(run, name, key, params, began)
    leave(run.node, entry, f"The branch that waited for {name!r} was cancelled", run.engine.clock.now())
    run.engine.durability.enter(entry)


def _waited(run: Run, name: str, key: bytes, params: bytes, began: int) -> JournalRecord:
    record, position = run.node.record, run.history.admit(len(params))
    return JournalRecord(
        record.n, record.generation, position, EffectKind.WAIT, name, key, params, attempt=record.attempt, started_at=began
    )

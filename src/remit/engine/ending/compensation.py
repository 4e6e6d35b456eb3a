"""One compensation: called where its step ran, under a TTL of its own, with the step's result and arguments (L37)."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING

from remit.engine.apart.watchdog import LoopBlocked
from remit.engine.body.port import INSIDE_STEP, PORT
from remit.engine.ending.faults import info_of
from remit.engine.ending.intents import as_json, name_of
from remit.engine.steps import own
from remit.errors import DomainError, ErrorInfo
from remit.kernel.lease import DEFAULT_TTL_MS

if TYPE_CHECKING:
    from remit.engine.ending.rewind import Found, Rewind

__all__ = ["Undone", "compensate"]

Undone = tuple[bytes | None, ErrorInfo | None]
_PATIENCE_S = 1.0
_log = logging.getLogger("remit.engine")


async def compensate(rewind: Rewind, found: Found, result: bytes | None) -> Undone:
    """What the compensation returned, as JSON, or its error. `result`: what its step recorded; None where it recorded nothing."""
    name, ttl_ms = _name(found), rewind.definition.ttl_ms or DEFAULT_TTL_MS
    context = Context()
    context.run(PORT.set, rewind.port)
    context.run(INSIDE_STEP.set, name)
    call = asyncio.Task(_called(rewind, found, result), loop=rewind.loop, context=context, name=name)
    over = asyncio.Event()
    call.add_done_callback(lambda _: over.set())
    timer = rewind.engine.clock.call_later(ttl_ms, over.set)
    rewind.engine.sagas.calling[rewind.node.id] = call
    try:
        await over.wait()
        expired = not call.done()
        if expired:
            call.cancel()
            await asyncio.wait({call}, timeout=_PATIENCE_S)
    finally:
        del rewind.engine.sagas.calling[rewind.node.id]
        timer.cancel()
        call.cancel()
    if call.done() and not call.cancelled():
        return call.result()
    if not call.done():
        _log.warning("compensation %s goes on after its TTL and its cancellation; it is left to itself", name)
    return None, _broken_off(rewind, name, ttl_ms, expired=expired)


def _name(found: Found) -> str:
    assert found.step.compensate is not None
    return name_of(found.step.compensate)


def _broken_off(rewind: Rewind, name: str, ttl_ms: int, *, expired: bool) -> ErrorInfo:
    what = f"ran longer than its TTL of {ttl_ms} ms" if expired else "was cancelled from inside"
    error = DomainError(f"Compensation {name} {what}", code="lease_expired" if expired else "cancelled")
    return error.info(rewind.node.id, rewind.node.record.attempt)


async def _called(rewind: Rewind, found: Found, result: bytes | None) -> Undone:
    """Call it; whatever it raises is its failure, and not this program's."""
    try:
        returned = await rewind.engine.workers.undo(found.step, own(found.arguments), result)
        return as_json(returned), None
    except (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt):
        raise
    except LoopBlocked as blocked:
        message = f"Compensation {_name(found)} blocked the event loop in {blocked} and was cut off. Make it a plain `def`: sync compensations run in threads."
        error: BaseException = DomainError(message, code="blocked_event_loop")
    except BaseException as raised:
        error = raised
    return None, info_of(error, rewind.node.id, rewind.node.record.attempt, rewind.definition.classifier)

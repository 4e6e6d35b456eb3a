"""In a process of its own: a body, its steps, and a port whose effects are messages to the engine."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import orjson

from remit.engine.answer import Answer
from remit.engine.channel import Channel
from remit.engine.definitions import Definition, StepDefinition
from remit.engine.elsewhere import find, prepare
from remit.engine.faults import exception_of, info_of
from remit.engine.port import INSIDE_STEP, PORT, ContinueAs, Identity
from remit.engine.request import CallRequest
from remit.engine.seam import Seam, SeamError, canonical
from remit.errors import CallFailed, ErrorClass, ErrorInfo
from remit.kernel.usage import Usage
from remit.store.records import EffectKind

__all__ = ["Body", "converse", "main"]

_log = logging.getLogger("remit.isolated")


class Body:
    """One execution's body here; a `Port`."""

    run = None

    def __init__(self, channel: Channel, first: dict[str, Any], definition: Definition) -> None:
        self._channel = channel
        self._first = first
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._work: dict[int, Callable[[], Any]] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._last = 0
        self._unseen: list[Answer] = []
        self._marks: dict[str, int] = {}
        self._replaying: bool = first["replaying"]
        self.identity: Identity = first["identity"]
        self.definition = definition
        self.resources: Any = None

    # -- the body -----------------------------------------------------------------------------------------------------

    async def drive(self) -> None:
        """Run the body and report its end."""
        listening = asyncio.create_task(self._listen())
        PORT.set(self)
        try:
            self._channel.send(("end", 0, await self._outcome()))
            await self._channel.flush()
        finally:
            listening.cancel()

    async def _outcome(self) -> dict[str, Any]:
        definition = self.definition
        try:
            value = await (
                definition.body(definition.input.decode(self._first["input"]))
                if definition.takes_input
                else definition.body()
            )
            unseen = next((answer for answer in self._unseen if not answer.seen), None)
            if unseen is not None:
                return {"error": unseen.error, "child": unseen.execution_id, "child_failed": True}
            return {"result": definition.result.encode(value)}
        except ContinueAs as fresh:
            return {"continue_as": definition.input.accept(fresh.input)[0]}
        except SeamError as error:
            message = f"{definition.name} returned what its annotation does not allow: {error}"
            return {
                "error": ErrorInfo(
                    ErrorClass.SYSTEM, "contract_violation", message, {"path": error.path}, self.identity.execution_id
                )
            }
        except Exception as error:
            if isinstance(error, CallFailed) and error.error is not None:
                return {"error": error.error, "child": error.execution_id, "child_failed": True}
            info = info_of(error, self.identity.execution_id, self.identity.attempt, definition.classifier)
            return {"error": info, "position": getattr(error, "position", None)}

    async def _listen(self) -> None:
        while True:
            kind, number, body, replaying = await self._channel.receive()
            if kind == "work":
                working = asyncio.create_task(self._do(number), name=f"step {number}")
                self._working.add(working)
                working.add_done_callback(self._working.discard)
                continue
            self._replaying = replaying
            waiter = self._waiting.pop(number, None)
            if waiter is None or waiter.done():
                continue
            if kind == "value":
                waiter.set_result(body)
            else:
                info, position = body
                error = exception_of(info)
                error.position = position  # type: ignore[attr-defined]  # which record a retry must set aside
                waiter.set_exception(error)

    async def _do(self, number: int) -> None:
        work = self._work.pop(number)
        self._channel.send(("worked", number, await work()))

    async def _effect(self, verb: str, **arguments: Any) -> Any:
        self._last += 1
        number = self._last
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        work = arguments.pop("work", None)
        if work is not None:
            self._work[number] = work
        self._channel.send(("effect", number, (verb, arguments)))
        try:
            return await waiter
        except asyncio.CancelledError:
            self._waiting.pop(number, None)
            self._channel.send(("withdrawn", number, None))
            raise

    # -- the port -----------------------------------------------------------------------------------------------------

    async def call(self, request: CallRequest) -> Answer:
        """Call another process and wait for its end."""
        return self._decoded(await self._effect("call", request=_crossing(request)), request.result)

    async def start(self, request: CallRequest) -> str | Answer:
        """Start another process: its id, or the rejection."""
        started: str | Answer = await self._effect("start", request=_crossing(request))
        return started

    async def await_child(self, child_id: str, result: Seam[Any] | None) -> Answer:
        """Wait for a child started earlier."""
        return self._decoded(await self._effect("await_child", child_id=child_id), result)

    def _decoded(self, answer: Answer, result: Seam[Any] | None) -> Answer:
        answer.seen = False
        if answer.status == "completed":
            answer.value = result.decode(answer.value) if result is not None else orjson.loads(answer.value)
        else:
            self._unseen.append(answer)
        return answer

    async def child_status(self, child_id: str) -> str:
        """A child's status, recorded."""
        return str(await self._effect("child_status", child_id=child_id))

    async def child_cancel(self, child_id: str) -> bool:
        """Cancel a child, recorded."""
        return bool(await self._effect("child_cancel", child_id=child_id))

    async def step(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        """Run a step, or return what it recorded; the work is done here."""
        params = canonical(arguments, f"the arguments of {step.kind} {step.name!r}")
        facts = {name: getattr(step, name) for name in _STEP_FACTS}
        recorded = await self._effect("step", step=facts, arguments=params, work=lambda: self._work_on(step, arguments))
        return step.result.decode(recorded)

    async def _work_on(
        self, step: StepDefinition, arguments: dict[str, Any]
    ) -> tuple[bytes | None, Usage | None, ErrorInfo | None]:
        INSIDE_STEP.set(step.name)
        try:
            value = (
                await step.function(**arguments)
                if step.is_async
                else await asyncio.to_thread(step.function, **arguments)
            )
            payload, value = step.result.cross(value)
        except Exception as error:
            info = info_of(error, self.identity.execution_id, self.identity.attempt, self.definition.classifier)
            return None, step.usage_of_failure(error), info
        return payload, step.usage(value), None

    async def ask(
        self,
        answer: Seam[Any],
        name: str,
        prompt: str,
        to: str | None,
        timeout_ms: int | None,
        on_timeout: bytes | None,
    ) -> Any:
        """Ask a human and wait."""
        return answer.decode(
            await self._effect(
                "ask",
                schema=answer.schema(),
                name=name,
                prompt=prompt,
                to=to,
                timeout_ms=timeout_ms,
                on_timeout=on_timeout,
            )
        )

    async def sleep(self, duration_ms: int) -> None:
        """Sleep durably."""
        await self._effect("sleep", duration_ms=duration_ms)

    async def wait_event(self, name: str, label: str | None, timeout_ms: int | None) -> Any:
        """Wait for an event."""
        return await self._effect("wait_event", name=name, label=label, timeout_ms=timeout_ms)

    async def value(self, name: str, produce: Callable[[], Any]) -> Any:
        """A value that differs from run to run, recorded."""
        return await self._effect("value", name=name, produced=orjson.dumps(produce()))

    async def charge(self, usage: Usage) -> None:
        """Count usage."""
        await self._effect("charge", usage=usage)

    def progress(self, payload: bytes) -> None:
        """Say how far the execution has come."""
        self._last += 1
        self._channel.send(("effect", self._last, ("progress", {"payload": payload})))

    def changed(self, identity: str) -> bool:
        """Whether the execution takes the new branch: decided here as the engine would, and told to it."""
        occurrence = self._marks.get(identity, 0)
        self._marks[identity] = occurrence + 1
        target = f"{EffectKind.CHANGED}:{identity}".encode()
        key = blake2b(b"%s\0%d\0" % (target, occurrence), digest_size=16).hexdigest()
        taken = key in self._first["markers"] or not self._replaying
        self._last += 1
        self._channel.send(("effect", self._last, ("changed", {"identity": identity})))
        return taken


_STEP_FACTS = (
    "name",
    "kind",
    "maximum",
    "flat_cost",
    "input_price",
    "output_price",
    "at_most_once",
    "timeout_ms",
    "where",
)


def _crossing(request: CallRequest) -> CallRequest:
    return replace(request, input=canonical(request.input, f"the input of {request.target!r}"), result=None)


async def converse(end: socket.socket, definition: Definition | None) -> None:
    """Run one body over one end of a socket pair; without a definition, find it as the first message says."""
    channel = await Channel.over(end)
    first = await channel.receive()
    if definition is None:
        try:
            prepare(first["surroundings"])
            definition = find(first["place"]).definition
        except BaseException as error:  # whatever importing somebody's main script may raise, SystemExit included
            channel.send(("unfit", 0, f"{type(error).__name__}: {error}"))
            await channel.flush()
            return
    assert definition is not None
    await Body(channel, first, definition).drive()
    channel.close()


def main(descriptor: int) -> None:
    """The process: run one body over the inherited socket, then end."""

    async def once() -> None:
        await converse(socket.socket(fileno=descriptor), None)

    try:
        asyncio.run(once())
    except (EOFError, KeyboardInterrupt):
        _log.debug("the engine has ended; so does this process")
    sys.stdout.flush()
    os._exit(0)

"""In a process of its own: a body, its steps, and a port whose effects are messages to the engine."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any

import orjson

from remit.engine.answer import Answer
from remit.engine.apart.channel import Channel
from remit.engine.apart.elsewhere import end_with, find, prepare
from remit.engine.apart.log_lines import LogLines
from remit.engine.body.port import INSIDE_STEP, PORT, ContinueAs, Identity, no_effect_inside_step
from remit.engine.body.quiet import waits
from remit.engine.definitions import Definition, StepDefinition
from remit.engine.ending.blame import blame_of
from remit.engine.ending.faults import exception_of, info_of
from remit.engine.ending.intents import as_json, name_of
from remit.engine.request import CallRequest, ScheduleRequest
from remit.engine.steps import own, retyped
from remit.engine.values.seam import Seam, SeamError, canonical
from remit.errors import ErrorClass, ErrorInfo
from remit.kernel.usage import Usage
from remit.store.records import EffectKind

__all__ = ["Body", "converse", "main"]

_LOOK_S = 0.002
_RECHECK_S = 0.05


class Body:
    """One execution's body here; a `Port`."""

    run = None

    def __init__(self, channel: Channel, first: dict[str, Any], definition: Definition) -> None:
        self.loop = asyncio.get_running_loop()
        self._channel = channel
        self._first = first
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._kept: dict[int, asyncio.Future[Any]] = {}
        """What branches really wait for: a cancelled one still has to be told what the engine makes of it."""
        self._given_up: dict[asyncio.Task[Any], int] = {}
        """Branches that were cancelled while they waited, and how often they had been by then."""
        self._over = False
        self._work: dict[int, tuple[Callable[..., Any], Context]] = {}
        self._working: dict[int, asyncio.Task[None]] = {}
        self._undo: dict[int, tuple[Callable[[bytes | None], Any], Context]] = {}
        self._branches: set[asyncio.Task[Any]] = set()
        self._heard = 0
        self._look: asyncio.TimerHandle | None = None
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
        self.loop.set_task_factory(self._new_task)
        body = asyncio.create_task(self._outcome())
        await asyncio.wait({listening, body}, return_when=asyncio.FIRST_COMPLETED)
        if not body.done():
            listening.result()  # the engine has gone
        listening.cancel()
        self._channel.send(("end", 0, body.result()))
        await self._channel.flush()

    def _new_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Make tasks as ever; one that the body starts is a branch of it."""
        task = asyncio.Task(coro, loop=loop, **options)
        if PORT.get() is self and INSIDE_STEP.get() is None:
            self._branches.add(task)
            task.add_done_callback(self._branches.discard)
        return task

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
                failed = [unseen.execution_id] if unseen.execution_id else []
                return {"error": unseen.error, "children": failed, "child_failed": True}
            result = definition.result.encode(value)
            definition.result.decode(result)
            return {"result": result}
        except ContinueAs as fresh:
            return {"continue_as": definition.input.accept(fresh.input)}
        except SeamError as error:
            message = f"{definition.name} returned what its annotation does not allow: {error}"
            return {"error": self._failure(ErrorClass.SYSTEM, "contract_violation", message, {"path": error.path})}
        except asyncio.CancelledError:
            return {"error": self._failure(ErrorClass.DOMAIN, "cancelled", "The body was cancelled from inside", {})}
        except BaseException as error:  # SystemExit too: what a body raises ends its execution, not this program
            return self._raised(error)

    def _failure(self, error_class: ErrorClass, code: str, message: str, details: dict[str, Any]) -> ErrorInfo:
        return ErrorInfo(error_class, code, message, details, self.identity.execution_id, self.identity.attempt)

    def _raised(self, error: BaseException) -> dict[str, Any]:
        identity = self.identity
        return blame_of(error, identity.execution_id, identity.attempt, self.definition.classifier)._asdict()

    async def _listen(self) -> None:
        """Take what the engine says, until it has no more to say: then whoever still waits for it leaves."""
        try:
            while True:
                kind, number, body, replaying = await self._channel.receive()
                self._heard += 1
                self._take(kind, number, body, replaying=replaying)
                self._moved()
        finally:
            self._over = True
            for waiter in self._waiting.values():
                waiter.cancel()

    def _take(self, kind: str, number: int, body: Any, *, replaying: bool) -> None:
        if kind == "work":
            work, context = self._work.pop(number)
            self._working[number] = asyncio.create_task(
                self._do(number, partial(work, body)), name=f"step {number}", context=context
            )
        elif kind == "undo":
            undo, context = self._undo[number]
            self._working[number] = asyncio.create_task(
                self._do(number, partial(undo, *body)), name=f"undo {number}", context=context.copy()
            )
        elif kind == "leave":
            left = self._working.pop(number, None)
            if left is not None:
                left.cancel()
        else:
            self._replaying = replaying
            self._settle(kind, number, body)

    def _settle(self, kind: str, number: int, body: Any) -> None:
        """An effect has come back."""
        self._work.pop(number, None)
        waiter = self._waiting.pop(number, None)
        if waiter is None or waiter.done():
            return
        if kind == "left":
            waiter.cancel()
        elif kind == "value":
            waiter.set_result(body)
        else:
            info, position = body
            error = exception_of(info)
            error.position = position  # type: ignore[attr-defined]  # which record a retry must set aside
            waiter.set_exception(error)

    async def _do(self, number: int, work: Callable[[], Any]) -> None:
        done = await work()
        if self._working.pop(number, None) is not None:
            self._channel.send(("worked", number, done))
            self._moved()

    async def _effect(self, verb: str, **arguments: Any) -> Any:
        no_effect_inside_step("an effect")
        self._last += 1
        number = self._last
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        work = arguments.pop("work", None)
        if work is not None:
            self._work[number] = work, copy_context()
        self._channel.send(("effect", number, (verb, arguments)))
        self._moved()
        return await self._verdict(number, waiter)

    async def _verdict(self, number: int, waiter: asyncio.Future[Any]) -> Any:
        """What comes of an effect. Where its branch gives it up, the engine says whether that was heard of before all the same (L11)."""
        branch = asyncio.current_task()
        assert branch is not None
        before = self._given_up.pop(branch, None)
        # One that gave up and was told what it had heard before goes on giving up.
        withdrawn = before is not None and branch.cancelling() >= before and self._withdraw(number, branch)
        while not waiter.done():
            kept = self._kept[number] = asyncio.shield(waiter)
            try:
                await kept
            except asyncio.CancelledError:
                if self._over:
                    raise
                withdrawn = withdrawn or self._withdraw(number, branch)
            finally:
                del self._kept[number]
        if waiter.cancelled():
            self._given_up.pop(branch, None)
        return waiter.result()

    def _withdraw(self, number: int, branch: asyncio.Task[Any]) -> bool:
        self._given_up[branch] = branch.cancelling()
        self._channel.send(("withdrawn", number, None))
        return True

    # -- quiescence ---------------------------------------------------------------------------------------------------

    def _moved(self) -> None:
        """Something moved; look a little later whether every branch waits, and tell the engine when it is so (L11, L21)."""
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(_LOOK_S, self._tell_if_quiet)

    def _tell_if_quiet(self) -> None:
        self._look = None
        pending = {*self._waiting.values(), *self._kept.values()}
        if not self._working and all(waits(branch, pending, self._branches) for branch in self._branches):
            self._channel.send(("quiet", self._heard, None))
        else:
            self._look = asyncio.get_running_loop().call_later(_RECHECK_S, self._tell_if_quiet)

    # -- the port -----------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Nobody watches: here a body that is busy disturbs nobody."""

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
        undo = None
        if step.compensate is not None:
            undo = name_of(step.compensate)
            self._undo[self._last + 1] = partial(self._undone, step, own(arguments)), copy_context()
        recorded = await self._effect(
            "step", step=facts, undo=undo, arguments=params, work=partial(self._work_on, step, arguments)
        )
        return step.result.decode(recorded)

    async def _work_on(
        self, step: StepDefinition, given: dict[str, Any], crossed: bytes | None
    ) -> tuple[bytes | None, Usage | None, ErrorInfo | None]:
        """Run a step's function; `crossed` has its arguments where a filter took something out of them (L43)."""
        INSIDE_STEP.set(step.name)
        try:
            arguments = given if crossed is None else retyped(step, crossed)
            value = (
                await step.function(**arguments)
                if step.is_async
                else await asyncio.to_thread(step.function, **arguments)
            )
            payload, value = step.result.cross(value)
        except Exception as error:
            return None, step.usage_of_failure(error), self._info(error)
        return payload, step.usage(value), None

    async def _undone(
        self, step: StepDefinition, given: dict[str, Any], result: bytes | None, crossed: bytes | None
    ) -> tuple[bytes | None, Usage | None, ErrorInfo | None]:
        """Run a step's compensation; `result` is what the step recorded, `crossed` as for the step (L37)."""
        assert step.compensate is not None
        INSIDE_STEP.set(name_of(step.compensate))
        try:
            arguments = own(given) if crossed is None else retyped(step, crossed)
            values = (step.result.decode(result) if result is not None else None, *arguments.values())
            returned = (
                await step.compensate(*values)
                if inspect.iscoroutinefunction(step.compensate)
                else await asyncio.to_thread(step.compensate, *values)
            )
        except Exception as error:
            return None, None, self._info(error)
        return as_json(returned), None, None

    def _info(self, error: Exception) -> ErrorInfo:
        return info_of(error, self.identity.execution_id, self.identity.attempt, self.definition.classifier)

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

    async def now(self) -> str:
        """What calendars show, in UTC and ISO 8601, recorded."""
        return str(await self._effect("now"))

    async def value(self, name: str, produce: Callable[[], Any]) -> Any:
        """A value that differs from run to run, recorded."""
        return await self._effect("value", name=name, produced=orjson.dumps(produce()))

    async def schedule(self, request: ScheduleRequest) -> int | None:
        """Register a schedule: when it fires first, in milliseconds since 1970."""
        payload = canonical(request.input, f"the input of schedule {request.name!r}")
        first_at: int | None = await self._effect("schedule", request=replace(request, input=payload))
        return first_at

    async def charge(self, usage: Usage) -> None:
        """Count usage."""
        await self._effect("charge", usage=usage)

    def progress(self, payload: bytes) -> None:
        """Say how far the execution has come."""
        self._channel.send(("progress", 0, payload))

    def changed(self, identity: str) -> bool:
        """Whether the execution takes the new branch: decided here as the engine would, and told to it."""
        occurrence = self._marks.get(identity, 0)
        self._marks[identity] = occurrence + 1
        target = f"{EffectKind.CHANGED}:{identity}".encode()
        key = blake2b(b"%s\0%d\0" % (target, occurrence), digest_size=16).hexdigest()
        taken = key in self._first["markers"] or not self._replaying
        self._channel.send(("changed", 0, (identity, taken)))
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
        _tell_lines(channel, first["log_level"])
        try:
            prepare(first["surroundings"], first["place"])
            definition = find(first["place"]).definition
        except BaseException as error:  # whatever importing somebody's main script may raise, SystemExit included
            channel.send(("unfit", 0, f"{type(error).__name__}: {error}"))
            await channel.flush()
            return
        _tell_lines(channel, first["log_level"])  # again: the module may have set up logging of its own
    assert definition is not None
    await Body(channel, first, definition).drive()
    channel.close()


def _tell_lines(channel: Channel, level: int) -> None:
    """Log lines of this process, from whichever thread, go to the engine's."""
    loop = asyncio.get_running_loop()
    LogLines(lambda line: _from_any_thread(loop, channel, ("log", 0, line))).install(level)


def _from_any_thread(loop: asyncio.AbstractEventLoop, channel: Channel, message: Any) -> None:
    try:
        here = asyncio.get_running_loop() is loop
    except RuntimeError:
        here = False
    if here:
        channel.send(message)
    elif not loop.is_closed():
        loop.call_soon_threadsafe(channel.send, message)


def main(descriptor: int, engine: int) -> None:
    """The process: run one body over the inherited socket, then end; `engine` is the pid of the one to serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at the terminal is for the engine, which then ends this
    end_with(engine)

    async def once() -> None:
        await converse(socket.socket(fileno=descriptor), None)
        _leave()

    try:
        asyncio.run(once())
    except EOFError:
        _leave()


def _leave() -> None:
    """End at once, whatever threads are still at work."""
    sys.stdout.flush()
    os._exit(0)

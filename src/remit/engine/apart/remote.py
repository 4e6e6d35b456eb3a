"""The engine's side of a body in a process of its own: its effects come in as messages and are done here (L22).

Each effect is a branch of the run, so replay, parking and delivery are the same as for a body on the loop. Stopping the run
kills the process.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import orjson

from remit.engine.answer import Answer
from remit.engine.apart.channel import Channel
from remit.engine.apart.elsewhere import Place, surroundings
from remit.engine.apart.hosts import OwnProcess, OwnThread
from remit.engine.apart.log_lines import handle
from remit.engine.body.port import PORT, Port
from remit.engine.definitions import StepDefinition
from remit.engine.ending.faults import exception_of, info_of
from remit.engine.values.seam import Seam
from remit.errors import ErrorInfo, TransientError
from remit.kernel.usage import Usage
from remit.store.records import EffectKind

if TYPE_CHECKING:
    from remit.engine.body.run import Run

__all__ = ["RemoteBody", "UnfitError"]


@cache
def _plain() -> Seam[Any]:
    """Any JSON; made when it is first needed, since making a seam loads most of pydantic."""
    return Seam(Any, where="a step in a process of its own")


class UnfitError(Exception):
    """Another process cannot import the code: a script without `if __name__ == "__main__":`, for instance."""


class _Raw:
    """Passes a result through as the bytes it crossed as."""

    def decode(self, payload: bytes) -> bytes:
        return payload


class RemoteBody:
    """One body in one process."""

    def __init__(self, run: Run, place: Place | None) -> None:
        """`place`: where another process finds the code; None: a thread of its own has to do."""
        self._run = run
        self._place = place
        self._channel: Channel | None = None
        self._effects: dict[int, asyncio.Task[None]] = {}
        self._working: dict[int, asyncio.Future[tuple[bytes | None, Usage | None, ErrorInfo | None]]] = {}
        self._sent = 0
        self._quiet_after = -1

    @property
    def waiting(self) -> bool:
        """Whether every branch of the body waits for its effects, as it said after the last message it was sent."""
        return bool(self._effects) and not self._working and self._quiet_after == self._sent

    async def drive(self) -> dict[str, Any]:
        """Run the body to its end: what it returned or raised, as `isolated.Body` reports it; raises TransientError if it died."""
        ours, theirs = socket.socketpair()
        host = await OwnProcess.start(theirs) if self._place is not None else self._thread(theirs)
        try:
            self._channel = await Channel.over(ours)
            self._channel.send(self._first_words())  # before any other, and not counted
            return await self._converse()
        except EOFError:
            raise TransientError(
                f"What ran {self._run.definition.name} ended early ({await host.ending()})", code="worker_died"
            ) from None
        finally:
            self._run.engine.driver.reap(host.end())
            if self._channel is not None:
                self._channel.close()
            for effect in self._effects.values():
                effect.cancel()

    def _thread(self, end: socket.socket) -> OwnThread:
        return OwnThread(end, self._run.definition, self._run.engine.workers)

    def _first_words(self) -> dict[str, Any]:
        run = self._run
        port = PORT.get()
        assert port is not None
        markers = {key.hex() for key in run.history.markers}
        return {
            "surroundings": surroundings(),
            "place": self._place,
            "input": run.node.record.input,
            "identity": port.identity,
            "markers": markers,
            "replaying": bool(run.history.recorded),
            "log_level": logging.getLogger().getEffectiveLevel(),
        }

    async def _converse(self) -> dict[str, Any]:
        assert self._channel is not None
        while True:
            kind, number, body = await self._channel.receive()
            if kind == "end":
                return dict(body)
            if kind == "unfit":
                raise UnfitError(str(body))
            if kind == "quiet":
                self._quiet_after = number
                self._run.progressed()
                continue
            if kind == "log":
                handle(body)
                continue
            self._quiet_after = -1
            self._take(kind, number, body)

    def _take(self, kind: str, number: int, body: Any) -> None:
        """The body has moved."""
        if kind == "effect":
            verb, arguments = body
            self._effects[number] = asyncio.create_task(self._effect(number, verb, arguments))
        elif kind == "worked" and number in self._working:  # else the step was left meanwhile
            self._working.pop(number).set_result(body)
        elif kind == "withdrawn" and number in self._effects:
            effect = self._effects[number]
            effect.add_done_callback(partial(self._left, number))
            self._run.loop.call_soon(effect.cancel)  # once it has begun: what is given up is recorded, and so given up again
        elif kind in ("progress", "changed"):
            self._note(kind, body)

    def _left(self, number: int, effect: asyncio.Task[None]) -> None:
        """The body gave an effect up; where it had heard of its end before, it has been told that instead (L11)."""
        if effect.cancelled():
            self._tell("left", number, None, bool(self._run.history.recorded))

    def _note(self, kind: str, body: Any) -> None:
        """What the body only tells, in the order it came: nothing comes back."""
        port = PORT.get()
        assert port is not None
        if kind == "progress":
            port.progress(body)
            return
        identity, taken = body
        if taken:
            port.changed(identity)
        else:  # the body went the old way: it counts as an occurrence, and is not recorded
            self._run.history.effect_key(EffectKind.CHANGED, identity, b"")

    def _tell(self, *message: Any) -> None:
        assert self._channel is not None
        self._sent += 1
        self._channel.send(message)

    async def _effect(self, number: int, verb: str, arguments: dict[str, Any]) -> None:
        port = PORT.get()
        assert port is not None
        try:
            kind, body = "value", await self._perform(port, number, verb, arguments)
        except Exception as error:
            info = info_of(error, self._run.node.id, self._run.node.record.attempt)
            kind, body = "error", (info, getattr(error, "position", None))
        finally:
            self._effects.pop(number, None)
        self._tell(kind, number, body, bool(self._run.history.recorded))

    async def _perform(self, port: Port, number: int, verb: str, arguments: dict[str, Any]) -> Any:
        if verb in ("call", "start"):
            request = arguments["request"]
            request.input = orjson.loads(request.input)
            request.result = _Raw()
            done = await (port.call(request) if verb == "call" else port.start(request))
            return self._told(done) if isinstance(done, Answer) else done
        if verb == "schedule":
            arguments["request"].input = orjson.loads(arguments["request"].input)
        if verb == "await_child":
            return self._told(await port.await_child(arguments["child_id"], _Raw()))  # type: ignore[arg-type]  # decoded by the body
        if verb == "step":
            return await self._step(port, number, arguments)
        if verb == "ask":
            arguments["answer"] = _Asked(arguments.pop("schema"))
        if verb == "value":
            recorded = orjson.loads(arguments["produced"])
            return await port.value(arguments["name"], lambda: recorded)
        return await getattr(port, verb)(**arguments)

    def _told(self, answer: Answer) -> Answer:
        """The body in the other process says at its end what it has not looked at (L19)."""
        answer.seen = True
        return answer

    async def _step(self, port: Port, number: int, arguments: dict[str, Any]) -> bytes:
        """A step: recorded here, done there."""
        step = StepDefinition(
            **arguments["step"],
            function=_elsewhere,
            is_async=True,
            result=_plain(),
        )
        given = orjson.loads(arguments["arguments"])
        if arguments["undo"] is not None:
            step = replace(step, compensate=self._undoing(number, arguments["undo"], given))
        reported: list[Usage | None] = [None]


        async def there(**values: Any) -> Any:
            crossed = None if values == given else orjson.dumps(values)
            result, reported[0] = await self._worked("work", number, crossed)
            return result

        proxy = replace(step, function=there, usage_of=lambda _value: reported[0])
        return _plain().encode(await port.step(proxy, given))

    async def _worked(self, verb: str, number: int, body: Any) -> tuple[Any, Usage | None]:
        """Have a step, or its compensation, done there: what it returned, and reported as used."""
        future: asyncio.Future[tuple[bytes | None, Usage | None, ErrorInfo | None]] = self._run.loop.create_future()
        self._working[number] = future
        self._tell(verb, number, body, False)
        try:
            result, reported, error = await future
        except asyncio.CancelledError:  # withdrawn, or out of time
            self._working.pop(number, None)
            self._tell("leave", number, None, False)
            raise
        if error is not None:
            raise exception_of(error)
        return orjson.loads(result or b"null"), reported

    def _undoing(self, number: int, name: str, given: dict[str, Any]) -> Callable[..., Any]:
        """What undoes the step there: it has the arguments given, and is told what was recorded (L37)."""

        async def undo(result: Any, *arguments: Any) -> Any:
            crossed = dict(zip(given, arguments, strict=True))
            told = None if result is None else orjson.dumps(result)
            return (await self._worked("undo", number, (told, None if crossed == given else orjson.dumps(crossed))))[0]

        undo.__name__ = name
        return undo


def _elsewhere() -> None:
    """Stands for a function that lives in the other process."""


class _Asked:
    """The seam of an ask whose type lives in the other process: the schema goes out, the answer's bytes come back."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema

    def schema(self) -> dict[str, Any]:
        return self._schema

    def decode(self, payload: bytes) -> bytes:
        return payload

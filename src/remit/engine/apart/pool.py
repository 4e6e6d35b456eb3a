"""Processes that do pieces of work, one at a time: started when needed, used again, killed with what waits for them (L22).

Their messages go over a socket pair of their own, so that what code and the programs that it starts write goes where this
program writes, and what they read is nothing of ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from remit.engine.apart.channel import Channel, receive_from, send_to
from remit.engine.apart.elsewhere import Place, end_with, find, output, prepare, surroundings
from remit.engine.apart.log_lines import LogLines, handle

__all__ = ["Pool", "Unfit", "main"]

MAX_PROCESSES = 16
"""More than processors, since work that hangs must not hold up other work."""
_MAX_IDLE_S = 300


class Unfit(Exception):
    """The process could not import the code; the text says why."""


class _Process:
    """One process, and this end of its socket pair."""

    def __init__(self, process: asyncio.subprocess.Process, channel: Channel) -> None:
        self._process = process
        self._channel = channel
        self.idle_since = 0.0

    @classmethod
    async def start(cls) -> _Process:
        ours, theirs = socket.socketpair()
        with theirs:
            code = f"from remit.engine.apart.pool import main; main({theirs.fileno()}, {os.getpid()})"
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-u", "-c", code),
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output(),
                )
            except BaseException:
                ours.close()
                raise
        return cls(process, await Channel.over(ours))

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def do(self, message: tuple[Any, ...]) -> Any:
        """What the work gives; its log lines are handled here. Raises Unfit, EOFError where the process ends early."""
        self._channel.send(message)
        while True:
            kind, told = await self._channel.receive()
            if kind == "log":
                handle(told)
            elif kind == "unfit":
                raise Unfit(told)
            else:
                return told

    def kill(self) -> None:
        self._channel.close()
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def ended(self) -> None:
        await self._process.wait()


class Pool:
    """The processes that do work for one engine."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(MAX_PROCESSES)
        self._idle: list[_Process] = []
        self._ending: list[_Process] = []

    async def do(self, place: Place, work: Callable[..., Any], *parts: Any) -> Any:
        """What `work(definition, *parts)` gives in another process, with the definition of what is found at that place.

        Cancelling kills the process. Raises Unfit, EOFError where the process ends early.
        """
        message = (logging.getLogger().getEffectiveLevel(), surroundings(), place, work, parts)
        async with self._room:
            process = self._rested() or await _Process.start()
            try:
                done = await process.do(message)
            except BaseException:
                self._end(process)
                raise
            process.idle_since = time.monotonic()
            self._idle.append(process)
            return done

    def _rested(self) -> _Process | None:
        """The one that was at work last; those that nobody has needed for long are ended."""
        until = time.monotonic() - _MAX_IDLE_S
        for each in [each for each in self._idle if each.idle_since < until or not each.alive]:
            self._idle.remove(each)
            self._end(each)
        return self._idle.pop() if self._idle else None

    def _end(self, process: _Process) -> None:
        process.kill()
        self._ending = [each for each in self._ending if each.alive] + [process]

    async def close(self) -> None:
        """End them all; returns when they are gone."""
        while self._idle:
            self._end(self._idle.pop())
        for each in self._ending:
            await each.ended()


# -- in the process -----------------------------------------------------------------------------------------------------


def main(descriptor: int, engine: int) -> None:
    """The process: do one piece of work after the other until the engine, whose pid is given, has no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at the terminal is for the engine, which then ends this
    end_with(engine)
    end, lock = socket.socket(fileno=descriptor), threading.Lock()

    def tell(message: tuple[str, Any]) -> None:
        with lock:
            send_to(end, message)

    with contextlib.suppress(EOFError, OSError):
        while True:
            tell(_done(receive_from(end), tell))
    os._exit(0)  # whatever threads are still at work


def _done(message: tuple[Any, ...], tell: Callable[[tuple[str, Any]], None]) -> tuple[str, Any]:
    level, around, place, work, parts = message
    lines = LogLines(lambda line: tell(("log", line)))
    lines.install(level)
    try:
        prepare(around, place)
        definition = find(place).definition
    except BaseException as error:  # whatever importing somebody's main script may raise, SystemExit included
        return "unfit", f"{type(error).__name__}: {error}"
    lines.install(level)  # again: the module may have set up logging of its own
    return "done", work(definition, *parts)

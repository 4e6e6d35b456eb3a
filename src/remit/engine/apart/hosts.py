"""What runs a body apart from the engine's loop: a process, which can be killed, or a thread, which can only be left."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
import threading
from collections.abc import Coroutine
from contextvars import Context
from typing import Any

from remit.engine.apart.elsewhere import output
from remit.engine.apart.isolated import converse
from remit.engine.apart.workers import Workers
from remit.engine.definitions import Definition

__all__ = ["OwnProcess", "OwnThread", "raise_in"]

_PATIENCE_S = 1.0
_MANNERS_S = 0.02


class OwnProcess:
    """A Python process that finds the code by name."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, end: socket.socket) -> OwnProcess:
        """Start it, with one end of a socket pair for its messages."""
        command = (sys.executable, "-c", f"from remit.engine.apart.isolated import main; main({end.fileno()}, {os.getpid()})")
        process = await asyncio.create_subprocess_exec(
            *command, pass_fds=(end.fileno(),), stdin=asyncio.subprocess.DEVNULL, stdout=output()
        )
        end.close()
        return cls(process)

    async def ending(self) -> str:
        """How it ended by itself."""
        code = await self._process.wait()
        return f"signal {-code}" if code < 0 else f"exit status {code}"

    async def _reaped(self) -> None:
        await self._process.wait()

    def end(self) -> asyncio.Task[None]:
        """Kill it; the task ends when it is gone."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        return _beside(self._reaped())


class OwnThread:
    """A thread with an event loop of its own, for code that no other process could import."""

    def __init__(self, end: socket.socket, definition: Definition, workers: Workers) -> None:
        """Start it; raises TransientError where too many threads are stuck already."""
        workers.refuse_when_too_many_are_stuck()
        self._end = end
        self._workers = workers
        self._where = f"process {definition.name} ({definition.where})"
        self._stuck = False
        self._thread = threading.Thread(
            target=self._run, args=(definition,), name=f"remit {definition.name}", daemon=True
        )
        self._thread.start()

    def _run(self, definition: Definition) -> None:
        try:
            with contextlib.suppress(EOFError, SystemExit, OSError):
                asyncio.run(converse(self._end, definition))
        finally:
            if self._stuck:
                self._workers.has_come_back(self._where)

    async def ending(self) -> str:
        """How it ended by itself."""
        return "its thread is over"

    async def _left(self) -> None:
        """Its channel is closed, and so it ends; else raise SystemExit in what it runs, for a second: C code is left to itself."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _PATIENCE_S
        await asyncio.sleep(_MANNERS_S)  # raised in the loop's own code, it would leave sockets open
        while self._thread.is_alive() and loop.time() < until:
            raise_in(self._thread, SystemExit)
            await asyncio.sleep(0.02)
        if self._thread.is_alive():
            self._stuck = True
            self._workers.is_stuck(self._where)

    def end(self) -> asyncio.Task[None]:
        """Leave it; the task ends when it is gone, or when it has been left for good."""
        return _beside(self._left())


def raise_in(thread: threading.Thread, error: type[BaseException]) -> None:
    """Raise in whatever Python code a thread runs, as soon as it runs some; C code that sleeps is not reached."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(error))


def _beside(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that is no branch of the run whose end it serves, and so is not cancelled with it."""
    return asyncio.get_running_loop().create_task(work, context=Context())

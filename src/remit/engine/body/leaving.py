"""Exceptions that end programs: whether code raised one itself, which is its failure, or was made to leave (L48)."""

from __future__ import annotations

import asyncio
import signal
import threading
from traceback import walk_tb
from typing import Any

__all__ = ["made_to_leave", "own_failure"]


def made_to_leave(error: BaseException, task: asyncio.Task[Any] | None) -> bool:
    """Whether a GeneratorExit or KeyboardInterrupt came to code that `task` runs from outside: it was closed, or somebody pressed Ctrl-C."""
    if isinstance(error, GeneratorExit):
        return task is None or _running() is not task  # who closes a coroutine is not the one whose turn it is
    return isinstance(error, KeyboardInterrupt) and _by_a_signal(error)


def own_failure(error: BaseException, where: str) -> RuntimeError:
    """What stands for an exception that would end the loop, where code raised it itself."""
    return RuntimeError(f"{type(error).__name__} was raised in {where}")


def _running() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs any more
        return None


def _by_a_signal(error: BaseException) -> bool:
    """Signals come to the main thread: by Python's own handler at any line, else through that of `asyncio.run`."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        return True
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1].f_code is asyncio.Runner._on_sigint.__code__  # type: ignore[attr-defined]

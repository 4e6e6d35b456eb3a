"""Notices user code that blocks the event loop, names it, and cuts it off by an exception (L22).

A thread samples the loop's stack every few milliseconds. The same callback seen running on several samples in a row, with
the author's code innermost and no new effect or branch of the execution in between, blocks the loop. A signal then raises inside that code: it interrupts C calls that sleep, and
its handler looks again first, so that only the code that was seen is hit. Where the loop is not in the main thread no
signal can reach it: there the code is named, and not cut off.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import sysconfig
import threading
from collections.abc import Callable
from inspect import CO_COROUTINE
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from remit.engine.body.port import INSIDE_STEP, PORT
from remit.errors import Suspension
from remit.package import PACKAGE

if TYPE_CHECKING:
    from remit.engine.body.run import Run

__all__ = ["LoopBlocked", "Watchdog"]

_SAMPLE_S = 0.01
_BODY_SAMPLES = 5
_STEP_SAMPLES = 100
_HANDLE_RUN = asyncio.Handle._run.__code__
_STDLIB = sysconfig.get_path("stdlib")
_SIGNAL = signal.SIGURG
_log = logging.getLogger("remit.watchdog")


class LoopBlocked(Suspension):
    """Raised inside a body or a step that blocks the event loop."""


class Watchdog:
    """Watches one event loop. `cut_off(run, where, step)` is called on the loop after a body or a step was hit."""

    def __init__(self, loop: asyncio.AbstractEventLoop, cut_off: Callable[[Run, str, str | None], None]) -> None:
        self._loop = loop
        self._cut_off = cut_off
        self._loop_thread = threading.get_ident()
        self._stopping = threading.Event()
        self._target: asyncio.Handle | None = None
        self._hit_before: asyncio.Handle | None = None
        self._can_signal = threading.current_thread() is threading.main_thread() and signal.getsignal(_SIGNAL) in (
            signal.SIG_DFL,
            signal.SIG_IGN,
            None,
        )
        if self._can_signal:
            self._before = signal.signal(_SIGNAL, self._hit)
        self._thread = threading.Thread(target=self._watch, name="remit-watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stopping.set()
        self._thread.join(timeout=1)
        if self._can_signal and threading.current_thread() is threading.main_thread():
            signal.signal(_SIGNAL, self._before)

    def _watch(self) -> None:
        seen: tuple[asyncio.Handle, int] | None = None
        samples = 0
        while not self._stopping.wait(_SAMPLE_S):
            handle, in_task = _blocking(sys._current_frames().get(self._loop_thread))
            now = (handle, _run_of(handle).pulse) if handle is not None else None
            samples = samples + 1 if now is not None and now == seen else 1
            seen = now
            if handle is None or samples < _BODY_SAMPLES:
                continue
            inside_step = _context(handle).get(INSIDE_STEP) is not None
            if samples == _BODY_SAMPLES:
                self._name(samples)
            if in_task and (not inside_step or samples >= _STEP_SAMPLES):
                self._interrupt(handle)

    def _name(self, samples: int) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        _log.warning("the event loop has been blocked for %d ms by %s", samples * _SAMPLE_S * 1_000, _place(frame))

    def _interrupt(self, handle: asyncio.Handle) -> None:
        if self._can_signal:
            self._target = handle
            signal.pthread_kill(self._loop_thread, _SIGNAL)

    def _hit(self, _number: int, frame: FrameType | None) -> None:
        """In the loop's thread: raise inside the very code that was seen, or not at all."""
        target, self._target = self._target, None
        if target is None or _blocking(frame)[0] is not target:
            return
        port = PORT.get()
        run: Run | None = getattr(port, "run", None)
        if run is None:
            return
        where = _place(frame)
        self._loop.call_soon(self._cut_off, run, where, INSIDE_STEP.get())
        if target is self._hit_before:
            _raise_in_handlers(frame, where)
        self._hit_before = target
        raise LoopBlocked(where)


def _raise_in_handlers(frame: FrameType | None, where: str) -> None:
    """Code that has swallowed the exception gets it again on the next line it runs, which is that of its handler.

    Raising there leaves the `try` for good. Python ends the tracing by itself as soon as it has raised.
    """

    def again(_frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            raise LoopBlocked(where)
        return again

    sys.settrace(again)
    while frame is not None and frame.f_code is not _HANDLE_RUN:
        frame.f_trace = again
        frame = frame.f_back


def _blocking(frame: FrameType | None) -> tuple[asyncio.Handle | None, bool]:
    """The callback whose author's code is innermost on this stack, if it belongs to an execution; and whether that may be hit.

    A callback of Remit's own may come to an author's code, a validator say. It is named like any other, and not hit: what it was
    about to do for others would be lost.
    """
    frames: list[FrameType] = []
    while frame is not None:
        if frame.f_code is _HANDLE_RUN:
            handle: Any = frame.f_locals.get("self")
            run = _run_of(handle) if handle is not None else None
            if run is None or not _authored(frames, run.definition.body):
                return None, False
            outermost = frames[-1]
            return handle, bool(outermost.f_code.co_flags & CO_COROUTINE) or not _file(outermost).startswith(PACKAGE)
        frames.append(frame)
        frame = frame.f_back
    return None, False


def _authored(frames: list[FrameType], body: Callable[..., Any]) -> bool:
    """Whether the author's code comes before Remit's on a stack, innermost first; libraries belong to whoever called them."""
    for frame in frames:
        name = _file(frame)
        if name.startswith(PACKAGE):
            return False
        if name == body.__code__.co_filename or frame.f_globals is body.__globals__ or not _library(name):
            return True
    return False


def _file(frame: FrameType) -> str:
    """Where the code was written. What a library makes at run time, a dataclass's methods say, is of the module it was made for.

    Empty where nothing tells: then it belongs to whoever called it.
    """
    name = frame.f_code.co_filename
    if not name.startswith("<"):
        return name
    module = frame.f_globals
    return module.get("__file__") or (name if module.get("__name__") == "__main__" else "")


def _library(name: str) -> bool:
    return not name or name.startswith((_STDLIB, "<frozen")) or "site-packages" in name


def _run_of(handle: asyncio.Handle) -> Any:
    """The run whose callback it is; None where it is nobody's."""
    return getattr(_context(handle).get(PORT), "run", None)


def _context(handle: asyncio.Handle) -> Any:
    return handle._context  # type: ignore[attr-defined]  # the only place that knows whose callback this is


def _place(frame: FrameType | None) -> str:
    """The innermost line of the author's code."""
    while frame is not None:
        name = _file(frame)
        if not name.startswith(PACKAGE) and not _library(name):
            return f"{frame.f_code.co_qualname} ({Path(name).name}:{frame.f_lineno})"
        frame = frame.f_back
    return "unknown code"

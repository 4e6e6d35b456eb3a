"""What engines change in what they share, for as long as one of them is open, in whatever order they close."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from remit.engine.body.leaving import made_to_leave, own_failure
from remit.engine.body.port import INSIDE_STEP, PORT

__all__ = ["adopt_branches", "collect_rarely"]

_COLLECT_AFTER = 20_000
"""New objects between two garbage collections while an engine runs: thousands of executions under way are alive, and
looking for rubbish among them took a quarter of a large fan-out's time (docs/design.md)."""

_lock = threading.Lock()
_collecting: list[tuple[int, int, int]] = []
"""The thresholds that the engines open in this process found, the first one's first."""


def collect_rarely() -> Callable[[], None]:
    """Let Python look for garbage rarely, until all who asked for it have called what comes back."""
    with _lock:
        found = gc.get_threshold()
        _collecting.append(found)
        gc.set_threshold(max(found[0], _COLLECT_AFTER), *found[1:])

    def put_back() -> None:
        with _lock:
            first = _collecting[0]
            _collecting.pop()
            if not _collecting:
                gc.set_threshold(*first)

    return put_back


class _Factories(NamedTuple):
    """How a loop makes tasks, how it did before, and for how many engines."""

    ours: Any
    before: Any
    engines: int


_factories: WeakKeyDictionary[asyncio.AbstractEventLoop, _Factories] = WeakKeyDictionary()


def adopt_branches(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Let tasks that bodies start be branches of their runs, until all who asked for it have called what comes back."""
    found = _factories.get(loop)
    if found is None:
        before = loop.get_task_factory()
        found = _Factories(_adopting(before), before, 0)
        loop.set_task_factory(found.ours)
    _factories[loop] = found._replace(engines=found.engines + 1)

    def put_back() -> None:
        ours, before, engines = _factories.pop(loop)
        if engines > 1:
            _factories[loop] = _Factories(ours, before, engines - 1)
        elif loop.get_task_factory() is ours:  # else somebody has set another one on top, which calls this one
            loop.set_task_factory(before)

    return put_back


def _adopting(before: Any) -> Any:
    """A task factory that makes tasks as before; one that a body starts is a branch of its run."""

    def make(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        context = options.get("context")
        port = context.get(PORT) if context is not None else PORT.get()
        run = getattr(port, "run", None)
        ours = run is not None and run.loop is loop  # not that of another thread
        going = _contained(coro) if ours else coro
        task = before(loop, going, **options) if before is not None else asyncio.Task(going, loop=loop, **options)
        if run is not None and ours:
            if INSIDE_STEP.get() is None and isinstance(task, asyncio.Task):
                run.adopt(task, coro)
            else:
                task.add_done_callback(lambda _: coro.close())  # one that was cancelled before it began is still open
        return task

    return make


async def _contained(coro: Any) -> Any:
    """What a branch gives: a task that raises SystemExit or KeyboardInterrupt would end the loop, and with it everybody's work."""
    try:
        return await coro
    except (SystemExit, KeyboardInterrupt) as error:
        if made_to_leave(error, None):
            raise
        raise own_failure(error, "a branch") from error

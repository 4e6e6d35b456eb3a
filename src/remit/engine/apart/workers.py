"""Where the code of steps runs: on the loop, in a thread, or in a process that can be killed."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from remit.engine.apart.isolation import run_isolated, undo_isolated
from remit.engine.apart.pool import Pool
from remit.engine.body.leaving import made_to_leave, own_failure
from remit.engine.body.port import PORT
from remit.errors import TransientError
from remit.kernel.durations import spell

if TYPE_CHECKING:
    import anyio

    from remit.engine.definitions import StepDefinition

__all__ = ["Workers"]

MAX_THREADS = 64
MAX_STUCK_THREADS = 64
_log = logging.getLogger("remit.workers")


class Workers:
    """Calls step functions. A thread that outlives its lease is abandoned, counted and replaced, up to a cap (L22)."""

    def __init__(self) -> None:
        import anyio.to_thread

        self._threads = anyio
        self._limiter: anyio.CapacityLimiter | None = None
        self._pool: Pool | None = None
        self.stuck = 0
        self._left: list[tuple[dict[str, bool], str]] = []

    async def call(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        """The function's own result; a step's `timeout` becomes a TimeoutError, which is TRANSIENT."""
        if step.timeout_ms is None:
            return await self._call(step, arguments)
        limit = asyncio.timeout(step.timeout_ms / 1_000)
        try:
            async with limit:
                return await self._call(step, arguments)
        except TimeoutError as error:
            if not limit.expired():
                raise
            told = f"{step.kind} {step.name!r} took longer than its timeout of {spell(step.timeout_ms)}"
            raise TimeoutError(told) from error

    async def _call(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        if step.isolation == "process":
            return await run_isolated(self._in_processes(), step, arguments)
        if step.is_async:
            return await _on_the_loop(step.function(**arguments), "an async step")
        return await self._in_thread(step, arguments)

    async def undo(self, step: StepDefinition, arguments: dict[str, Any], result: bytes | None) -> Any:
        """Call a step's compensation where its function would run; `result`: what was recorded, None where nothing was (L37)."""
        if step.isolation == "process":
            return await undo_isolated(self._in_processes(), step, arguments, result)
        assert step.compensate is not None
        value = step.result.decode(result) if result is not None else None
        undo = partial(step.compensate, value, *arguments.values())
        if inspect.iscoroutinefunction(step.compensate):
            return await _on_the_loop(undo(), "an async compensation")
        return await self._in_thread(replace(step, name=f"{step.name}, undone", function=undo), {})

    def _in_processes(self) -> Pool:
        if self._pool is None:
            self._pool = Pool()
        return self._pool

    async def close(self) -> None:
        """End the processes that ran steps."""
        if self._pool is not None:
            await self._pool.close()

    async def _in_thread(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        self.refuse_when_too_many_are_stuck()
        if self._limiter is None:
            self._limiter = self._threads.CapacityLimiter(MAX_THREADS)
        state = {"done": False, "stuck": False}
        where = f"{step.kind} {step.name} ({step.where})"

        def work() -> Any:
            try:
                return step.function(**arguments)
            except (GeneratorExit, KeyboardInterrupt) as error:  # in the main thread they would close this program
                raise own_failure(error, "a thread") from error
            finally:
                state["done"] = True
                if state["stuck"]:
                    self.has_come_back(where)

        try:
            return await self._threads.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)
        except asyncio.CancelledError:
            if not state["done"]:
                state["stuck"] = True
                self.is_stuck(where)
                if step.compensate is not None:
                    self._leave(state)
            raise

    def _leave(self, state: dict[str, bool]) -> None:
        port = PORT.get()
        self._left = [(each, owner) for each, owner in self._left if not each["done"]]
        self._left.append((state, port.identity.execution_id if port is not None else ""))

    def still_at_work(self, execution_id: str) -> bool:
        """Whether a thread that was left is still in a compensatable step of the execution: undoing it now would be too early."""
        return any(owner == execution_id and not state["done"] for state, owner in self._left)

    def refuse_when_too_many_are_stuck(self) -> None:
        """Raise TransientError where no more threads may be started."""
        if self.stuck >= MAX_STUCK_THREADS:
            raise TransientError(
                f'{self.stuck} threads are stuck in code that outlived its lease; no more are started. Give that code isolation="process".',
                code="too_many_stuck_threads",
            )

    def is_stuck(self, where: str) -> None:
        """A thread has been left in code that does not end."""
        self.stuck += 1
        _log.warning("a thread is stuck in %s; it is abandoned and replaced (%s so far)", where, self.stuck)

    def has_come_back(self, where: str) -> None:
        """A thread that was left has ended after all."""
        self.stuck -= 1
        _log.info("a stuck thread of %s has come back", where)


async def _on_the_loop(work: Awaitable[Any], where: str) -> Any:
    """What the work gives; a GeneratorExit or KeyboardInterrupt of its own is its failure, as in a thread."""
    task = asyncio.current_task()
    try:
        return await work
    except (GeneratorExit, KeyboardInterrupt) as error:
        if made_to_leave(error, task):
            raise
        raise own_failure(error, where) from error

"""The port of a body on the engine's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from remit.engine import calls, steps, waits
from remit.engine.answer import Answer
from remit.engine.body.port import Identity
from remit.engine.definitions import Definition, StepDefinition
from remit.engine.request import CallRequest, ScheduleRequest
from remit.engine.values.seam import Seam
from remit.kernel.trace import root_of
from remit.kernel.usage import Usage

if TYPE_CHECKING:
    from remit.engine.body.run import Run

__all__ = ["LocalPort"]


class LocalPort:
    """Effects of one run, done at once where they are asked for."""

    __slots__ = ("run",)

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def identity(self) -> Identity:
        """Who the execution is."""
        record = self.run.node.record
        root = root_of(record.id)
        return Identity(
            root,
            record.id,
            record.process,
            record.version,
            record.tenant,
            record.owner,
            record.region,
            record.department,
            record.attempt,
        )

    @property
    def definition(self) -> Definition:
        """The process."""
        return self.run.definition

    @property
    def resources(self) -> Any:
        """What `Remit(resources=...)` was given."""
        return self.run.engine.resources

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the body runs on."""
        return self.run.loop

    def beat(self) -> None:
        """A sign that the body is at work, for the watchdog."""
        self.run.pulse += 1

    def call(self, request: CallRequest) -> Coroutine[Any, Any, Answer]:
        """Call another process and wait for its end."""
        return calls.call(self.run, request)

    async def start(self, request: CallRequest) -> str | Answer:
        """Start another process: its id, or the rejection."""
        return await calls.start(self.run, request)

    async def await_child(self, child_id: str, result: Seam[Any] | None) -> Answer:
        """Wait for a child started earlier."""
        return await calls.await_child(self.run, child_id, result)

    async def child_status(self, child_id: str) -> str:
        """A child's status, recorded so that replay sees the same."""
        calls.own_child(self.run, child_id)
        return str(await waits.value(self.run, f"status of {child_id}", lambda: self.run.engine.status_of(child_id)))

    async def child_cancel(self, child_id: str) -> bool:
        """Cancel a child, recorded so that replay does not do it again."""
        calls.own_child(self.run, child_id)
        cancel = self.run.engine.endings.cancel
        return bool(
            await waits.value(self.run, f"cancel {child_id}", lambda: cancel(child_id, "its parent asked for it"))
        )

    async def step(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        """Run a step, or return what it recorded."""
        return await steps.perform(self.run, step, arguments)

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
        return await waits.ask(self.run, answer, name, prompt, to, timeout_ms, on_timeout)

    async def sleep(self, duration_ms: int) -> None:
        """Sleep durably."""
        await waits.sleep(self.run, duration_ms)

    async def wait_event(self, name: str, label: str | None, timeout_ms: int | None) -> Any:
        """Wait for an event."""
        return await waits.wait_event(self.run, name, label, timeout_ms)

    async def now(self) -> str:
        """What calendars show, in UTC and ISO 8601, recorded."""
        return str(await waits.value(self.run, "now", lambda: self.run.engine.clock.date().isoformat()))

    async def value(self, name: str, produce: Callable[[], Any]) -> Any:
        """A value that differs from run to run, recorded."""
        return await waits.value(self.run, name, produce)

    async def schedule(self, request: ScheduleRequest) -> int | None:
        """Register a schedule: when it fires first, in milliseconds since 1970."""
        return await waits.schedule(self.run, request)

    async def charge(self, usage: Usage) -> None:
        """Count usage."""
        await waits.charge(self.run, usage)

    def progress(self, payload: bytes) -> None:
        """Say how far the execution has come."""
        if self.run.valid:
            self.run.node.record.progress = payload
            self.run.engine.durability.touch(self.run.node)
        else:
            self.run.engine.refused(self.run)

    def changed(self, identity: str) -> bool:
        """Whether the execution takes the new branch."""
        return waits.changed(self.run, identity)

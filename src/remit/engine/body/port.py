"""The door between a body and its engine: the same whether the body runs on the engine's loop or in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from remit.errors import MisuseError, Suspension

if TYPE_CHECKING:
    from remit.engine.answer import Answer
    from remit.engine.definitions import Definition, StepDefinition
    from remit.engine.request import CallRequest, ScheduleRequest
    from remit.engine.values.seam import Seam
    from remit.kernel.usage import Usage

__all__ = [
    "INSIDE_STEP",
    "PORT",
    "ContinueAs",
    "Identity",
    "Port",
    "current_port",
    "no_effect_inside_step",
    "refuse_elsewhere",
]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the execution is; nothing in it differs between live and replay, but `attempt`, which only logs show (L52)."""

    trace_id: str
    execution_id: str
    process: str
    version: str
    tenant: str | None
    owner: str | None
    region: str | None
    department: str | None
    attempt: int


class Port(Protocol):
    """All that a body can ask of its engine."""

    @property
    def identity(self) -> Identity:
        """Who the execution is."""

    @property
    def definition(self) -> Definition:
        """The process."""

    @property
    def resources(self) -> Any:
        """What `Remit(resources=...)` was given."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the body runs on, and on which alone it may ask."""

    def beat(self) -> None:
        """A sign that the body is at work, for whoever watches it."""

    async def call(self, request: CallRequest) -> Answer:
        """Call another process and wait for its end."""

    async def start(self, request: CallRequest) -> str | Answer:
        """Start another process: its id, or the rejection."""

    async def await_child(self, child_id: str, result: Seam[Any] | None) -> Answer:
        """Wait for a child started earlier."""

    async def child_status(self, child_id: str) -> str:
        """A child's status, recorded."""

    async def child_cancel(self, child_id: str) -> bool:
        """Cancel a child, recorded."""

    async def step(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        """Run a step, or return what it recorded."""

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

    async def sleep(self, duration_ms: int) -> None:
        """Sleep durably."""

    async def wait_event(self, name: str, label: str | None, timeout_ms: int | None) -> Any:
        """Wait for an event."""

    async def now(self) -> str:
        """What calendars show, in UTC and ISO 8601, recorded."""

    async def value(self, name: str, produce: Callable[[], Any]) -> Any:
        """A value that differs from run to run, recorded."""

    async def schedule(self, request: ScheduleRequest) -> int | None:
        """Register a schedule: when it fires first, in milliseconds since 1970."""

    async def charge(self, usage: Usage) -> None:
        """Count usage."""

    def progress(self, payload: bytes) -> None:
        """Say how far the execution has come."""

    def changed(self, identity: str) -> bool:
        """Whether the execution takes the new branch."""


PORT: ContextVar[Port | None] = ContextVar("remit_port", default=None)
INSIDE_STEP: ContextVar[str | None] = ContextVar("remit_inside_step", default=None)


class ContinueAs(Suspension):
    """The body asks for a fresh history with this input."""

    def __init__(self, input: object) -> None:
        super().__init__()
        self.input = input


def current_port(effect: str) -> Port:
    """The port of the body that is executing; raises MisuseError where there is none, or where a step uses an effect."""
    no_effect_inside_step(effect)
    port = PORT.get()
    if port is None:
        raise MisuseError(
            f"{effect} works only inside a process that runs: start it with app.start(...) or remit.run(...).",
            code="outside_execution",
            effect=effect,
        )
    refuse_elsewhere(port, effect)
    return port


def refuse_elsewhere(port: Port, effect: str) -> None:
    """Refuse an effect in another thread or loop than the body's, into which `asyncio.to_thread` takes a body's context."""
    try:
        here = asyncio.get_running_loop() is port.loop
    except RuntimeError:
        here = False
    if not here:
        raise MisuseError(
            f"{effect} was used in another thread or event loop than its process runs in. Use it in the body itself, and give"
            " threads plain functions to run.",
            code="outside_execution",
            effect=effect,
        )


def no_effect_inside_step(effect: str) -> None:
    """Refuse an effect inside a step (L52)."""
    step = INSIDE_STEP.get()
    if step is not None:
        raise MisuseError(
            f"Step {step!r} used {effect}. Steps do work; effects belong to the process body: call it from there.",
            code="effect_inside_step",
            step=step,
        )

"""The interpreter: step after step, and where jumps, failures and timeouts lead (L19, L36).

Nothing here is recorded by itself. All that differs from run to run is an effect of a step; the rest follows from it, so
that an execution that is driven again, after a crash or after it left memory, comes to the same place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from remit.errors import CallFailed, ErrorClass, RemitError
from remit.workflows.format.model import StepFields
from remit.workflows.running.flow import Ended, Flow, Frame, Unit

__all__ = ["Inserted", "Planned", "Steps"]

_TURN_EVERY = 50
"""Visits between two turns for the rest of the loop: steps that are only conditions never wait by themselves."""
_TIMEOUTS = frozenset({"ask_timeout", "event_timeout", "step_timeout"})


class Inserted(NamedTuple):
    """A rule of dynamic injection: steps that come next where it applies now."""

    applies: Callable[[Flow, Frame], bool]
    steps: Steps


class Planned(NamedTuple):
    """A compiled step, and the rules that insert steps after it."""

    unit: Unit
    rules: tuple[Inserted, ...] = ()


class Steps:
    """Steps in their order: those of a workflow, of a loop's body, or of a rule that inserts them."""

    def __init__(self, planned: Sequence[Planned]) -> None:
        self._planned = tuple(planned)
        self._place = {each.unit.spec.name: index for index, each in enumerate(planned)}

    async def run(self, flow: Flow, frame: Frame) -> str | None:
        """Go through the steps; the name of a step elsewhere where one of them leads there, else None."""
        at = 0
        while at < len(self._planned):
            goal = await self._step(self._planned[at], flow, frame)
            if goal is None:
                at += 1
            elif goal in self._place:
                at = self._place[goal]
            else:
                return goal
        return None

    async def _step(self, planned: Planned, flow: Flow, frame: Frame) -> str | None:
        """One visit to one step, failures and inserted steps included; where to go on, None: at the next."""
        spec = planned.unit.spec
        visit = flow.visit(spec.name)
        if flow.visited % _TURN_EVERY == 0:
            await asyncio.sleep(0)
        try:
            ended = await planned.unit.run(flow, frame, visit)
        except RemitError as error:
            handled = _handled(spec, flow, error)
            if handled is None:
                raise
            ended = handled
        flow.end(ended)
        if ended.goto is not None:
            return ended.goto
        for rule in planned.rules:
            if rule.applies(flow, frame):
                goal = await rule.steps.run(flow, frame)
                if goal is not None:
                    return goal
        return spec.next_step


def _handled(spec: StepFields, flow: Flow, error: RemitError) -> Ended | None:
    """What `on_timeout` or `on_failure` make of a failure; None where they do not speak of it (L19, L20)."""
    if spec.on_timeout is not None and _is_timeout(error):
        if spec.on_timeout.has_value:
            value = spec.on_timeout.value
            return Ended(flow.merge(value if isinstance(value, dict) else {spec.name: value}))
        return Ended({}, spec.on_timeout.target_step, flow.failed(spec.name, error))
    if spec.on_failure is not None and error.error_class is ErrorClass.DOMAIN:
        return Ended({}, spec.on_failure.target_step, flow.failed(spec.name, error))
    return None


def _is_timeout(error: RemitError) -> bool:
    """Whether a step or its own child ran out of time: not something further down, which is a failure like any other."""
    if isinstance(error, CallFailed):
        inner = error.error
        return inner is not None and inner.code == "lease_expired" and inner.origin == error.execution_id
    last = error.details.get("last", {}) if error.code == "retries_exhausted" else {}
    raised = last.get("details", {}) if last else error.details
    return error.code in _TIMEOUTS or raised.get("exception") == "TimeoutError"

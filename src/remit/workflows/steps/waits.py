"""Steps that wait for the outside: HUMAN_IN_LOOP for a person, WAIT for time or an event (L21, L50)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from remit.authoring.effects import now, sleep, wait_event
from remit.errors import DomainError
from remit.workflows.format.model import HumanInLoopStep, WaitStep
from remit.workflows.running.flow import Ended, Flow, Frame
from remit.workflows.running.limits import within
from remit.workflows.running.reckoning import Filled
from remit.workflows.steps.asking import ANYTHING, Addressed, Question
from remit.workflows.steps.function import run_function
from remit.workflows.steps.invoke import StepFunction

__all__ = ["HumanUnit", "WaitUnit"]


@dataclass(slots=True)
class HumanUnit:
    """Asks a person, then gives the answer to the function, or to the state where there is none.

    A function that takes no input comes first: it says by WorkflowPauseDirective whether anybody is asked.
    """

    spec: HumanInLoopStep
    function: StepFunction | None
    question: Question | None
    prompt: Filled | None
    assignee: Filled | None
    timeout_ms: int | None
    default: bytes | None
    then: Question | None = None

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:
        """Wait for the answer; DOMAIN `ask_timeout` where nobody gives one in time and there is no value for that."""
        asked = Addressed(
            self.question if self.question is not None else ANYTHING,
            self._text(self.prompt, flow, frame),
            self._text(self.assignee, flow, frame) or None,
            self.timeout_ms,
            self.default,
        )
        if self.function is not None and not self.function.takes_input:
            return await run_function(self.function, flow, frame, visit, {}, None, self._before(asked))
        answer = await asked.ask(self.spec.name)
        if self.function is not None:
            validated = asked.question.validated(answer)
            return await run_function(self.function, flow, frame, visit, answer, validated, self.then or ANYTHING)
        return Ended(flow.merge(answer if self.spec.output_key is None else {self.spec.output_key: answer}))

    def _before(self, asked: Addressed) -> Addressed:
        """The step after this one gets the answer: what it needs is asked for, where this step does not say."""
        return asked if self.question is not None or self.then is None else replace(asked, question=self.then)

    def _text(self, text: Filled | None, flow: Flow, frame: Frame) -> str:
        return "" if text is None else str(text.value(flow, frame))


@dataclass(slots=True)
class WaitUnit:
    """Waits for a time to pass, for a moment, or for an event, whose payload is the step's result."""

    spec: WaitStep
    duration: Filled | None
    until: Filled | None
    key: Filled | None

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:  # noqa: ARG002  # as every unit
        """Wait; raises DomainError `event_timeout` or `step_timeout`."""
        if self.spec.event is None:
            await within(self.spec.timeout, self._rest(flow, frame), self.spec.name)
            return Ended({})
        label = None if self.key is None else str(self.key.value(flow, frame))
        payload = await wait_event(self.spec.event, key=label, timeout=self.spec.timeout)
        return Ended(flow.merge(self._given(payload)))

    async def _rest(self, flow: Flow, frame: Frame) -> None:
        if self.duration is not None:
            await sleep(self.duration.value(flow, frame))
        elif self.until is not None:
            moment = _moment(self.until.value(flow, frame), self.spec.name)
            await sleep(max((moment - await now()).total_seconds(), 0.0))

    def _given(self, payload: Any) -> dict[str, Any]:
        if self.spec.output_key is not None:
            return {self.spec.output_key: payload}
        return payload if isinstance(payload, dict) else {} if payload is None else {self.spec.name: payload}


def _moment(value: Any, step: str) -> datetime:
    """A moment as a value of the state or as RFC 3339 text; one without a zone is UTC."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise DomainError(
            f"Step {step!r} waits until {value!r}, which is no moment: write 2026-08-01T09:00:00Z", code="invalid_input"
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

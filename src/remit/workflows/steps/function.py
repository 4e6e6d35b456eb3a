"""Steps that are a function: STANDARD, ASYNC, and DECISION with its routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remit.errors import DomainError
from remit.workflows.format.model import DecisionStep, JumpStep, StepFields
from remit.workflows.running.flow import Ended, Flow, Frame
from remit.workflows.running.reckoning import Read
from remit.workflows.steps.asking import ANYTHING, Asks, Question
from remit.workflows.steps.directed import follow
from remit.workflows.steps.invoke import StepFunction

__all__ = ["DecisionUnit", "FunctionUnit", "JumpUnit", "run_function"]


@dataclass(slots=True)
class FunctionUnit:
    """A function as one durable step, and what the directive it raises leads to."""

    spec: StepFields
    function: StepFunction
    needs: Question | None
    then: Asks = ANYTHING
    """What the step after this one needs: a pause asks for it."""

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:
        """Call the function, unless it is recorded what it did."""
        inputs, validated = await self._inputs(flow)
        return await run_function(self.function, flow, frame, visit, inputs, validated, self.then)

    async def _inputs(self, flow: Flow) -> tuple[Mapping[str, Any], Any]:
        """What a person answered to the pause before, else what the state has, else what somebody answers now."""
        answer, flow.answer = flow.answer, None
        if self.needs is None:
            return answer or {}, None
        if answer is None:
            answer = self.needs.found_in(flow.state.plain)
        if answer is None:
            answer = await self.needs.ask(self.spec.name, prompt=self.spec.description or "")
        return answer, self.needs.validated(answer)


async def run_function(
    function: StepFunction,
    flow: Flow,
    frame: Frame,
    visit: int,
    inputs: Mapping[str, Any],
    validated: Any,
    then: Asks,
) -> Ended:
    """Perform a sequential step's function, take what it did, and follow its directive."""
    arguments = {} if visit == 1 else {"visit": visit}
    record = await function.perform(flow.given(function, frame, inputs, validated), arguments)
    result = flow.take(record)
    directive = record.get("directive")
    return Ended(result) if directive is None else await follow(flow, directive, result, function.step, visit, then)


@dataclass(slots=True)
class DecisionUnit:
    """Routes in their order; a function, where there is one, runs before and may jump itself."""

    spec: DecisionStep
    before: FunctionUnit | None
    routes: tuple[tuple[Read | None, str], ...]
    """Condition (None: the default) and target."""

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:
        """The first route whose condition holds; raises DomainError `no_route`."""
        ended = Ended({}) if self.before is None else await self.before.run(flow, frame, visit)
        if ended.goto is not None or not self.routes:
            return ended
        result = flow.previous or {} if self.before is None else ended.result
        for condition, target in self.routes:
            if condition is None or condition.holds(flow, frame, result=result):
                return ended._replace(goto=target)
        raise DomainError(
            f"No route of step {self.spec.name!r} holds, and it has no default. Add `- default: <step>` as the last route.",
            code="no_route",
            step=self.spec.name,
        )


@dataclass(slots=True)
class JumpUnit:
    """Goes on at another step."""

    spec: JumpStep

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:  # noqa: ARG002  # as every unit
        """Nothing but the jump."""
        return Ended({}, self.spec.target_step)

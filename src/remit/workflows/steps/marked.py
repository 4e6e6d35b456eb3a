"""A step without a function of its own that can be compensated: what undoes it stands in the journal before it begins (L37)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remit.workflows.format.model import StepFields
from remit.workflows.running.flow import Ended, Flow, Frame, Unit
from remit.workflows.steps.asking import ANYTHING
from remit.workflows.steps.function import run_function
from remit.workflows.steps.invoke import StepFunction

__all__ = ["MarkedUnit", "nothing"]


def nothing(_state: Any) -> None:
    """What the mark itself does."""


@dataclass(slots=True)
class MarkedUnit:
    """A step, and before it the mark that carries its compensation: the step's function, where the file names one."""

    unit: Unit
    mark: StepFunction

    @property
    def spec(self) -> StepFields:
        """The step as the file has it."""
        return self.unit.spec

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:
        """Record the mark, then do the step; where the mark is a function of the file, it may lead elsewhere."""
        before = await run_function(self.mark, flow, frame, visit, {}, None, ANYTHING)
        if before.goto is not None:
            return before
        ended = await self.unit.run(flow, frame, visit)
        return ended._replace(result={**before.result, **ended.result})

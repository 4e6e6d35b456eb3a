"""A step without a function of its own that can be compensated: what undoes it stands in the journal before it begins (L37)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remit.workflows.flow import Ended, Flow, Frame, Unit
from remit.workflows.invoke import StepFunction
from remit.workflows.model import StepFields

__all__ = ["MarkedUnit", "nothing"]


def nothing(_state: Any) -> None:
    """What the mark itself does."""


@dataclass(slots=True)
class MarkedUnit:
    """A step, and the mark that carries its compensation."""

    unit: Unit
    mark: StepFunction

    @property
    def spec(self) -> StepFields:
        """The step as the file has it."""
        return self.unit.spec

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:
        """Record the mark, then do the step."""
        await self.mark.perform(flow.given(self.mark, frame, {}), {} if visit == 1 else {"visit": visit})
        return await self.unit.run(flow, frame, visit)

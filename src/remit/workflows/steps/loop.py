"""LOOP: a body for each item of a list, or while a condition holds, never more often than its limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remit.errors import DomainError
from remit.workflows.format.model import LoopStep
from remit.workflows.importing.shapes import own
from remit.workflows.running.body import Steps
from remit.workflows.running.flow import Ended, Flow, Frame
from remit.workflows.running.limits import no_list, within
from remit.workflows.running.reckoning import Read

__all__ = ["LoopUnit"]


@dataclass(slots=True)
class LoopUnit:
    """A body, again and again. A jump to a step outside the body leaves the loop."""

    spec: LoopStep
    by: Read
    """The list, or the condition."""
    body: Steps

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:  # noqa: ARG002  # as every unit
        """Run the body; `previous_step_result` of the step after it has `loop_iterations`."""
        turns = self._each(flow, frame) if self.spec.mode == "ITERATE" else self._while(flow, frame)
        goal, count = await within(self.spec.timeout, turns, self.spec.name)
        return Ended({}, goal, {"loop_iterations": count})

    async def _each(self, flow: Flow, frame: Frame) -> tuple[str | None, int]:
        """The items are those that the list had before the first; a list that is too long is refused before anything is done."""
        items = self._items(flow, frame)
        for index, item in enumerate(items):
            goal = await self.body.run(flow, frame.within(self.spec.item_var_name, item, index))
            if goal is not None:
                return goal, index + 1
        return None, len(items)

    def _items(self, flow: Flow, frame: Frame) -> list[Any]:
        items = self.by.value(flow, frame)
        name, limit = self.spec.name, self.spec.max_iterations
        if not isinstance(items, list | tuple):
            raise no_list(name, self.spec.iterate_over, items)
        if len(items) > limit:
            raise DomainError(
                f"Step {name!r}: {self.spec.iterate_over} has {len(items)} items, max_iterations is {limit}",
                code="limit_exceeded",
                limit=limit,
                current=len(items),
            )
        return [own(item) for item in items]

    async def _while(self, flow: Flow, frame: Frame) -> tuple[str | None, int]:
        """Until the condition no longer holds, or the limit is reached: then the workflow goes on all the same."""
        for index in range(self.spec.max_iterations):
            names = {"item": None, self.spec.item_var_name: None, **frame.names, "loop_index": index}
            turn = Frame(names, frame.item, index, frame.inputs)
            if not self.by.holds(flow, turn):
                return None, index
            goal = await self.body.run(flow, turn)
            if goal is not None:
                return goal, index + 1
        return None, self.spec.max_iterations

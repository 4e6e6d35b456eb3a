"""One execution of a workflow under way: its state, what its steps have given, and where it stands in loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from remit.authoring.effects import Child, Current
from remit.errors import ErrorInfo, LimitExceeded, RemitError
from remit.workflows.format.model import StepFields
from remit.workflows.running.results import Origin, with_children
from remit.workflows.running.state import Held
from remit.workflows.steps.invoke import Given, Recorded, StepFunction

__all__ = ["NO_FRAME", "Ended", "Flow", "Frame", "Started", "Unit", "key_of"]

_VISITS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Frame:
    """What a loop or a fan-out adds for the steps inside it: names that expressions may begin with, item and index."""

    names: Mapping[str, Any] = field(default_factory=dict)
    item: Any = None
    index: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """Items by the names that loops give them: step functions may take them as keywords."""

    def within(self, item_name: str, item: Any, index: int) -> Frame:
        """The frame of one item; inner names cover outer ones."""
        names = {**self.names, "item": item, item_name: item, "loop_index": index}
        return Frame(names, item, index, {**self.inputs, item_name: item})


NO_FRAME = Frame()


class Ended(NamedTuple):
    """How a step ended: what it gives, where to go on (None: at the next step), and what the step after it sees."""

    result: dict[str, Any]
    goto: str | None = None
    previous: dict[str, Any] | None = None
    """What `previous_step_result` shows, where it is not the result: that of a child."""


class Unit(Protocol):
    """A compiled step."""

    @property
    def spec(self) -> StepFields:
        """The step as the file has it."""

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:
        """Do what the step says; raises what it raises, DOMAIN errors included."""


class Started(NamedTuple):
    """A child that was started without waiting."""

    child: Child[Any]
    workflow_type: str


class Flow:
    """What one drive of a workflow's body knows; all of it follows from the input and from what is recorded."""

    def __init__(self, who: Current, state: Held) -> None:
        self.state = state
        self.results: dict[str, Any] = {}
        self.previous: dict[str, Any] | None = None
        self.answer: dict[str, Any] | None = None
        """What a person answered to a pause, on its way to the next step that has a function."""
        self.started: dict[str, Started] = {}
        self.visited = 0
        self._visits: dict[str, int] = {}
        self._who: dict[str, Any] = {
            "workflow_id": who.execution_id,
            "workflow_type": who.process,
            "parent_workflow_id": who.parent_execution_id,
            "root_workflow_id": who.trace_id,
        }

    def visit(self, name: str) -> int:
        """The number of this visit to a step, from 1; raises LimitExceeded where the workflow goes round without end."""
        self.visited += 1
        if self.visited > _VISITS_MAX:
            raise LimitExceeded(
                f"The workflow has visited {_VISITS_MAX} steps and goes on at {name!r}. End its jumps, or use fewer items."
            )
        number = self._visits[name] = self._visits.get(name, 0) + 1
        return number

    def names(self, frame: Frame, **more: Any) -> dict[str, Any]:
        """What an expression may begin with."""
        return {**frame.names, "state": self.state.view(), **more}

    def context(self, step: str, frame: Frame, validated: Any = None) -> dict[str, Any]:
        """The fields of the context that a step function is given."""
        context = {**self._who, "step_name": step, "previous_step_result": self.previous}
        if validated is not None:
            context["validated_input"] = validated
        if frame.index is not None:
            context["loop_item"], context["loop_index"] = frame.item, frame.index
        return context

    def given(self, function: StepFunction, frame: Frame, inputs: Mapping[str, Any], validated: Any = None) -> Given:
        """What a sequential step's function is called with."""
        named = {name: item for name, item in frame.inputs.items() if name in function.shape.inputs}
        return Given(self.state, self.context(function.step, frame, validated), {**named, **inputs})

    def take(self, record: Recorded) -> dict[str, Any]:
        """Apply to the state what a step has recorded; its result."""
        result = record.get("result", {})
        fields = self.state.type.fields_of(result) if result else {}
        self.state.apply({**fields, **record.get("changed", {})}, record.get("removed", ()))
        return result

    def merge(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Give values to the state; they as plain data."""
        return self.state.merge(values)

    def end(self, ended: Ended) -> None:
        """A step is over: what it gave belongs to the workflow's result, and is what the next step sees."""
        self.results.update(ended.result)
        self.previous = ended.result if ended.previous is None else ended.previous

    def child_done(self, step: str, workflow_type: str, result: Any) -> None:
        """Keep a child's result under the name of the step that called it, and its type (L36)."""
        self.children_done(step, result, [(workflow_type, (step,))])

    def children_done(self, step: str, results: Any, origins: Iterable[tuple[str, Origin]]) -> None:
        """Keep the results of all children of a step; see `with_children`."""
        name = self.state.type.names["sub_workflow_results"]
        self.state.apply({name: with_children(self.state.plain[name], step, results, origins)})

    def failed(self, step: str, error: RemitError) -> dict[str, Any]:
        """Keep a failure that the workflow handles where its steps can see it; the failure as they see it."""
        inner = getattr(error, "error", None)  # a child's failure is shown as the child's own
        info = inner if isinstance(inner, ErrorInfo) else error.info()
        name = self.state.type.names["step_failures"]
        shown = {"code": info.code, "message": info.message, "error_class": str(info.error_class)}
        self.state.apply({name: {**self.state.plain[name], step: shown}})
        return shown


def key_of(name: str, visit: int) -> str:
    """The explicit key of a call made by a step: the step's name, and which visit where there are several (L9)."""
    return name if visit == 1 else f"{name}#{visit}"

"""From a parsed workflow to a process: every function found, every expression read, every step given its unit.

The process is like any other: called by name and version, checked, leased, metered and recorded. The engine knows nothing
of workflows; what it drives is `Program.run`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from remit.authoring.effects import current
from remit.authoring.process import Process, split_reference
from remit.engine.body.port import current_port
from remit.engine.definitions import CallRule, Definition
from remit.engine.values.seam import Seam
from remit.errors import DefinitionError, DomainError
from remit.kernel.durations import Duration, milliseconds
from remit.kernel.retry import Retry
from remit.kernel.usage import NOTHING, Amount
from remit.workflows.checking.expressions import STATE
from remit.workflows.format.findings import did_you_mean
from remit.workflows.format.model import FireAndForgetStep, ParallelStep, SubWorkflowStep, Workflow, walk
from remit.workflows.http.access import HttpAccess
from remit.workflows.running.body import Steps
from remit.workflows.running.flow import NO_FRAME, Flow
from remit.workflows.running.planning import Planner
from remit.workflows.running.reckoning import Filled, expression_map
from remit.workflows.running.state import Held, StateType, plain_data

__all__ = ["Found", "Program", "compile_workflow"]

Found = Mapping[str, Any] | Callable[[str], Any]
"""What import paths name: a mapping, or whatever looks them up."""


def compile_workflow(
    workflow: Workflow,
    functions: Found,
    *,
    calls: Iterable[str] | None = None,
    where: str | None = None,
    http: HttpAccess | None = None,
) -> Process[Any, Any]:
    """The process that a workflow says; raises DefinitionError for what it names and is not there.

    `calls` are references it may call where it has no `calls` of its own; without them, what its steps name. `http` is what
    its HTTP steps may reach and read; without it, public hosts alone.
    """
    place = where or f"workflow {workflow.workflow_type!r}"
    look_up = functions if callable(functions) else _looking_in(functions, place)
    state = StateType(_declared(workflow, look_up), place)
    program = Program(workflow, state, Planner(state, look_up, place, http or HttpAccess()).steps(workflow.steps), place)
    definition = Definition(
        name=workflow.workflow_type,
        version=workflow.workflow_version,
        body=program.run,
        takes_input=True,
        input=state.input_seam(f"{place}, initial data"),
        result=Seam(Any, where=f"{place}, result"),
        calls=tuple(_rules(workflow, calls, place)),
        estimate=_amount(workflow),
        ttl_ms=_ms(workflow.ttl),
        retry=workflow.retry.policy() if workflow.retry is not None else Retry(),
        department=workflow.department,
        callers=tuple(workflow.callers) if workflow.callers is not None else None,
        saga=workflow.saga_enabled,
        tags=tuple(dict.fromkeys(workflow.tags)),
        where=place,
    )
    return Process(definition, workflow.description)


class Program:
    """A compiled workflow: its state and its steps. `run` is the body that the engine drives."""

    def __init__(self, workflow: Workflow, state: StateType, steps: Steps, where: str) -> None:
        self.workflow = workflow
        self.state = state
        self._steps = steps
        self._where = where
        self._result: Filled | None = None
        if workflow.result is not None:
            self._result = expression_map(workflow.result, STATE, f"{where}, result")

    async def run(self, initial: dict[str, Any]) -> Any:
        """Drive one execution from its initial data to its result."""
        flow = Flow(current(), Held(self.state, await self._begin(initial)))
        goal = await self._steps.run(flow, NO_FRAME)
        if goal is not None:
            raise self._unknown(goal)
        return self._conclude(flow)

    async def _begin(self, initial: dict[str, Any]) -> dict[str, Any]:
        """The state at the start; recorded, where a default of it would differ the next time."""
        plain = self.state.begun(initial)
        if not self.state.varies:
            return plain
        recorded: dict[str, Any] = await current_port("the initial state").value("initial_state", lambda: plain)
        return recorded

    def _conclude(self, flow: Flow) -> Any:
        """What `result` says, else the merged results of the steps, with the failures that were handled."""
        if self._result is not None:
            return plain_data({"result": self._result.value(flow, NO_FRAME)}, f"{self._where}, result")["result"]
        failures = flow.state.plain[self.state.names["step_failures"]]
        return {**flow.results, "step_failures": failures} if failures else flow.results

    def _unknown(self, goal: str) -> DomainError:
        names = [step.name for _, step in walk(self.workflow.steps)]
        near = did_you_mean(goal, names)
        hint = f" Did you mean {near!r}?" if near is not None else f" There are: {', '.join(names[:20])}."
        return DomainError(f"{self._where} has no step {goal!r} to go on at.{hint}", code="unknown_step", step=goal)


def _looking_in(functions: Mapping[str, Any], where: str) -> Callable[[str], Any]:
    def look_up(path: str) -> Any:
        if path not in functions:
            there = ", ".join(sorted(functions)) or "none"
            raise DefinitionError(f"{where}: nothing is given for {path!r}; there are: {there}")
        return functions[path]

    return look_up


def _declared(workflow: Workflow, look_up: Callable[[str], Any]) -> Any:
    declared = workflow.initial_state_model
    return look_up(declared) if isinstance(declared, str) else declared


def _rules(workflow: Workflow, calls: Iterable[str] | None, where: str) -> Iterable[CallRule]:
    """What the workflow may call: what it declares, what its loader says, else what its steps name (L6)."""
    if workflow.calls is not None:
        calls = workflow.calls
    for each in calls if calls is not None else dict.fromkeys(_named(workflow)):
        name, versions = split_reference(each, where=f"{where}, calls", pattern=True)
        yield CallRule(name, versions or "*")


def _named(workflow: Workflow) -> Iterable[str]:
    for _, step in walk(workflow.steps):
        if isinstance(step, SubWorkflowStep):
            yield step.sub_workflow_type
        elif isinstance(step, ParallelStep):
            yield from (task.sub_workflow_type for task in step.tasks if task.sub_workflow_type is not None)
        elif isinstance(step, FireAndForgetStep):
            yield step.target_workflow_type


def _amount(workflow: Workflow) -> Amount:
    if workflow.estimate is None:
        return NOTHING
    budget = workflow.estimate.budget()
    return Amount(budget.tokens or 0, budget.cost_micros or 0)


def _ms(duration: Duration | None) -> int | None:
    return None if duration is None else milliseconds(duration)

"""Steps that call others: SUB_WORKFLOW, AWAIT, FIRE_AND_FORGET (L14, L36)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remit.authoring.effects import start_process
from remit.errors import DomainError
from remit.kernel.retry import Retry
from remit.kernel.usage import Budget
from remit.workflows.format.model import AwaitStep, FireAndForgetStep, SubWorkflowStep, Task
from remit.workflows.running.flow import Ended, Flow, Frame, Started, key_of
from remit.workflows.running.limits import within
from remit.workflows.running.reckoning import Filled
from remit.workflows.steps.directed import call_child, reference

__all__ = ["AwaitUnit", "Called", "FireAndForgetUnit", "SubWorkflowUnit"]


@dataclass(frozen=True, slots=True)
class Called:
    """Whom a step or a task calls, with what, and on which terms."""

    spec: SubWorkflowStep | Task
    workflow_type: str
    initial_data: Filled | None
    estimate: Budget | None
    budget: Budget | None
    retry: Retry | None

    def data(self, flow: Flow, frame: Frame) -> Any:
        """The child's initial data; None where the step passes nothing on."""
        return None if self.initial_data is None else self.initial_data.value(flow, frame)

    async def result(self, data: Any, key: str) -> Any:
        """Call and wait; raises CallFailed."""
        return await call_child(
            self.workflow_type,
            self.spec.version,
            data,
            key,
            ttl=self.spec.timeout,
            estimate=self.estimate,
            budget=self.budget,
            retry=self.retry,
        )

    async def started(self, data: Any, key: str, *, detached: bool) -> Started:
        """Start without waiting; raises DomainError with a rejection's code."""
        child = await start_process(
            reference(self.workflow_type, self.spec.version),
            data,
            key=key,
            ttl=self.spec.timeout,
            estimate=self.estimate,
            budget=self.budget,
            retry=self.retry,
            detached=detached,
        )
        return Started(child, self.workflow_type)


@dataclass(slots=True)
class SubWorkflowUnit:
    """A call of another workflow or process."""

    spec: SubWorkflowStep
    called: Called
    output: Filled | None

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:
        """Call it and take its result, or start it."""
        data, key = self.called.data(flow, frame), key_of(self.spec.name, visit)
        if self.spec.mode != "sync":
            started = await self.called.started(data, key, detached=self.spec.mode == "detached")
            flow.started[self.spec.name] = started
            return Ended(flow.merge(_spawned(started)))
        return taken(
            flow, frame, self.spec.name, self.called.workflow_type, await self.called.result(data, key), self.output
        )


def taken(flow: Flow, frame: Frame, origin: str, workflow_type: str, result: Any, output: Filled | None) -> Ended:
    """Keep a child's result, and map what the step's `output` says into the state."""
    flow.child_done(origin, workflow_type, result)
    shown = result if isinstance(result, dict) else {origin: result}
    if output is None:
        return Ended({}, previous=shown)
    return Ended(flow.merge(output.value(flow, frame, result=result)), previous=shown)


def _spawned(started: Started) -> dict[str, Any]:
    return {"spawned_workflow_id": started.child.id}


@dataclass(slots=True)
class AwaitUnit:
    """The status or the outcome of a child that an earlier step started."""

    spec: AwaitStep
    output: Filled | None

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:  # noqa: ARG002  # as every unit
        """Wait for it, or look at it; raises CallFailed where it did not complete. After its timeout the child is cancelled."""
        started = flow.started.get(self.spec.child)
        if started is None:
            raise DomainError(
                f"Step {self.spec.name!r} awaits the child of {self.spec.child!r}, which has started none on the way here",
                code="not_started",
                step=self.spec.child,
            )
        if self.spec.want == "status":
            return self._given(flow, frame, await started.child.status())
        try:
            outcome = await within(self.spec.timeout, started.child.outcome(), self.spec.name)
        except DomainError as late:
            if late.code == "step_timeout":
                await started.child.cancel()
            raise
        result = outcome.unwrap()
        if self.output is None and self.spec.output_key is not None:
            flow.child_done(self.spec.child, started.workflow_type, result)
            return self._given(flow, frame, result)
        return taken(flow, frame, self.spec.child, started.workflow_type, result, self.output)

    def _given(self, flow: Flow, frame: Frame, value: Any) -> Ended:
        if self.output is not None:
            values = self.output.value(flow, frame, result=value)
        else:
            values = {self.spec.output_key or self.spec.name: value}
        return Ended(flow.merge(values))


@dataclass(slots=True)
class FireAndForgetUnit:
    """A workflow that nobody waits for; it goes on whatever becomes of this one."""

    spec: FireAndForgetStep
    called: Filled
    estimate: Budget | None

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:
        """Start it; its id is the step's result."""
        child = await start_process(
            reference(self.spec.target_workflow_type, self.spec.version),
            self.called.value(flow, frame),
            key=key_of(self.spec.name, visit),
            ttl=self.spec.timeout,
            estimate=self.estimate,
            detached=True,
        )
        started = flow.started[self.spec.name] = Started(child, self.spec.target_workflow_type)
        return Ended(flow.merge(_spawned(started)))

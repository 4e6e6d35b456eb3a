"""A unit for each step of a workflow: which function, which expressions, which terms it runs on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from remit.errors import DefinitionError
from remit.kernel.durations import milliseconds
from remit.kernel.expressions.plain import Work, plain
from remit.kernel.retry import Retry
from remit.workflows.checking.expressions import LOOP, RESULT, STATE
from remit.workflows.format.model import (
    AsyncStep,
    AwaitStep,
    CronScheduleStep,
    DecisionStep,
    FireAndForgetStep,
    HttpStep,
    HumanInLoopStep,
    InjectionRule,
    JumpStep,
    LoopStep,
    ParallelStep,
    StandardStep,
    Step,
    StepFields,
    SubWorkflowStep,
    Task,
    WaitStep,
)
from remit.workflows.http.access import HttpAccess
from remit.workflows.http.step import HttpUnit
from remit.workflows.running.body import Inserted, Planned, Steps
from remit.workflows.running.flow import Flow, Frame, Unit
from remit.workflows.running.reckoning import Filled, Read, condition, expression_map, template
from remit.workflows.running.state import StateType
from remit.workflows.steps.asking import ANYTHING, Question, question_of
from remit.workflows.steps.children import AwaitUnit, Called, FireAndForgetUnit, SubWorkflowUnit
from remit.workflows.steps.function import DecisionUnit, FunctionUnit, JumpUnit
from remit.workflows.steps.invoke import StepFunction
from remit.workflows.steps.loop import LoopUnit
from remit.workflows.steps.marked import MarkedUnit, nothing
from remit.workflows.steps.parallel import ChildTask, EachItem, FunctionTask, ParallelUnit
from remit.workflows.steps.schedule import ScheduleUnit
from remit.workflows.steps.waits import HumanUnit, WaitUnit

__all__ = ["Planner"]

Names = frozenset[str]


class Site(NamedTuple):
    """Where a step stands: the names that loops around it add, what it needs to be told, and what the step after it needs."""

    names: Names
    needs: Question | None
    then: Question | None


class Planner:
    """Compiles steps; `where` names the workflow, for errors; `http` is what HTTP steps may reach and read."""

    def __init__(self, state: StateType, look_up: Callable[[str], Any], where: str, http: HttpAccess) -> None:
        self._state = state
        self._http = http
        self._look_up = look_up
        self._where = where
        self._by_type: dict[type[StepFields], Callable[[Any, Site], Unit]] = {
            StandardStep: self._standard,
            AsyncStep: self._standard,
            DecisionStep: self._decision,
            ParallelStep: self._parallel,
            SubWorkflowStep: self._sub_workflow,
            AwaitStep: self._await,
            FireAndForgetStep: self._fire_and_forget,
            HumanInLoopStep: self._human,
            LoopStep: self._loop,
            WaitStep: self._wait,
            JumpStep: lambda step, _: JumpUnit(step),
            CronScheduleStep: self._schedule,
            HttpStep: self._request,
        }

    def steps(self, steps: Sequence[Step], names: Names = frozenset()) -> Steps:
        """Steps in their order; `names` are what loops around them add to expressions."""
        needs = [self._needs(step) for step in steps]
        place = {step.name: index for index, step in enumerate(steps)}
        planned = []
        for index, step in enumerate(steps):
            following = place.get(step.next_step, len(steps)) if step.next_step is not None else index + 1
            then = needs[following] if following < len(steps) else None
            site = Site(names, needs[index], None if then is not None and then.whole else then)
            planned.append(Planned(self._unit(step, site), self._rules(step, names)))
        return Steps(planned)

    def _unit(self, step: Step, site: Site) -> Unit:
        make = self._by_type.get(type(step))
        if make is None:
            raise DefinitionError(f"{self._at(step.name)}: steps of type {step.type} cannot be run here")
        unit = make(step, site)
        if (step.compensate_function is None and step.function is None) or _has_function(unit):
            return unit
        return MarkedUnit(unit, self._function(step, nothing if step.function is None else None))

    # -- functions ----------------------------------------------------------------------------------------------------

    def _at(self, step: str) -> str:
        return f"{self._where}, step {step!r}"

    def _function(self, step: StepFields, function: Any = None) -> StepFunction:
        retry = step.retry.policy() if step.retry is not None else Retry() if step.on_failure is not None else None
        waits = isinstance(step, HumanInLoopStep)  # its timeout is for whoever is asked
        return self._made(
            step.name,
            function if function is not None else self._look_up(step.function or ""),
            step.compensate_function,
            retry,
            milliseconds(step.timeout) if step.timeout is not None and function is None and not waits else None,
        )

    def _made(
        self, name: str, function: Any, compensate: str | None, retry: Retry | None, timeout_ms: int | None
    ) -> StepFunction:
        undo = self._look_up(compensate) if compensate is not None else None
        return StepFunction(
            name, function, self._state, self._where, timeout_ms=timeout_ms, compensate=undo, retry=retry
        )

    def _needs(self, step: StepFields) -> Question | None:
        """What a step is to be told: by its model, its schema or its names."""
        model = self._look_up(step.input_model) if step.input_model is not None else None
        described = step.answer_schema if isinstance(step, HumanInLoopStep) else None
        whole = isinstance(step, HumanInLoopStep) and step.keeps_whole
        return question_of(model, step.required_input, described, self._at(step.name), whole=whole)

    # -- by type ------------------------------------------------------------------------------------------------------

    def _standard(self, step: StandardStep | AsyncStep, site: Site) -> Unit:
        function = self._function(step)
        if isinstance(step, AsyncStep):
            function.definition = replace(function.definition, pending=True)
        return FunctionUnit(step, function, site.needs, site.then or ANYTHING)

    def _decision(self, step: DecisionStep, site: Site) -> Unit:
        before = None
        if step.function is not None:
            before = FunctionUnit(step, self._function(step), site.needs, site.then or ANYTHING)
        routes = tuple(
            (
                None
                if route.condition is None
                else condition(route.condition, RESULT | site.names, f"{self._at(step.name)}, route to {route.goal!r}"),
                route.goal,
            )
            for route in step.routes
        )
        return DecisionUnit(step, before, routes)

    def _sub_workflow(self, step: SubWorkflowStep, site: Site) -> Unit:
        called = self._called(step, step.sub_workflow_type, site.names)
        return SubWorkflowUnit(step, called, self._output(step.output, step.name, site.names))

    def _await(self, step: AwaitStep, site: Site) -> Unit:
        return AwaitUnit(step, self._output(step.output, step.name, site.names))

    def _fire_and_forget(self, step: FireAndForgetStep, site: Site) -> Unit:
        data = template(step.initial_data_template, STATE | site.names, self._at(step.name))
        return FireAndForgetUnit(step, data, step.estimate.budget() if step.estimate is not None else None)

    def _schedule(self, step: CronScheduleStep, site: Site) -> Unit:
        roots, where = STATE | site.names, self._at(step.name)
        data = template(step.initial_data_template, roots, where)
        return ScheduleUnit(step, template(step.schedule_name, roots, where), data)

    def _request(self, step: HttpStep, site: Site) -> Unit:
        return HttpUnit.of(step, STATE | site.names, self._http, self._at(step.name))

    def _called(self, spec: SubWorkflowStep | Task, workflow_type: str, names: Names) -> Called:
        data = None
        if spec.input is not None:
            data = expression_map(spec.input, STATE | names, f"{self._at(spec.name)}, input")
        return Called(
            spec,
            workflow_type,
            data,
            spec.estimate.budget() if spec.estimate is not None else None,
            spec.budget.budget() if spec.budget is not None else None,
            spec.retry.policy() if spec.retry is not None else None,
        )

    def _output(self, output: dict[str, Any] | None, step: str, names: Names) -> Filled | None:
        return None if output is None else expression_map(output, RESULT | names, f"{self._at(step)}, output")

    def _parallel(self, step: ParallelStep, site: Site) -> ParallelUnit:
        names = site.names
        if step.iterate_over is None or step.task_function is None:
            return ParallelUnit(step, tuple(self._task(step, task, names) for task in step.tasks))
        retry = step.retry.policy() if step.retry is not None else Retry() if step.allow_partial_success else None
        function = self._made(step.name, self._look_up(step.task_function), step.compensate_function, retry, None)
        items = condition(step.iterate_over, STATE | names, f"{self._at(step.name)}, iterate_over", "state")
        each = EachItem(items, step.item_var_name, FunctionTask(step.name, function), step.batch_size)
        return ParallelUnit(step, each=each)

    def _task(self, step: ParallelStep, task: Task, names: Names) -> FunctionTask | ChildTask:
        name = f"{step.name}.{task.name}"
        rule = task.retry or step.retry
        if task.sub_workflow_type is not None:
            called = self._called(task, task.sub_workflow_type, names)
            return ChildTask(task.name, called, self._output(task.output, name, names))
        retry = rule.policy() if rule is not None else None
        if retry is None and (step.allow_partial_success or step.on_failure is not None):
            retry = Retry()
        timeout_ms = milliseconds(task.timeout) if task.timeout is not None else None
        function = self._made(name, self._look_up(task.function or ""), task.compensate_function, retry, timeout_ms)
        return FunctionTask(task.name, function)

    def _human(self, step: HumanInLoopStep, site: Site) -> HumanUnit:
        default = None
        if step.on_timeout is not None and step.on_timeout.has_value:
            default = (site.needs or ANYTHING).default(step.on_timeout.value)
        return HumanUnit(
            step,
            self._function(step) if step.function is not None else None,
            site.needs,
            self._text(step.prompt, step.name, site.names),
            self._text(step.assignee, step.name, site.names),
            milliseconds(step.timeout) if step.timeout is not None else None,
            default,
            site.then,
        )

    def _loop(self, step: LoopStep, site: Site) -> LoopUnit:
        names = site.names
        inside = names | LOOP | {step.item_var_name}
        where = self._at(step.name)
        if step.mode == "ITERATE":
            by = condition(step.iterate_over or "", STATE | names, f"{where}, iterate_over", "state")
        else:
            roots = STATE | names | {"loop_index"}
            by = condition(step.while_condition or "", roots, f"{where}, while_condition", "state")
        return LoopUnit(step, by, self.steps(step.loop_body, inside))

    def _wait(self, step: WaitStep, site: Site) -> WaitUnit:
        duration, until, key = (
            self._text(each, step.name, site.names) for each in (step.duration, step.until, step.key)
        )
        return WaitUnit(step, duration, until, key)

    def _text(self, value: Any, step: str, names: Names) -> Filled | None:
        return None if value is None else template(value, STATE | names, self._at(step))

    def _rules(self, step: StepFields, names: Names) -> tuple[Inserted, ...]:
        if step.dynamic_injection is None:
            return ()
        where, roots, said = f"{self._at(step.name)}, dynamic_injection", STATE | names, step.dynamic_injection
        if said.condition is not None:
            return (Inserted(condition(said.condition, roots, where).holds, self.steps(said.steps, names)),)
        return tuple(
            Inserted(
                _matching(condition(rule.condition_key, roots, where, "state"), rule),
                self.steps(rule.steps_to_insert, names),
            )
            for rule in said.rules
        )


def _matching(value: Read, rule: InjectionRule) -> Callable[[Flow, Frame], bool]:
    """Whether a value of the state is the one that a rule names, or is none of those."""

    def matches(flow: Flow, frame: Frame) -> bool:
        found = plain(value.value(flow, frame), Work())
        return bool(found == rule.value_match) if rule.value_is_not is None else found not in rule.value_is_not

    return matches


def _has_function(unit: Unit) -> bool:
    """Whether the step itself is a function, once or for each item, which carries the step's compensation."""
    if isinstance(unit, ParallelUnit):
        return unit.each is not None
    return isinstance(unit, FunctionUnit | HumanUnit | DecisionUnit) and unit.spec.function is not None

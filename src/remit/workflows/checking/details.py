"""What single steps say in languages of their own: durations and moments, cron expressions, JSON Schemas, URLs and headers."""

from __future__ import annotations

from datetime import datetime

from remit.errors import DefinitionError
from remit.kernel.durations import milliseconds
from remit.kernel.expressions.conditions import ConditionError
from remit.kernel.schedules import problem_of, problem_of_name
from remit.workflows.checking.expressions import STATE, expressions_of, read
from remit.workflows.checking.views import Placed, View
from remit.workflows.format.conformity import misfit, schema_problem
from remit.workflows.format.model import CronScheduleStep, HttpStep, HumanInLoopStep, WaitStep
from remit.workflows.format.source import Loc
from remit.workflows.http.access import HttpAccess
from remit.workflows.http.requests import RequestTemplate

__all__ = ["check_details"]


def check_details(view: View) -> None:
    """Report what a step could never do as it says it; what holds an expression is known only when it runs."""
    for placed in view.steps:
        match placed.step:
            case CronScheduleStep():
                _check_schedule(view, placed, placed.step)
            case WaitStep():
                _check_wait(view, placed, placed.step)
            case HumanInLoopStep():
                _check_answer(view, placed, placed.step)
            case HttpStep():
                _check_request(view, placed, placed.step)
            case _:
                continue


def _check_schedule(view: View, placed: Placed, step: CronScheduleStep) -> None:
    problems: dict[str, str | None] = {
        "cron_expression": problem_of(step.cron_expression),
        "timezone": problem_of("@daily", step.timezone),
        "schedule_name": None if "{{" in step.schedule_name else problem_of_name(step.schedule_name),
    }
    for name, problem in problems.items():
        if problem is not None:
            view.report("bad_schedule", f"{placed.named}: {problem}", view.at(placed.loc, name))


def _check_wait(view: View, placed: Placed, step: WaitStep) -> None:
    try:
        if step.duration is not None and "{{" not in str(step.duration):
            milliseconds(step.duration)
        if step.until is not None and "{{" not in step.until:
            _moment(step.until)
    except ValueError as error:
        view.report("invalid_value", f"{placed.named}: {error}", view.at(placed.loc, "duration", "until"))


def _moment(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r:.100} is no moment: write 2026-08-01T09:00:00Z") from None


def _check_answer(view: View, placed: Placed, step: HumanInLoopStep) -> None:
    if step.answer_schema is None:
        return
    problem = schema_problem(step.answer_schema)
    if problem is not None:
        told = f"{placed.named}: `schema` is no JSON Schema: {problem[1]:.200}"
        view.report("invalid_schema", told, (*placed.loc, "schema", *problem[0]))
    elif step.on_timeout is not None and step.on_timeout.has_value:
        problem = misfit(step.on_timeout.value, step.answer_schema)
        if problem is not None:
            told = f"{placed.named}: the value of `on_timeout` does not fit the schema: {problem[1]:.200}"
            view.report("invalid_value", told, (*placed.loc, "on_timeout", "value", *problem[0]))


class _AnyName(HttpAccess):
    """Which secrets and variables the operator lists is known where an app opens."""

    __slots__ = ()

    def require(self, kind: str, name: str, where: str) -> None:
        """Any name may be listed."""


def _check_request(view: View, placed: Placed, step: HttpStep) -> None:
    try:
        for expression in expressions_of(placed.loc, step, placed.names):
            read(expression)
        RequestTemplate(step.http_config, STATE | placed.names, _AnyName(), placed.named)
    except ConditionError:
        return  # it is reported with all other expressions
    except DefinitionError as error:
        at: Loc = (*placed.loc, "http_config")
        place = "url" if "`url`" in error.message else "headers" if "header" in error.message else ""
        view.report("bad_request", error.message.rstrip("."), view.at(at, place))

"""What single steps say in languages of their own: durations and moments, cron expressions, JSON Schemas, URLs and headers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

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
    schema = step.answer_schema or {}
    problem = schema_problem(schema)
    if problem is not None:
        told = f"{placed.named}: `schema` is no JSON Schema: {problem[1]:.200}"
        view.report("invalid_schema", told, (*placed.loc, "schema", *problem[0]))
        return
    if not step.keeps_whole and not _may_be_object(schema):
        mended = (
            "an object with the parameters of its function" if step.function else "an object, or add an `output_key`"
        )
        told = f"{placed.named}: its answer is taken field by field, and `schema` allows no object: ask for {mended}"
        view.report("invalid_schema", told, (*placed.loc, "schema", "type"))
        return
    if step.on_timeout is None or not step.on_timeout.has_value:
        return
    problem = misfit(step.on_timeout.value, schema if step.keeps_whole else {"type": "object", **schema})
    if problem is not None:
        told = f"{placed.named}: the value of `on_timeout` does not fit as an answer: {problem[1]:.200}"
        view.report("invalid_value", told, (*placed.loc, "on_timeout", "value", *problem[0]))


def _may_be_object(schema: dict[str, Any]) -> bool:
    """Whether an object may fit, as far as the schema's first words tell."""
    kinds = schema.get("type", "object")
    values = schema.get("enum", [schema["const"]] if "const" in schema else [{}])
    return "object" in ([kinds] if isinstance(kinds, str) else kinds) and any(isinstance(each, dict) for each in values)


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

"""Whether expressions can be read, whether the fields they read are there, and whether maps fit the contract of the callee."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from remit.kernel.expressions.conditions import Condition, ConditionError
from remit.kernel.expressions.plain import ConditionFailed
from remit.kernel.expressions.templates import Template
from remit.workflows.checking.calling import Book
from remit.workflows.checking.code import UNKNOWN, Start
from remit.workflows.checking.contracts import OPEN, Contract, FieldKind, kind_of
from remit.workflows.checking.expressions import Expression, expressions, read
from remit.workflows.checking.views import Placed, View
from remit.workflows.format.findings import Finding, Severity, did_you_mean
from remit.workflows.format.model import CronScheduleStep, FireAndForgetStep, ParallelStep, Step, SubWorkflowStep, Task
from remit.workflows.format.source import Loc
from remit.workflows.running.state import SUPPLIED

__all__ = ["check_fit"]

_OTHERWISE = re.compile(
    r"yes|no|on|off|[-+]?[0-9][0-9_]*_[0-9_]*|[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?|[0-9]{4}-[0-9]{2}-[0-9]{2}",
    re.IGNORECASE,
)
_ARTICLES = {
    "text": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "mapping": "a mapping",
    "nothing": "nothing",
}
Read = Mapping[Loc, Condition | Template]
Names = dict[str, None]
"""Names in their order, each once."""


class _Passed(NamedTuple):
    """What a call passes on: to whom, from where in the file, and as a map or as a template."""

    by: str
    target: str
    target_loc: Loc
    loc: Loc
    value: Any


def check_fit(view: View, book: Book) -> None:
    """Report what is wrong with the expressions and maps of a workflow."""
    parsed: dict[Loc, Condition | Template] = {}
    filled = _filled_in(view)
    for step, expression in expressions(view.file.workflow):
        if expression.kind == "template":
            _check_meanings(view, expression)
        found = _read(view, expression)
        if found is not None:
            parsed[expression.loc] = found
            _check_paths(view, step, expression, found, book, filled)
    for placed in view.steps:
        for passed in _passed(placed):
            _check_passed(view, passed, parsed, book)
        for at, code in placed.codes:
            for start in code.starts:
                _check_start(view, placed, at, start, book)


def _read(view: View, expression: Expression) -> Condition | Template | None:
    try:
        return read(expression)
    except ConditionError as error:
        for each in (error, *error.others):
            told = f"{each.problem} (in {_excerpt(each.text, each.column - 1)!r})"
            view.report(
                "bad_expression",
                told,
                (*expression.loc, *each.where),
                offset=each.column - 1,
                suggestion=each.suggestion,
            )
        return None


def _check_meanings(view: View, expression: Expression) -> None:
    """Plain words that YAML 1.1 takes for something else: they are texts here, and were not where the file comes from."""
    for where, text in _texts(expression.value, ()):
        at = (*expression.loc, *where)
        if _OTHERWISE.fullmatch(text) and view.file.source.node(at).style == "plain":
            told = f"{text!r} is a text, as YAML 1.2 has it; YAML 1.1 reads something else: put it into quotes, or write what is meant"
            view.warn("yaml_meaning", told, at)


def _excerpt(text: str, at: int) -> str:
    """The line that a place of a text is in, cut to the words around it."""
    start = text.rfind("\n", 0, at) + 1
    line = text[start:].partition("\n")[0]
    first = max(0, at - start - 40)
    return line[first : first + 80].strip()


def _check_paths(
    view: View, step: Step | None, expression: Expression, found: Condition | Template, book: Book, filled: Names
) -> None:
    """The fields of the state, and of a child's result, that an expression reads."""
    for path in found.paths:
        if len(path) < 2:
            continue
        if path[0] == "state":
            _check_field(view, expression, path, view.contract, "the state", filled)
        elif path[0] == "result" and isinstance(step, SubWorkflowStep):
            _check_field(
                view,
                expression,
                path,
                _result_of(step.sub_workflow_type, book),
                f"the result of {step.sub_workflow_type}",
                {},
            )


def _check_field(
    view: View, expression: Expression, path: tuple[str, ...], contract: Contract, of: str, more: Names
) -> None:
    name = path[1]
    if not contract.fields or name in contract.fields or name in more:
        return
    close = did_you_mean(name, [*contract.fields, *more])
    if not contract.closed and close is None:
        return
    where, offset = _place_of(expression.value, ".".join(path[:2]), name)
    text = view.file.source.node((*expression.loc, *where)).value
    certain = contract.closed and "default" not in str(text)
    told = f"{of[:1].upper()}{of[1:]} has no field {name!r}"
    if contract is view.contract and name in _output_keys(view):
        told += ", so that it does not keep what a step gives under this `output_key`: declare it"
    view.report(
        "unknown_field",
        told,
        (*expression.loc, *where),
        offset=offset,
        suggestion=close,
        severity="error" if certain else "warning",
    )


def _filled_in(view: View) -> Names:
    """Names that the state has besides its model's: those supplied, and those that steps fill in where it keeps others."""
    return dict.fromkeys((*SUPPLIED, *(() if view.contract.closed else _output_keys(view))))


def _output_keys(view: View) -> Iterator[str]:
    keys = (getattr(placed.step, "output_key", None) for placed in view.steps)
    return (key for key in keys if key is not None)


def _result_of(target: str, book: Book) -> Contract:
    """What a workflow gives back, where it says so field by field."""
    stated = [view.file.workflow.result for view in book.views.get(target, ())]
    if len(stated) != 1 or not isinstance(stated[0], dict):
        return OPEN
    return Contract({name: FieldKind(required=False) for name in stated[0]}, closed=True)


def _place_of(value: Any, path: str, name: str) -> tuple[Loc, int]:
    """Where in a structure of texts a path is written, and the place of the name in that text."""
    for where, text in _texts(value, ()):
        at = text.find(path)
        if at >= 0:
            return where, at + len(path) - len(name)
    for where, text in _texts(value, ()):
        at = text.find(name)
        if at >= 0:
            return where, at
    return (), 0


def _texts(value: Any, where: Loc) -> Iterator[tuple[Loc, str]]:
    if isinstance(value, str):
        yield where, value
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _texts(inner, (*where, key))


def _passed(placed: Placed) -> Iterator[_Passed]:
    step, loc = placed.step, placed.loc
    if isinstance(step, SubWorkflowStep):
        yield _Passed(placed.named, step.sub_workflow_type, (*loc, "sub_workflow_type"), (*loc, "input"), step.input)
    elif isinstance(step, FireAndForgetStep | CronScheduleStep):
        at = (*loc, "initial_data_template")
        yield _Passed(
            placed.named, step.target_workflow_type, (*loc, "target_workflow_type"), at, step.initial_data_template
        )
    elif isinstance(step, ParallelStep):
        for number, task in enumerate(step.tasks):
            if task.sub_workflow_type is not None:
                yield _of_task(placed, task, (*loc, "tasks", number), task.sub_workflow_type)


def _of_task(placed: Placed, task: Task, loc: Loc, target: str) -> _Passed:
    by = f"{placed.named}, task {task.name!r},"
    return _Passed(by, target, (*loc, "sub_workflow_type"), (*loc, "input"), task.input)


def _check_passed(view: View, passed: _Passed, parsed: Read, book: Book) -> None:
    contract = _contract_of(passed.target, book)
    found = parsed.get(passed.loc)
    lone = found.conditions if isinstance(found, Template) else {}
    for where, condition in lone.items():
        if condition.path == ("state",):
            told = f"{passed.by} passes the whole state on to {passed.target}: pass the fields it needs"
            view.warn("whole_state", told, (*passed.loc, *where))
    if isinstance(passed.value, dict) or passed.value is None:
        _check_keys(view, passed, contract, lone)
    elif isinstance(passed.value, str):
        whole = () in lone and lone[()].path == ("state",)
        known = view.contract if whole and view.contract.closed and view.contract.exact else None
        for name in [] if known is None else [each for each in contract.required if each not in known.fields]:
            told = (
                f"{passed.by} passes the state on to {passed.target}, which needs {name!r}; the state has no such field"
            )
            view.report("missing_input", told, passed.loc, suggestion=did_you_mean(name, view.contract.fields))
    else:
        view.report("invalid_value", f"{passed.by} says `input` field by field, or as one expression", passed.loc)


def _check_keys(view: View, passed: _Passed, contract: Contract, lone: Mapping[Loc, Condition]) -> None:
    given: dict[str, Any] = passed.value or {}
    at = passed.loc if given else passed.target_loc
    for name in contract.required:
        if name not in given:
            told = f"{passed.by} does not pass {name!r}, which {passed.target} needs"
            view.report("missing_input", told, at)
    for name, value in given.items():
        here = (*passed.loc, name)
        field = contract.fields.get(name)
        if field is None:
            _unknown_input(view, passed, contract, name)
            continue
        literal = _literal(value, lone.get((name,)))
        if literal is not UNKNOWN and not field.takes(literal):
            told = f"{passed.by} passes {_ARTICLES[kind_of(literal)]} as {name!r}; {passed.target} takes {_or(field.kinds)}"
            view.report("wrong_input_type", told, here)


def _unknown_input(view: View, passed: _Passed, contract: Contract, name: str) -> None:
    missing = [each for each in contract.fields if each not in (passed.value or {})]
    close = did_you_mean(name, missing) or did_you_mean(name, contract.fields)
    if contract.closed or (close is not None and contract.fields):
        told = f"{passed.by} passes {name!r}, which is no field of {passed.target}'s state"
        here = view.file.source.key_position((*passed.loc, name))
        severity: Severity = "error" if contract.closed else "warning"
        view.findings.append(Finding("unknown_input", severity, told, here, name, close))


def _literal(value: Any, condition: Condition | None) -> Any:
    """The value of a leaf that is known before anything runs."""
    if condition is None:
        return UNKNOWN if isinstance(value, str) and "{{" in value else value
    if not condition.is_constant:
        return UNKNOWN
    try:
        return condition.evaluate({})
    except ConditionFailed:
        return UNKNOWN


def _contract_of(target: str, book: Book) -> Contract:
    views = book.views.get(target, ())
    return views[0].contract if len(views) == 1 else OPEN


def _check_start(view: View, placed: Placed, at: Loc, start: Start, book: Book) -> None:
    """The same for what a function passes on, as far as its source says."""
    by = f"{placed.named} (StartSubWorkflowDirective at {start.place})"
    if start.whole_state:
        view.warn(
            "whole_state", f"{by} passes the whole state on to {start.workflow_type}: pass the fields it needs", at
        )
    contract = _contract_of(start.workflow_type, book)
    for name in contract.required if start.data is not None else ():
        if start.data is not None and name not in start.data:
            view.report("missing_input", f"{by} does not pass {name!r}, which {start.workflow_type} needs", at)
    for name, value in (start.data or {}).items():
        field = contract.fields.get(name)
        if field is None and contract.closed:
            told = f"{by} passes {name!r}, which is no field of {start.workflow_type}'s state"
            view.warn("unknown_input", told, at, suggestion=did_you_mean(name, contract.fields))
        elif field is not None and value is not UNKNOWN and not field.takes(value):
            told = (
                f"{by} passes {_ARTICLES[kind_of(value)]} as {name!r}; {start.workflow_type} takes {_or(field.kinds)}"
            )
            view.report("wrong_input_type", told, at)


def _or(kinds: frozenset[str]) -> str:
    *most, last = (_ARTICLES[each] for each in sorted(kinds))
    return f"{', '.join(most)} or {last}" if most else last

"""Where a workflow holds expressions, of what kind they are, and which names each may read (L38).

One table for the check and for whoever works them out:

    condition           a condition of a route, of a loop
    path                a path into the state, `state.` in front or not
    template            texts that may hold {{ … }}
    map                 texts that are expressions, by field
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from remit.kernel.expressions import conditions, templates
from remit.kernel.expressions.conditions import Condition
from remit.kernel.expressions.templates import Template
from remit.workflows.format.model import (
    AwaitStep,
    CronScheduleStep,
    DecisionStep,
    FireAndForgetStep,
    HttpStep,
    HumanInLoopStep,
    LoopStep,
    ParallelStep,
    Step,
    StepFields,
    SubWorkflowStep,
    WaitStep,
    Workflow,
)
from remit.workflows.format.source import Loc

__all__ = ["HTTP", "LOOP", "RESULT", "STATE", "Expression", "expressions", "expressions_of", "read", "scoped"]

Kind = Literal["condition", "path", "template", "map"]

STATE = frozenset({"state"})
RESULT = frozenset({"state", "result"})
HTTP = frozenset({"state", "secrets", "env"})
LOOP = frozenset({"item", "loop_index"})


class Expression(NamedTuple):
    """One expression, or one structure of them: its place, its kind, and the names it may begin with."""

    loc: Loc
    kind: Kind
    value: Any
    roots: frozenset[str]
    default_root: str | None = None


def expressions(workflow: Workflow) -> Iterator[tuple[Step | None, Expression]]:
    """Every expression of a workflow with the step it belongs to; None for the workflow's own result."""
    if workflow.result is not None:
        yield None, Expression(("result",), "map", workflow.result, STATE)
    for loc, step, names in scoped(workflow.steps):
        for each in expressions_of(loc, step, names):
            yield step, each


def scoped(
    steps: list[Step], at: Loc = ("steps",), names: frozenset[str] = frozenset()
) -> Iterator[tuple[Loc, Step, frozenset[str]]]:
    """Every step with its place and the names that the loops around it add."""
    for index, step in enumerate(steps):
        here = (*at, index)
        yield here, step, names
        if isinstance(step, LoopStep):
            yield from scoped(step.loop_body, (*here, "loop_body"), names | LOOP | {step.item_var_name})
        for place, inserted in step.dynamic_injection.lists() if step.dynamic_injection is not None else ():
            yield from scoped(inserted, (*here, "dynamic_injection", *place), names)


def read(expression: Expression) -> Condition | Template:
    """An expression ready to be worked out; raises ConditionError where it cannot be read."""
    _, kind, value, roots, default = expression
    if kind in {"condition", "path"}:
        return conditions.parse(value, roots, default)
    return (templates.template if kind == "template" else templates.expression_map)(value, roots, default)


class _Field(NamedTuple):
    """Where a step's fields hold expressions; '*' stands for every one of a list."""

    path: tuple[str, ...]
    kind: Kind
    roots: frozenset[str]
    default_root: str | None = None


_INPUT, _OUTPUT = ("input",), ("output",)
_EVERY_STEP = (
    _Field(("dynamic_injection", "rules", "*", "condition_key"), "path", STATE, "state"),
    _Field(("dynamic_injection", "condition"), "condition", STATE),
)
_ITERATE = _Field(("iterate_over",), "path", STATE, "state")
_TABLE: dict[type[StepFields], tuple[_Field, ...]] = {
    DecisionStep: (_Field(("routes", "*", "condition"), "condition", RESULT),),
    LoopStep: (_ITERATE, _Field(("while_condition",), "condition", STATE | {"loop_index"}, "state")),
    ParallelStep: (
        _ITERATE,
        _Field(("tasks", "*", *_INPUT), "map", STATE),
        _Field(("tasks", "*", *_OUTPUT), "map", RESULT),
    ),
    SubWorkflowStep: (_Field(_INPUT, "map", STATE), _Field(_OUTPUT, "map", RESULT)),
    AwaitStep: (_Field(_OUTPUT, "map", RESULT),),
    HttpStep: tuple(
        _Field(("http_config", part), "template", HTTP) for part in ("url", "headers", "query_params", "body")
    ),
    FireAndForgetStep: (_Field(("initial_data_template",), "template", STATE),),
    CronScheduleStep: tuple(_Field((part,), "template", STATE) for part in ("schedule_name", "initial_data_template")),
    HumanInLoopStep: tuple(_Field((part,), "template", STATE) for part in ("prompt", "assignee")),
    WaitStep: tuple(_Field((part,), "template", STATE) for part in ("duration", "until", "key")),
}


def expressions_of(loc: Loc, step: Step, names: frozenset[str]) -> Iterator[Expression]:
    """Every expression of one step that stands at `loc`, inside loops that add `names`."""
    for each in (*_EVERY_STEP, *_TABLE.get(type(step), ())):
        for at, value in _values(step, each.path, loc):
            yield Expression(at, each.kind, value, each.roots | names, each.default_root)


def _values(owner: Any, path: tuple[str, ...], at: Loc) -> Iterator[tuple[Loc, Any]]:
    """The values at the end of a path that are there, each with its place."""
    if owner is None:
        return
    if not path:
        yield at, owner
    elif path[0] == "*":
        for index, each in enumerate(owner):
            yield from _values(each, path[1:], (*at, index))
    else:
        yield from _values(getattr(owner, path[0]), path[1:], (*at, path[0]))

"""What the model of a workflow file says about several fields at once, in JSON Schema: what goes together, what excludes what."""

from __future__ import annotations

from typing import Any

from remit.workflows.format.fields import OnTimeout, Section
from remit.workflows.format.model import (
    DecisionStep,
    DynamicInjection,
    InjectionRule,
    LoopStep,
    ParallelStep,
    Route,
    Task,
    WaitStep,
)

__all__ = ["RULES", "only_one_of"]

Schema = dict[str, Any]


def _there(name: str) -> Schema:
    """The key is there, whatever its value."""
    return {"required": [name]}


def _given(*names: str) -> Schema:
    """One of these keys is there, and not null."""
    each = [{**_there(name), "properties": {name: {"not": {"type": "null"}}}} for name in names]
    return each[0] if len(each) == 1 else {"anyOf": each}


def _filled(name: str) -> Schema:
    """The list is there and has an entry."""
    return {**_there(name), "properties": {name: {"minItems": 1}}}


def _not(schema: Schema) -> Schema:
    return {"not": schema}


def _both(*schemas: Schema) -> Schema:
    return {"allOf": list(schemas)}


def _together(one: Schema, other: Schema) -> Schema:
    """Both or neither."""
    return {"anyOf": [_both(one, other), _both(_not(one), _not(other))]}


def only_one_of(names: list[str]) -> Schema:
    """Of the names that a field goes by, a file uses one."""
    pairs = [[one, other] for index, one in enumerate(names) for other in names[index + 1 :]]
    return _not({"anyOf": [{"required": pair} for pair in pairs]})


def _mode(word: str, wanted: str, other: str) -> Schema:
    spelled = "".join(f"[{letter}{letter.lower()}]" for letter in word)
    return {
        "if": {"properties": {"mode": {"pattern": f"^{spelled}$"}}},
        "then": _both(_given(wanted), _not(_given(other))),
    }


_CONDITION, _DEFAULT = _given("condition"), _given("default")
_TARGET = _given("target", "next_step", "next", "target_step")
_ITEMS, _ITEM_FUNCTION = _given("iterate_over"), _given("task_function")

RULES: dict[type[Section], tuple[Schema, ...]] = {
    Route: ({"oneOf": [_both(_DEFAULT, _not(_CONDITION), _not(_TARGET)), _both(_CONDITION, _TARGET, _not(_DEFAULT))]},),
    DecisionStep: ({"anyOf": [_given("function"), _filled("routes")]},),
    Task: ({"oneOf": [_given("function", "function_path"), _given("sub_workflow_type")]},),
    ParallelStep: (_together(_ITEMS, _ITEM_FUNCTION), {"anyOf": [_filled("tasks"), _ITEMS]}),
    LoopStep: (
        _mode("ITERATE", "iterate_over", "while_condition"),
        _mode("WHILE", "while_condition", "iterate_over"),
    ),
    WaitStep: (
        {"oneOf": [_given("duration"), _given("until"), _given("event")]},
        {"anyOf": [_not(_given("key")), _given("event")]},
    ),
    OnTimeout: ({"oneOf": [_given("target_step"), _there("value")]},),
    InjectionRule: ({"oneOf": [_there("value_match"), _given("value_is_not")]},),
    DynamicInjection: (
        {"oneOf": [_filled("rules"), _given("condition")]},
        {"oneOf": [_filled("rules"), _filled("steps")]},
    ),
}
"""By group of fields: each of these holds for it."""

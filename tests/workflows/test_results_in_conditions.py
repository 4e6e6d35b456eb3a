"""L36, L38: a condition finds a child's result by step or by type, and is told of a type that several steps called."""

from __future__ import annotations

from typing import Any

import pytest

from remit.kernel.expressions.conditions import ConditionFailed, parse
from remit.workflows.running.results import SubWorkflowResults

RESULTS = SubWorkflowResults(
    {"Pick": {"ok": 1}, "Pick_Again": {"ok": 2}, "Send": {"ok": 3}},
    {"Picking": [["Pick"], ["Pick_Again"]], "Shipping": [["Send"]]},
)


def value_of(text: str) -> Any:
    return parse(text, frozenset({"state"})).evaluate({"state": {"sub_workflow_results": RESULTS}})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("state.sub_workflow_results.Pick_Again.ok", 2),
        ("state.sub_workflow_results['Shipping'].ok", 3),
        ("'Send' in state.sub_workflow_results", True),
        ("state.sub_workflow_results.Absent", None),
    ],
)
def test_L36_a_condition_finds_a_result_by_step_and_by_the_only_child_of_a_type(text: str, value: Any) -> None:
    assert value_of(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "state.sub_workflow_results.Picking.ok == 1",
        "state.sub_workflow_results['Picking'] is None",
        "'Picking' in state.sub_workflow_results",
        "state.sub_workflow_results.Picking | default('none')",
    ],
)
def test_L36_a_condition_that_asks_for_an_ambiguous_type_is_told_the_steps(text: str) -> None:
    with pytest.raises(ConditionFailed) as caught:
        value_of(text)
    assert "2 steps called 'Picking': Pick, Pick_Again" in caught.value.message

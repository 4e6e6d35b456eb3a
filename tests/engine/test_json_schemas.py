"""Data against a JSON Schema, in time that no value can stretch (L48)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from remit.engine.values.json_schemas import unreadable_pattern, validator_of
from remit.errors import DefinitionError
from remit.workflows.format.conformity import problem_finder

EVIL = "a" * 5_000 + "!"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "pattern": "^(a+)+$"}, EVIL),
        ({"properties": {"a": {"pattern": "(x|a|aa)*$b"}}}, {"a": EVIL}),
        ({"patternProperties": {"^(a+)+$": {"type": "integer"}}}, {EVIL: "text"}),
    ],
)
def test_L48_no_text_makes_a_pattern_take_long(schema: dict[str, Any], value: Any) -> None:
    validator = validator_of(schema)
    began = time.perf_counter()
    list(validator.iter_errors(value))
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("schema", "fit", "unfit"),
    [
        ({"pattern": "^[A-Z]{2}[0-9]+$"}, "DE42", "de42"),
        ({"pattern": "b+"}, "abbc", "ac"),
        ({"pattern": "^x"}, 7, "yx"),
        ({"patternProperties": {"^n_": {"type": "integer"}}}, {"n_a": 1, "other": "x"}, {"n_a": "x"}),
        ({"pattern": "^(?!no)"}, "yes", "no way"),
    ],
)
def test_L48_patterns_mean_what_they_say(schema: dict[str, Any], fit: Any, unfit: Any) -> None:
    assert list(validator_of(schema).iter_errors(fit)) == []
    problem = next(iter(validator_of(schema).iter_errors(unfit)))
    assert problem.message


def test_L48_a_problem_is_shown_where_it_is() -> None:
    finder = problem_finder({"properties": {"code": {"pattern": "^[0-9]+$"}}}, "workflow 'Order'")
    assert finder({"code": "12"}) is None
    assert finder({"code": "x"}) == ("/code", "'x' does not match '^[0-9]+$'")


@pytest.mark.parametrize(
    "schema", [{"anyOf": [{"pattern": "(?=a)b"}]}, {"patternProperties": {r"(a)\1": {}}}]
)
def test_L48_a_file_s_pattern_that_looks_around_or_back_is_refused(schema: dict[str, Any]) -> None:
    assert unreadable_pattern(schema)
    with pytest.raises(DefinitionError, match="linear time"):
        problem_finder(schema, "workflow 'Order'")

"""L38: templates and maps: what stands in `{{ }}` is worked out with its type, and every fault has its place."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from remit.kernel.expressions.conditions import ConditionError, ConditionFailed
from remit.kernel.expressions.templates import Template, expression_map, template

STATE = frozenset({"state"})


class Order(BaseModel):
    id: str
    total: Decimal


NAMES = {
    "state": {
        "id": "o-1",
        "amount": 12,
        "price": Decimal("9.90"),
        "items": [{"sku": "a"}],
        "none": None,
        "flag": True,
        "order": Order(id="o-1", total=Decimal("9.90")),
    }
}


def rendered(value: Any) -> Any:
    return template(value, STATE).render(NAMES)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("plain", "plain"), ("", ""), ("a }} b", "a }} b"), ("{ {", "{ {"), ("100 %", "100 %")),
        *(("{{ state.amount }}", 12), ("{{state.items}}", [{"sku": "a"}]), ("{{ state.none }}", None)),
        *((" {{ 1 }}\n", 1), ("{{ state.price }}", Decimal("9.90")), ("{{ {'a': {'b': 1}} }}", {"a": {"b": 1}})),
        *(("{{{'a': 1}}}", {"a": 1}), ("{{ '}}' }}", "}}"), ("{{ '{{' }}!", "{{!"), ("{{ '{%' }}", "{%")),
        *(("x{{ '' }}", "x"), ("{{ - 1 }}", -1), ("/orders/{{ state.id }}/{{ state.amount }}", "/orders/o-1/12")),
        *(("{{ 1 }}{{ 2 }}", "12"), ("{{ state.flag }}, {{ state.price }}", "true, 9.90")),
        ("is {{ state.items }}", 'is [{"sku": "a"}]'),
        ("is {{ state.order }}", 'is {"id": "o-1", "total": "9.90"}'),
        *(("a {{ state.none | default('-') }}", "a -"), ("{{ state.gone.x | default('nobody') }}!", "nobody!")),
        ('{"a": {{ state.items | tojson }}}', '{"a": [{"sku": "a"}]}'),
    ],
)
def test_a_string_that_is_one_expression_keeps_its_type_and_a_mixed_one_is_text(text: str, value: Any) -> None:
    assert rendered(text) == value
    assert type(rendered(text)) is type(value)


def test_a_structure_is_made_anew_at_each_rendering() -> None:
    source = {"a": ["{{ state.amount }}", ("x",), 1.5, None], "b": {}}
    made = template(source, STATE)
    first, second = made.render(NAMES), made.render(NAMES)
    assert first == second == {"a": [12, ["x"], 1.5, None], "b": {}}
    first["a"].append(1)
    first["b"]["c"] = 1
    assert second == made.render(NAMES)
    assert source == {"a": ["{{ state.amount }}", ("x",), 1.5, None], "b": {}}


def test_in_a_map_every_string_is_an_expression() -> None:
    made = expression_map(
        {"id": "state.id", "mode": "'express'", "n": 3, "more": ["{{ state.amount + 1 }}", "to {{ state.id }}", None]},
        STATE,
    )
    assert made.render(NAMES) == {"id": "o-1", "mode": "express", "n": 3, "more": [13, "to o-1", None]}
    assert made.paths == (("state", "id"), ("state", "amount"))
    assert expression_map("state.amount > 3", STATE).render(NAMES) is True


def test_the_leaves_that_are_one_expression_each_are_told_by_their_place() -> None:
    made: Template = template({"a": ["{{ state.id }}", "x {{ state.amount }}"], "b": "{{ 1 }}"}, STATE)
    assert {where: condition.path for where, condition in made.conditions.items()} == {
        ("a", 0): ("state", "id"),
        ("b",): None,
    }
    assert made.conditions["b",].is_constant
    assert made.paths == (("state", "id"), ("state", "amount"))


def test_a_bare_name_is_a_field_of_the_default_root() -> None:
    made = template("Hello {{ id }}, {{ state.amount }}", STATE, "state")
    assert made.render(NAMES) == "Hello o-1, 12"
    assert made.paths == (("state", "id"), ("state", "amount"))
    assert expression_map({"a": "amount"}, STATE, "state").render(NAMES) == {"a": 12}


def error_of(value: Any, read: Any = template) -> ConditionError:
    with pytest.raises(ConditionError) as caught:
        read(value, STATE)
    return caught.value


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        *(("a {{ state.x", 3, "'{{' has no '}}' after it"), ("a {{ 'x }}", 6, "has no closing '")),
        *(("{{", 1, "no '}}'"), ("a {{ }}", 6, "here should be an expression")),
        ("a {{ state.x && 1 }}", 14, "'&&' stands where an operator should"),
        *(("{{- state.x }}", 1, "would take the sign"), ("{% if x %}", 1, "no statements or comments such as {%")),
        *(("ab {# note #}", 4, "such as {#"), ("{{ 1 }} {% end %}", 9, "such as {%")),
        *(("{{ now() }}", 4, "nothing can be called"), ("{{ stat.x }}", 4, "'stat' is not known")),
        *(("{{ {'a': 1 }}", 1, "'{{' has no '}}'"), ("{{ 1 }} {{ 1 2 }}", 14, "operator")),
        ("{{ '" + "a" * 5_000 + "' }}", 4_099, "at most 4096 characters"),
        ("{{" + " " * 5_000 + "}}", 4_099, "at most 4096"),
    ],
)
def test_L38_a_fault_in_a_template_has_its_column_in_the_whole_text(text: str, column: int, problem: str) -> None:
    error = error_of(text)
    assert (error.column, error.text, error.where, error.others) == (column, text, (), ())
    assert problem in error.problem


def test_a_long_expression_is_cut_in_the_message_of_a_failure() -> None:
    with pytest.raises(ConditionFailed) as caught:
        rendered(f"a {{{{ state.{'n' * 3_000} }}}}")
    assert len(caught.value.message) < 250


def test_L38_all_faults_of_a_structure_are_told_at_once_with_their_places() -> None:
    error = error_of({"a": "{{ x }}", "b": ["fine", {"c": "{{ 1 +"}], "{{ k }}": 1, "d": "state.ok"})
    assert [(each.where, each.column) for each in (error, *error.others)] == [
        (("a",), 4),
        (("b", 1, "c"), 1),
        (("{{ k }}",), 1),
    ]
    assert error_of({"mode": "standard"}, expression_map).suggestion == "'standard'"
    assert error_of({"note": ""}, expression_map).suggestion == "'' for an empty text"


def test_L38_a_template_is_bounded() -> None:
    deep: Any = "x"
    for _ in range(40):
        deep = {"a": [deep]}
    assert "nested deeper than 32" in error_of(deep).problem
    assert "at most 1000 expressions" in error_of(["{{ 1 }}" * 10] * 101).problem
    assert template("{{ 1 }}" * 1_000, STATE).render({}) == "1" * 1_000
    for beyond in ("{{ 1 }}" * 1_001 + "{{ never read", ["{{ 1 }}"] * 1_001 + ["{{ never read"]):
        assert "at most 1000 expressions" in error_of(beyond).problem
    assert "at most 1000 expressions" in error_of(["1"] * 1_001 + ["1 +"], expression_map).problem
    with pytest.raises(ConditionFailed, match="more than 262144 characters"):
        template("{{ state.x }}{{ state.x }}", STATE).render({"state": {"x": "a" * 200_000}})
    with pytest.raises(ConditionFailed, match="the values are too large"):
        template(["a {{ state.x }}"] * 100, STATE).render({"state": {"x": "a" * 200_000}})


@pytest.mark.parametrize(
    ("value", "where", "part", "condition"),
    [
        ({"a": ["{{ state.none.x }}"]}, ["a", 0], "state.none.x", "state.none.x"),
        ("Hi {{ state.none }}", [], "state.none", "state.none"),
        ({"b": "{{ state.amount }} {{ state.id / 2 > 1 }}"}, ["b"], "state.id / 2", "state.id / 2 > 1"),
    ],
)
def test_L38_what_fails_in_a_rendering_says_where(value: Any, where: list[Any], part: str, condition: str) -> None:
    with pytest.raises(ConditionFailed) as caught:
        rendered(value)
    assert caught.value.details == {"where": where, "part": part, "condition": condition}

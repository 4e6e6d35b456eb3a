"""L38: the filters of expressions: what each gives, what it refuses, and that none runs away."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel

from remit.kernel.expressions.conditions import ConditionFailed, parse
from remit.kernel.expressions.filters import FILTERS

STATE = frozenset({"state"})


class Item(BaseModel):
    sku: str
    price: Decimal = Decimal("1.50")


class Size(Enum):
    BIG = "big"


def value_of(text: str, x: Any = None) -> Any:
    return parse(text, STATE).evaluate({"state": {"x": x}})


@pytest.mark.parametrize(
    ("text", "x", "value"),
    [
        *(("state.x | default(3)", None, 3), ("state.x | default(3)", 0, 0), ("state.x | default(3, true)", 0, 3)),
        *(("state.x | default(3, true)", 1, 1), ("state.x | d(default_value=3, boolean=true)", "", 3)),
        *(("state.x.a.b | default(3)", None, 3), ("state.x[7] | default('-')", [], "-")),
        *(("state.x|first|default(1)", [], 1), ("(state.x.a + 1) | default(0)", None, 0)),
        *(("state.x | default(state.y | default(2))", None, 2), ("state.x | length", [1, 2], 2)),
        *(("state.x | count", {"a": 1}, 1), ("state.x | length", "abc", 3)),
        *(("state.x | length > 2 and true", {1, 2, 3}, True), ("1 + state.x | length", (1,), 2)),
        *(("'ab'|length", None, 2), ("state.x | upper", "ab", "AB"), ("state.x | lower", "AB", "ab")),
        *(("state.x | trim", " a ", "a"), ("state.x | upper | lower", "aB", "ab")),
        *(("state.x | upper", Size.BIG, "BIG"), ("state.x | startswith('a')", "ab", True)),
        *(("state.x | endswith('a')", "ab", False), ("state.x | int", "42", 42), ("state.x | int", 4.9, 4)),
        *(("state.x | int", Decimal("7.5"), 7), ("state.x | float", "4.5", 4.5)),
        *(("state.x | float", Decimal("0.5"), 0.5), ("state.x | float", 3, 3.0), ("state.x | string", 3, "3")),
        *(("state.x | string", True, "true"), ("state.x | string", Decimal("1.50"), "1.50")),
        *(("state.x | string", date(2030, 1, 2), "2030-01-02"), ("state.x | string", "a", "a")),
        *(("state.x | string", 1.5, "1.5"), ("state.x | string", timedelta(1), "1 day, 0:00:00")),
        *(("state.x | string", [1, "a"], '[1, "a"]'), ("state.x | abs", -3, 3), ("-3 | abs", None, 3)),
        *(("state.x | abs", Decimal(-2), Decimal(2)), ("state.x|abs", -1.5, 1.5), ("state.x | round", 2.4, 2)),
        *(("state.x | round(1)", 2.46, 2.5), ("state.x | round(digits=2)", 2.456, 2.46)),
        ("state.x | round(1)", Decimal("2.45"), Decimal("2.4")),
        *(("state.x | round( )", Decimal("2.6"), Decimal(3)), ("state.x | round(1,)", 1.25, 1.2)),
        *(("state.x | min", [3, 1, 2], 1), ("state.x | max", (3.5, 1), 3.5), ("[state.x, 'b'] | max", "a", "b")),
        *(("state.x | sum", [1, 2.5], 3.5), ("state.x | sum", [], 0)),
        *(("state.x | sum", [Decimal("0.1")], Decimal("0.1")), ("state.x | first", [1, 2], 1)),
        *(("state.x | last", (1, 2), 2), ("state.x | first", "ab", "a"), ("state.x | join", ["a", 1], "a1")),
        *(("state.x | join(', ')", [1, 2], "1, 2"), ("state.x | join('-')", [], "")),
        *(("state.x | tojson", {"a": [1, None, "ü"]}, '{"a": [1, null, "ü"]}'), ("state.x | tojson", None, "null")),
        *(("state.x | tojson(indent=2)", [1], "[\n  1\n]"), ("state.x | tojson(0)", [1], "[\n1\n]")),
        *(("state.x | tojson", "a", '"a"'), ("state.x | tojson", Item(sku="a"), '{"sku": "a", "price": "1.50"}')),
        *(("state.x | tojson", {1: {3}}, '{"1": [3]}'), ("state.x | tojson", Size.BIG, '"big"')),
        ("state.x | tojson", {"b", "a"}, '["a", "b"]'),
        *(("state.x | urlencode", "a/b c&ü~", "a%2Fb%20c%26%C3%BC~"), ("state.x | urlencode", 3, "3")),
        *(("state.x | urlencode", "\ud800", "%3F"), ("state.x | default(1)", Item(sku="a"), Item(sku="a"))),
    ],
)
def test_a_filter_gives_what_it_says(text: str, x: Any, value: Any) -> None:
    got = value_of(text, x)
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "x", "found"),
    [
        ("state.x | upper", 3, "state.x | upper: the filter cannot take int"),
        *(("state.x | upper", None, "cannot take None"), ("state.x | length", 3, "cannot take int")),
        *(("state.x | abs", True, "cannot take bool"), ("state.x | sum", "ab", "take str")),
        ("state.x | length", object(), "object is no plain data"),
        *(("state.x | tojson", object(), "no plain data"), ("state.x | int", "4.5", "this str is no integer")),
        ("state.x | int", float("inf"), "this float is no integer"),
        ("state.x | int", Decimal("nan"), "this Decimal is no integer"),
        ("state.x | int", "1" * 1_001, "more than 1000 digits"),
        ("state.x | int", Decimal("1e9999"), "more than 1000 digits"),
        ("state.x | int", 10**1_001, "more than 1,000 digits"),
        *(("state.x | float", "x", "this str is no number"), ("state.x | float", 10**400, "this int is no number")),
        *(("state.x | round(21)", 1.5, "from 0 to 20"), ("state.x | round('1')", 1.5, "from 0 to 20")),
        *(("1.5 | round(-1)", 0, "0 to 20"), ("state.x | round(1.0)", 1.5, "from 0 to 20")),
        ("state.x | round", float("nan"), "this float cannot be rounded"),
        ("state.x | round(20)", Decimal("1e20"), "cannot be rounded"),
        ("state.x | min", [1, "a"], "cannot compare str with int"),
        *(("state.x | max", [], "there are no elements"), ("state.x | first", [], "no elements")),
        *(("state.x | last", "", "no elements"), ("state.x | sum", ["a"], "'+' cannot take int and str")),
        *(("state.x | join(1)", [], "the text between, not int"), ("state.x | join", [None], "None is no text")),
        ("state.x | string", None, "write `| default('')` after it"),
        ("state.x | startswith(1)", "a", "takes a text, not int"),
        *(("state.x | string", b"a", "bytes are no text"), ("state.x | tojson(9)", 1, "from 0 to 8")),
        *(("state.x | tojson(true)", 1, "from 0 to 8"), ("state.x | tojson('')", 1, "0 to 8")),
        ("state.x | string", float("nan"), "JSON has no such number"),
        ("state.x | tojson", [float("inf")], "no such number"),
        ("state.x | tojson", 10**1_001, "more than 1,000 digits"),
        ("state.x | tojson", {None: 1}, "None is no text"),
    ],
)
def test_a_filter_refuses_what_it_cannot_take(text: str, x: Any, found: str) -> None:
    with pytest.raises(ConditionFailed) as caught:
        value_of(text, x)
    assert found in caught.value.message


def _nested(depth: int) -> Any:
    return [_nested(depth - 1)] if depth else []


@pytest.mark.parametrize(
    ("text", "x", "found"),
    [
        ("state.x | tojson", _nested(70), "nested deeper than 64"),
        ("state.x | tojson", [0] * 200_000, "the values are too large"),
        ("state.x | tojson", ["a" * 1_000_000] * 8, "the values are too large"),
        ("state.x" + " | upper" * 50, "a" * 1_000_000, "the values are too large"),
        ("state.x | urlencode", "ü" * 100_000, "the values are too large"),
        ("state.x | sum", [1] * 200_000, "the values are too large"),
        ("state.x | max", [1] * 200_000, "the values are too large"),
        ("state.x | join(', ')", ["a" * 1_000] * 300, "more than 262144"),
        ("state.x | join('" + "-" * 4_000 + "')", ["a"] * 100, "more than 262144"),
    ],
)
def test_L38_a_filter_is_bounded(text: str, x: Any, found: str) -> None:
    with pytest.raises(ConditionFailed) as caught:
        value_of(text, x)
    assert found in caught.value.message


def test_the_text_of_a_set_does_not_depend_on_its_order() -> None:
    names = [f"name {number}" for number in range(50)]
    assert value_of("state.x | tojson", set(names)) == json.dumps(sorted(names))


def test_no_filter_gives_its_argument_a_name_twice() -> None:
    names = [("value", "work", *each.arguments) for each in FILTERS.values()]
    assert [each for each in names if len(set(each)) < len(each)] == []

"""Assertions say what differs, where it differs, and nothing passes that does not hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit import DomainError, Record, call_process, process
from remit.testing import (
    Called,
    Made,
    TestApp,
    assert_called,
    assert_lineage,
    assert_not_called,
    assert_tree,
    differences,
    in_turn,
    lineage_text,
    tree_text,
)
from remit.testing.comparison import aligned
from tests.testing_kit.shop import SHOP, Parcel, order, price

FR = Parcel(country="FR", grams=2)


async def _tree(**fakes: Any) -> tuple[Record, list[Any]]:
    async with TestApp(SHOP, answers={"approve": True}, **fakes) as app:
        outcome = await app.run(order, FR)
        return await app.tree(outcome.execution_id or ""), await app.lineage(outcome.execution_id or "")


def _raised(function: Any, *arguments: Any, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        function(*arguments, **options)
    return str(caught.value)


# --------------------------------------------------------------------------------------------------------- trees


async def test_a_tree_fits_what_says_less_of_it() -> None:
    tree, _ = await _tree(tools={"rate-card": 7}, children={"payment": DomainError("no_card")})
    whole = "order COMPLETED $0.02\n  price COMPLETED $0.02\n  payment FAILED no_card"
    assert tree_text(tree) == whole
    for expected in (
        whole,
        "order\n  price\n  payment",
        "order\n        price\n        payment no_card",
        "order\n  ...",
        "…",
        "order\n  …\n  payment FAILED",
        "order\n  price\n  …",
        'order@1.0.0 COMPLETED = "not sent: no_card"\n\tprice = 14 attempt 1 0 tokens\n\tpayment',
        "└─ order (COMPLETED)\n  └─ price (COMPLETED)\n  └─ payment (FAILED)",
        "order\n├─ price\n└─ payment",
    ):
        if "attempt" not in expected:
            assert_tree(tree, expected)
    assert_tree(tree, "order\n  price attempt 1 0 tokens $0.02 = 14\n  payment")


async def test_a_tree_that_differs_is_shown_beside_what_was_expected() -> None:
    tree, _ = await _tree(
        tools={"rate-card": 7}, children={"payment": DomainError("The card is declined", code="no_card")}
    )
    told = _raised(assert_tree, tree, "order COMPLETED\n  price COMPLETED\n  payment COMPLETED\n  notify")
    assert told == (
        "The tree is not as expected (- expected, + is):\n"
        "    order COMPLETED $0.02\n"
        "      price COMPLETED $0.02\n"
        "  -   payment COMPLETED\n"
        "  -   notify\n"
        "  +   payment FAILED no_card: The card is declined"
    )


@pytest.mark.parametrize(
    "expected",
    [
        "price",
        "order",
        "order FAILED",
        "order\n  price",
        "order\n  payment\n  price",
        "order\n  price\n    payment",
        "order\n  price\n  payment no_such",
        "order\n  price\n  payment FAILED no_card attempt 2",
        "order\n  price $0.03\n  payment",
        "order\n  price 1 tokens\n  payment",
        "order\n  price = 15\n  payment",
        "order\n  price@2.0.0\n  payment",
        "order\n  price x2\n  payment",
        "order\n  price\n    …\n  payment\n  …\n  last",
        "",
    ],
)
async def test_a_tree_that_differs_in_anything_that_is_said_fails(expected) -> None:
    tree, _ = await _tree(tools={"rate-card": 7}, children={"payment": DomainError("no_card")})
    assert "(- expected, + is)" in _raised(assert_tree, tree, expected)


async def test_what_an_execution_waits_for_is_shown() -> None:
    async with TestApp(SHOP, tools={"rate-card": 7}) as app:
        execution = await app.start(order, FR)
        await app.settle()
        told = _raised(assert_tree, await app.tree(execution.id), "order COMPLETED\n  price")
        assert "  + order WAITING_HUMAN_INPUT $0.02: waits for ask approve" in told


@pytest.mark.parametrize("line", ["order FINISHED", "42", "order $1,50", "order COMPLETED ?"])
async def test_a_line_that_cannot_be_read_is_told(line) -> None:
    tree, _ = await _tree(tools={"rate-card": 7}, children={"payment": 1})
    with pytest.raises(ValueError, match=r"begins with no process|does not begin with a status"):
        assert_tree(tree, line)


async def test_several_alike_are_counted() -> None:
    @process(calls=[price])
    async def thrice(_: None) -> None:
        for country in ("FR", "JP", "BR"):
            await call_process(price, Parcel(country=country))

    async with TestApp([thrice, price], tools={"rate-card": in_turn(7, 8, 9)}) as app:
        outcome = await app.run(thrice, None)
        tree = await app.tree(outcome.execution_id or "")
    assert_tree(tree, "thrice\n  price COMPLETED x3")
    assert "-   price" in _raised(assert_tree, tree, "thrice\n  price x4")
    assert "+   price" in _raised(assert_tree, tree, "thrice\n  price x2")


# ------------------------------------------------------------------------------------------------------- lineage


async def test_L29_a_lineage_is_compared_by_what_is_said() -> None:
    _, lineage = await _tree(tools={"rate-card": 7}, children={"payment": 1})
    assert lineage_text(lineage) == 'tool rate-card {"country":"FR"} = 7 $0.02'
    for expected in (
        "tool rate-card",
        'tool rate-card {"country": "FR"}',
        "  tool rate-card = 7 $0.02\n",
        "tool rate-card {} 0 tokens",
        "…",
        "...\ntool rate-card\n...",
    ):
        assert_lineage(lineage, expected)
    for expected in (
        "",
        "model rate-card",
        "tool rate-car",
        'tool rate-card {"country": "JP"}',
        'tool rate-card {"land": "FR"}',
        "tool rate-card = 8",
        "tool rate-card ! no_rate",
        "tool rate-card $0.03",
        "tool rate-card 1 tokens",
        "tool rate-card\ntool rate-card",
    ):
        assert "(- expected, + is)" in _raised(assert_lineage, lineage, expected)
    for unreadable in ("rate-card", "tool rate-card FR", "tool rate-card {country}", "tool rate-card ="):
        with pytest.raises(ValueError, match=r"begin|is none of"):
            assert_lineage(lineage, unreadable)


async def test_L29_a_call_that_failed_has_its_code() -> None:
    _, lineage = await _tree(tools={"rate-card": DomainError("no_rate")})
    assert_lineage(lineage, 'tool rate-card {"country": "FR"} ! no_rate $0.02')
    told = _raised(assert_lineage, lineage, "tool rate-card = 7")
    assert told.splitlines()[1:] == ["  - tool rate-card = 7", '  + tool rate-card {"country":"FR"} ! no_rate $0.02']


# --------------------------------------------------------------------------------------------------------- calls


def _calls(*countries: str) -> Called:
    called = Called(
        Made("tool", "rate-card", {"country": each, "at": Parcel(country=each)}, "exec_1", "price", True)
        for each in countries
    )
    called.known = {"rate-card", "payment"}
    return called


def test_calls_are_counted_and_compared() -> None:
    calls = _calls("FR", "JP", "FR")
    assert_called(calls, "rate-card")
    assert_called(calls, "rate-card", times=3)
    assert_called(calls, "rate-card", times=2, having={"country": "FR"})
    assert_called(calls, "rate-card", having={"at": {"country": "JP", "grams": 300}})
    assert_not_called(calls, "payment")
    assert_not_called(calls, "rate-card", having={"country": "BR"})
    assert_not_called(calls, "rate-card", having={"land": "FR"})


def test_calls_that_differ_are_listed_with_where_they_differ() -> None:
    calls = _calls("FR", "JP")
    assert _raised(assert_called, calls, "payment") == "payment should be called at least once; it was called 0 times"
    assert _raised(assert_not_called, calls, "rate-card").startswith(
        "rate-card should be called 0 times; it was called 2 times"
    )
    told = _raised(assert_called, calls, "rate-card", times=1, having={"country": "BR"})
    assert told.splitlines() == [
        'rate-card should be called once with {"country":"BR"}; 0 of its 2 calls were so',
        '    rate-card(country="FR", at={"country":"FR","grams":300})',
        '        /country: expected "BR", is "FR"',
        '    rate-card(country="JP", at={"country":"JP","grams":300})',
        '        /country: expected "BR", is "JP"',
    ]
    assert "no argument 'land'" in _raised(assert_called, calls, "rate-card", having={"land": 1})


# --------------------------------------------------------------------------------------------------- differences


@dataclass
class Point:
    x: int


def test_differences_have_their_pointers() -> None:
    assert differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}], "c": None}) == [
        "/a/1/b: expected 2, is 3",
        "/c: expected nothing, is null",
    ]
    assert differences([1], []) == ["/0: expected 1, is nothing"]
    assert differences(1, True) == ["the value: expected 1, is true"]
    assert differences(1, 1.0) == []
    assert differences(Point(1), {"x": 1}) == []
    assert differences(Point(1), Point(2)) == ["/x: expected 1, is 2"]
    assert differences("a", None) == ['the value: expected "a", is null']
    assert differences((1, 2), [1, 2]) == []
    assert differences({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}, subset=True) == []
    assert differences({"a": [{"b": 1}], "d": 3}, {"a": [{"b": 2, "c": 2}]}, subset=True) == [
        "/a/0/b: expected 1, is 2",
        "/d: expected 3, is nothing",
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_there_are_differences_exactly_where_values_differ(one, other) -> None:
    assert bool(differences(one, other)) is (_typed(one) != _typed(other))
    assert differences(one, one) == []


def _typed(value: Any) -> Any:
    if isinstance(value, list):
        return [_typed(each) for each in value]
    if isinstance(value, dict):
        return {name: _typed(each) for name, each in value.items()}
    return (type(value), value)


@given(st.lists(st.sampled_from("ab*"), max_size=6), st.lists(st.sampled_from("ab"), max_size=6))
def test_listings_are_aligned_as_a_pattern_is_matched(expected, actual) -> None:
    pairs = aligned(expected, actual, lambda e, a: e == a, lambda e, _: e == "*")
    pattern = "".join(".*" if each == "*" else each for each in expected)
    assert all(None not in pair for pair in pairs) is (re.fullmatch(pattern, "".join(actual)) is not None)
    assert [a for _, a in pairs if a is not None] == actual
    assert [e for e, _ in pairs if e not in (None, "*")] == [each for each in expected if each != "*"]

"""L38: whatever text and whatever state an expression is given, it ends in time, in a value or in an error of its own."""

from __future__ import annotations

import sys
from random import Random
from time import thread_time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from remit.kernel.expressions.conditions import ConditionError, ConditionFailed, parse
from remit.kernel.expressions.templates import expression_map, template
from tests.conftest import LONG
from tests.kernel.expressions_made import TOUCHED, damaged, grown, hostile_state, noise

ROOTS = frozenset({"state"})
LIMIT_S = 1.0 if "coverage" in sys.modules else 0.1  # a tracer slows everything several times over
BATCH = 200 if LONG else 40  # for each of hypothesis's examples: 1,000,000 expressions in all, or 2,000


def _made(rng: Random) -> str:
    text = grown(rng, rng.choice((2, 3, 4)))
    return rng.choice((text, text, damaged(rng, text), noise(rng)))


def _check_error(error: ConditionError) -> None:
    assert 1 <= error.column <= len(error.text) + 1
    assert len(str(error)) < 1_500
    for other in error.others:
        _check_error(other)


def _check_failure(failed: ConditionFailed) -> None:
    assert failed.code == "condition_failed"
    assert len(failed.message) < 1_000


def _seconds(text: str, names: dict[str, Any], kind: int) -> float:
    began = thread_time()
    _tried(text, names, kind)
    return thread_time() - began


def _tried(text: str, names: dict[str, Any], kind: int) -> None:
    try:
        if kind == 0:
            template(f"a {{{{ {text} }}}} {{{{ {text} }}}}", ROOTS).render(names)
        elif kind == 1:
            expression_map({"a": [text]}, ROOTS, "state").render(names)
        else:
            parse(text, ROOTS).holds(names)
    except ConditionError as error:
        _check_error(error)
    except ConditionFailed as failed:
        _check_failure(failed)


@pytest.mark.timeout(0 if LONG else 120)
@settings(phases=(Phase.reuse, Phase.generate))
@given(st.integers(0, 2**64))
def test_L38_no_text_crashes_imports_touches_or_takes_a_tenth_of_a_second(seed: int) -> None:
    rng, names = Random(seed), {"state": STATE}
    modules = set(sys.modules)
    for _ in range(BATCH):
        text, kind = _made(rng), rng.randrange(8)
        spent = _seconds(text, names, kind)
        if spent >= LIMIT_S:  # a busy machine and the collector only add: what is slow is slow three times
            spent = min(spent, *(_seconds(text, names, kind) for _ in range(2)))
        assert spent < LIMIT_S, f"{spent:.3f} s for {text!r}"
        assert not TOUCHED, f"{TOUCHED[:3]} by {text!r}"
    assert set(sys.modules) == modules


STATE = hostile_state()

# ------------------------------------------------------------------------- against Python itself, where both mean the same

NUMBERS = {"a": 0, "b": 7, "c": -3, "d": 2.5, "e": True}
TEXTS = {"s": "", "t": "abc", "u": "b"}
LISTS = {"p": [], "q": [1, "b", 7], "r": ["abc"]}
PLAIN = {**NUMBERS, **TEXTS, **LISTS, "none": None}


def _named(names: dict[str, Any]) -> st.SearchStrategy[str]:
    return st.sampled_from([f"state.{name}" for name in names])


def _joined(template: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda made: template.format(*made))


numbers = st.recursive(
    _named(NUMBERS) | st.integers(0, 10**6).map(str) | st.floats(0, 1e9).map(repr),
    lambda below: (
        _joined("{} {} {}", below, st.sampled_from(["+", "-", "*", "/", "//", "%"]), below)
        | _joined("({})", below)
        | _joined("-{}", below)
    ),
    max_leaves=6,
)
texts = _named(TEXTS) | st.text(max_size=5).map(repr) | _joined("{} + {}", _named(TEXTS), st.text(max_size=3).map(repr))
lists = _named(LISTS) | _joined("[{}, {}]", numbers, texts) | _joined("({},)", texts)
ORDER = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
truths = st.recursive(
    _joined("{} {} {}", numbers, ORDER, numbers)
    | _joined("{} {} {} {} {}", numbers, ORDER, numbers, ORDER, numbers)
    | _joined("{} {} {}", texts, ORDER, texts)
    | _joined("{} {} {}", numbers | texts, st.sampled_from(["in", "not in"]), lists)
    | _joined("{} {} {}", texts, st.sampled_from(["in", "not in"]), texts)
    | _joined("{} {} {}", _named(PLAIN), st.sampled_from(["==", "!="]), _named(PLAIN))
    | _joined("{} is{}None", _named(PLAIN), st.sampled_from([" ", " not "]))
    | _named(PLAIN),
    lambda below: (
        _joined("{} {} {}", below, st.sampled_from(["and", "or"]), below)
        | _joined("not {}", below)
        | _joined("({})", below)
        | _joined("({}) if ({}) else ({})", below, below, below)
    ),
    max_leaves=8,
)


@pytest.mark.timeout(0 if LONG else 120)
@settings(max_examples=20_000 if LONG else 300)
@given(truths | numbers | texts)
def test_L38_what_python_can_evaluate_too_comes_out_the_same(text: str) -> None:
    try:
        expected = eval(text, {"__builtins__": {}}, {"state": SimpleNamespace(**PLAIN)})
    except (ArithmeticError, TypeError):
        with pytest.raises(ConditionFailed):
            parse(text, ROOTS).evaluate({"state": PLAIN})
        return
    condition = parse(text, ROOTS)
    got = condition.evaluate({"state": PLAIN})
    assert (got, type(got)) == (expected, type(expected)) or expected != expected  # noqa: PLR0124  # not a number
    assert condition.holds({"state": PLAIN}) is bool(expected)

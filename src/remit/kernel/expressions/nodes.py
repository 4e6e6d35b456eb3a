"""The parts of an expression as closures: each takes the names and the work allowed, and gives a value (L38).

What most conditions do, comparing a field with a number or a text, takes a short way without reduction to plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from remit.kernel.expressions.filters import Filter
from remit.kernel.expressions.operators import ORDERINGS, calculate, contains, equal, order, sign, truth
from remit.kernel.expressions.plain import Missing, Work, described, plain, read, subscript

__all__ = [
    "Node",
    "Run",
    "arithmetic",
    "attribute",
    "choice",
    "comparison",
    "constant",
    "decision",
    "dictionary",
    "either",
    "element",
    "filtered",
    "negation",
    "root",
    "sequence",
    "signed",
]

Run = Callable[[Mapping[str, Any], Work], Any]
_PLAIN_NUMBERS = frozenset({int, float})


class Node(NamedTuple):
    """A part of an expression: how to work it out, where it begins, and the path it is, if it is just that."""

    run: Run
    start: int
    depth: int
    path: tuple[str, ...] | None = None


def constant(value: Any) -> Run:
    """A literal."""
    return lambda _names, _work: value


def root(name: str) -> Run:
    """One of the names that the caller gives."""

    def run(names: Mapping[str, Any], work: Work) -> Any:
        try:
            return names[name]
        except KeyError:
            work.part = name
            raise work.failure("it is not there at this point") from None

    return run


def attribute(base: Run, name: str, text: str) -> Run:
    """`base.name`."""

    def run(names: Mapping[str, Any], work: Work) -> Any:
        value = base(names, work)
        if type(value) is dict:
            return value.get(name)
        work.part = text
        return read(value, name, work)

    return run


def element(base: Run, key: Run, text: str) -> Run:
    """`base[key]`."""

    def run(names: Mapping[str, Any], work: Work) -> Any:
        value, which = base(names, work), key(names, work)
        work.part = text
        return subscript(value, which, work)

    return run


def sequence(items: Sequence[Run], kind: type[list[Any] | tuple[Any, ...]]) -> Run:
    """A list or tuple of parts."""
    return lambda names, work: kind([item(names, work) for item in items])


def dictionary(items: Sequence[tuple[str, Run]]) -> Run:
    """A dict of parts."""
    return lambda names, work: {key: item(names, work) for key, item in items}


def either(symbol: str, operands: Sequence[Run], text: str) -> Run:
    """`a and b and …`, `a or b or …`: the operand that decides, as in Python."""
    stops_at = symbol == "or"
    *before, last = operands

    def run(names: Mapping[str, Any], work: Work) -> Any:
        for operand in before:
            value = operand(names, work)
            work.part = text
            if truth(value, work) is stops_at:
                return value
        return last(names, work)

    return run


def decision(operand: Run, text: str) -> Run:
    """Whether the operand's value counts as true."""

    def run(names: Mapping[str, Any], work: Work) -> bool:
        value = operand(names, work)
        work.part = text
        return truth(value, work)

    return run


def negation(operand: Run, text: str) -> Run:
    """`not operand`."""
    decide = decision(operand, text)
    return lambda names, work: not decide(names, work)


def choice(test: Run, then: Run, otherwise: Run, text: str) -> Run:
    """`then if test else otherwise`."""
    decide = decision(test, text)
    return lambda names, work: (then if decide(names, work) else otherwise)(names, work)


Comparing = Callable[[Any, Any, Work], bool]


def _ordering(symbol: str) -> Comparing:
    compare = ORDERINGS[symbol]

    def ordered(left: Any, right: Any, work: Work) -> bool:
        if type(left) in _PLAIN_NUMBERS and type(right) in _PLAIN_NUMBERS:
            return bool(compare(left, right))
        return order(symbol, left, right, work)

    return ordered


COMPARISONS: dict[str, Comparing] = {
    **{symbol: _ordering(symbol) for symbol in ORDERINGS},
    "==": equal,
    "!=": lambda left, right, work: not equal(left, right, work),
    "in": contains,
    "not in": lambda left, right, work: not contains(left, right, work),
    "is": lambda left, right, _work: left is right,
    "is not": lambda left, right, _work: left is not right,
}


def comparison(first: Run, others: Sequence[tuple[str, Run]], text: str) -> Run:
    """`a < b`, and in a chain `a < b <= c`."""
    if len(others) == 1:
        symbol, second = others[0]
        compare = COMPARISONS[symbol]

        def single(names: Mapping[str, Any], work: Work) -> bool:
            left, right = first(names, work), second(names, work)
            work.part = text
            return compare(left, right, work)

        return single
    chain = [(COMPARISONS[symbol], operand) for symbol, operand in others]

    def run(names: Mapping[str, Any], work: Work) -> bool:
        left = first(names, work)
        for compare, operand in chain:
            right = operand(names, work)
            work.part = text
            if not compare(left, right, work):
                return False
            left = right
        return True

    return run


def arithmetic(symbol: str, left: Run, right: Run, text: str) -> Run:
    """`left + right` and its like."""

    def run(names: Mapping[str, Any], work: Work) -> Any:
        first, second = left(names, work), right(names, work)
        work.part = text
        return calculate(symbol, first, second, work)

    return run


def signed(symbol: str, operand: Run, text: str) -> Run:
    """`-operand` or `+operand`."""

    def run(names: Mapping[str, Any], work: Work) -> Any:
        value = operand(names, work)
        work.part = text
        return sign(symbol, value, work)

    return run


def filtered(wanted: Filter, base: Run, arguments: Mapping[str, Run], text: str) -> Run:
    """`base | filter(arguments)`."""

    def run(names: Mapping[str, Any], work: Work) -> Any:
        value = lenient(names, work) if wanted.stands_in else base(names, work)
        given = {name: argument(names, work) for name, argument in arguments.items()}
        work.part = text
        if not wanted.stands_in:
            given = {name: plain(argument, work) for name, argument in given.items()}
        return wanted.apply(_taken(wanted, value, work), work, **given)

    def lenient(names: Mapping[str, Any], work: Work) -> Any:
        try:
            return base(names, work)
        except Missing:
            return None

    return run


def _taken(wanted: Filter, value: Any, work: Work) -> Any:
    """The value as the filter takes it: as it is, or as plain data of the right kind."""
    if not wanted.takes:
        return value
    data = plain(value, work)
    if type(data) is bool or not isinstance(data, wanted.takes):
        raise work.failure(f"the filter cannot take {described(value)}")
    return data

"""The operators of expressions on plain data: compare, contain, calculate, by a bounded amount of work (L38).

As Python does it, save for what YAML cannot spell: a date meets its ISO text, a timedelta a duration such as '10m', a
Decimal the float as it is written, and a list equals a tuple of the same elements.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any

from remit.kernel.durations import milliseconds
from remit.kernel.expressions.plain import SCALARS, Work, admit, described, plain, shape_of

__all__ = [
    "CHARS_MAX",
    "DECIMAL",
    "INTEGER_MAX",
    "ORDERINGS",
    "bounded",
    "calculate",
    "contains",
    "equal",
    "order",
    "sign",
    "truth",
]

CHARS_MAX = 262_144
ITEMS_MAX = 65_536
TIME_CHARS_MAX = 64
INTEGER_MAX = 10**1_000
# Not the thread's own, nor like a default that someone may have changed, so that a replay calculates the same.
DECIMAL = Context(28, ROUND_HALF_EVEN, -999_999, 999_999, 1, 0, [], [InvalidOperation, DivisionByZero, Overflow])

ORDERINGS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBERS = (int, float, Decimal)
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_DECIMAL_ARITHMETIC: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": DECIMAL.add,
    "-": DECIMAL.subtract,
    "*": DECIMAL.multiply,
    "/": DECIMAL.divide,
    "//": DECIMAL.divide_int,
    "%": DECIMAL.remainder,
}


def truth(value: Any, work: Work) -> bool:
    """Whether a value counts as true: not None, False, 0 nor empty; a model always does."""
    kind: Any = type(value)
    if kind in SCALARS:
        return bool(value)
    return shape_of(kind) is not None or bool(plain(value, work))


def equal(left: Any, right: Any, work: Work) -> bool:
    """Whether two values hold the same data."""
    if type(left) in SCALARS and type(right) in SCALARS:
        return bool(left == right)
    left, right = _aligned(plain(left, work), plain(right, work), work)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_equal_in(work), left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        same = len(left) == len(right) and left.keys() == right.keys()
        return same and all(_equal_in(work)(value, right[key]) for key, value in left.items())
    if isinstance(left, set | frozenset) and isinstance(right, set | frozenset) and not _scalars(left):
        return len(left) == len(right) and all(contains(item, right, work) for item in left)
    try:
        return bool(left == right)
    except ArithmeticError:
        raise work.failure(_NOT_A_NUMBER) from None


def _equal_in(work: Work) -> Callable[[Any, Any], bool]:
    def same(left: Any, right: Any) -> bool:
        work.spend(1)
        return equal(left, right, work)

    return same


def order(symbol: str, left: Any, right: Any, work: Work) -> bool:
    """`left < right` and its like; raises ConditionFailed where the two have no order."""
    first, second = _aligned(plain(left, work), plain(right, work), work)
    family = _FAMILIES.get(type(first))
    if family is None or family != _FAMILIES.get(type(second)):
        raise work.failure(f"{symbol!r} cannot compare {described(left)} with {described(right)}")
    try:
        return bool(ORDERINGS[symbol](first, second))
    except TypeError:
        raise work.failure("one of the two times has a time zone, the other has none") from None
    except ArithmeticError:
        raise work.failure(_NOT_A_NUMBER) from None


_NOT_A_NUMBER = "a Decimal that is no number has no order"
_FAMILIES: dict[type, str] = {
    **dict.fromkeys((int, float, bool, Decimal), "number"),
    str: "text",
    datetime: "moment",
    date: "date",
    time: "time of day",
    timedelta: "duration",
}
_EXAMPLES = {
    "moment": "'2030-01-31T12:00:00+00:00'",
    "date": "'2030-01-31'",
    "time of day": "'12:00:00'",
    "duration": "'90s', '10m' or '1h30m'",
}


def _aligned(left: Any, right: Any, work: Work) -> tuple[Any, Any]:
    if type(left) is type(right):
        return left, right
    return _as(right, left, work), _as(left, right, work)


def _as(like: Any, value: Any, work: Work) -> Any:
    """A text beside a time as such a time; a float beside a Decimal as the decimal it is written as."""
    if type(value) is float:
        return _decimal(value) if type(like) is Decimal else value
    family = _FAMILIES.get(type(like), "")
    if type(value) is not str or family not in _EXAMPLES:
        return value
    work.spend(4)
    try:
        return _time_like(like, value[:TIME_CHARS_MAX])
    except ValueError:
        raise work.failure(f"the text beside a {family} is none; write such as {_EXAMPLES[family]}") from None


def _time_like(like: date | time | timedelta, text: str) -> date | time | timedelta:
    if isinstance(like, timedelta):
        return timedelta(milliseconds=milliseconds(text))
    if isinstance(like, datetime):
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=like.tzinfo) if moment.tzinfo is None else moment
    return time.fromisoformat(text) if isinstance(like, time) else date.fromisoformat(text)


def contains(item: Any, container: Any, work: Work) -> bool:
    """`item in container`: an element, a key of a dict, a part of a text."""
    admit(container, item, work)
    held = plain(container, work)
    if isinstance(held, str):
        part = plain(item, work)
        if not isinstance(part, str):
            raise work.failure(f"'in' looks for text in text, not for {described(item)}")
        work.spend(len(held) // 256)
        return part in held
    if not isinstance(held, list | tuple | dict | set | frozenset):
        raise work.failure(f"'in' needs a list, dict or text on its right, not {described(container)}")
    work.spend(len(held) // 16)
    if type(item) in SCALARS and _scalars(held):
        return item in held
    same = _equal_in(work)
    return any(same(item, element) for element in held)


def _scalars(items: Iterable[Any]) -> bool:
    return SCALARS.issuperset(map(type, items))


def calculate(symbol: str, left: Any, right: Any, work: Work) -> Any:
    """Arithmetic on numbers, `+` on texts and lists, `+` and `-` on times, within bounds."""
    first, second = plain(left, work), plain(right, work)
    try:
        if isinstance(first, _NUMBERS) and isinstance(second, _NUMBERS):
            return _number(symbol, first, second, work)
        if symbol == "+" and isinstance(first, str | list | tuple) and type(first) is type(second):
            return _joined(first, second, work)
        if symbol in {"+", "-"} and isinstance(first, date | timedelta) and isinstance(second, date | timedelta):
            return _ARITHMETIC[symbol](first, second)
    except ZeroDivisionError:
        raise work.failure("division by zero") from None
    except (ArithmeticError, TypeError) as error:
        raise work.failure(f"cannot be calculated ({type(error).__name__})") from None
    raise work.failure(f"{symbol!r} cannot take {described(left)} and {described(right)}")


def _number(symbol: str, left: Any, right: Any, work: Work) -> Any:
    if isinstance(left, Decimal) or isinstance(right, Decimal):
        return _DECIMAL_ARITHMETIC[symbol](*(_decimal(number) for number in (left, right)))
    for number in (left, right):
        bounded(number, work)
    return bounded(_ARITHMETIC[symbol](left, right), work)


def _decimal(number: float | Decimal) -> Decimal:
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(number)


def bounded(number: Any, work: Work) -> Any:
    """The number itself; raises ConditionFailed for an integer of more than 1,000 digits."""
    if isinstance(number, int) and not -INTEGER_MAX < number < INTEGER_MAX:
        raise work.failure("an integer here has more than 1,000 digits")
    return number


def sign(symbol: str, value: Any, work: Work) -> Any:
    """`-value` or `+value`."""
    number = plain(value, work)
    if not isinstance(number, _NUMBERS):
        raise work.failure(f"{symbol!r} cannot take {described(value)}")
    return calculate(symbol, 0, number, work)


def _joined(left: Any, right: Any, work: Work) -> Any:
    most = CHARS_MAX if isinstance(left, str) else ITEMS_MAX
    size = len(left) + len(right)
    if size > most:
        raise work.failure(f"the result would have {size} elements, more than {most}")
    work.spend(size // 64)
    return left + right

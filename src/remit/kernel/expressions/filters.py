"""The filters of expressions, `value | name(arguments)`: one table, all of it bounded (L38)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from remit.kernel.expressions.operators import CHARS_MAX, DECIMAL, bounded, calculate, order, truth
from remit.kernel.expressions.plain import Missing, Work, described, plain

__all__ = ["FILTERS", "Filter", "as_text"]

DEPTH_MAX = 64
DIGITS_MAX = 20
DIGITS_READ_MAX = 1_000
INDENT_MAX = 8
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Filter(NamedTuple):
    """A filter: what it does, what it takes, its arguments and how many of them must be given."""

    apply: Callable[..., Any]
    takes: tuple[type, ...] = ()  # the kinds of plain data; empty: anything, as it is
    arguments: tuple[str, ...] = ()
    required: int = 0
    stands_in: bool = False  # also for what is missing


def as_text(value: Any, work: Work) -> str:
    """A value as it stands in a text: text as it is, times in ISO 8601, the rest as JSON writes it; None is no text."""
    if value is None:
        raise work.failure("None is no text; write `| default('')` after it if it may be missing")
    work.spend(3)
    data = _jsonable(value, work, 0)
    text = data if isinstance(data, str) else _json(data, None, work)
    work.spend(len(text) // 64)
    return text


def _json(data: Any, indent: int | None, work: Work) -> str:
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, indent=indent)
    except ValueError:
        raise work.failure("JSON has no such number") from None


def _jsonable(value: Any, work: Work, depth: int) -> Any:
    data = plain(value, work)
    if depth > DEPTH_MAX:
        raise work.failure(f"the value is nested deeper than {DEPTH_MAX}")
    work.spend(1)
    if isinstance(data, str):
        work.spend(len(data) // 64)
        return data
    if isinstance(data, dict):
        return {
            key if type(key) is str else as_text(key, work): _jsonable(item, work, depth + 1)
            for key, item in data.items()
        }
    if isinstance(data, list | tuple):
        return [_jsonable(item, work, depth + 1) for item in data]
    if isinstance(data, set | frozenset):
        return sorted((_jsonable(item, work, depth + 1) for item in data), key=repr)
    if isinstance(data, date | time):
        return data.isoformat()
    if isinstance(data, Decimal | timedelta):
        return str(data)
    if isinstance(data, bytes):
        raise work.failure("bytes are no text")
    return bounded(data, work)


def _default(value: Any, work: Work, default_value: Any, boolean: Any = False) -> Any:
    absent = value is None or (boolean is True and not truth(value, work))
    return default_value if absent else value


def _tojson(value: Any, work: Work, indent: Any = None) -> str:
    if indent is not None and not (type(indent) is int and 0 <= indent <= INDENT_MAX):
        raise work.failure(f"the indent of tojson is a number from 0 to {INDENT_MAX}")
    text = _json(_jsonable(value, work, 0), indent, work)
    work.spend(len(text) // 64)
    return text


def _converted(convert: Callable[[Any], Any], to: str) -> Callable[[Any, Work], Any]:
    def apply(value: Any, work: Work) -> Any:
        long = len(value) if isinstance(value, str) else value.adjusted() if isinstance(value, Decimal) else 0
        try:
            if long <= DIGITS_READ_MAX:
                return bounded(convert(value), work)
        except (ValueError, OverflowError):
            raise work.failure(f"this {described(value)} is no {to}") from None
        raise work.failure(f"this {described(value)} has more than {DIGITS_READ_MAX} digits")

    return apply


def _round(value: Any, work: Work, digits: Any = 0) -> Any:
    if type(digits) is not int or not 0 <= digits <= DIGITS_MAX:
        raise work.failure(f"round takes a number of digits from 0 to {DIGITS_MAX}")
    try:
        if isinstance(value, Decimal):
            return value.quantize(Decimal(1).scaleb(-digits), context=DECIMAL)
        return round(value, digits or None)
    except (ArithmeticError, ValueError):
        raise work.failure(f"this {described(value)} cannot be rounded") from None


def _extreme(symbol: str) -> Callable[[Any, Work], Any]:
    def choose(items: Any, work: Work) -> Any:
        best = _first(items, work)
        for item in items:
            work.spend(1)
            if order(symbol, item, best, work):
                best = item
        return best

    return choose


def _sum(items: Any, work: Work) -> Any:
    total: Any = 0
    for item in items:
        work.spend(1)
        total = calculate("+", total, item, work)
    return total


def _first(items: Any, work: Work) -> Any:
    return _element(items, 0, work)


def _last(items: Any, work: Work) -> Any:
    return _element(items, -1, work)


def _element(items: Any, place: int, work: Work) -> Any:
    if not items:
        raise work.failure("there are no elements", Missing)
    return items[place]


def _join(items: Any, work: Work, between: Any = "") -> str:
    if not isinstance(between, str):
        raise work.failure(f"join takes the text between, not {described(between)}")
    parts = [as_text(item, work) for item in items]
    size = sum(map(len, parts)) + len(between) * len(parts)
    if size > CHARS_MAX:
        raise work.failure(f"the text would have {size} characters, more than {CHARS_MAX}")
    return between.join(parts)


def _urlencode(value: Any, work: Work) -> str:
    data = as_text(value, work).encode("utf-8", "replace")
    work.spend(len(data))
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in data)


def _text_test(test: Callable[[str, str], bool]) -> Callable[[str, Work, Any], bool]:
    def apply(text: str, work: Work, part: Any) -> bool:
        if not isinstance(part, str):
            raise work.failure(f"takes a text, not {described(part)}")
        return test(text, part)

    return apply


def _changed(change: Callable[[str], str]) -> Callable[[str, Work], str]:
    def apply(text: str, work: Work) -> str:
        work.spend(len(text) // 64)
        return change(text)

    return apply


_TEXT = (str,)
_NUMBER = (int, float, Decimal)
_LIST = (list, tuple)
_SIZED = (str, list, tuple, dict, set, frozenset, bytes)

FILTERS: dict[str, Filter] = {
    "abs": Filter(lambda value, _work: value.copy_abs() if isinstance(value, Decimal) else abs(value), _NUMBER),
    "default": Filter(_default, arguments=("default_value", "boolean"), required=1, stands_in=True),
    "endswith": Filter(_text_test(str.endswith), _TEXT, ("part",), 1),
    "first": Filter(_first, (*_LIST, str)),
    "float": Filter(_converted(float, "number"), (*_NUMBER, str)),
    "int": Filter(_converted(int, "integer"), (*_NUMBER, str)),
    "join": Filter(_join, _LIST, ("between",)),
    "last": Filter(_last, (*_LIST, str)),
    "length": Filter(lambda value, _work: len(value), _SIZED),
    "lower": Filter(_changed(str.lower), _TEXT),
    "max": Filter(_extreme(">"), _LIST),
    "min": Filter(_extreme("<"), _LIST),
    "round": Filter(_round, _NUMBER, ("digits",)),
    "startswith": Filter(_text_test(str.startswith), _TEXT, ("part",), 1),
    "string": Filter(as_text),
    "sum": Filter(_sum, _LIST),
    "tojson": Filter(_tojson, arguments=("indent",)),
    "trim": Filter(_changed(str.strip), _TEXT),
    "upper": Filter(_changed(str.upper), _TEXT),
    "urlencode": Filter(_urlencode),
}
FILTERS |= {"count": FILTERS["length"], "d": FILTERS["default"]}

"""L38: expressions read plain data and declared fields only, run no value's own code, and name what they cannot use."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, PrivateAttr, SecretStr

from remit.errors import DomainError, ErrorClass
from remit.kernel.expressions.conditions import ConditionFailed, parse
from remit.kernel.expressions.plain import Guarded

ROOTS = frozenset({"state", "result"})
NAIVE = datetime(2030, 1, 31, 10)  # noqa: DTZ001  # a time without a zone is a case of its own


def value_of(text: str, **state: Any) -> Any:
    return parse(text, ROOTS).evaluate({"state": state})


def failure_of(text: str, **state: Any) -> ConditionFailed:
    with pytest.raises(ConditionFailed) as caught:
        value_of(text, **state)
    return caught.value


class Tier(Enum):
    GOLD = "gold"
    ONE = 1


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Address(BaseModel):
    city: str
    _secret: str = PrivateAttr("kept")

    @property
    def shout(self) -> str:
        raise AssertionError("a property ran")


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")

    city: str = "Ulm"


@dataclass
class Parcel:
    grams: int
    kind: ClassVar[str] = "parcel"


@dataclass(slots=True)
class Slotted:
    grams: int
    unset: int = field(init=False)


class Number(int):
    def __eq__(self, other: object) -> bool:
        raise AssertionError("a value's own code ran")

    def __hash__(self) -> int:
        raise AssertionError("a value's own code ran")

    __lt__ = __gt__ = __le__ = __ge__ = __add__ = __bool__ = __eq__


class Fraction(float):
    __lt__ = Number.__eq__


class Word(str):
    __eq__ = Number.__eq__
    __hash__ = Number.__hash__
    __slots__ = ()


class Row(list):
    __eq__ = __iter__ = __len__ = __getitem__ = Number.__eq__
    __hash__ = None


class Pair(tuple):
    __eq__ = __iter__ = __len__ = __getitem__ = Number.__eq__
    __hash__ = Number.__hash__
    __slots__ = ()


class Tags(frozenset):
    __eq__ = __iter__ = __len__ = __contains__ = Number.__eq__
    __hash__ = Number.__hash__


class Money(Decimal):
    __eq__ = __lt__ = Number.__eq__
    __hash__ = Number.__hash__


class Raw(bytes):
    __eq__ = Number.__eq__
    __hash__ = Number.__hash__


@pytest.mark.parametrize(
    ("text", "state"),
    [
        *(("state.x == 'gold'", Tier.GOLD), ("state.x == 1", Tier.ONE), ("state.x == 'red'", Colour.RED)),
        *(("state.x > 2", Level.HIGH), ("state.x in ['gold']", Tier.GOLD), ("state.x.value == 'gold'", Tier.GOLD)),
        *(("state.x.name == 'GOLD'", Tier.GOLD), ("state.x", Tier.ONE), ("'gold' in state.x", {Tier.GOLD: 1})),
        ("state.x == '6fa459ea-ee8a-3ca4-894e-db77e160355e'", uuid.UUID("6fa459ea-ee8a-3ca4-894e-db77e160355e")),
        *(("state.x > 12.4", Decimal("12.5")), ("state.x == 0.1", Decimal("0.1"))),
        *(("0.1 == state.x", Decimal("0.1")), ("state.x + 0.1 == 0.3", Decimal("0.2"))),
        *(("state.x * 3 == 3.6", Decimal("1.2")), ("-state.x < 0", Decimal(1))),
        *(("state.x > '2030-01-31'", date(2030, 2, 1)), ("'2030-01-31' <= state.x", date(2030, 1, 31))),
        *(("state.x == '2030-01-31'", date(2030, 1, 31)), ("state.x < '12:30'", time(12))),
        ("state.x >= '2030-01-31T10:00:00'", datetime(2030, 1, 31, 10, tzinfo=timezone(timedelta(hours=2)))),
        ("state.x == '2030-01-31T12:00:00+02:00'", datetime(2030, 1, 31, 10, tzinfo=UTC)),
        *(("state.x < '2030-02-01'", NAIVE), ("state.x >= '10m'", timedelta(minutes=10))),
        ("state.x[1] - state.x[0] > '1d'", [date(2030, 1, 1), date(2030, 1, 3)]),
        ("state.x[0] + state.x[1] == '2030-01-03'", [date(2030, 1, 1), timedelta(days=2)]),
        *(("state.x == state.x", Address(city="Ulm")), ("state.x == {'city': 'Ulm'}", Address(city="Ulm"))),
        *(("state.x.city == 'Ulm'", Address(city="Ulm")), ("state.x['city'] == 'Ulm'", Address(city="Ulm"))),
        *(("state.x", Address(city="")), ("state.x.more == 1", Loose(more=1)), ("state.x.absent is None", Loose())),
        *(("state.x == {'city': 'Ulm', 'more': 1}", Loose(more=1)), ("state.x.grams == 5", Parcel(5))),
        *(("state.x.grams == 5", Slotted(5)), ("state.x == {'grams': 5}", Slotted(5))),
        *(("state.x | default(7) == state.x", {}), ("state.x[0] == 'a'", "abc"), ("state.x[-1] == 'c'", "abc")),
        *(("state.x['a'].b[0].c == 1", {"a": {"b": [{"c": 1}]}}), ("state.x[1] == 'one'", {1: "one"})),
        *(("state.x[null] == 0", {None: 0}), ("state.x.items == 3", {"items": 3})),
        *(("state.x[state.x.k] == 3", {"k": "a", "a": 3}), ("state.x.in == 3", {"in": 3})),
        *(("state.x == state.x", {1, 2}), ("1 in state.x", {1, 2}), ("state.x == state.x", {(1,), (2,)})),
        *(("not state.x == 1", {1}), ("[1] not in state.x", {(2,)}), ("(1,) in state.x", {(1,)})),
        *(("not state.x", b""), ("state.x == state.x", b"ab"), ("state.x == state.x", [b"ab", None])),
        *(("not state.x", timedelta(0)), ("state.x.b == 2", OrderedDict(b=2))),
        *(("state.x.missing is None", OrderedDict()), ("state.x == 5", Number(5)), ("state.x > 4", Number(5))),
        *(("state.x + 1 == 6", Number(5)), ("state.x", Number(1)), ("state.x < 2", Fraction(1.5))),
        *(("state.x == 'a'", Word("a")), ("'a' in state.x", Row(["a"])), ("state.x == [1]", Row([1]))),
        *(("state.x[0] == 1", Row([1])), ("state.x == [1]", Pair((1,))), ("1 in state.x", Tags({1}))),
        *(("state.x == 1.5", Money("1.5")), ("state.x == state.x", Raw(b"a")), ("state.x is not None", object())),
    ],
)
def test_L38_state_is_read_as_plain_data_and_none_of_its_own_code_runs(text: str, state: Any) -> None:
    assert parse(text, ROOTS).holds({"state": {"x": state}}) is True


def test_a_key_that_a_dict_has_not_is_none_and_a_name_that_a_model_has_not_is_an_error() -> None:
    assert value_of("state.api_response is not None") is False
    assert value_of("state.a.b is None", a={}) is True
    failed = failure_of("state.at.town == 1", at=Address(city="Ulm"))
    assert str(failed) == "state.at.town: Address declares no field 'town'; it has city"
    assert (failed.code, failed.error_class) == ("condition_failed", ErrorClass.DOMAIN)
    assert failed.details == {"part": "state.at.town", "condition": "state.at.town == 1"}
    assert "it has city" in failure_of("state.at.cty", at=Address(city="Ulm")).message
    assert isinstance(failed, DomainError)


class Sly:
    """An object whose every attribute runs code."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"{name} was looked up")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("a value's own code ran")

    def __hash__(self) -> int:
        raise AssertionError("a value's own code ran")

    __bool__ = __len__ = __iter__ = __contains__ = __str__ = __repr__ = __eq__  # type: ignore[assignment]


@dataclass
class Hidden:
    a: int = 1

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        raise AssertionError("a property ran")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *(("state.at.shout", "no field 'shout'"), ("state.at._secret", "no field '_secret'")),
        *(("state.at.model_dump", "no field 'model_dump'"), ("state.parcel.kind", "no field 'kind'; it has grams")),
        *(("state.sly.a", "Sly has no field 'a'"), ("state.sly == 1", "Sly is no plain data")),
        *(("state.sly[0]", "no element int"), ("not state.sly", "Sly is no plain data")),
        *(("1 in state.sly", "Sly is no plain data"), ("state.sly + 1", "no plain data")),
        *(("state.sly in [1]", "Sly is no plain data"), ("[state.sly] == [1]", "no plain data")),
        *(("-state.sly", "no plain data"), ("'a' | startswith(state.sly)", "no plain data")),
        *(("state.sly | length", "no plain data"), ("state.sly | string", "no plain data")),
        *(("state.x[state.sly]", "no plain data"), ("state.sly if state.sly else 1", "no plain data")),
        *(("state.hidden.a", "Hidden has no field"), ("state.password == 'x'", "SecretStr is no plain data")),
        *(("state.view.a", "mappingproxy has no field"), ("state.name.upper", "str has no field 'upper'")),
        *(("state.none.x", "there is no 'x' in None"), ("state.none[0]", "None has no elements")),
        *(("state.name['x']", "str has no field 'x'"), ("state.n[0]", "no element int")),
        *(("state.rows[5]", "there is no element 5: there are 2"), ("state.rows[-3]", "there is no element -3")),
        *(("state.rows[state.huge]", "no element of that number"), ("state.rows['a']", "list has no field 'a'")),
        *(("state.rows[1.5]", "no element float"), ("state.rows[true]", "no element bool")),
        *(("state.m[[]]", "dict has no element list"), ("state.rows.a", "list has no field 'a'")),
        *(("result.x", "result: it is not there"), ("state.slotted.unset", "'unset' of Slotted was never set")),
        *(("state.kids.Pick", "two steps"), ("state.kids['Pick']", "two steps")),
        ("'Pick' in state.kids", "two steps"),
    ],
)
def test_L38_whatever_is_not_plain_data_is_refused_untouched(text: str, found: str) -> None:
    kids = Guarded(Ship=1)
    kids.refusals = {"Pick": "two steps called 'Pick'"}
    state = {
        "at": Address(city="Ulm"),
        "sly": Sly(),
        "hidden": Hidden(),
        "password": SecretStr("x"),
        "huge": 10**5_000,
        "none": None,
        "n": 1,
        "view": MappingProxyType({"a": 1}),
        "name": "Bo",
        "rows": [1, 2],
        "m": {},
        "slotted": Slotted(1),
        "x": {},
        "kids": kids,
        "parcel": Parcel(1),
    }
    assert found in failure_of(text, **state).message
    assert value_of("state.kids.Ship == 1 and 'Ship' in state.kids and [1] not in state.kids", **state)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        *(("state.n > 10", "'>' cannot compare NoneType with int"), ("'a' < 1", "'<' cannot compare str with int")),
        ("[1] < [2]", "'<' cannot compare list with list"),
        ("state.day < state.now", "cannot compare date with datetime"),
        ("state.now < state.there", "one of the two times has a time zone"),
        *(("state.nan < 1", "a Decimal that is no number"), ("state.nan == 1", "a Decimal that is no number")),
        ("state.day < 'soon'", "the text beside a date is none; write such as"),
        *(("state.now == 'soon'", "beside a moment"), ("state.noon == 'soon'", "beside a time of day")),
        ("state.span > 'soon'", "the text beside a duration"),
        ("1 in 'abc'", "looks for text in text, not for int"),
        *(("1 in 2", "'in' needs a list, dict or text on its right, not int"), ("1 in None", "not None")),
        *(("1 / 0", "1 / 0: division by zero"), ("1 // 0", "division by zero"), ("1 % 0.0", "division by zero")),
        *(("state.big / 0", "division by zero"), ("'a' * 3", "'*' cannot take str and int")),
        *(("'%s' % 1", "'%' cannot take"), ("[1] * 3", "'*' cannot take list and int")),
        *(("'a' + 1", "'+' cannot take str and int"), ("1 - None", "int and None")),
        *(("-'a'", "'-' cannot take str"), ("+[]", "'+' cannot take list"), ("[1] + (1,)", "list and tuple")),
        *(("state.day + state.day", "cannot be calculated"), ("state.day - 1", "cannot take date and int")),
        *(("state.span + state.day * 2", "cannot take date and int"), ("state.huge + 1", "more than 1,000 digits")),
        *(("1 * state.huge", "more than 1,000 digits"), ("state.edge * 100", "more than 1,000 digits")),
        *(("1e308 - state.edge", "cannot be calculated (OverflowError)"), ("state.big * state.big", "(Overflow)")),
        *(("state.long + 'a'", "more than 262144"), ("state.rows + [1]", "more than 65536")),
        ("state.deep == state.deep2", "nested too deeply"),
        ("state.wide == state.wide2", "the values are too large"),
    ],
)
def test_L38_what_cannot_be_worked_out_says_which_part_and_what_it_found(text: str, found: str) -> None:
    state = {
        "n": None,
        "day": date(2030, 1, 1),
        "now": NAIVE,
        "there": datetime(2030, 1, 1, tzinfo=UTC),
        "nan": Decimal("sNaN"),
        "noon": time(12),
        "span": timedelta(1),
        "big": Decimal("1e999999"),
        "huge": 10**5_000,
        "edge": 10**999,
        "long": "a" * 262_144,
        "rows": [0] * 65_536,
        "deep": _nested(5_000),
        "deep2": _nested(5_000),
        "wide": [[1]] * 200_000,
        "wide2": [[1]] * 200_000,
    }
    failed = failure_of(text, **state)
    assert found.replace("NoneType", "None") in failed.message
    assert failed.details["condition"] == text


def _nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


def test_what_cannot_decide_says_so_with_the_whole_condition() -> None:
    with pytest.raises(ConditionFailed) as caught:
        parse("state.sly", ROOTS).holds({"state": {"sly": Sly()}})
    assert caught.value.message == "state.sly: Sly is no plain data"
    assert caught.value.details == {"part": "state.sly", "condition": "state.sly"}

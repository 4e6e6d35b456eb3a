"""The seam: what crosses arrives as it left, or is refused with its path and how to mend it (L13, L48)."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import inspect
import json
import math
import sys
import uuid
import zoneinfo
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    RootModel,
    SecretStr,
    computed_field,
)
from typing_extensions import TypedDict

from remit.engine.values.seam import MAX_VALUE_BYTES, Seam, SeamError, canonical, digest
from remit.errors import LimitExceeded

# ruff: noqa: DTZ001, PT017 - moments without a zone cross too; each value decides which outcome is right

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
P = TypeVar("P")


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Point(NamedTuple):
    x: int
    at: dt.date


class Row(TypedDict):
    sku: str
    price: float


@dataclasses.dataclass
class Parcel:
    weight: float
    seal: bytes = b""
    route: list[str] = dataclasses.field(default_factory=list)


class Item(BaseModel):
    sku: str
    qty: int = Field(gt=0)


class Page(BaseModel, Generic[P]):
    items: list[P]


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Order(BaseModel):
    order_id: str = Field(alias="orderId")
    items: list[Item]
    when: dt.datetime
    total: Decimal
    marks: set[str] = set()
    blob: bytes = b""
    note: str | None = None
    meta: dict[str, Any] = {}
    _seen: int = PrivateAttr(default=0)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def size(self) -> int:
        return len(self.items)


class Ratio(BaseModel):
    ratio: float | None = None


UTC = dt.UTC


def seam(annotation: Any) -> Seam[Any]:
    return Seam(annotation, where="process 'order', parameter 'request'")


def order(**changes: Any) -> Order:
    given_values = {
        "orderId": "o-1",
        "items": [Item(sku="a", qty=1)],
        "when": dt.datetime(2026, 1, 2, tzinfo=UTC),
        "total": "9.90",
    }
    return Order.model_validate({**given_values, **changes})


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
items = st.builds(Item, sku=st.text(), qty=st.integers(min_value=1))
moments = st.datetimes(
    min_value=dt.datetime(1900, 1, 1), timezones=st.none() | st.just(UTC), allow_imaginary=False
)
CASES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "none": (None, st.none()),
    "bool": (bool, st.booleans()),
    "int": (int, st.integers() | st.integers(min_value=2**62, max_value=2**80)),
    "float": (float, st.floats(allow_nan=False, allow_infinity=False)),
    "str": (str, st.text()),
    "bytes": (bytes, st.binary()),
    "decimal": (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    "date": (dt.date, st.dates()),
    "datetime": (dt.datetime, moments.map(lambda moment: moment.replace(fold=0))),
    "time": (dt.time, st.times().map(lambda moment: moment.replace(fold=0))),
    "timedelta": (dt.timedelta, st.timedeltas(dt.timedelta(days=-9_000), dt.timedelta(days=9_000))),
    "uuid": (uuid.UUID, st.uuids()),
    "enum": (Colour, st.sampled_from(Colour)),
    "int enum": (Level, st.sampled_from(Level)),
    "literal": (Literal["a", 1], st.sampled_from(["a", 1])),
    "complex": (complex, st.complex_numbers(allow_nan=False, allow_infinity=False)),
    "fraction": (Fraction, st.fractions()),
    "path": (PurePosixPath, st.sampled_from([PurePosixPath("a/b"), PurePosixPath("/")])),
    "optional": (int | None, st.none() | st.integers()),
    "union": (int | str | list[bool], st.integers() | st.text() | st.lists(st.booleans())),
    "list": (list[int], st.lists(st.integers())),
    "tuple": (tuple[int, str], st.tuples(st.integers(), st.text())),
    "tuples": (tuple[float, ...], st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(tuple)),
    "set": (set[str], st.sets(st.text())),
    "frozenset": (frozenset[int], st.frozensets(st.integers())),
    "deque": (collections.deque[int], st.lists(st.integers()).map(collections.deque)),
    "dict": (dict[str, list[int]], st.dictionaries(st.text(), st.lists(st.integers()))),
    "int keys": (dict[int, str], st.dictionaries(st.integers(), st.text())),
    "uuid keys": (dict[uuid.UUID, int], st.dictionaries(st.uuids(), st.integers())),
    "named tuple": (Point, st.builds(Point, st.integers(), st.dates())),
    "typed dict": (Row, st.fixed_dictionaries({"sku": st.text(), "price": st.floats(0, 1e9)})),
    "dataclass": (Parcel, st.builds(Parcel, st.floats(0, 9), st.binary(), st.lists(st.text(), max_size=3))),
    "model": (Item, items),
    "generic": (Page[Item], st.builds(Page[Item], items=st.lists(items, max_size=3))),
    "root model": (RootModel[list[int]], st.builds(RootModel[list[int]], st.lists(st.integers()))),
    "recursive": (Tree, st.builds(Tree, name=st.text(), children=st.lists(st.builds(Tree, name=st.text()),
    max_size=2))),
    "nested": (list[dict[str, Item | None]], st.lists(st.dictionaries(st.text(), st.none() | items,
    max_size=2), max_size=2)),
    "any": (Any, plain_json),
    "object": (object, plain_json),
    "unannotated": (inspect.Parameter.empty, plain_json),
    "any dict": (dict[str, Any], st.dictionaries(st.text(), plain_json, max_size=4)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_L13_values_come_back_equal_and_of_the_same_types(name: str) -> None:
    annotation, values = CASES[name]
    border = seam(annotation)

    @FEW
    @given(values)
    def comes_back(value: Any) -> None:
        payload, arrived = border.cross(value)
        assert arrived == value
        assert identical(arrived, value)
        assert border.encode(value) == payload
        assert border.decode(payload) == value
        assert border.encode(arrived) == payload

    comes_back()


ODD_VALUES = [
    dt.datetime(2026, 1, 2, 3), dt.date(2026, 1, 2), (1, 2), {1, 2}, frozenset([1]), b"\xff",
    Decimal("1.0"), uuid.UUID(int=1),
    Colour.RED, Level.LOW, Item(sku="a", qty=1), Parcel(1.0), Point(1, dt.date(2026, 1, 1)), {1: "a"}, {(1,
    2): 3}, True, 1, 1.0, "1",
    math.nan, math.inf, [math.nan], {"a": (1,)}, {"a": [{"b": {2}}]}, collections.OrderedDict(b=1, a=2),
    "2026-01-02", "true", None,
    collections.defaultdict(int, a=1), dt.timedelta(1), print, object(), int, iter([1]), "\ud800", 1j,
    2**70, float(2**60), -0.0,
]  # fmt: skip
LOOSE_TYPES = [
    Any, object, dict[str, Any], list[Any], str | dt.datetime, dt.date | dt.datetime, int | float,
    int | bool, list[int] | tuple[int, ...],
    set[int] | list[int], str | bytes, Item | dict[str, Any], float, int, str, bool, bytes, Level | int,
    Decimal | float, Row | Item,
]  # fmt: skip


def identical(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(identical(left[key], right[key]) for key in left)
    if isinstance(left, BaseModel):
        return identical(dict(left), dict(right))
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(identical, left, right))
    return bool(left == right)


@pytest.mark.parametrize("annotation", LOOSE_TYPES, ids=str)
@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: type(value).__name__)
def test_L13_a_value_crosses_unchanged_or_is_refused(annotation: Any, value: Any) -> None:
    try:
        _, arrived = seam(annotation).cross(value)
    except SeamError as error:
        assert error.fix
        assert "process 'order', parameter 'request'" in error.message
    else:
        assert identical(value, arrived) or (type(value), type(arrived)) == (int, float)


@FEW
@given(plain_json, st.sampled_from(ODD_VALUES[:15]))
def test_L13_what_any_would_change_is_named_by_its_path(data: Any, odd: Any) -> None:
    with pytest.raises(SeamError) as caught:
        seam(Any).cross({"data": data, "list": [0, {"odd": odd}]})
    assert caught.value.path.startswith("/list/1/odd")


def test_L13_nothing_is_shared() -> None:
    sent = order(meta={"a": [1]})
    _, arrived = seam(Order).cross(sent)
    arrived.meta["a"].append(2)
    arrived.items[0].qty = 7
    assert (sent.meta, sent.items[0].qty) == ({"a": [1]}, 1)


def test_L13_a_model_with_everything_crosses() -> None:
    sent = order(marks={"x", "y"}, blob=b"\xff\x00", meta={"deep": [1, None, "a"]}, note="n")
    payload, arrived = seam(Order).cross(sent)
    assert arrived == sent
    assert json.loads(payload)["orderId"] == "o-1"
    assert "size" not in json.loads(payload)


def test_L13_a_named_zone_keeps_its_clock_and_offset() -> None:
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    for fold in (0, 1):
        sent = dt.datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=berlin)
        _, arrived = seam(dt.datetime).cross(sent)
        assert arrived.utcoffset() == sent.utcoffset()
        assert arrived.replace(tzinfo=None) == sent.replace(tzinfo=None, fold=0)


def test_L9_equal_inputs_give_equal_bytes() -> None:
    assert seam(float).encode(1) == seam(float).encode(1.0) == b"1.0"
    assert seam(Any).encode({"b": 1, "a": {"d": 2, "c": 3}}) == b'{"a":{"c":3,"d":2},"b":1}'
    whole, exact = Parcel(1), Parcel(1.0)
    assert seam(Parcel).encode(whole) == seam(Parcel).encode(exact)
    reassigned = Ratio(ratio=2.0)
    reassigned.ratio = 2
    assert seam(Ratio).encode(reassigned) == seam(Ratio).encode(Ratio(ratio=2.0))
    assert seam(Row).encode({"sku": "a", "price": 1.0}) == seam(Row).encode({"price": 1.0, "sku": "a"})


@FEW
@given(plain_json)
def test_L9_canonical_ignores_the_order_of_keys(data: Any) -> None:
    one = {"x": data, "y": 1, "z": {"a": 1, "b": 2}}
    other = {"z": {"b": 2, "a": 1}, "y": 1, "x": data}
    assert canonical(one, "step 'f'") == canonical(other, "step 'f'")
    assert json.loads(canonical(data, "step 'f'")) == data


def test_L9_canonical_takes_what_steps_are_given() -> None:
    arguments = (
        order(), Parcel(1.0), Point(1, dt.date(2026, 1, 1)), {3, 1, 2}, Decimal("1.10"), b"\xff",
        uuid.UUID(int=1), Colour.RED,
        {1: "a", None: "b"}, 2**80, dt.timedelta(1), collections.deque([1]), Path("a"),
    )  # fmt: skip
    payload = canonical(arguments, "step 'f'")
    assert json.loads(payload)[3] == [1, 2, 3]
    assert json.loads(payload)[4] == "1.10"
    assert canonical(({3, 1, 2}, Item(sku="a", qty=1)), "s") == b'[[1,2,3],{"qty":1,"sku":"a"}]'


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ((1, {"client": object()}), "/1/client"), ([{"f": print}], "/0/f"), ({"a": [1.0, math.nan]},
        "/a/1"), (Ratio(ratio=math.inf), "/ratio"),
        ({"s": SecretStr("x")}, "/s"), ({"g": iter([1])}, "/g"), ({"k": {object(): 1}}, None), (["\ud800"],
        ""), ({"t": int}, "/t"),
        ({"m": Parcel(math.nan)}, "/m/weight"), ({2**70: math.nan}, f"/{2**70}"),
    ]
)  # fmt: skip
def test_L48_canonical_refuses_with_path_and_fix(value: Any, path: str | None) -> None:
    with pytest.raises(SeamError) as caught:
        canonical(value, "step 'f', argument 'x'")
    assert path is None or caught.value.path == path
    assert caught.value.fix in caught.value.message
    assert "step 'f', argument 'x'" in caught.value.message


def test_L48_canonical_does_not_use_up_an_iterator() -> None:
    numbers = iter([1, 2])
    with pytest.raises(SeamError):
        canonical([numbers], "s")
    assert list(numbers) == [1, 2]


def test_L9_digest_is_16_bytes_and_tells_payloads_apart() -> None:
    assert len(digest(b"a")) == 16
    assert digest(b"a") == digest(b"a") != digest(b"b")


def test_L48_paths_are_json_pointers() -> None:
    with pytest.raises(SeamError) as caught:
        seam(Any).cross({"a/b": {"~": (1,)}})
    assert caught.value.path == "/a~1b/~0"


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [100, 180, 199, 201, 256, 500, 5_000, 50_000])
def test_L48_deep_values_cross_or_are_refused(depth: int) -> None:
    for act in (
        seam(Any).cross,
        seam(Any).accept,
        seam(list[Any]).encode,
        lambda value: canonical(value, "s"),
    ):
        try:
            act(nested(depth))
        except SeamError as error:
            assert depth > 150
            assert "nested" in error.message
        else:
            assert depth < 300


def test_L48_deep_payloads_cycles_and_deep_models_are_refused() -> None:
    with pytest.raises(SeamError):
        seam(Any).decode(b"[" * 100_000 + b"]" * 100_000)
    cycle: list[Any] = []
    cycle.append(cycle)
    tree = Tree(name="leaf")
    for _ in range(5_000):
        tree = Tree.model_construct(name="n", children=[tree])
    for annotation, value in ((Any, cycle), (Tree, tree)):
        with pytest.raises(SeamError, match="nested"):
            seam(annotation).cross(value)
        with pytest.raises(SeamError, match="nested"):
            canonical(value, "s")
    while tree.children:  # taken apart level by level: freeing it at once would recurse as deep
        tree = tree.children.pop()


def at_the_stack_s_end(act: Callable[[], Any], frames_left: int) -> Any:
    """Run `act` with few frames left before Python's recursion limit."""
    used = len(inspect.stack(0))

    def descend(frames: int) -> Any:
        return descend(frames - 1) if frames else act()

    return descend(sys.getrecursionlimit() - used - frames_left)


@pytest.mark.parametrize("frames_left", [40, 60, 100, 150])
def test_L48_a_caller_deep_in_its_stack_gets_a_typed_error(frames_left: int) -> None:
    tree = Tree(name="leaf")
    for _ in range(80):
        tree = Tree(name="n", children=[tree])
    value = nested(160)
    acts: list[Callable[[], Any]] = [
        lambda: seam_any.cross(value),
        lambda: seam_any.accept(value),
        lambda: seam_tree.cross(tree),
        lambda: seam_tree.accept(tree.model_dump()),
        lambda: canonical(({1: value}, math.nan), "s"),
        lambda: canonical((value, None), "s"),
    ]
    seam_any, seam_tree = seam(Any), seam(Tree)
    for act in acts:
        try:
            at_the_stack_s_end(act, frames_left)
        except SeamError as error:
            assert error.fix
        else:
            assert act()


def test_L48_values_beyond_the_limit_name_size_and_fix() -> None:
    fits = "x" * (MAX_VALUE_BYTES - 2)
    assert seam(str).cross(fits)[1] == fits
    for act in (seam(str).cross, seam(str).accept, seam(Any).encode, lambda value: canonical(value, "s")):
        with pytest.raises(LimitExceeded, match="1,048,577") as caught:
            act(fits + "x")
        assert caught.value.details["size_bytes"] == MAX_VALUE_BYTES + 1
        assert caught.value.details["fix"]
    with pytest.raises(LimitExceeded):
        seam(str).decode(b'"' + b"x" * MAX_VALUE_BYTES + b'"')


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"\xff", b'{"sku":"a"}', b'{"sku":"a","qty":0}', b"null", b'{"sku":1,"qty":1}']
)
def test_L48_bad_payloads_are_refused(payload: bytes) -> None:
    with pytest.raises(SeamError) as caught:
        seam(Item).decode(payload)
    assert caught.value.expected


def test_L48_an_error_shows_no_secret() -> None:
    class Login(BaseModel):
        password: int

    with pytest.raises(SeamError) as caught:
        seam(Login).accept({"password": "hunter2"})
    assert caught.value.path == "/password"
    assert "hunter2" not in caught.value.message + caught.value.got


class ForeignItem(BaseModel):
    sku: str
    qty: int


@dataclasses.dataclass
class ForeignOrder:
    orderId: str  # noqa: N815
    items: list[ForeignItem]
    when: dt.datetime
    total: str


def test_L13_accept_takes_dicts_and_models_of_the_same_shape() -> None:
    mine = order()
    plain = {
        "orderId": "o-1",
        "items": [{"sku": "a", "qty": 1}],
        "when": "2026-01-02T00:00:00Z",
        "total": "9.90",
    }
    foreign = ForeignOrder("o-1", [ForeignItem(sku="a", qty=1)], dt.datetime(2026, 1, 2, tzinfo=UTC), "9.90")
    border = seam(Order)
    assert border.accept(mine) == border.accept(plain) == border.accept(foreign) == border.cross(mine)[0]
    assert seam(list[Item]).accept([ForeignItem(sku="a", qty=1)]) == b'[{"qty":1,"sku":"a"}]'
    assert seam(set[int]).accept([2, 1, 1]) == b"[1,2]"


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [
        (
            Order,
            {"orderId": "o", "items": [{"sku": "a", "qty": 0}], "when": "2026-01-02", "total": "1"},
            "/items/0/qty",
        ),
        (Item, {"sku": "a"}, "/qty"),
        (Item, object(), ""),
        (Any, {"at": dt.datetime(2026, 1, 1)}, "/at"),
        (Ratio, {"ratio": math.nan}, "/ratio"),
        (Item | None, {"sku": "a", "qty": "x"}, "/qty"),
    ],
)
def test_L13_accept_refuses_what_does_not_fit(annotation: Any, value: Any, path: str) -> None:
    with pytest.raises(SeamError) as caught:
        seam(annotation).accept(value)
    assert caught.value.path == path

"""Which types may stand at the seam, and which values would not come through it as they are (L13)."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Annotated, Any

import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    PlainSerializer,
    Secret,
    SecretBytes,
    SecretStr,
    field_serializer,
)
from pydantic_core import core_schema

from remit.engine.values.seam import Seam, SeamError
from remit.errors import DefinitionError

# ruff: noqa: DTZ001 - moments without a zone cross too


class Item(BaseModel):
    sku: str
    qty: int = Field(gt=0)


class SpecialItem(Item):
    colour: str = "red"


class Ratio(BaseModel):
    ratio: float | None = None


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


@dataclasses.dataclass
class Parcel:
    weight: float


class Order(BaseModel):
    order_id: str = Field(alias="orderId")
    meta: dict[str, Any] = {}
    blob: bytes = b""


class Opaque:
    """Comes through, but cannot be described."""

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: value)


def seam(annotation: Any) -> Seam[Any]:
    return Seam(annotation, where="process 'order', parameter 'request'")


class Excluded(BaseModel):
    kept: int
    hidden: int = Field(0, exclude=True)


class TwoNames(BaseModel):
    amount: int = Field(validation_alias="in", serialization_alias="out")


class ReadByAlias(BaseModel):
    amount: int = Field(validation_alias="in")


class Lossy(BaseModel):
    names: dict[str, int]

    @field_serializer("names")
    def joined(self, names: dict[str, int]) -> str:
        return ",".join(names)


class NanAsText(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="strings")
    ratio: float


class Session:
    pass


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    parts: list[Any]
    lock: Session


@dataclasses.dataclass
class Counted:
    total: int = dataclasses.field(init=False, default=0)


@dataclasses.dataclass
class WithInitVar:
    kept: int
    seed: dataclasses.InitVar[int]


class Recursive(BaseModel):
    inner: Recursive | None = None
    others: dict[str, list[Recursive]] = {}
    names: list[int] | None = None

    @field_serializer("names")
    def counted(self, names: list[int] | None) -> bool:
        return bool(names)


class ReadInside(BaseModel):
    amount: int = Field(validation_alias=AliasPath("outer", 0))


class Deep(BaseModel):
    rows: list[dict[str, Excluded]]


REFUSED: list[tuple[Any, str]] = [
    (Callable[[int], int], ""), (IO[str], ""), (Session, ""), (type[int], ""), (Iterator[int], ""),
    (Iterable[int], ""),
    (SecretStr, ""), (SecretBytes, ""), (Secret[int], ""), (list[SecretStr | None], "/*"), (Json[list[int]],
    ""), (Excluded, "/hidden"),
    (TwoNames, "/amount"), (ReadByAlias, "/amount"), (Lossy, "/names"), (NanAsText, ""), (Counted,
    "/total"), (Deep, "/rows/*/*/hidden"),
    (WithInitVar, "/seed"), (Recursive, "/names"), (ReadInside, "/amount"),
    (dict[tuple[int, int], str], ""), (dict[str, list[Callable[[], None]]], "/*/*"), ("Undefined", ""),
    (Holder, "/lock"),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "path"), REFUSED, ids=str)
def test_L13_types_that_do_not_round_trip_are_refused_when_defined(annotation: Any, path: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        seam(annotation)
    assert caught.value.details["path"] == path
    assert caught.value.details["fix"] in str(caught.value)
    assert "process 'order', parameter 'request'" in str(caught.value)


class ByEitherName(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    amount: int = Field(validation_alias="in")
    other: int = Field(validation_alias=AliasChoices("rest", "other"), serialization_alias="other")


class Stamped(BaseModel):
    at: Annotated[dt.datetime, PlainSerializer(lambda at: at.isoformat(), return_type=str)]


@pytest.mark.parametrize(
    "value", [ByEitherName(**{"in": 1, "rest": 2}), Stamped(at=dt.datetime(2026, 1, 1)), Tree(name="a")]
)
def test_L13_symmetric_aliases_and_serializers_are_fine(value: BaseModel) -> None:
    assert seam(type(value)).cross(value)[1] == value


class Open(BaseModel, extra="allow"):
    name: str


class Narrowed(BaseModel):
    """Each validator reads back something else than was written."""

    words: Annotated[list[str], AfterValidator(lambda words: words[:1])] = []
    pairs: Annotated[dict[str, int], AfterValidator(lambda pairs: dict(list(pairs.items())[:1]))] = {}
    marks: Annotated[set[int], AfterValidator(lambda marks: {min(marks)} if marks else marks)] = set()
    same: Annotated[set[int], AfterValidator(lambda marks: {bool(mark) for mark in marks})] = set()
    part: Annotated[Parcel, AfterValidator(lambda part: dataclasses.replace(part, weight=9.0))] = Parcel(9.0)


class Doubled(BaseModel):
    price: Annotated[int, BeforeValidator(lambda price: price * 2)]


@pytest.mark.parametrize(
    ("annotation", "value", "path"),
    [
        (Ratio, Ratio(ratio=math.nan), "/ratio"),
        (list[float], [1.0, -math.inf], "/1"),
        (Order, Order(orderId="o-1", meta={"x": [{"at": dt.datetime(2026, 1, 1)}]}), "/meta/x/0/at"),
        (str | dt.datetime, dt.datetime(2026, 1, 1), ""),
        (Item, SpecialItem(sku="a", qty=1), ""),
        (list[Item], [Item(sku="a", qty=1), Item.model_construct(sku="b", qty=0)], "/1/qty"),
        (Item, Item.model_construct(sku="b", qty="many"), "/qty"),
        (Item, Item.model_construct(sku="b", qty=True), "/qty"),
        (Doubled, Doubled(price=1), "/price"),
        (Open, Open(name="a", extra=(1,)), "/extra"),
        (Narrowed, Narrowed.model_construct(words=["a", "b"]), "/words"),
        (Narrowed, Narrowed.model_construct(pairs={"a": 1, "b": 2}), "/pairs"),
        (Narrowed, Narrowed.model_construct(marks={1, 2}), "/marks"),
        (Narrowed, Narrowed.model_construct(same={1}), "/same"),
        (Narrowed, Narrowed.model_construct(part=Parcel(1.0)), "/part/weight"),
        (dict[int, int], {True: 1}, None),
        (collections.OrderedDict[str, int], collections.OrderedDict(b=1, a=2), ""),
        (collections.deque[int], collections.deque([1], maxlen=3), ""),
        (Annotated[int, AfterValidator(lambda number: number + 1)], 1, ""),
        (int, "1", ""),
        (Item, {"sku": "a", "qty": 1}, ""),
        (dict[str, int], {"a": 1.5}, "/a"),
        (dt.date, dt.datetime(2026, 1, 1), ""),
        (dt.datetime, dt.datetime(2026, 1, 1, fold=1), ""),
        (Any, {1: 2}, "/1"),
        (Any, {True: 1, "a/b": {"~": {1}}}, None),
    ],
)
def test_L13_what_would_change_is_refused_with_its_path(
    annotation: Any, value: Any, path: str | None
) -> None:
    with pytest.raises(SeamError) as caught:
        seam(annotation).cross(value)
    assert path is None or caught.value.path == path
    assert caught.value.fix


def test_L13_a_type_without_a_schema_says_so() -> None:
    with pytest.raises(DefinitionError, match="JSON Schema"):
        seam(Opaque).schema()


def test_L13_schema_is_the_validation_schema_and_cached() -> None:
    border = seam(Order)
    described = border.schema()
    assert described is border.schema()
    assert described["properties"]["orderId"]["type"] == "string"
    assert described["properties"]["blob"]["format"] == "base64url"


ORDER_SCRIPT = """
from pydantic import BaseModel
from remit.engine.values.seam import Seam, canonical

class Inner(BaseModel):
    names: set[str]

class Sample(BaseModel):
    inner: Inner
    groups: set[frozenset[str]]

value = Sample(inner=Inner(names={"a", "b", "c", "d"}), groups={frozenset({"x", "y"}), frozenset({"z"})})
print(Seam(Sample, where="w").encode(value), canonical(({"q", "r", "s"}, value), "w"))
"""


def test_L9_sets_are_written_in_order_whatever_the_hash_seed() -> None:
    def written(seed: str) -> str:
        surroundings = {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", ORDER_SCRIPT]
        return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True).stdout

    assert written("1") == written("2") == written("3") != ""

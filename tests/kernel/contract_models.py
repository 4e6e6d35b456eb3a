"""Types as authors write them, in an old and a new version, and what the contract check must find between them.

`tests/kernel/contract_pairs.json` holds the same pairs as the schemas that pydantic 2.14 writes for them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from remit.engine.values.seam import Seam

__all__ = ["MODELS", "ModelPair", "model_pairs", "schema_of"]

T = TypeVar("T")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class MoreColours(Enum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Address(BaseModel):
    street: str
    postcode: str
    country: str = "DE"


class AddressWithRegion(BaseModel):
    street: str
    postcode: str
    country: str = "DE"
    region: str | None = None


class Location(BaseModel):
    """Address under another name."""

    street: str
    postcode: str
    country: str = "DE"


class AddressByNumber(BaseModel):
    street: str
    postcode: int
    country: str = "DE"


class Line(BaseModel):
    sku: str
    quantity: Annotated[int, Field(ge=1)]
    price: Decimal


class LineFromZero(BaseModel):
    sku: str
    quantity: Annotated[int, Field(ge=0)]
    price: Decimal


class LineInFloats(BaseModel):
    sku: str
    quantity: Annotated[int, Field(ge=1)]
    price: float


class Order(BaseModel):
    id: UUID
    placed: datetime
    lines: list[Line]
    ship_to: Address
    bill_to: Address | None = None


class OrderElsewhere(BaseModel):
    id: UUID
    placed: datetime
    lines: list[Line]
    ship_to: Location
    bill_to: Location | None = None


class OrderWithRegions(BaseModel):
    id: UUID
    placed: datetime
    lines: list[Line]
    ship_to: AddressWithRegion
    bill_to: AddressWithRegion | None = None


class OrderByDate(BaseModel):
    id: UUID
    placed: date
    lines: list[Line]
    ship_to: Address
    bill_to: Address | None = None


class OrderWithNumbers(BaseModel):
    id: UUID
    placed: datetime
    lines: list[Line]
    ship_to: AddressByNumber
    bill_to: AddressByNumber | None = None


class OrderFromZero(BaseModel):
    id: UUID
    placed: datetime
    lines: list[LineFromZero]
    ship_to: Address
    bill_to: Address | None = None


class OrderWithoutBilling(BaseModel):
    id: UUID
    placed: datetime
    lines: list[Line]
    ship_to: Address


class OrderBilled(BaseModel):
    id: UUID
    placed: datetime
    lines: list[Line]
    ship_to: Address
    bill_to: Address


class Card(BaseModel):
    method: Literal["card"]
    last_four: Annotated[str, Field(pattern=r"^\d{4}$")]


class Transfer(BaseModel):
    method: Literal["transfer"]
    iban: str


class Invoice(BaseModel):
    method: Literal["invoice"]
    days: Annotated[int, Field(ge=0, le=90)] = 30


class InvoiceLater(BaseModel):
    method: Literal["invoice"]
    days: Annotated[int, Field(ge=0, le=120)] = 30


class TransferWithName(BaseModel):
    method: Literal["transfer"]
    iban: str
    holder: str


Payment = Annotated[Card | Transfer, Field(discriminator="method")]
PaymentOrInvoice = Annotated[Card | Transfer | Invoice, Field(discriminator="method")]
PaymentOrLaterInvoice = Annotated[Card | Transfer | InvoiceLater, Field(discriminator="method")]
NamedPayment = Annotated[Card | TransferWithName, Field(discriminator="method")]


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class TreeWithWeight(BaseModel):
    name: str
    weight: float
    children: list[TreeWithWeight] = []


class TreeOfNumbers(BaseModel):
    name: int
    children: list[TreeOfNumbers] = []


class Chain(BaseModel):
    value: int
    following: Chain | None = None


class ChainOfFloats(BaseModel):
    value: float
    following: ChainOfFloats | None = None


class Folder(BaseModel):
    entries: list[Annotated[Folder | File, Field(discriminator="kind")]]
    kind: Literal["folder"] = "folder"


class File(BaseModel):
    size: int
    kind: Literal["file"] = "file"


class FolderWithLinks(BaseModel):
    entries: list[Annotated[FolderWithLinks | File | Link, Field(discriminator="kind")]]
    kind: Literal["folder"] = "folder"


class Link(BaseModel):
    target: str
    kind: Literal["link"] = "link"


class Page(BaseModel, Generic[T]):
    items: list[T]
    total: int


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str


class StrictWithNote(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    note: str | None = None


class Loose(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


class LooseWithNote(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str
    note: int | None = None


class Plain(BaseModel):
    name: str


class Aliased(BaseModel):
    name: str = Field(alias="fullName")


class Pair(NamedTuple):
    left: int
    right: str


class Typed(TypedDict, total=False):
    name: str


@dataclass
class Point:
    x: float
    y: float = 0.0


@dataclass
class PointOnGrid:
    x: int
    y: int = 0


class Measured(BaseModel):
    value: Annotated[float, Field(gt=0, lt=100)]
    unit: Literal["kg", "g"]


class MeasuredWider(BaseModel):
    value: Annotated[float, Field(ge=0, lt=100)]
    unit: Literal["kg", "g", "t"]


class ModelPair(NamedTuple):
    """A pair of types, and for each role where the check finds that it breaks, or that it is unknown."""

    name: str
    old: Any
    new: Any
    result: tuple[str, ...]
    input: tuple[str, ...]


MODELS = [
    ModelPair("a nested definition gains an optional field", Order, OrderWithRegions, (), ()),
    ModelPair("a definition is renamed", Order, OrderElsewhere, (), ()),
    ModelPair("a moment becomes a date", Order, OrderByDate, ("/placed",), ("/placed",)),
    ModelPair(
        "a definition used twice changes",
        Order,
        OrderWithNumbers,
        ("/ship_to/postcode", "/bill_to/postcode"),
        ("/ship_to/postcode", "/bill_to/postcode"),
    ),
    ModelPair("a constraint below a list is loosened", Order, OrderFromZero, ("/lines/*/quantity",), ()),
    ModelPair("an optional field goes", Order, OrderWithoutBilling, ("/bill_to",), ()),
    ModelPair("an optional field becomes required", Order, OrderBilled, (), ("/bill_to", "/bill_to")),
    ModelPair("a Decimal becomes a float", list[Line], list[LineInFloats], ("/*/price",), ("/*/price",)),
    ModelPair("a Decimal stays", Decimal, Annotated[Decimal, Field(title="price")], (), ()),
    ModelPair("an Enum gains a member", Colour, MoreColours, ("",), ()),
    ModelPair("an Enum loses a member", MoreColours, Colour, (), ("",)),
    ModelPair("an Enum is a Literal", Colour, Literal["red", "blue"], (), ()),
    ModelPair("an IntEnum becomes an int", Level, int, ("",), ()),
    ModelPair("a Literal becomes a str", Literal["a", "b"], str, ("",), ()),
    ModelPair("Optional comes", int, int | None, ("",), ()),
    ModelPair("a union grows", int | str, int | str | list[int], ("",), ()),
    ModelPair("a discriminated union gains an alternative", Payment, PaymentOrInvoice, ("/method",), ()),
    ModelPair("a discriminated union loses an alternative", PaymentOrInvoice, Payment, (), ("/method",)),
    ModelPair("a bound in an alternative", PaymentOrInvoice, PaymentOrLaterInvoice, ("/days",), ()),
    ModelPair("an alternative gains a required field", Payment, NamedPayment, (), ("/holder",)),
    ModelPair("a list of a discriminated union", list[Payment], list[PaymentOrInvoice], ("/*/method",), ()),
    ModelPair("an object becomes a discriminated union", Card, Payment, ("/method",), ()),
    ModelPair("a tree gains a field", Tree, TreeWithWeight, (), ("/weight",)),
    ModelPair("a tree of other values", Tree, TreeOfNumbers, ("/name",), ("/name",)),
    ModelPair("a chain of wider values", Chain, ChainOfFloats, ("/value",), ()),
    ModelPair("a recursive discriminated union grows", Folder, FolderWithLinks, ("/entries/*/kind",), ()),
    ModelPair("a generic of another type", Page[int], Page[float], ("/items/*",), ()),
    ModelPair("a generic of the same type", Page[Line], Page[Line], (), ()),
    ModelPair("a closed model gains an optional field", Strict, StrictWithNote, ("/note",), ()),
    ModelPair("a closed model opens", Strict, Plain, (), ()),
    ModelPair("an open model closes", Plain, Strict, (), ("/*",)),
    ModelPair("a model that keeps everything gains a field", Loose, LooseWithNote, (), ("/note", "/note")),
    ModelPair("a model begins to keep everything", Plain, Loose, (), ()),
    ModelPair("an alias comes", Plain, Aliased, ("/name",), ("/fullName",)),
    ModelPair("a tuple gets another item", tuple[int, str], tuple[int, float], ("/1",), ("/1",)),
    ModelPair("a tuple gets longer", tuple[int, str], tuple[int, str, bool], ("",), ("",)),
    ModelPair("a fixed tuple becomes one of any length", tuple[int, int], tuple[int, ...], ("", ""), ()),
    ModelPair("a NamedTuple is a tuple", Pair, tuple[int, str], (), ()),
    ModelPair("a TypedDict without guarantees", Plain, Typed, ("/name",), ()),
    ModelPair("a dataclass of integers", Point, PointOnGrid, (), ("/x", "/y")),
    ModelPair("a mapping of wider values", dict[str, int], dict[str, float], ("/*",), ()),
    ModelPair("a mapping by a Literal", dict[Literal["a", "b"], int], dict[Literal["a", "b", "c"], int], ("/c",), ()),
    ModelPair("a mapping by an Enum", dict[Colour, int], dict[MoreColours, int], ("/green",), ()),
    ModelPair(
        "a mapping of models", dict[str, Address], dict[str, AddressByNumber], ("/*/postcode",), ("/*/postcode",)
    ),
    ModelPair("a mapping becomes a model", dict[str, str], Plain, (), ("/name",)),
    ModelPair("a constrained int", Annotated[int, Field(ge=0, le=9)], Annotated[int, Field(ge=0, le=99)], ("",), ()),
    ModelPair("exclusive and inclusive bounds", Annotated[int, Field(gt=0)], Annotated[int, Field(ge=1)], (), ()),
    ModelPair("a multiple", Annotated[int, Field(multiple_of=5)], Annotated[int, Field(multiple_of=10)], (), ("",)),
    ModelPair(
        "a constrained str", Annotated[str, Field(max_length=10)], Annotated[str, Field(max_length=20)], ("",), ()
    ),
    ModelPair("a list with fewer items", Annotated[list[int], Field(min_length=1)], list[int], ("",), ()),
    ModelPair("a list becomes a set", list[int], set[int], (), ("",)),
    ModelPair("a UUID becomes a str", UUID, str, ("",), ()),
    ModelPair("a str becomes a UUID", str, UUID, (), ("",)),
    ModelPair("a duration becomes a number", timedelta, float, ("",), ("",)),
    ModelPair("an IPv4 address becomes any", ipaddress.IPv4Address, str, ("",), ()),
    ModelPair("Any becomes a model", Any, Plain, (), ("", "/name", "/name")),
    ModelPair("a model becomes Any", Plain, Any, ("", "/name", "/name"), ()),
    ModelPair("None becomes a model", None, Plain, ("",), ("",)),
    ModelPair("bounds and a Literal at once", Measured, MeasuredWider, ("/value", "/unit"), ()),
    ModelPair("a list of lists", list[list[int]], list[list[int | None]], ("/*/*",), ()),
    ModelPair("a bare dict gets a model", dict, Plain, (), ("/name", "/name")),
]


def schema_of(annotation: Any, role: str) -> dict[str, Any]:
    """The schema of what is taken, or of what is given."""
    seam: Seam[Any] = Seam(annotation, where=role)
    return seam.schema() if role == "input" else seam.written_schema()


def model_pairs() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any], tuple[str, ...]]]:
    """Each pair in each role: name, role, schemas, and the pointers of what breaks."""
    for pair in MODELS:
        for role, expected in (("result", pair.result), ("input", pair.input)):
            yield pair.name, role, schema_of(pair.old, role), schema_of(pair.new, role), expected

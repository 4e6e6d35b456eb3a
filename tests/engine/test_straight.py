"""Values that are written straight arrive as those that are read back: the long way is the measure (L13)."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    RootModel,
    TypeAdapter,
    computed_field,
    field_serializer,
    field_validator,
    model_validator,
)

from remit.engine.values.seam import Seam, SeamError
from remit.engine.values.straight import LONGEST, straight_for


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Rank(IntEnum):
    LOW = 1


class Word(StrEnum):
    A = "a"


class Line(BaseModel):
    sku: Annotated[str, Field(min_length=1, max_length=20)]
    quantity: Annotated[int, Field(ge=0)] = 1


class Rare(Line):
    more: str = "more than its base has"


class Order(BaseModel):
    zone: str
    number: int
    paid: bool = False
    price: float = 0.0
    total: Decimal = Decimal(0)
    day: dt.date | None = None
    id: UUID | None = None
    colour: Colour = Colour.RED
    word: Literal["a", "b", 1, None] = None
    lines: list[Line] = []
    first: Line | None = None
    type: str = "a field by the name of a schema's word"


GOOD = Order(
    zone="ä\N{BELL}\n",
    number=-(2**70),
    price=-0.0,
    total=Decimal("1E+3"),
    day=dt.date(999, 1, 2),
    id=UUID(int=7),
    word=1,
    lines=[Line(sku="b"), Line(sku="c", quantity=2**63)],
    first=Line(sku="a"),
)

ODD = [
    *("", "a", "red", "1", "\ud800", "x" * 30, Word.A, b"a", 0, 1, -1, 2**64, True, None, 1.0, 0.5, float("nan"), float("inf")),
    *(Decimal("1.0"), Decimal("NaN"), Rank.LOW, Colour.BLUE, dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, tzinfo=dt.UTC), UUID(int=1)),
    *([], (), [Line(sku="a")], [Rare(sku="a")], [{"sku": "a"}], Line(sku="a"), Rare(sku="a"), {"sku": "a"}, [None]),
    *(Line.model_construct(sku="", quantity=-1), Line.model_construct(sku="a"), Line.model_construct(sku=Word.A), object),
]  # fmt: skip


def straight(annotation: Any) -> Callable[[object], bytes | None]:
    """The straight way for a type."""
    found = straight_for(TypeAdapter(annotation).core_schema)
    assert found is not None, annotation
    return found


def the_long_way(annotation: Any, value: object) -> bytes | None:
    """What is written of a value that is read back; None where it is refused."""
    try:
        return Seam(annotation, where="a test").cross(value)[0]
    except SeamError:
        return None


ORDER = straight(Order)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Order, GOOD),
        (Order, Order(zone="", number=0)),
        (Line, Line(sku="a")),
        (str, "a"),
        (int, 2**80),
        (float, 1e22),
        (bool, True),
        (None, None),
        (str | None, "a"),
        (str | None, None),
        (list[Line], [Line(sku="a")]),
        (list[list[int]], [[1], []]),
        (Annotated[int, Field(gt=1)], 2),
    ],
)
def test_L13_what_a_plain_type_holds_is_written_straight_and_to_the_same_bytes(annotation: Any, value: object) -> None:
    assert straight(annotation)(value) == the_long_way(annotation, value) is not None


@given(st.dictionaries(st.sampled_from(list(Order.model_fields)), st.sampled_from(ODD), max_size=4))
def test_L13_what_does_not_arrive_as_it_is_never_goes_straight(fields: dict[str, Any]) -> None:
    mutated = Order.model_construct(**{**GOOD.__dict__, **fields})
    payload = ORDER(mutated)
    if payload is not None:
        long = the_long_way(Order, mutated)
        assert long is not None, fields
        assert json.loads(payload) == json.loads(long)  # a 3 where a float belongs is written as 3.0


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("annotation", [str, int, float, bool, None, str | None, list[Line], list[int], Line], ids=str)
def test_L13_a_value_of_another_class_never_goes_straight(annotation: Any, odd: object) -> None:
    payload = straight(annotation)(odd)
    assert payload is None or payload == the_long_way(annotation, odd)


def test_L13_a_subclass_and_a_field_that_is_missing_or_too_many_go_the_long_way() -> None:
    assert straight(Line)(Rare(sku="a")) is None
    assert straight(Line)(Line.model_construct(sku="a", quantity="1")) is None
    bare = Line(sku="a")
    del bare.__dict__["quantity"]
    assert straight(Line)(bare) is None


def test_L13_a_text_that_may_hold_a_number_too_long_to_be_read_goes_the_long_way() -> None:
    assert straight(str)("x" * (LONGEST - 2)) is not None
    assert straight(str)("x" * (LONGEST - 1)) is None
    assert straight(int)(10**4_500) is None


def test_L13_a_wrong_default_is_found_before_it_is_written() -> None:
    class Careless(BaseModel):
        number: int = None  # type: ignore[assignment]

    assert straight(Careless)(Careless()) is None
    with pytest.raises(SeamError, match="/number"):
        Seam(Careless, where="a test").accept({})


class Aliased(BaseModel):
    name: str = Field(alias="called")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class Checked(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def _louder(cls, name: str) -> str:
        return name + "!"


class Whole(BaseModel):
    name: str

    @model_validator(mode="after")
    def _louder(self) -> Whole:
        return self


class Written(BaseModel):
    name: str

    @field_serializer("name")
    def _quieter(self, name: str) -> str:
        return name.lower()


class Computed(BaseModel):
    name: str

    @computed_field
    def length(self) -> int:
        return len(self.name)


class Made(BaseModel):
    name: str

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)


class Noted(BaseModel):
    name: str

    def model_post_init(self, _context: Any) -> None:
        self.name += "!"


class Derived(BaseModel):
    first: str
    second: str = Field(default_factory=lambda known: known["first"])


class Names(RootModel[list[str]]):
    pass


class Kin(BaseModel):
    child: Kin | None = None


@pytest.mark.parametrize(
    "annotation",
    [
        Any,
        dict[str, int],
        tuple[int, str],
        set[int],
        bytes,
        dt.datetime,
        dt.time,
        dt.timedelta,
        int | str,
        Annotated[str, AfterValidator(str.lower)],
        Annotated[int, PlainSerializer(str)],
        Literal["a"],
        Colour,
        Rank,
        *(Aliased, Open, Checked, Whole, Written, Computed, Made, Noted, Derived, Names, Kin),
    ],
    ids=str,
)
def test_L13_a_type_that_its_schema_does_not_prove_has_no_straight_way(annotation: Any) -> None:
    assert straight_for(TypeAdapter(annotation).core_schema) is None

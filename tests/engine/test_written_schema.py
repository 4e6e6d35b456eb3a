"""What a seam says it writes is what it writes: the schema that results are compared by (L41)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, computed_field
from typing_extensions import TypedDict

from remit.engine.values.seam import Seam


class Priced(BaseModel):
    price: Decimal
    quantity: int = 1
    note: str | None = Field(default=None, alias="remark")

    @computed_field
    @property
    def total(self) -> Decimal:
        return self.price * self.quantity


@dataclass
class Point:
    x: int
    y: int = 0


class Loose(TypedDict, total=False):
    name: str


@pytest.mark.parametrize(
    ("annotation", "value", "always"),
    [
        (Priced, Priced(price=Decimal("1.50")), ["price", "quantity", "remark"]),
        (Point, Point(1), ["x", "y"]),
        (Loose, {}, []),
    ],
)
def test_L41_fields_with_a_default_are_written_and_computed_ones_are_not(
    annotation: Any, value: Any, always: list[str]
) -> None:
    seam: Seam[Any] = Seam(annotation, where="result")
    schema, written = seam.written_schema(), json.loads(seam.encode(value))
    assert sorted(schema.get("required", [])) == sorted(always) == sorted(written)
    assert "total" not in schema["properties"]
    Draft202012Validator(schema).validate(written)


def test_L41_what_is_taken_need_not_say_what_has_a_default() -> None:
    assert Seam(Priced, where="input").schema()["required"] == ["price"]

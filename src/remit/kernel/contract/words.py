"""How kinds of value, ranges and alternatives are said to people who read a finding of the contract check (L41)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from remit.kernel.contract.schema import Conjunction
from remit.kernel.contract.shapes import INFINITE, Bound, Shape, shapes

__all__ = ["alternatives", "listing", "said", "text_of", "worded"]

_SHOWN = 5
_CHARACTERS_MAX = 60
_KINDS = {
    "null": "null",
    "boolean": "true or false",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "an object",
}


def text_of(value: Any) -> str:
    """A value as JSON, cut to a part of a line."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CHARACTERS_MAX else text[: _CHARACTERS_MAX - 1] + "…"


def alternatives(words: Iterable[str]) -> str:
    """Several things of which one holds: `a, b or c`."""
    *most, last = dict.fromkeys(words)
    if len(most) >= _SHOWN:
        most, last = most[:_SHOWN], f"{len(most) + 1 - _SHOWN} more"
    return f"{', '.join(most)} or {last}" if most else last


def listing(values: Iterable[Any]) -> str:
    """Values of which one is meant."""
    return alternatives(map(text_of, values))


def said(conjunction: Conjunction) -> str:
    """What a schema allows, in a few words."""
    found = shapes(conjunction)
    if len({each.kind for each in found if each.listed is None}) == 4 and not any(each.said for each in found):
        return "anything"
    return alternatives(_in_order(found)) if found else "nothing"


def _in_order(found: list[Shape]) -> list[str]:
    """Null comes last, as people say it."""
    return [worded(each) for each in sorted(found, key=lambda each: each.kind == "null")]


def worded(shape: Shape) -> str:
    """What one alternative allows."""
    if shape.listed is not None:
        return listing(shape.listed)
    if shape.kind == "number":
        return _number(shape)
    if shape.kind == "string":
        return _text(shape)
    tags = [f"{name} is {listing(values)}" for name, values in shape.tags.items()] if shape.kind == "object" else []
    return f"an object whose {' and '.join(tags)}" if tags else _KINDS[shape.kind]


def _number(shape: Shape) -> str:
    name = "a whole number" if shape.integer else "a number"
    return " ".join([name, *_ends(shape.low, shape.high)])


def _ends(low: Bound, high: Bound) -> list[str]:
    found = []
    if low.at != -INFINITE:
        found.append(f"{'above' if low.open else 'of at least'} {low.at}")
    if high.at != INFINITE:
        found.append(f"{'and ' if found else ''}{'below' if high.open else 'of at most'} {high.at}")
    return found


def _text(shape: Shape) -> str:
    found = [_KINDS["string"]]
    if shape.formats:
        found.append(f"in the format {' and '.join(shape.formats)}")
    if shape.patterns:
        found.append(f"like {' and '.join(shape.patterns)}"[:_CHARACTERS_MAX])
    if shape.shortest:
        found.append(f"of at least {shape.shortest} characters")
    if shape.longest != INFINITE:
        found.append(f"of at most {int(shape.longest)} characters")
    return " ".join(found)

"""JSON to plain data and back, whatever the size of its integers: orjson reads those beyond 64 bits as floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from pydantic_core import from_json, to_json

__all__ = ["dumps", "loads"]


def loads(payload: bytes) -> Any:
    """The data of a recorded payload, each integer exact."""
    return from_json(payload)


def dumps(data: Any, default: Callable[[Any], Any] | None = None, *, indent: bool = False) -> bytes:
    """Data as JSON; `default` makes data of what JSON cannot hold. Raises TypeError or ValueError where it cannot."""
    try:
        return orjson.dumps(data, default, orjson.OPT_INDENT_2 if indent else 0)
    except TypeError:  # an integer beyond 64 bits, or nothing that JSON could hold
        return to_json(data, fallback=default, indent=2 if indent else None)

"""Values typed on a command line: JSON, or @FILE that holds it, or @- for standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

from remit.engine.values.plain_json import dumps
from remit.errors import MisuseError

__all__ = ["compact", "example_of", "json_value", "share_of"]

_MARGIN = 30


def json_value(text: str, what: str) -> Any:
    """The value; raises MisuseError that shows where the JSON breaks."""
    source = what
    if text.startswith("@"):
        source = "standard input" if text == "@-" else text[1:]
        text = _read(text[1:], what)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        line = error.doc.splitlines()[error.lineno - 1] if error.doc.splitlines() else ""
        column = error.colno
        begin = max(0, column - 1 - _MARGIN)
        shown = line[begin : column + _MARGIN]
        raise MisuseError(
            f"{source} is no JSON: {error.msg} at line {error.lineno}, column {column}\n"
            f"  {shown}\n  {' ' * (column - 1 - begin)}^\n{_advice(error.doc)}",
            code="invalid_input",
            line=error.lineno,
            column=column,
        ) from None


def _read(name: str, what: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise MisuseError(f"{what}: {name} is not UTF-8 text ({error})", code="invalid_input") from None
    except OSError as error:
        raise MisuseError(
            f"{what}: {name} cannot be read: {error.strerror}. Write @ and the path of a file, or the JSON itself.",
            code="invalid_input",
        ) from None


def _advice(text: str) -> str:
    if not text.strip():
        return "It is empty: write null where there is no value."
    if text.strip().replace("-", "").replace("_", "").replace(" ", "").isalnum():
        return f"A text needs quotes, and the shell takes one pair away: '\"{text.strip()}\"'"
    if "'" in text:
        return "JSON quotes with \" only; put the whole value in ' for the shell."
    return "Put the whole value in ' so that the shell leaves it alone, or write @FILE."


def share_of(text: str | None, what: str) -> float | None:
    """'10%' or '0.1' as a number, None as None; raises MisuseError that names the option."""
    try:
        return None if text is None else float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise MisuseError(f"{what} {text!r}: write 10% or 0.1", code="invalid_input") from None


def compact(value: Any, most: int | None = None) -> str:
    """A value as one line of JSON, cut to at most so many characters."""
    text = dumps(value, str).decode()
    return text if most is None or len(text) <= most else text[: most - 1] + "…"


def example_of(schema: dict[str, Any]) -> Any:
    """A value that shows the shape a JSON Schema asks for, as a pattern to edit."""
    return _example(schema, schema.get("$defs", {}), 0)


def _example(schema: dict[str, Any], named: dict[str, Any], depth: int) -> Any:
    if depth > 8:
        return None
    if "$ref" in schema:
        return _example(named.get(schema["$ref"].rpartition("/")[2], {}), named, depth + 1)
    for given in ("const", "default"):
        if given in schema:
            return schema[given]
    if "enum" in schema:
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _example(schema[choice][0], named, depth + 1)
    if schema.get("type") == "object":
        wanted = schema.get("required", [])
        return {
            name: _example(each, named, depth + 1)
            for name, each in schema.get("properties", {}).items()
            if name in wanted
        }
    if schema.get("type") == "array":
        return [_example(schema.get("items") or {}, named, depth + 1)]
    return {
        "string": "…",
        "integer": schema.get("minimum", 1),
        "number": schema.get("minimum", 1),
        "boolean": True,
    }.get(str(schema.get("type")))

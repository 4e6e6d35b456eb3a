"""Tool and model calls as text, and the assertion that a trace made those that a test says (L29).

A line is a kind, a name, and whatever else matters: arguments (those that are named), result or error code, cost, tokens:

    tool rate-card {"country": "JP"} = 7 $0.02
    model gpt-5-mini 120 tokens
    tool refund ! card_expired
    …
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from remit import Entry
from remit.testing.comparison import aligned, differences, short

__all__ = ["assert_lineage", "lineage_text"]

_ANY = ("…", "...")
_decoder = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class _Line:
    """An expected line, and what it says of its entry."""

    text: str
    says: dict[str, Any] = field(default_factory=dict)


def assert_lineage(lineage: Iterable[Entry], expected: str) -> None:
    """That the calls are those of the text, in its order; the module's docstring has the form of its lines.

    `lineage` is what `app.lineage(id)` gives. Raises AssertionError that shows both, ValueError for an unreadable line.
    """
    entries = list(lineage)
    pairs = aligned(list(_lines(expected)), entries, _fits, lambda line, _: line.text in _ANY)
    if all(line is not None and entry is not None for line, entry in pairs):
        return
    shown = ["The calls are not as expected (- expected, + is):"]
    for line, entry in pairs:
        mark = "    " if line is not None and entry is not None else "  - " if line is not None else "  + "
        shown.append(mark + (_shown(entry) if entry is not None else line.text if line is not None else ""))
    raise AssertionError("\n".join(shown))


def lineage_text(lineage: Iterable[Entry]) -> str:
    """The calls in the form that `assert_lineage` reads."""
    return "\n".join(map(_shown, lineage))


def _shown(entry: Entry) -> str:
    parts = [entry.kind, entry.name, short(entry.params)]
    if entry.error is not None:
        parts.append(f"! {entry.error.code}")
    elif entry.ended_at is not None:
        parts.append(f"= {short(entry.result)}")
    if entry.usage.tokens:
        parts.append(f"{entry.usage.tokens} tokens")
    if entry.usage.cost not in ("0", "0.00"):
        parts.append(f"${entry.usage.cost}")
    return " ".join(parts)


def _lines(text: str) -> Iterator[_Line]:
    for raw in text.splitlines():
        line = raw.strip()
        if line:
            yield _Line(line) if line in _ANY else _Line(line, _read(line))


def _read(text: str) -> dict[str, Any]:
    kind, _, rest = text.partition(" ")
    if kind not in ("tool", "model"):
        raise ValueError(f"{text!r}: begin with 'tool' or 'model', then the name")
    name, _, rest = rest.strip().partition(" ")
    says: dict[str, Any] = {"kind": kind, "name": name}
    rest = rest.strip()
    while rest:
        rest = _part(text, rest, says).strip()
    return says


def _part(text: str, rest: str, says: dict[str, Any]) -> str:
    """Note what the next part says; the text after it."""
    if rest.startswith("{"):
        says["params"], end = _json(text, rest)
        return rest[end:]
    if rest.startswith("="):
        value = rest[1:].lstrip()
        says["result"], end = _json(text, value)
        return value[end:]
    word, _, after = rest.partition(" ")
    if word == "!":
        says["code"], _, after = after.strip().partition(" ")
    elif word.startswith("$"):
        says["cost"] = word[1:]
    elif word.isdigit() and after.startswith("tokens"):
        says["tokens"], after = int(word), after.removeprefix("tokens")
    else:
        raise ValueError(f"{text!r}: {word!r} is none of {{arguments}}, '= result', '! code', '$cost', 'N tokens'")
    return after


def _json(text: str, value: str) -> tuple[Any, int]:
    try:
        found: tuple[Any, int] = _decoder.raw_decode(value)
    except ValueError as error:
        raise ValueError(f"{text!r}: {value!r} does not begin with JSON ({error})") from None
    return found


def _fits(line: _Line, entry: Entry) -> bool:
    return all(not differences(value, _said(name, entry), subset=name == "params") for name, value in line.says.items())


def _said(name: str, entry: Entry) -> Any:
    if name == "code":
        return entry.error.code if entry.error is not None else None
    if name in ("tokens", "cost"):
        return getattr(entry.usage, name)
    return getattr(entry, name)

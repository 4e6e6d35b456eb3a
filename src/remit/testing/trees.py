"""Trees of executions as text, and the assertion that one looks as a test says.

A line is a process, its status, and whatever else matters there; children stand below, further in:

    order FAILED_CHILD_WORKFLOW no_rate
      price FAILED no_rate attempt 2 $0.02
      notify COMPLETED x3
      …

What a line does not say is not looked at. `x3`: three of them; `…`: any others, and what is below them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from remit import Record, Status
from remit.testing.comparison import aligned

__all__ = ["assert_tree", "tree_text"]

_GUIDES = re.compile(r"[\s│├└─┬]*")
_PROCESS = re.compile(r"(?P<process>[A-Za-z][A-Za-z0-9_.\-]*)(@(?P<version>\S+))?(?=\s|\Z)")
_STATUSES = "|".join(sorted({*Status, "FAILED_ROLLED_BACK"}, key=len, reverse=True))
_FORMS: tuple[tuple[re.Pattern[str], str, Callable[[str], Any]], ...] = (
    (re.compile(rf"\(?({_STATUSES})\)?(?=\s|\Z)"), "shown_status", str),
    (re.compile(r"attempt (\d+)\b"), "attempt", int),
    (re.compile(r"(\d+) tokens\b"), "tokens", int),
    (re.compile(r"\$([\d.]+)(?=\s|\Z)"), "cost", str),
    (re.compile(r"x(\d+)(?=\s|\Z)"), "times", int),
    (re.compile(r"=\s*(.+)"), "result", json.loads),
    (re.compile(r"([a-z][a-z0-9_]*)(?=\s|\Z)"), "code", str),
)
_ANY = ("…", "...")


@dataclass(frozen=True, slots=True)
class _Line:
    """An expected line: what it says of its execution, how deep it stands, and itself."""

    depth: int
    text: str
    says: dict[str, Any] = field(default_factory=dict)

    @property
    def is_gap(self) -> bool:
        return self.text in _ANY


@dataclass(frozen=True, slots=True)
class _Node:
    """An execution, and how deep it stands."""

    depth: int
    record: Record


def assert_tree(tree: Record, expected: str) -> None:
    """That the tree looks as the text says; the module's docstring has the form of its lines.

    Raises AssertionError that shows both side by side, ValueError for a line that cannot be read.
    """
    lines, nodes = list(_lines(expected)), list(_nodes(tree, 0))
    pairs = aligned(lines, nodes, _fits, _skips)
    if all(line is not None and node is not None for line, node in pairs):
        return
    shown = ["The tree is not as expected (- expected, + is):"]
    for line, node in pairs:
        if line is not None and node is not None:
            shown.append(f"    {_shown(node)}")
        elif line is not None:
            shown.append(f"  - {'  ' * line.depth}{line.text}")
        elif node is not None:
            shown.append(f"  + {_shown(node)}{_why(node.record)}")
    raise AssertionError("\n".join(shown))


def tree_text(tree: Record) -> str:
    """The tree in the form that `assert_tree` reads, with all that it could say."""
    return "\n".join(_shown(node) for node in _nodes(tree, 0))


# ------------------------------------------------------------------------------------------------------ what is


def _nodes(record: Record, depth: int) -> Iterator[_Node]:
    yield _Node(depth, record)
    for child in record.children:
        yield from _nodes(child, depth + 1)


def _shown(node: _Node) -> str:
    record, used = node.record, node.record.usage.subtree
    parts = [record.process, record.shown_status]
    if record.error is not None:
        parts.append(record.error.code)
    if record.attempt > 1:
        parts.append(f"attempt {record.attempt}")
    if used.tokens:
        parts.append(f"{used.tokens} tokens")
    if used.cost not in ("0", "0.00"):
        parts.append(f"${used.cost}")
    return "  " * node.depth + " ".join(parts)


def _why(record: Record) -> str:
    if record.error is not None:
        return f": {record.error.message}"
    waits = [
        f"{each.get('kind', 'child')} {each.get('name') or each.get('process')}" for each in record.waiting_on.first
    ]
    return f": waits for {', '.join(waits)}" if waits else ""


# ------------------------------------------------------------------------------------------------ what is expected


def _lines(text: str) -> Iterator[_Line]:
    columns: list[int] = []
    for raw in text.expandtabs().splitlines():
        content = _GUIDES.sub("", raw, count=1)
        if not content.strip():
            continue
        column = len(raw) - len(content)
        while columns and columns[-1] > column:
            columns.pop()
        if not columns or columns[-1] < column:
            columns.append(column)
        line, times = _read(content.strip(), len(columns) - 1)
        yield from [line] * times


def _read(text: str, depth: int) -> tuple[_Line, int]:
    """A line, and how often it stands there; raises ValueError."""
    if text in _ANY:
        return _Line(depth, text), 1
    found = _PROCESS.match(text)
    if found is None:
        raise ValueError(f"{text!r} begins with no process: write 'order COMPLETED'")
    says: dict[str, Any] = {"process": found["process"]}
    if found["version"]:
        says["version"] = found["version"]
    rest = text[found.end() :].strip()
    while rest:
        rest = _part(text, rest, says).strip()
    times = says.pop("times", 1)
    return _Line(depth, text, says), times


def _part(text: str, rest: str, says: dict[str, Any]) -> str:
    """Note what the next part says; the text after it."""
    for pattern, name, meaning in _FORMS:
        found = pattern.match(rest)
        if found is not None:
            says[name] = meaning(found[1])
            return rest[found.end() :]
    known = "a status, an error code, 'attempt N', 'N tokens', '$cost', 'xN' or '= result'"
    raise ValueError(f"{text!r}: {rest!r} does not begin with {known}")


def _fits(line: _Line, node: _Node) -> bool:
    if line.is_gap or line.depth != node.depth:
        return False
    return all(_said(name, node.record) == value for name, value in line.says.items())


def _skips(line: _Line, node: _Node | None) -> bool:
    return line.is_gap and (node is None or node.depth >= line.depth)


def _said(name: str, record: Record) -> Any:
    if name == "code":
        return record.error.code if record.error is not None else None
    if name in ("tokens", "cost"):
        return getattr(record.usage.subtree, name)
    return getattr(record, name)

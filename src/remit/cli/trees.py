"""Trees of executions: the plain lines, and the table with guides, times, tokens, cost and what each waits for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from remit.cli.looks import cost, elapsed, sign_of, style_of, tokens, until
from remit.cli.values import compact
from remit.control.views import Record, UndoStatus, moment
from remit.kernel.states import Status

__all__ = ["budget_line", "plain_lines", "tree_table"]

_WIDE = 120
_NOTE_MOST = 300
_UNDO_WORDS = {
    UndoStatus.RUNNING: "undoing",
    UndoStatus.DONE: "undone:",
    UndoStatus.SKIPPED: "nothing to undo:",
    UndoStatus.FAILED: "not undone:",
}
_UNDO_STYLES = {
    UndoStatus.RUNNING: "yellow",
    UndoStatus.DONE: "dim",
    UndoStatus.SKIPPED: "dim",
    UndoStatus.FAILED: "bold red",
}


def plain_lines(tree: Record, indent: int = 0) -> Iterator[str]:
    """The tree as lines for scripts: two spaces a level, the process and its status."""
    yield f"{'  ' * indent}└─ {tree.process} ({tree.shown_status})"
    for child in tree.children:
        yield from plain_lines(child, indent + 1)


class _Line(NamedTuple):
    """A line of the table: the guides before it, those that go on below it, and the node (or a summary of several)."""

    guides: str
    below: str
    node: Record | None
    summary: str = ""


def tree_table(
    tree: Record,
    now: datetime,
    width: int,
    *,
    lines_max: int | None = None,
    live: bool = False,
    marked: str | None = None,
) -> Table:
    """The tree as a table of so many columns. Notes stand at the right where it is wide, else on lines of their own.

    Where it would be longer than `lines_max`, children that have ended well are summed up, then whatever does not fit.
    """
    wide = width >= _WIDE
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", width=width if live else None
    )
    table.add_column("process", ratio=1 if live and not wide else None, overflow="ellipsis", no_wrap=True)
    for title in ("time", "tokens", "cost"):
        table.add_column(title, justify="right", no_wrap=True)
    if wide:
        table.add_column("", ratio=1 if live else None, overflow="fold")
    for line in _fitting(tree, now, lines_max, wide=wide):
        _add(table, line, now, wide=wide, live=live, marked=marked)
    return table


def _add(table: Table, line: _Line, now: datetime, *, wide: bool, live: bool, marked: str | None) -> None:
    node = line.node
    if node is None:
        table.add_row(Text.assemble((line.guides, "dim"), (line.summary, "dim")), *[""] * (4 if wide else 3))
        return
    name_style = "bold reverse" if node.execution_id == marked else "bold"
    attempt = f" attempt {node.attempt}" if node.attempt > 1 else ""
    name = Text.assemble(
        (line.guides, "dim"),
        (f"{sign_of(node.status, live=live)} ", style_of(node.status)),
        (node.process, name_style),
        (f" {node.shown_status}", style_of(node.status)),
        (attempt, "dim"),
    )
    note = _note(node, now)
    figures = [Text(elapsed(node, now)), Text(tokens(node.usage.subtree)), Text(cost(node.usage.subtree))]
    table.add_row(name, *figures, *([note] if wide else []))
    if note.plain and not wide:
        table.add_row(Text.assemble((line.below + "   ", "dim"), note), "", "", "")


def _fitting(tree: Record, now: datetime, most: int | None, *, wide: bool) -> list[_Line]:
    lines = list(_lines(tree, "", "", folded=False))
    if most is None or _height(lines, now, wide=wide) <= most:
        return lines
    folded = lines = list(_lines(tree, "", "", folded=True))
    while len(lines) > 2 and _height(lines, now, wide=wide) > max(3, most - 1):
        lines = lines[:-1]
    left_out = len(folded) - len(lines)
    return [*lines, _Line("", "", None, f"… {left_out} more: remit tree {tree.execution_id}")] if left_out else lines


def _height(lines: list[_Line], now: datetime, *, wide: bool) -> int:
    return sum(1 if wide or line.node is None or not _note(line.node, now).plain else 2 for line in lines)


def _lines(node: Record, guides: str, below: str, *, folded: bool) -> Iterator[_Line]:
    shown, summary = node.children, ""
    if folded:
        done = [child for child in node.children if child.status is Status.COMPLETED]
        if len(done) > 1:
            shown = [child for child in node.children if child.status is not Status.COMPLETED]
            summary = f"✓ {len(done):,} completed: {', '.join(sorted({child.process for child in done})[:5])}"
    yield _Line(guides, below + ("│" if shown or summary else " "), node)
    for place, child in enumerate(shown):
        last = place == len(shown) - 1 and not summary
        yield from _lines(child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), folded=folded)
    if summary:
        yield _Line(below + "└─ ", "", None, summary)


def _note(node: Record, now: datetime) -> Text:
    """What an execution is doing, waits for, or died of, and what of it is undone."""
    undone = _undone(node)
    if node.error is not None and all(child.error != node.error for child in node.children):
        said = Text(str(node.error)[:_NOTE_MOST].replace("\n", " "), "red" if node.ended_at else "magenta")
        return Text.assemble(said, " · " if undone.plain else "", undone)
    if node.ended_at is not None:
        return undone
    parts = [_wait(each, now) for each in node.waiting_on.first if "kind" in each]
    if node.status is Status.ACTIVE and node.current_step:
        parts.append(f"step {node.current_step}")
    if node.progress is not None and node.ended_at is None:
        parts.append(f"progress {compact(node.progress, 60)}")
    return Text(" · ".join(parts)[:_NOTE_MOST].replace("\n", " "), style_of(node.status) if parts else "")


def _undone(node: Record) -> Text:
    """What has become of an execution's compensations: the steps' names, by how each went."""
    named = {status: [each.step for each in node.compensations if each.status is status] for status in _UNDO_STYLES}
    parts = [
        Text(f"{_UNDO_WORDS[status]} {', '.join(steps)}"[:_NOTE_MOST], _UNDO_STYLES[status])
        for status, steps in named.items()
        if steps
    ]
    return Text(" · ").join(parts)


def _wait(each: dict[str, Any], now: datetime) -> str:
    due = moment(each.get("due_at"))
    when = f" until {until(due, now)}" if due is not None else ""
    if each["kind"] == "ask":
        return f"asks {each.get('to') or 'anyone'}: {each.get('prompt') or each['name']}"
    if each["kind"] == "event":
        return f"waits for event {each['name']!r}"
    return f"sleeps{when}"


def budget_line(tree: Record) -> str:
    """What the root has spent of what it may spend; what it has spent where it has no limit."""
    used, limits = tree.usage.subtree, tree.budget
    tokens_limit, cost_limit = limits["tokens"], limits["cost"]
    spent_tokens = f"{used.tokens:,}" if tokens_limit is None else f"{used.tokens:,} of {tokens_limit:,}"
    spent_cost = f"${used.cost}" if cost_limit is None else f"${used.cost} of ${cost_limit}"
    return f"{spent_tokens} tokens · {spent_cost}"

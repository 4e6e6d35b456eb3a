"""The tree of the invoice at work, live on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text
from rich.tree import Tree

from remit import Record, Status

__all__ = ["Watch", "live_tree", "tree_of"]

Watch = Callable[[str, Record], None]

_COLOURS = {
    Status.COMPLETED: "green",
    Status.ACTIVE: "cyan",
    Status.WAITING_HUMAN_INPUT: "yellow",
    Status.WAITING_CHILD_HUMAN_INPUT: "yellow",
    Status.FAILED: "red",
    Status.FAILED_CHILD_WORKFLOW: "red",
    Status.TIMED_OUT: "red",
}


@contextmanager
def live_tree(console: Console) -> Iterator[Watch]:
    """What to call with a file's name and its tree as it grows; where the output is no terminal it shows nothing."""
    if not console.is_terminal:
        yield lambda _file, _tree: None
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield lambda file, tree: live.update(tree_of(file, tree), refresh=True)


def tree_of(file: str, record: Record) -> Tree:
    """A tree under the file's name: process, status, duration, cost of the subtree, and who is waited for."""
    tree = Tree(Text(file, style="bold"))
    _grow(tree, record)
    return tree


def _grow(tree: Tree, record: Record) -> None:
    branch = tree.add(_label(record))
    for child in record.children:
        _grow(branch, child)


def _label(record: Record) -> Text:
    label = Text(f"{record.process} ")
    label.append(record.shown_status, style=_COLOURS.get(record.status, ""))
    if record.duration_ms is not None:
        label.append(f" {record.duration_ms} ms")
    label.append(f" ${record.usage.subtree.cost}", style="dim")
    for wait in record.waiting_on.first:
        if "to" in wait:
            label.append(f" waits for {wait['to']}", style="yellow")
    return label

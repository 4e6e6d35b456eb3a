"""What people see of a run: the tree while it grows, what it waits for and the commands that help, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from remit.cli.trees import budget_line, tree_table
from remit.cli.values import compact
from remit.cli.waits import Wait
from remit.control.views import Record

__all__ = ["LiveScreen", "QuietScreen", "Screen", "legend", "print_ended"]

_TREE_LINES_MAX = 100
_WAITS_SHOWN = 5


class Screen(Protocol):
    """Where a run is shown while it goes on."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def show(self, tree: Record, waits: Sequence[Wait]) -> None:
        """The tree as it is now, and what it waits for."""


class QuietScreen:
    """Shows nothing: the output goes to a program or a file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to take down."""

    def show(self, tree: Record, waits: Sequence[Wait]) -> None:
        """Nothing to show."""


class LiveScreen:
    """Redraws the tree in place; it is taken down at the end, so that the last picture is printed whole, once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def show(self, tree: Record, waits: Sequence[Wait]) -> None:
        """Draw what fits between the top of the screen and the legend."""
        width = self._console.width
        under = legend(waits)
        height = sum(len(line.wrap(self._console, width)) for line in under) + 4
        lines_max = max(3, self._console.height - height - 1)
        table = tree_table(tree, datetime.now(UTC), width, lines_max=lines_max, live=True)
        foot = Text(
            f"{tree.execution_id} · {budget_line(tree)} · Ctrl-C leaves it durable",
            style="dim",
            no_wrap=True,
            overflow="ellipsis",
        )
        self._live.update(Group(table, foot, *under), refresh=True)


def legend(waits: Sequence[Wait]) -> list[Text]:
    """Who or what is waited for, each with the command that ends the wait."""
    lines: list[Text] = []
    for wait in waits[:_WAITS_SHOWN]:
        whom = f"{wait.to}: " if wait.to else ""
        lines.append(Text.assemble(("? ", "bold yellow"), (f"{wait.process} waits for {whom}{wait.prompt}", "yellow")))
        lines.append(Text.assemble("    ", (wait.command, "bold")))
    if len(waits) > _WAITS_SHOWN:
        lines.append(
            Text(f"  and {len(waits) - _WAITS_SHOWN} more: remit ps --status WAITING_HUMAN_INPUT", style="yellow")
        )
    return lines


def print_ended(console: Console, tree: Record, waits: Sequence[Wait], told: Sequence[RenderableType]) -> None:
    """The last picture: the tree, what is still waited for, the result or the error, and what to do next."""
    console.print(tree_table(tree, datetime.now(UTC), console.width, lines_max=_TREE_LINES_MAX))
    console.print(Text(f"{tree.execution_id} · {budget_line(tree)}", style="dim"), soft_wrap=True)
    if tree.ended_at is not None and tree.error is None:
        console.print(Text.assemble(("completed ", "bold green"), compact(tree.result)), soft_wrap=True)
    elif tree.ended_at is not None and tree.error is not None:
        console.print(
            Text.assemble((f"{tree.shown_status.lower()} ", "bold red"), str(tree.error)),
            soft_wrap=True,
        )
        if tree.error.details:
            console.print(Text(f"  details: {compact(tree.error.details, 1_000)}", style="dim"), soft_wrap=True)
    for line in (*legend(waits), *told):
        console.print(line, soft_wrap=True)

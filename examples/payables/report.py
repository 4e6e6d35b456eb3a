"""The table at the end: what is paid, what is refused and why, and who is waited for."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .export import Export
from .messages import Settlement
from .money import format_amount

__all__ = ["Failed", "Row", "Waiting", "print_report"]

_ANSWER = {"approved": True, "by": "your name"}
_COLOURS = {
    "paid": "green",
    "set off": "green",
    "nothing due": "green",
    "refused": "red",
    "failed": "bold red",
    "waiting": "yellow",
    "parked": "yellow",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """An invoice that waits for an answer, to be given to the execution `execution_id`."""

    execution_id: str
    who: str
    question: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An invoice whose process itself failed: no verdict on the document."""

    execution_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one file, and what it cost to find out (decimal string)."""

    file: str
    result: Settlement | Waiting | Failed
    cost: str


def print_report(console: Console, rows: list[Row], export: Export, store: str, out: str) -> None:
    """Print the table and the sums; commands stand on lines of their own, to be copied."""
    table = Table(title="Payables", title_justify="left", show_lines=True, expand=False)
    table.add_column("File", overflow="fold")
    table.add_column("Status")
    table.add_column("Amount", justify="right")
    table.add_column("What and why", overflow="fold", ratio=1)
    table.add_column("Cost", justify="right")
    parked = {booking.end_to_end_id for booking in export.parked}
    for row in rows:
        status, amount, why = _cells(row.result, parked, store)
        table.add_row(row.file, Text(status, style=_COLOURS[status]), amount, why, f"${row.cost}")
    console.print(table)
    _print_sums(console, export, out)
    for row in rows:
        if isinstance(row.result, Waiting):
            console.print(f"{row.file} waits for {row.result.who}. To release it, then run this again:")
            console.print(Text("  " + _command(row.result, store)), soft_wrap=True)
        if isinstance(row.result, Failed):
            console.print(f"{row.file} failed. Once the cause is mended:")
            console.print(
                Text(f"  remit retry {row.result.execution_id} --store {shlex.quote(store)}"), soft_wrap=True
            )


def _cells(result: Settlement | Waiting | Failed, parked: set[str], store: str) -> tuple[str, str, RenderableType]:
    if isinstance(result, Waiting):
        return "waiting", "", Group(Text(f"for {result.who}: {result.question}"))
    if isinstance(result, Failed):
        return "failed", "", Text(f"{result.code}: {result.message}")
    amount = "" if result.amount is None else format_amount(result.amount, result.currency)
    if result.reason is not None:
        reason = result.reason
        return "refused", amount, Group(
            Text(reason.element, style="cyan"), Text(f"{reason.problem}. {reason.mend}.")
        )
    if result.status == "nothing_due":
        return "nothing due", amount, Text(f"{result.supplier}: the document asks for no money")
    if result.end_to_end_id in parked:
        return "parked", amount, Text(f"{result.supplier}: credit that waits for larger invoices")
    status = "paid" if result.status == "booked" else "set off"
    return status, amount, Text(f"{result.supplier} {result.end_to_end_id}")


def _print_sums(console: Console, export: Export, out: str) -> None:
    sums: dict[str, tuple[int, object]] = {}
    for transfer in export.transfers:
        count, total = sums.get(transfer.head.currency, (0, 0))
        sums[transfer.head.currency] = (count + 1, total + transfer.amount)
    if not sums:
        console.print("No payment file: nothing is to be paid.")
        return
    paid = ", ".join(f"{count} x {format_amount(total, currency)}" for currency, (count, total) in sums.items())
    console.print(f"{out} ({export.message_id}) pays {paid}.")


def _command(waiting: Waiting, store: str) -> str:
    answer = shlex.quote(json.dumps(_ANSWER))
    return f"remit answer {waiting.execution_id} {answer} --store {shlex.quote(store)}"

"""The table at the end: what is paid, what is refused and why, and who is waited for."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from dataclasses import dataclass
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .export import Export
from .messages import Settlement
from .money import format_amount

__all__ = ["Failed", "Result", "Row", "Unfinished", "Waiting", "answer_command", "print_report"]

_ANSWER = {"approved": True, "by": "your name"}
_COLOURS = {
    "paid": "green",
    "set off": "green",
    "nothing due": "green",
    "refused": "red",
    "failed": "bold red",
    "waiting": "yellow",
    "parked": "yellow",
    "unfinished": "yellow",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """An invoice that waits for an answer, to be given to the execution `execution_id`."""

    execution_id: str
    who: str
    question: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An invoice whose process itself failed or is paused: no verdict on the document."""

    execution_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An invoice that had not come to rest when the example stopped looking; run again, it goes on."""

    execution_id: str
    status: str


Result = Settlement | Waiting | Failed | Unfinished


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one file, and what it cost to find out (decimal string)."""

    file: str
    result: Result
    cost: str


def remit_command() -> str:
    """How this reader calls `remit`: by name where the shell finds it, else through the interpreter that runs this."""
    return "remit" if shutil.which("remit") else f"{shlex.quote(sys.executable)} -m remit.cli"


def print_report(console: Console, rows: list[Row], export: Export, store: str, out: str) -> None:
    """Print the table, the sums, and the commands that are to be given, on lines of their own to be copied."""
    parked = {booking.end_to_end_id for booking in export.parked}
    table = Table(title="Payables", title_justify="left", show_lines=True)
    table.add_column("Status", no_wrap=True)
    table.add_column("Invoice", overflow="fold", min_width=20)
    table.add_column("What and why", overflow="fold", ratio=1)
    for row in rows:
        status, amount, why = _cells(row.result, parked)
        name = row.file.rpartition(".")[0]
        cost = f"screening ${row.cost}"
        table.add_row(Text(status, style=_COLOURS[status]), Text(f"{name}\n{amount or '-'}\n{cost}"), why)
    console.print(table)
    _say(console, _sums(export, out))
    for row in rows:
        if isinstance(row.result, Waiting):
            _say(console, f"{row.file} waits for {row.result.who}. Answer, then run this again:")
            _say(console, f"  {answer_command(row.result, store)}")
        if isinstance(row.result, Failed):
            _say(console, f"{row.file} failed. Mend the cause, then try it again and run this again:")
            _say(console, f"  remit retry {row.result.execution_id} --store {shlex.quote(store)}")


def answer_command(waiting: Waiting, store: str) -> str:
    """The command that releases the payment."""
    answer = shlex.quote(json.dumps(_ANSWER))
    return f"{remit_command()} answer {waiting.execution_id} {answer} --store {shlex.quote(store)}"


def _cells(result: Result, parked: set[str]) -> tuple[str, str, Text]:
    if isinstance(result, Waiting):
        return "waiting", "", Text.assemble((f"for {result.who}\n", "cyan"), result.question)
    if isinstance(result, Failed):
        return "failed", "", Text.assemble((f"{result.code}\n", "cyan"), result.message)
    if isinstance(result, Unfinished):
        return "unfinished", "", Text(f"{result.execution_id} is {result.status}: run this again")
    amount = "" if result.amount is None else format_amount(result.amount, result.currency)
    reason = result.reason
    if reason is not None:
        why = Text.assemble((f"{reason.element}\n", "cyan"), f"{reason.problem}. {reason.mend}.")
        return "refused", amount, why
    if result.status == "nothing_due":
        return "nothing due", amount, Text(f"{result.supplier}: the document asks for no money")
    if result.end_to_end_id in parked:
        return "parked", amount, Text(f"{result.supplier}: waits until invoices exceed the credit")
    status = "paid" if result.status == "booked" else "set off"
    return status, amount, Text(f"{result.supplier}\n{result.end_to_end_id}")


def _sums(export: Export, out: str) -> str:
    sums: dict[str, list[Decimal]] = {}
    for transfer in export.transfers:
        sums.setdefault(transfer.head.currency, []).append(transfer.amount)
    if not sums:
        return "No payment file: nothing is to be paid."
    paid = " and ".join(
        f"{format_amount(sum(amounts, Decimal(0)), currency)} in {_count(len(amounts))}"
        for currency, amounts in sorted(sums.items())
    )
    return f"{out} ({export.message_id}) pays {paid}."


def _count(transfers: int) -> str:
    return "1 transfer" if transfers == 1 else f"{transfers} transfers"


def _say(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)  # unbroken, so that commands and paths can be copied

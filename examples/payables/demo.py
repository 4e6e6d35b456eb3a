"""From a folder of invoices to one payment file: `python -m examples.payables [FOLDER] [--store URL] [--out FILE]`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from remit import Record, Remit, RemitError, Status

from .book import create_book
from .desk import Desk
from .export import Export, export_payments, release_payments
from .intake import Taken, take_in
from .live import Watch, live_tree
from .mail_sink import mail_sink
from .messages import Incoming, Settlement
from .processes import PROCESSES, invoice
from .report import Failed, Result, Row, Unfinished, Waiting, print_report

__all__ = ["Options", "main", "process_folder"]

_HERE = Path(__file__).parent
_LOOK_EVERY_S = 0.02
_PATIENCE_S = 60.0  # for one invoice; it goes on when this is run again
_HELP = """Turns a folder of UBL 2.1 invoices into one ISO 20022 pain.001 payment file. The order book, the archive
of invoices and the mails lie beside the payment file. Run again, it goes on where it stopped and pays nothing twice."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to process, where executions are recorded, where the payment file goes."""

    folder: Path
    store: str
    out: Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0, or 1 where a process failed, or 2 for what it cannot start on."""
    work = Path(os.path.relpath(_HERE / "out"))
    parser = argparse.ArgumentParser(prog="python -m examples.payables", description=_HELP)
    parser.add_argument("folder", nargs="?", type=Path, default=_HERE / "invoices", help="the invoices (the samples)")
    parser.add_argument(
        "--store", default=f"sqlite:///{work / 'remit.db'}", help="where executions are recorded (%(default)s)"
    )
    parser.add_argument("--out", type=Path, default=work / "payments.xml", help="the payment file (%(default)s)")
    parser.add_argument("--release", action="store_true", help="close the file at the end: it goes to the bank")
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        parser.error(f"{given.folder} is no folder")
    console = Console()
    options = Options(given.folder, given.store, given.out)
    try:
        with live_tree(console) as watch:
            rows, export = asyncio.run(process_folder(options, watch))
    except RemitError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 2
    print_report(console, rows, export, options.store, str(options.out))
    if given.release:
        released = release_payments(_book(options), options.out, datetime.now(UTC))
        console.print(f"Released: {released}" if released else "Nothing to release.", soft_wrap=True)
    return int(any(isinstance(row.result, Failed) for row in rows))


async def process_folder(options: Options, watch: Watch | None = None) -> tuple[list[Row], Export]:
    """Process every invoice of the folder and write the payment file of all that is approved.

    `watch` is called with each file's name and tree as it grows.
    """
    work = options.out.parent
    work.mkdir(parents=True, exist_ok=True)
    create_book(_book(options), (_HERE / "book.sql").read_text(encoding="utf-8"))
    async with mail_sink(work / "mail") as sink:
        desk = Desk(_book(options), work / "archive", _HERE / "sanctions.csv", sink.host, sink.port)
        taken = take_in(options.folder, desk)
        async with Remit(options.store, processes=PROCESSES, resources=desk) as app:
            # One after the other: of two copies of an invoice, the one that came first counts.
            rows = [await _process(app, each, watch or _unseen) for each in taken]
    return rows, export_payments(_book(options), options.out, datetime.now(UTC))


def _book(options: Options) -> Path:
    return options.out.parent / "book.db"


async def _process(app: Remit, taken: Taken, watch: Watch) -> Row:
    if taken.digest is None:
        assert taken.refused is not None
        return Row(taken.file, taken.refused, "0")
    execution = await app.start(invoice, Incoming(digest=taken.digest), key=taken.digest, owner="payables")
    tree = await app.tree(execution.id)
    deadline = time.monotonic() + _PATIENCE_S
    while not _is_at_rest(tree) and time.monotonic() < deadline:
        watch(taken.file, tree)
        await asyncio.sleep(_LOOK_EVERY_S)
        tree = await app.tree(execution.id)
    watch(taken.file, tree)
    return Row(taken.file, _result(tree), tree.usage.subtree.cost)


def _unseen(_file: str, _tree: Record) -> None:
    """Watches nothing."""


def _is_at_rest(tree: Record) -> bool:
    """Whether nothing in the tree moves by itself: all has ended, or waits for a human."""
    return all(node.ended_at is not None or _is_stopped(node) for node in _nodes(tree))


def _is_stopped(node: Record) -> bool:
    """Whether the execution waits for a human or an operator, itself or through its children."""
    if node.status in {Status.WAITING_HUMAN_INPUT, Status.WAITING_CHILD_HUMAN_INPUT, Status.PAUSED}:
        return True
    return any(child.awaited and child.ended_at is None and _is_stopped(child) for child in node.children)


def _result(tree: Record) -> Result:
    if tree.status is Status.COMPLETED:
        return Settlement.model_validate(tree.result)
    for node in _nodes(tree):
        if node.status is Status.WAITING_HUMAN_INPUT:
            wait = node.waiting_on.first[0]
            return Waiting(node.execution_id, wait["to"] or "anyone", wait["prompt"])
    stuck = next((node for node in _nodes(tree) if node.status is Status.PAUSED), tree)
    if stuck.error is None:
        return Unfinished(stuck.execution_id, str(stuck.status))
    return Failed(stuck.execution_id, stuck.error.code, stuck.error.message)


def _nodes(tree: Record) -> Iterator[Record]:
    yield tree
    for child in tree.children:
        yield from _nodes(child)

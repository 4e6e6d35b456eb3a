"""Three applications: `python -m examples.loans [--folder DIR]`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from examples.payables.mail_sink import mail_sink
from remit import Record, Remit, RemitError, Status

from .bank import Bank

__all__ = ["APPLICATIONS", "WORKFLOWS", "apply", "main", "open_bank"]

WORKFLOWS = Path(__file__).parent
APPLICATIONS: tuple[dict[str, Any], ...] = (
    {"loan_id": "loan-1", "applicant": "lind", "amount": 8_000},
    {"loan_id": "loan-2", "applicant": "varga", "amount": 15_000},
    {"loan_id": "loan-3", "applicant": "osei", "amount": 40_000},
)
"""Small and safe; declined; one for the manager."""
_AT_REST = {Status.WAITING_HUMAN_INPUT, Status.WAITING_CHILD_HUMAN_INPUT, Status.PAUSED}
_LOOK_EVERY_S = 0.02
_PATIENCE_S = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0, or 2 for what it cannot start on."""
    help_ = "Three applications for loans; one waits for a manager. Answered and run again, it goes on."
    parser = argparse.ArgumentParser(prog="python -m examples.loans", description=help_)
    there = Path(os.path.relpath(WORKFLOWS / "out"))
    parser.add_argument("--folder", type=Path, default=there, help="where everything is kept (%(default)s)")
    folder: Path = parser.parse_args(arguments).folder
    try:
        for line in asyncio.run(_process(folder)):
            print(line)
    except RemitError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 2
    return 0


@asynccontextmanager
async def open_bank(folder: Path) -> AsyncIterator[Bank]:
    """The bank whose books lie in a folder, begun there where there are none; its mails are filed in `mail`."""
    async with mail_sink(folder / "mail") as sink:
        bank = Bank(folder / "bank.db", sink.host, sink.port)
        bank.open()
        yield bank


async def apply(app: Remit, application: dict[str, Any]) -> Record:
    """Apply for a loan, and return once it is decided or waits for a person; the same application again is the same."""
    loan = await app.start("LoanApproval", application, key=application["loan_id"])
    async with asyncio.timeout(_PATIENCE_S):
        while (record := await loan.record()).ended_at is None and record.status not in _AT_REST:  # noqa: ASYNC110  # rest is seen in the store, nobody tells
            await asyncio.sleep(_LOOK_EVERY_S)
    return record


async def _process(folder: Path) -> list[str]:
    store = f"sqlite:///{folder / 'remit.db'}"
    async with open_bank(folder) as bank, Remit(store, processes=[WORKFLOWS], resources=bank) as app:
        loans = [await apply(app, each) for each in APPLICATIONS]
        return [line for each in loans for line in await _told(app, each, store)]


async def _told(app: Remit, loan: Record, store: str) -> list[str]:
    if loan.ended_at is not None:
        return [f"{loan.key}: {loan.result['status'] if loan.result else loan.shown_status}"]
    tree = await app.tree(loan.execution_id)
    waiting = [each for each in tree.children if each.status == "WAITING_HUMAN_INPUT"]
    lines = [f"{loan.key}: {loan.status}"]
    for each in waiting:
        asked = each.waiting_on.first[0]
        lines += [f"    {each.process} asks {asked['to']}: {asked['prompt']}"]
        lines += [f'    remit answer {each.execution_id} \'{{"approved": true, "by": "your name"}}\' --store {store}']
    return lines

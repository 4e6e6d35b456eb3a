"""The payment file of the open run: every approved payment once, rewritten until the run is released."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .book import writing
from .bookings import Booking, debtors, open_bookings, open_run, release_run, settle
from .files import write_atomically
from .pain001 import payment_file
from .transfers import Transfer, plan_transfers

__all__ = ["Export", "export_payments", "release_payments"]


@dataclass(frozen=True, slots=True)
class Export:
    """What the payment file holds, and the bookings that wait for invoices to be set off against."""

    message_id: str
    transfers: list[Transfer]
    parked: list[Booking]


def export_payments(book: Path, out: Path, now: datetime) -> Export:
    """Write the file for all bookings that no released run has paid; no file where nothing is to be paid.

    Run again it writes the same run under the same message id: a file that has not gone to the bank yet is
    replaced, never doubled.
    """
    with writing(book) as connection:
        transfers, parked = plan_transfers(open_bookings(connection), now.date())
        run, opened = open_run(connection, now)
        settle(connection, run, (part.document for transfer in transfers for part in transfer.bookings))
        accounts = debtors(connection)
    message_id = _message_id(run, opened)
    if transfers:
        write_atomically(out, payment_file(message_id, now, accounts, transfers))
    else:
        out.unlink(missing_ok=True)  # an earlier file of this run, whose payments credit has since outweighed
    return Export(message_id, transfers, parked)


def release_payments(book: Path, out: Path, now: datetime) -> Path | None:
    """Close the open run, its file going to the bank under the name returned; None where there is no file.

    What it holds is never in another file. The file is renamed before the run is closed: cut short in between,
    the next export writes it again under the same message id, by which the bank knows a repeat.
    """
    if not out.exists():
        return None
    with writing(book) as connection:
        run, opened = open_run(connection, now)
        released = out.with_name(f"{out.stem}.{_message_id(run, opened)}{out.suffix}")
        out.replace(released)
        release_run(connection, run, now)
    return released


def _message_id(run: int, opened: datetime) -> str:
    return f"PAY-{opened:%Y%m%dT%H%M%S}-{run}"

"""Bookings: what is approved for payment, each document once, and the payment runs they go out in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from .document import Document
from .latin import bank_text
from .screening import Account

__all__ = [
    "Booking",
    "Debtor",
    "book_payment",
    "debtors",
    "open_bookings",
    "open_run",
    "release_run",
    "settle",
]


@dataclass(frozen=True, slots=True)
class Booking:
    """An approved document; `amount` is what we owe for it, below zero for a credit note."""

    document: str
    supplier: str
    number: str
    issued: date
    creditor: str
    iban: str
    bic: str
    currency: str
    amount: Decimal
    reference: str
    due: date
    end_to_end_id: str


@dataclass(frozen=True, slots=True)
class Debtor:
    """Our account in one currency."""

    name: str
    iban: str
    bic: str


def book_payment(
    book: sqlite3.Connection, key: str, supplier: str, document: Document, account: Account, now: datetime
) -> str:
    """Book the document for payment and return its end-to-end id; again for the same key changes nothing."""
    end_to_end_id = f"{bank_text(document.number, 22)}-{key[:12]}"
    book.execute(
        "INSERT INTO bookings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL) "
        "ON CONFLICT (document) DO NOTHING",
        (
            key,
            supplier,
            document.kind,
            document.number,
            document.issued.isoformat(),
            document.creditor.name,
            account.iban,
            account.bic,
            document.currency,
            str(document.owed),
            account.reference,
            (document.due or document.issued).isoformat(),
            end_to_end_id,
            now.astimezone(UTC).isoformat(timespec="seconds"),
        ),
    )
    return end_to_end_id


def open_bookings(book: sqlite3.Connection) -> list[Booking]:
    """What no released run has paid, in order of number."""
    rows = book.execute(
        "SELECT * FROM bookings LEFT JOIN runs ON runs.id = bookings.run WHERE released_at IS NULL "
        "ORDER BY supplier, number, document"
    )
    return [_booking(row) for row in rows]


def debtors(book: sqlite3.Connection) -> dict[str, Debtor]:
    """Our accounts by currency."""
    name = book.execute("SELECT name FROM company LIMIT 1").fetchone()["name"]
    rows = book.execute("SELECT * FROM accounts")
    return {row["currency"]: Debtor(name, row["iban"], row["bic"]) for row in rows}


def open_run(book: sqlite3.Connection, now: datetime) -> tuple[int, datetime]:
    """The run that is open, opened where none is: its number and when it was opened."""
    row = book.execute("SELECT * FROM runs WHERE released_at IS NULL").fetchone()
    if row is not None:
        return int(row["id"]), datetime.fromisoformat(row["opened_at"])
    opened = now.astimezone(UTC).replace(microsecond=0)
    cursor = book.execute("INSERT INTO runs (opened_at) VALUES (?)", (opened.isoformat(),))
    return int(cursor.lastrowid or 0), opened


def settle(book: sqlite3.Connection, run: int, documents: Iterable[str]) -> None:
    """Put exactly these documents on the open run; those that left it wait for the next file."""
    book.execute("UPDATE bookings SET run = NULL WHERE run = ?", (run,))
    book.executemany("UPDATE bookings SET run = ? WHERE document = ?", ((run, key) for key in documents))


def release_run(book: sqlite3.Connection, run: int, now: datetime) -> None:
    """Close the run: its bookings are paid."""
    released = now.astimezone(UTC).isoformat(timespec="seconds")
    book.execute("UPDATE runs SET released_at = ? WHERE id = ?", (released, run))


def _booking(row: sqlite3.Row) -> Booking:
    return Booking(
        document=row["document"],
        supplier=row["supplier"],
        number=row["number"],
        issued=date.fromisoformat(row["issued"]),
        creditor=row["creditor"],
        iban=row["iban"],
        bic=row["bic"],
        currency=row["currency"],
        amount=Decimal(row["amount"]),
        reference=row["reference"],
        due=date.fromisoformat(row["due"]),
        end_to_end_id=row["end_to_end_id"],
    )

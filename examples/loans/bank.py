"""What the steps work with, given to Remit as `resources`: the bank's books and its mail server."""

from __future__ import annotations

import smtplib
import sqlite3
from contextlib import AbstractContextManager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import cast

from examples import books
from remit import current

__all__ = ["Bank", "the_bank"]

_DOMAIN = "bank.example"
_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Bank:
    """The bank's books in one SQLite file, and where its mail goes out."""

    books: Path
    smtp_host: str
    smtp_port: int

    def open(self) -> None:
        """Begin the books where there are none."""
        books.begin(self.books, Path(__file__).with_name("bank.sql").read_text(encoding="utf-8"))

    def connected(self) -> AbstractContextManager[sqlite3.Connection]:
        """A connection whose statements are committed one by one."""
        return books.connected(self.books)

    def send(self, to: str, subject: str, text: str, message_id: str) -> None:
        """Send a mail; whoever receives it knows by its id that it is the same as before."""
        message = EmailMessage(policy=SMTP)
        message["From"] = f"Loans <loans@{_DOMAIN}>"
        message["To"] = to
        message["Subject"] = subject
        message["Message-ID"] = f"<{message_id}@{_DOMAIN}>"
        message.set_content(f"{text}\n")
        with smtplib.SMTP(self.smtp_host, self.smtp_port, timeout=_TIMEOUT_S) as server:
            server.send_message(message)


def the_bank() -> Bank:
    """The bank that the running step belongs to."""
    return cast("Bank", current().resources)

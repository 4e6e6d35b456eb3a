"""What the steps work with, given to Remit as `resources`: the bank's books and its mail server."""

from __future__ import annotations

import os
import smtplib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import cast

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
        """Begin the books where there are none; half-made ones are never seen."""
        if self.books.exists():
            return
        self.books.parent.mkdir(parents=True, exist_ok=True)
        draft = self.books.with_name(f"{self.books.name}.{os.getpid()}.draft")
        draft.unlink(missing_ok=True)
        script = Path(__file__).with_name("bank.sql").read_text(encoding="utf-8")
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.executescript(f"BEGIN; {script} COMMIT;")
        draft.replace(self.books)

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """A connection whose statements are committed one by one."""
        with closing(sqlite3.connect(self.books, isolation_level=None, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            yield connection

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

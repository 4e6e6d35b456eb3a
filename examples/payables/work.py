"""The steps and tools of the payables: everything that touches a file, the book or the mail server.

They are plain functions in threads. Each may run again after a crash, and then leaves the same state.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from smtplib import SMTPResponseException, SMTPServerDisconnected

from remit import DomainError, TransientError, current, step, tool

from . import screening
from .book import reading, writing
from .bookings import book_payment
from .desk import Desk
from .document import Document, Kind, Means
from .mail import notice_mail, send_mail
from .messages import Booked, Case, Incoming, Notice, Order
from .orders import Match, match_document, release_claims
from .refusal import Refusal, Refused
from .sanctions import listed_name, load_sanctions
from .screening import Account
from .totals import total_refusals
from .ubl import read_document

__all__ = [
    "approval_limit",
    "book",
    "claim_number",
    "find_account",
    "look_up_name",
    "mail",
    "match_and_claim",
    "read_file",
    "refusal_error",
    "release",
]


@step
def read_file(incoming: Incoming) -> Document:
    """The archived document, its arithmetic checked."""
    with _domain_errors():
        document = read_document(_desk().content(incoming.digest))
        refusals = total_refusals(document)
        if refusals:
            raise _refused(refusals)
        return document


@step
def match_and_claim(case: Case) -> Match:
    """The three-way match, with the quantities claimed."""
    with _domain_errors(), writing(_desk().book) as connection:
        return match_document(connection, case.digest, case.document)


@tool("screening.account", cost="0.0010")
def find_account(supplier: str, currency: str, offered: tuple[Means, ...], document: str) -> Account | Refusal:
    """The account to pay to, sound and on file; or why there is none."""
    with _domain_errors(), reading(_desk().book) as connection:
        try:
            return screening.payable_account(connection, supplier, currency, offered, document)
        except Refused as refused:
            return refused.refusal


@tool("screening.sanctions", cost="0.0150")
def look_up_name(name: str, element: str) -> Refusal | None:
    """Why nobody of that name is paid; None where the sanctions list has no such name."""
    listed = listed_name(name, load_sanctions(_desk().sanctions))
    if listed is None:
        return None
    return Refusal(
        "sanctions_hit",
        element,
        f"{name} matches {listed.name} ({listed.programme})",
        "Hold the payment and have compliance clear the name",
    )


@tool("screening.duplicates", cost="0.0005")
def claim_number(supplier: str, digest: str, kind: Kind, number: str) -> Refusal | None:
    """Claims the document's number for its supplier; or says that it came before."""
    with _domain_errors(), writing(_desk().book) as connection:
        try:
            screening.claim_number(connection, digest, supplier, kind, number)
        except Refused as refused:
            return refused.refusal
        return None


@step
def approval_limit(currency: str) -> Decimal | None:
    """The amount above which a human decides; None where the book has no account in the currency."""
    with _domain_errors(), reading(_desk().book) as connection:
        row = connection.execute("SELECT approval_above FROM accounts WHERE currency = ?", (currency,)).fetchone()
        return None if row is None else Decimal(row["approval_above"])


@step
def book(order: Order, booked_at: datetime) -> Booked:
    """The payment, booked once whatever happens."""
    with _domain_errors(), writing(_desk().book) as connection:
        end_to_end_id = book_payment(connection, order.digest, order.supplier, order.document, order.account, booked_at)
        return Booked(end_to_end_id=end_to_end_id)


@step
def release(digest: str) -> None:
    """Gives back what a refused document claimed, so that its correction can have it."""
    with _domain_errors(), writing(_desk().book) as connection:
        release_claims(connection, digest)
        screening.release_number(connection, digest)


@step
def mail(notice: Notice) -> None:
    """The notice, sent to accounting."""
    message = notice_mail(notice.digest, notice.number, notice.status, notice.text)
    try:
        send_mail(_desk().smtp_host, _desk().smtp_port, message)
    except SMTPServerDisconnected as error:
        raise TransientError(f"the mail server hung up: {error}") from error
    except SMTPResponseException as error:
        if error.smtp_code >= 500:
            raise
        raise TransientError(f"the mail server asks to come back later: {error}") from error


def refusal_error(refusal: Refusal) -> DomainError:
    """The refusal as a child's failure: its parent finds the element in the details."""
    return DomainError(refusal.text, code=refusal.code, details=asdict(refusal))


def _desk() -> Desk:
    desk = current().resources
    if not isinstance(desk, Desk):
        raise DomainError("run the payables with Remit(..., resources=Desk(...))", code="no_desk")
    return desk


@contextmanager
def _domain_errors() -> Iterator[None]:
    """Refusals become DOMAIN errors that carry the element; a book that is busy is worth another attempt."""
    try:
        yield
    except Refused as refused:
        raise refusal_error(refused.refusal) from refused
    except sqlite3.OperationalError as error:
        if "locked" not in str(error) and "busy" not in str(error):
            raise
        raise TransientError(f"the book is busy: {error}") from error


def _refused(refusals: list[Refusal]) -> Refused:
    first, more = refusals[0], len(refusals) - 1
    suffix = f" ({more} more like it follow)" if more else ""
    return Refused(first.code, first.element, f"{first.problem}{suffix}", first.mend)

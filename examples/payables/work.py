"""The steps and tools of the payables: everything that touches a file, the book or the mail server.

They are plain functions in threads. Each may run again after a crash, and then leaves the same state.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from smtplib import SMTPResponseException, SMTPServerDisconnected

from remit import DomainError, TransientError, current, step, tool

from . import screening
from .book import reading, writing
from .bookings import book_payment
from .desk import Desk
from .document import Document
from .mail import notice_mail, send_mail
from .messages import Booked, Case, Incoming, Match, Notice, Order, Payee, Reason
from .orders import match_document, release_claims
from .refusal import Refusal, Refused
from .sanctions import listed_name, load_sanctions
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
    with _domain_errors(), writing(_desk().book) as book_:
        match = match_document(book_, case.digest, case.document)
        return Match(supplier=match.supplier, orders=match.orders)


@tool("screening.account", cost="0.0010")
def find_account(supplier: str, document: Document) -> Payee | Reason:
    """The account to pay to, sound and on file; or why there is none."""
    with _domain_errors(), reading(_desk().book) as book_:
        try:
            account = screening.payable_account(book_, supplier, document)
        except Refused as refused:
            return _reason(refused.refusal)
        return Payee(iban=account.iban, bic=account.bic, reference=account.reference)


@tool("screening.sanctions", cost="0.0150")
def look_up_name(name: str, element: str) -> Reason | None:
    """Why nobody of that name is paid; None where the sanctions list has no such name."""
    listed = listed_name(name, load_sanctions(_desk().sanctions))
    if listed is None:
        return None
    return Reason(
        code="sanctions_hit",
        element=element,
        problem=f"{name} matches {listed.name} ({listed.programme})",
        mend="Hold the payment and have compliance clear the name",
    )


@tool("screening.duplicates", cost="0.0005")
def claim_number(supplier: str, digest: str, document: Document) -> Reason | None:
    """Claims the document's number for its supplier; or says that it came before."""
    with _domain_errors(), writing(_desk().book) as book_:
        try:
            screening.claim_number(book_, digest, supplier, document)
        except Refused as refused:
            return _reason(refused.refusal)
        return None


@step
def approval_limit(currency: str) -> Decimal | None:
    """The amount above which a human decides; None where the book has no account in the currency."""
    with _domain_errors(), reading(_desk().book) as book_:
        row = book_.execute("SELECT approval_above FROM accounts WHERE currency = ?", (currency,)).fetchone()
        return None if row is None else Decimal(row["approval_above"])


@step
def book(order: Order, booked_at: datetime) -> Booked:
    """The payment, booked once whatever happens."""
    account = screening.Account(order.payee.iban, order.payee.bic, order.payee.reference)
    with _domain_errors(), writing(_desk().book) as book_:
        return Booked(
            end_to_end_id=book_payment(book_, order.digest, order.supplier, order.document, account, booked_at)
        )


@step
def release(digest: str) -> None:
    """Gives back what a refused document claimed, so that its correction can have it."""
    with _domain_errors(), writing(_desk().book) as book_:
        release_claims(book_, digest)
        screening.release_number(book_, digest)


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
        reason = refused.refusal
        raise DomainError(reason.text, code=reason.code, details=_reason(reason).model_dump()) from refused
    except sqlite3.OperationalError as error:
        if "locked" not in str(error) and "busy" not in str(error):
            raise
        raise TransientError(f"the book is busy: {error}") from error


def _refused(refusals: list[Refusal]) -> Refused:
    first, more = refusals[0], len(refusals) - 1
    suffix = f" ({more} more like it follow)" if more else ""
    return Refused(first.code, first.element, f"{first.problem}{suffix}", first.mend)


def _reason(refusal: Refusal) -> Reason:
    return Reason(code=refusal.code, element=refusal.element, problem=refusal.problem, mend=refusal.mend)

"""Screening before money leaves: the account to pay to, and whether the document came before."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass

from .document import ROOTS, Kind, Means
from .iban import compact, iban_problem
from .latin import to_latin
from .refusal import Refused

__all__ = ["Account", "claim_number", "payable_account", "release_number"]

_TRANSFERS = {
    "",
    "1",
    "30",
    "31",
    "42",
    "58",
    "ZZZ",
}  # UNCL 4461: credit transfers, and those that do not say
_BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Account:
    """Where to pay; `bic` and `reference` may be empty."""

    iban: str
    bic: str
    reference: str


def payable_account(
    book: sqlite3.Connection, supplier: str, currency: str, offered: tuple[Means, ...], document: str
) -> Account:
    """The account to pay to, one that is on file for the supplier; raises Refused naming the element.

    `offered` are the means of payment of the document whose root element is `document`. Only accounts on file are
    paid: an invoice with new bank details is the commonest fraud there is.
    """
    _check_own_account(book, currency, document)
    rows = book.execute("SELECT iban FROM supplier_accounts WHERE supplier = ?", (supplier,))
    on_file = [row["iban"] for row in rows]
    if offered:
        return _offered_account(_transfer(offered), on_file)
    if len(on_file) == 1:
        return Account(on_file[0], "", "")
    raise Refused(
        "missing_account",
        f"{document}/cac:PaymentMeans/cac:PayeeFinancialAccount/cbc:ID",
        f"it states no account and {len(on_file) or 'none'} are on file for this supplier",
        "State the IBAN to pay to",
    )


def claim_number(book: sqlite3.Connection, key: str, supplier: str, kind: Kind, number: str) -> None:
    """Claim a document's number for its supplier; again for the same key changes nothing.

    Raises Refused (`duplicate`) where another document has the number, however it is spaced or punctuated.
    """
    plain = re.sub(r"[^0-9A-Z]", "", to_latin(number).upper()) or number
    claimed = (supplier, f"{kind}:{plain}")
    book.execute("INSERT OR IGNORE INTO numbers VALUES (?, ?, ?)", (*claimed, key))
    row = book.execute("SELECT document FROM numbers WHERE supplier = ? AND number = ?", claimed).fetchone()
    if row["document"] != key:
        raise Refused(
            "duplicate",
            f"{ROOTS[kind]}/cbc:ID",
            f"{number!r} of this supplier came before (file {row['document'][:12]})",
            "Nothing is to be done if it was sent twice; a new invoice needs a new number",
        )


def release_number(book: sqlite3.Connection, key: str) -> None:
    """Give back the number a document claimed, so that a corrected one may carry it."""
    book.execute("DELETE FROM numbers WHERE document = ?", (key,))


def _offered_account(means: Means, on_file: list[str]) -> Account:
    iban, bic = compact(means.account), compact(means.bic)
    if iban not in on_file:
        raise Refused(
            "account_not_on_file",
            f"{means.element}/cac:PayeeFinancialAccount/cbc:ID",
            f"{iban} is not an account we have on file for this supplier",
            "Confirm it with the supplier by telephone, then add it to the book",
        )
    return Account(iban, bic if _BIC.fullmatch(bic) else "", means.reference)


def _transfer(offered: tuple[Means, ...]) -> Means:
    """The first credit transfer to a sound IBAN."""
    transfers = [means for means in offered if means.code in _TRANSFERS]
    if not transfers:
        raise Refused(
            "not_a_transfer",
            f"{offered[0].element}/cbc:PaymentMeansCode",
            f"code {offered[0].code!r} is no credit transfer, so there is nothing for us to send",
            "Offer a credit transfer (code 30 or 58), or collect as agreed",
        )
    problems = [(means, iban_problem(means.account)) for means in transfers]
    for means, problem in problems:
        if problem is None:
            return means
    means, problem = problems[0]
    raise Refused(
        "broken_iban",
        f"{means.element}/cac:PayeeFinancialAccount/cbc:ID",
        str(problem) if means.account else "the account is missing",
        "State the IBAN to pay to",
    )


def _check_own_account(book: sqlite3.Connection, currency: str, document: str) -> None:
    if book.execute("SELECT 1 FROM accounts WHERE currency = ?", (currency,)).fetchone() is None:
        rows = book.execute("SELECT currency FROM accounts ORDER BY currency")
        ours = ", ".join(row["currency"] for row in rows)
        raise Refused(
            "no_account_in_currency",
            f"{document}/cbc:DocumentCurrencyCode",
            f"we have no account in {currency} to pay from, only in {ours}",
            f"Invoice in {ours}, or open an account and add it to the book",
        )

"""The processes: an invoice and the five children it calls, each with an outcome of its own.

    invoice ─┬─ extract        parse, check totals and tax
             ├─ match_order    order, receipt, invoice
             ├─ screening      account, sanctions, duplicates: priced look-ups
             ├─ approval ── finance_approval ── delegate_approval     asks a human, above the limit
             ├─ payment        booked once
             └─ notify         on its own, after the answer

A refusal is a DOMAIN error of the child that found it; `invoice` turns it into its result. Anything else that
goes wrong stays an error of the invoice, to be retried by an operator.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any, TypeVar

from remit import DomainError, Outcome, Process, call_process, process, start_process
from remit.durable import now

from .approvals import approval, delegate_approval, finance_approval
from .document import Document
from .messages import ApprovalRequest, Booked, Case, Incoming, Notice, Order, Settlement
from .money import format_amount
from .orders import Match
from .refusal import Refusal
from .screening import Account
from .work import (
    approval_limit,
    book,
    claim_number,
    find_account,
    look_up_name,
    mail,
    match_and_claim,
    read_file,
    refusal_error,
    release,
)

__all__ = ["PROCESSES", "invoice"]

T = TypeVar("T")


@process("extract")
async def extract(incoming: Incoming) -> Document:
    """The document in the file, its totals and taxes checked."""
    return await read_file(incoming)


@process("match_order")
async def match_order(case: Case) -> Match:
    """The supplier and orders the document belongs to, its quantities claimed."""
    return await match_and_claim(case)


@process("screening")
async def screening(case: Case) -> Account:
    """The account to pay to, once account, names and number have passed."""
    document, supplier = case.document, _matched(case).supplier
    names = {party.name: party.element for party in (document.supplier, document.creditor)}
    names |= {means.holder: means.element for means in document.means if means.holder}
    look_ups = asyncio.gather(*(look_up_name(name, element) for name, element in names.items()))
    account, hits = await asyncio.gather(_account(supplier, document), look_ups)
    for found in (*hits, account):
        if isinstance(found, Refusal):
            raise refusal_error(found)
    assert isinstance(account, Account)
    # last, so that what was refused above has claimed nothing
    duplicate = await claim_number(supplier, case.digest, document.kind, document.number)
    if duplicate is not None:
        raise refusal_error(duplicate)
    return account


@process("payment")
async def payment(order: Order) -> Booked:
    """The booking of an approved document."""
    return await book(order, await now())


@process("notify")
async def notify(notice: Notice) -> None:
    """The mail to accounting."""
    await mail(notice)


@process("invoice", calls=[extract, match_order, screening, approval, payment, notify])
async def invoice(incoming: Incoming) -> Settlement:
    """What becomes of one invoice or credit note."""
    try:
        settlement = await _settle(incoming)
    except _RefusedByChild as refused:
        await release(incoming.digest)
        settlement = refused.settlement
    await start_process(notify, _notice(incoming.digest, settlement))
    return settlement


PROCESSES: list[Process[Any, Any]] = [
    invoice,
    extract,
    match_order,
    screening,
    approval,
    finance_approval,
    delegate_approval,
    payment,
    notify,
]


class _RefusedByChild(Exception):
    """A child refused the document; `settlement` says why."""

    def __init__(self, settlement: Settlement) -> None:
        super().__init__(settlement.status)
        self.settlement = settlement


async def _settle(incoming: Incoming) -> Settlement:
    known = Settlement(status="refused")
    document = _accepted(await call_process(extract, incoming), known)
    known = Settlement(
        status="refused",
        number=document.number,
        supplier=document.supplier.name,
        amount=document.owed,
        currency=document.currency,
    )
    case = Case(digest=incoming.digest, document=document)
    match = _accepted(await call_process(match_order, case), known)
    case = case.model_copy(update={"match": match})
    account = _accepted(await call_process(screening, case), known)
    limit = await approval_limit(document.currency)
    if limit is not None and document.owed > limit:
        _accepted(await call_process(approval, _request(document, limit)), known)
    if document.owed == 0:
        return known.model_copy(update={"status": "nothing_due"})
    order = Order(digest=incoming.digest, supplier=match.supplier, document=document, account=account)
    booked = _accepted(await call_process(payment, order), known)
    status = "booked" if document.owed > 0 else "credited"
    return known.model_copy(update={"status": status, "end_to_end_id": booked.end_to_end_id})


def _accepted(outcome: Outcome[T], known: Settlement) -> T:
    """The child's value; a refusal that names an element ends the invoice, all else escalates (L19)."""
    if not outcome.ok and outcome.error is not None and "element" in outcome.error.details:
        refusal = Refusal(**outcome.error.details)
        raise _RefusedByChild(known.model_copy(update={"reason": refusal}))
    return outcome.unwrap()


async def _account(supplier: str, document: Document) -> Account | Refusal:
    """The account to pay to; none for a credit note, which is set off."""
    if document.owed > 0:
        return await find_account(supplier, document.currency, document.means, document.element)
    return Account("", "", "")


def _request(document: Document, limit: Decimal) -> ApprovalRequest:
    return ApprovalRequest(
        number=document.number,
        supplier=document.supplier.name,
        amount=document.owed,
        currency=document.currency,
        limit=limit,
        element=f"{document.totals.element}/cbc:PayableAmount",
    )


def _matched(case: Case) -> Match:
    if case.match is None:
        raise DomainError("screening needs the supplier that match_order found", code="not_matched")
    return case.match


def _notice(digest: str, settlement: Settlement) -> Notice:
    if settlement.reason is not None:
        text = settlement.reason.text
    else:
        text = f"{settlement.supplier}: {format_amount(settlement.amount or Decimal(0), settlement.currency)}."
    return Notice(digest=digest, number=settlement.number or digest[:12], status=settlement.status, text=text)

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

from remit import DomainError, Outcome, Process, ask, call_process, process, start_process
from remit.durable import now

from .document import Document
from .messages import (
    ApprovalRequest,
    Booked,
    Case,
    Decision,
    Incoming,
    Match,
    Notice,
    Order,
    Payee,
    Reason,
    Settlement,
)
from .money import format_amount
from .work import (
    approval_limit,
    book,
    claim_number,
    find_account,
    look_up_name,
    mail,
    match_and_claim,
    read_file,
    release,
)

__all__ = ["PROCESSES", "invoice"]

T = TypeVar("T")

_DELEGATED_UP_TO = 5  # times the limit; beyond that the chief financial officer decides
_ANSWER_WITHIN = "14d"


@process("extract")
async def extract(incoming: Incoming) -> Document:
    """The document in the file, its totals and taxes checked."""
    return await read_file(incoming)


@process("match_order")
async def match_order(case: Case) -> Match:
    """The supplier and orders the document belongs to, its quantities claimed."""
    return await match_and_claim(case)


@process("screening")
async def screening(case: Case) -> Payee:
    """The account to pay to, once account, names and number have passed."""
    document, supplier = case.document, _matched(case).supplier
    names = {party.name: party.element for party in (document.supplier, document.creditor)}
    names |= {means.holder: means.element for means in document.means if means.holder}
    look_ups = asyncio.gather(*(look_up_name(name, element) for name, element in names.items()))
    payee, hits = await asyncio.gather(_payee(supplier, document), look_ups)
    for found in (*hits, payee):
        if isinstance(found, Reason):
            raise _refusal(found)
    assert isinstance(payee, Payee)
    duplicate = await claim_number(supplier, case.digest, document)  # last: nothing is claimed if refused above
    if duplicate is not None:
        raise _refusal(duplicate)
    return payee


@process("delegate_approval")
async def delegate_approval(request: ApprovalRequest) -> Decision:
    """The decision of the person in charge."""
    amount = format_amount(request.amount, request.currency)
    return await ask(
        Decision,
        name="release",
        prompt=f"Release {amount} to {request.supplier} for {request.number}?",
        to=request.to,
        timeout=_ANSWER_WITHIN,
        on_timeout=Decision(approved=False, by="nobody", comment=f"no answer within {_ANSWER_WITHIN}"),
    )


@process("finance_approval", calls=[delegate_approval])
async def finance_approval(request: ApprovalRequest) -> Decision:
    """The decision of whoever may decide on that much."""
    is_delegated = request.amount <= request.limit * _DELEGATED_UP_TO
    to = "role:controller" if is_delegated else "role:cfo"
    return (await call_process(delegate_approval, request.model_copy(update={"to": to}))).unwrap()


@process("approval", calls=[finance_approval])
async def approval(request: ApprovalRequest) -> Decision:
    """The approval, or a refusal that says who refused and why."""
    decision = (await call_process(finance_approval, request)).unwrap()
    if not decision.approved:
        limit = format_amount(request.limit, request.currency)
        reason = Reason(
            code="not_approved",
            element=request.element,
            problem=f"above {limit}, and {decision.by} refused: {decision.comment or 'no reason given'}",
            mend="Clear it with them; a corrected invoice is looked at afresh",
        )
        raise _refusal(reason)
    return decision


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
    payee = _accepted(await call_process(screening, case), known)
    limit = await approval_limit(document.currency)
    if limit is not None and document.owed > limit:
        _accepted(await call_process(approval, _request(document, limit)), known)
    if document.owed == 0:
        return known.model_copy(update={"status": "nothing_due"})
    order = Order(digest=incoming.digest, supplier=match.supplier, document=document, payee=payee)
    booked = _accepted(await call_process(payment, order), known)
    status = "booked" if document.owed > 0 else "credited"
    return known.model_copy(update={"status": status, "end_to_end_id": booked.end_to_end_id})


def _accepted(outcome: Outcome[T], known: Settlement) -> T:
    """The child's value; a refusal that names an element ends the invoice, all else escalates (L19)."""
    if not outcome.ok and outcome.error is not None and "element" in outcome.error.details:
        reason = Reason.model_validate(outcome.error.details)
        raise _RefusedByChild(known.model_copy(update={"reason": reason}))
    return outcome.unwrap()


async def _payee(supplier: str, document: Document) -> Payee | Reason:
    """The account to pay to; none for a credit note, which is set off."""
    if document.owed > 0:
        return await find_account(supplier, document)
    return Payee(iban="", bic="", reference="")


def _refusal(reason: Reason) -> DomainError:
    return DomainError(reason.problem, code=reason.code, details=reason.model_dump())


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
    reason = settlement.reason
    if reason is not None:
        text = f"{reason.element}: {reason.problem}. {reason.mend}."
    else:
        text = f"{settlement.supplier}: {format_amount(settlement.amount or Decimal(0), settlement.currency)}."
    return Notice(digest=digest, number=settlement.number or digest[:12], status=settlement.status, text=text)

"""The steps of both workflows: books, scores, mails."""

from __future__ import annotations

from typing import Any

from examples.loans.bank import the_bank
from remit import DomainError, tool
from remit.workflows import StepContext

from .models import ApprovalState, LoanState

__all__ = [
    "ask_credit_bureau",
    "decline",
    "look_up_applicant",
    "mail_approver",
    "mail_head_of_credit",
    "pay_out",
    "return_decision",
    "write_letter",
]


def look_up_applicant(state: LoanState) -> dict[str, Any]:
    """Raises `unknown_applicant`."""
    with the_bank().connected() as books:
        row = books.execute("SELECT * FROM applicants WHERE id = ?", (state.applicant,)).fetchone()
    if row is None:
        raise DomainError(f"There is no applicant {state.applicant!r}", code="unknown_applicant")
    return {"name": row["name"], "mail": row["mail"], "income": row["income"]}


@tool("credit-bureau", cost="0.80")
def ask_credit_bureau(state: LoanState) -> dict[str, Any]:
    """From 300 to 850: how an applicant has paid so far, and what the loan would weigh."""
    with the_bank().connected() as books:
        row = books.execute("SELECT * FROM applicants WHERE id = ?", (state.applicant,)).fetchone()
    weight = 150 * state.amount // max(1, row["income"])
    return {"score": max(300, min(850, 720 + 15 * row["years_known"] - 60 * row["late_payments"] - weight))}


def pay_out(state: LoanState) -> dict[str, Any]:
    """Book the loan, once."""
    with the_bank().connected() as books:
        books.execute("INSERT OR IGNORE INTO loans VALUES (?, ?, ?)", (state.loan_id, state.applicant, state.amount))
    return {"status": "paid out"}


def decline(_state: LoanState) -> dict[str, Any]:
    """Nothing is booked."""
    return {"status": "declined"}


def write_letter(state: LoanState) -> dict[str, Any]:
    """Tell the applicant."""
    text = f"Dear {state.name},\n\nyour loan {state.loan_id} of {state.amount} EUR is {state.status}."
    the_bank().send(state.mail, f"Your loan is {state.status}", text, f"{state.loan_id}.letter")
    return {}


def mail_approver(state: ApprovalState, context: StepContext) -> dict[str, Any]:
    """Ask the manager; the answer is given with `remit answer`, and with the id that the mail names."""
    _mail(state, context, "manager", "Please decide within two days")
    return {}


def mail_head_of_credit(state: ApprovalState, context: StepContext) -> dict[str, Any]:
    """Two days have gone by: ask somebody else."""
    _mail(state, context, "head-of-credit", "The manager has not decided")
    return {}


def return_decision(state: ApprovalState) -> dict[str, Any]:
    """Raises `own_application` for one who decides on a loan of theirs."""
    if state.by == state.applicant:
        raise DomainError(f"{state.by} cannot decide on a loan of their own", code="own_application")
    return {"comment": state.comment or ("approved" if state.approved else "not approved")}


def _mail(state: ApprovalState, context: StepContext, to: str, what: str) -> None:
    text = (
        f"{what}: {state.applicant} asks for {state.amount} EUR, score {state.score}.\n\n"
        f'remit answer {context.workflow_id} \'{{"approved": true, "by": "your name"}}\''
    )
    the_bank().send(f"{to}@bank.example", f"Loan {state.loan_id}", text, f"{context.workflow_id}.{to}")

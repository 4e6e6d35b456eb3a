"""A loan, an approval, and what a person decides."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["ApprovalState", "Decision", "LoanState"]


class LoanState(BaseModel):
    """The state of LoanApproval. Required: `loan_id`, `applicant` and `amount` in euros."""

    loan_id: str
    applicant: str
    amount: int = Field(gt=0)
    name: str = ""
    mail: str = ""
    income: int = 0
    score: int = 0
    approved: bool = True
    decided_by: str = "rules"
    reason: str = ""
    status: str = "received"


class ApprovalState(BaseModel):
    """The state of ManagerApprovalTask. Given back: `approved`, `by`, `comment`."""

    loan_id: str
    applicant: str
    amount: int
    score: int
    approved: bool = False
    by: str = ""
    comment: str = ""


class Decision(BaseModel):
    """What the one who is asked answers."""

    approved: bool
    by: str = Field(min_length=1)
    comment: str = ""

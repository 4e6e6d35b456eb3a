"""State models of a loan."""

from pydantic import BaseModel, Field


class LoanState(BaseModel):
    """A loan that was applied for."""

    amount: float
    applicant: str = Field(..., min_length=1)
    document: str | None = None
    underwriting_type: str | None = None


class KYCState(BaseModel):
    """Who applied for it."""

    user_name: str
    id_document_url: str | None = None


class ReviewInput(BaseModel):
    """What a reviewer says."""

    decision: str
    reviewer_id: str


raise AssertionError("a check imports nothing")

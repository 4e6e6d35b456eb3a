"""Who releases a payment above the limit: approval, finance approval, and the person it is delegated to."""

from __future__ import annotations

from remit import ask, call_process, process

from .messages import ApprovalRequest, Decision
from .money import format_amount
from .refusal import Refusal
from .work import refusal_error

__all__ = ["approval", "delegate_approval", "finance_approval"]

_DELEGATED_UP_TO = 5  # times the limit; beyond that the chief financial officer decides
_ANSWER_WITHIN = "14d"


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
        refusal = Refusal(
            "not_approved",
            request.element,
            f"above {limit}, and {decision.by} refused: {decision.comment or 'no reason given'}",
            "Clear it with them; a corrected invoice is looked at afresh",
        )
        raise refusal_error(refusal)
    return decision

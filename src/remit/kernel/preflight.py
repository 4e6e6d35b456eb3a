"""The ordered checks before a call is admitted (L7): the first that fails rejects it, before anything is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from remit.errors import ErrorInfo, class_of
from remit.kernel.budget import Account
from remit.kernel.department_budgets import Folio
from remit.kernel.usage import Amount

__all__ = ["CHECKS", "CallFacts", "Limits", "Rejection", "Standing", "preflight"]


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's limits; policies only narrow them (L3, L4, L15)."""

    max_depth: int = 5
    max_recursion: int = 0
    max_descendants: int = 10_000
    max_attempts: int = 20_000
    max_active: int = 1_000

    def __post_init__(self) -> None:
        for name in ("max_depth", "max_recursion", "max_descendants", "max_attempts", "max_active"):
            value = getattr(self, name)
            least = 1 if name in ("max_attempts", "max_active") else 0
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"Limits({name}={value!r}): give a whole number, at least {least}")


class Standing(NamedTuple):
    """Where the caller stands, the same for all of its calls."""

    tenant: str
    region: str | None
    path: tuple[str, ...]
    """Names of the caller's ancestors and the caller, root first."""
    depth: int
    account: Account


@dataclass(slots=True)
class CallFacts:
    """All that the checks look at, gathered by the engine."""

    target: str
    caller: Standing
    recursion: int
    descendants: int
    estimate: Amount
    limits: Limits
    fault: ErrorInfo | None = None
    """What resolving the target or encoding the input has found wrong (`undeclared_call`, `invalid_input`, …)."""
    digest: bytes = b""
    known_digest: bytes | None = None
    """The input digest recorded under the same explicit key, if any."""
    known_target: str | None = None
    """The process that was called under it."""
    tenant: str | None = None
    region: str | None = None
    denial: Rejection | None = None
    """What the policies in force have against it (L43)."""
    narrowed_by: Mapping[str, str] | None = None
    """Of the limits: the policy that narrows each, where one does."""
    folios: Sequence[Folio] = ()
    """What the call would draw on beside its root: budgets of the caller's departments and of the callee's."""

    def narrowing(self, limit: str) -> dict[str, Any]:
        """The policy that set a limit, as details of a rejection."""
        return {"policy": self.narrowed_by[limit]} if self.narrowed_by and limit in self.narrowed_by else {}


class Rejection(NamedTuple):
    """Which check refused the call, its limit and the value it found."""

    code: str
    check: str
    message: str
    limit: Any
    current: Any
    details: dict[str, Any]

    def error(self, caller_id: str, ancestors: tuple[str, ...]) -> ErrorInfo:
        """The rejection as the parent's Outcome carries it."""
        details = {
            "check": self.check,
            "limit": self.limit,
            "current": self.current,
            "ancestry": list(ancestors),
            **self.details,
        }
        return ErrorInfo(class_of(self.code), self.code, self.message, details, caller_id)


def _idempotency(facts: CallFacts) -> Rejection | None:
    if facts.known_target not in (None, facts.target):
        message = (
            f"This key was used before to call {facts.known_target!r}; it cannot name a call of {facts.target!r} too"
        )
        return Rejection("idempotency_conflict", "idempotency", message, facts.known_target, facts.target, {})
    if facts.known_digest is None or facts.known_digest == facts.digest:
        return None
    message = f"This key was used before to call {facts.target!r} with another input"
    return Rejection("idempotency_conflict", "idempotency", message, facts.known_digest.hex(), facts.digest.hex(), {})


def _tenant(facts: CallFacts) -> Rejection | None:
    if facts.tenant is not None and facts.tenant != facts.caller.tenant:
        message = f"The call names tenant {facts.tenant!r}; its root belongs to another, and tenants are inherited"
        return Rejection("cross_tenant", "tenant", message, facts.caller.tenant, facts.tenant, {})
    if facts.region is not None and facts.region != facts.caller.region:
        message = f"The call names region {facts.region!r}; its root runs in {facts.caller.region!r}; it is inherited"
        return Rejection("region_violation", "region", message, facts.caller.region, facts.region, {})
    return None


def _fault_of(check_of: dict[str, str]) -> Callable[[CallFacts], Rejection | None]:
    """A check that refuses what was found wrong before, where its code is among these; each code says what was checked."""

    def found(facts: CallFacts) -> Rejection | None:
        fault = facts.fault
        if fault is None or fault.code not in check_of:
            return None
        return Rejection(fault.code, check_of[fault.code], fault.message, None, None, fault.details)

    return found


_declared = _fault_of(
    {
        **dict.fromkeys(("undeclared_call", "unknown_process", "no_matching_version"), "declared"),
        "department_denied": "department",
    }
)
_input = _fault_of(dict.fromkeys(("invalid_input", "limit_exceeded"), "input"))


def _policy(facts: CallFacts) -> Rejection | None:
    return facts.denial


def _depth(facts: CallFacts) -> Rejection | None:
    limit = facts.limits.max_depth
    if facts.caller.depth < limit:
        return None
    message = f"Cannot nest sub-workflows deeper than {limit} levels. Current depth: {facts.caller.depth}"
    return Rejection("depth_exceeded", "depth", message, limit, facts.caller.depth, facts.narrowing("max_depth"))


def _cycle(facts: CallFacts) -> Rejection | None:
    above, target = facts.caller.path, facts.target
    standing = above.count(target)
    if not standing:
        return None
    allowed = min(facts.recursion, facts.limits.max_recursion)
    if standing <= allowed:
        return None
    path = [*above[above.index(target) :], target]
    message = f"Cycle detected: {' → '.join(path)}"
    return Rejection("cycle_detected", "cycle", message, allowed, standing, {"path": path})


def _fanout(facts: CallFacts) -> Rejection | None:
    limit = facts.limits.max_descendants
    if facts.descendants < limit:
        return None
    message = f"The trace has {facts.descendants} executions below its root; the limit is {limit}"
    narrowing = facts.narrowing("max_descendants")
    return Rejection("fanout_exceeded", "fanout", message, limit, facts.descendants, narrowing)


def _budget(facts: CallFacts) -> Rejection | None:
    refusal = facts.caller.account.refusal(facts.estimate)
    if refusal is None:
        return _departments(facts) if facts.folios else None
    wanted, left = refusal.spelled()
    message = f"The call is estimated at {wanted} {refusal.unit}; the budget has {left} left"
    if not refusal.wanted:
        message = f"The budget has no {refusal.unit} left"
    return Rejection("budget_exceeded", "budget", message, left, wanted, {"unit": refusal.unit})


def _departments(facts: CallFacts) -> Rejection | None:
    """Both sides' budgets (L45)."""
    for folio in facts.folios:
        refusal = folio.account.refusal(facts.estimate)
        if refusal is not None:
            said = folio.said()
            wanted, left = refusal.spelled()
            budget = f"the budget of department {said['department']!r} for the {said['period']}"
            message = f"The call is estimated at {wanted} {refusal.unit}; {budget} has {left} left"
            if not refusal.wanted:
                message = f"{budget[0].upper()}{budget[1:]} has no {refusal.unit} left"
            return Rejection("budget_exceeded", "budget", message, left, wanted, {"unit": refusal.unit, **said})
    return None


CHECKS: tuple[Callable[[CallFacts], Rejection | None], ...] = (
    _idempotency,
    _tenant,
    _declared,
    _input,
    _policy,
    _depth,
    _cycle,
    _fanout,
    _budget,
)
"""In the order of L7; an idempotency key that is known with the same input is answered before any of them."""


def preflight(facts: CallFacts) -> Rejection | None:
    """The first check that refuses the call; None admits it (L7)."""
    for check in CHECKS:
        rejection = check(facts)
        if rejection is not None:
            return rejection
    return None

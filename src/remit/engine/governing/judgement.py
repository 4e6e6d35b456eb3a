"""Policies applied to one thing that passes: a call, a result, a tool's parameters (L43). Nothing is taken and nothing written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from remit.engine.definitions import Definition, StepDefinition
from remit.engine.governing.content import Found, Scan
from remit.engine.governing.governance import Governance, Placed, Wanted
from remit.engine.governing.ruled import denied
from remit.engine.request import CallRequest
from remit.engine.values.seam import Seam, SeamError
from remit.kernel.preflight import Limits, Rejection
from remit.kernel.rates import Bucket

if TYPE_CHECKING:
    from remit.engine.node import Node

__all__ = ["Judged", "Passed", "judge_call", "judge_effect", "judge_input", "judge_result", "noted"]


_NOTHING_ASKED = (None, None, None, None)


class Passed(NamedTuple):
    """A payload as filters let it pass, or why they do not; then the payload is what may be shown of it."""

    denial: Rejection | None
    payload: bytes
    redacted: tuple[Found, ...] = ()


class Judged(NamedTuple):
    """A call as policies see it: what it is under, what they have against it, and what of its input crosses."""

    governance: Governance
    placed: Placed
    denial: Rejection | None
    payload: bytes
    redacted: tuple[Found, ...]
    buckets: Sequence[Bucket]

    def take(self) -> None:
        """Take of the rates: everything else has let the call pass (L7)."""
        if self.buckets:
            self.governance.rates.take(self.placed.rates, self.buckets)

    def narrow(self, request: CallRequest) -> None:
        """Leave the call no more of anything than policies grant."""
        if self.placed.ruled.regime.ceilings:
            asked = request.ttl_ms, request.limit_tokens, request.limit_cost, request.retry
            granted = self.placed.granted_unasked if asked == _NOTHING_ASKED else self.placed.granted(Wanted(*asked))
            request.ttl_ms, request.limit_tokens, request.limit_cost, request.retry = granted

    def limits(self, limits: Limits) -> tuple[Limits, Mapping[str, str]]:
        """The operator's limits as policies narrow them, and which policy narrows which."""
        return self.placed.ruled.within(limits)

    def terms(self) -> dict[str, Any]:
        """What the record says of it."""
        noted_terms = noted(self.redacted, "input")
        labels = self.placed.ruled.labels
        return {"policies": labels, **noted_terms} if labels else noted_terms


def judge_call(governance: Governance, placed: Placed, payload: bytes) -> Judged:
    """A call or a start with an input that fits its type."""
    ruled, denial = placed.ruled, placed.denial
    redacted: tuple[Found, ...] = ()
    buckets: Sequence[Bucket] = ()
    if denial is None:
        denial = ruled.against_input(placed.subject, placed.caller, payload)
    scan = ruled.input.scan(payload) if ruled.input is not None else None
    if scan is not None:
        found, payload, redacted = _passed(scan, payload, placed.definition.input, "input")
        denial = denial or found
    if denial is None and placed.rates:
        after = governance.rates.after(placed.rates, governance.now())
        if isinstance(after, Rejection):
            denial = after
        else:
            buckets = after
    return Judged(governance, placed, denial, payload, redacted, buckets)


def judge_result(governance: Governance, node: Node, seam: Seam[Any], result: bytes) -> Passed:
    """A result that fits its type."""
    scanner = governance.over(node).result
    return Passed(None, result) if scanner is None else _passed(scanner.scan(result), result, seam, "result")


def judge_input(governance: Governance, node: Node, definition: Definition, payload: bytes) -> Passed:
    """An input that an execution gives itself to start over with."""
    scanner = governance.over(node).input
    return Passed(None, payload) if scanner is None else _passed(scanner.scan(payload), payload, definition.input, "input")


def judge_effect(governance: Governance, node: Node, step: StepDefinition, params: bytes) -> Passed:
    """A call of a tool or a model."""
    ruled = governance.over(node)
    policy = ruled.regime.refusing(step.kind, step.name)
    passed = Passed(None, params)
    if ruled.tool is not None:
        passed = _passed(ruled.tool.scan(params), params, None, f"{step.kind} {step.name!r}")
    if policy is None:
        return passed
    message = f"Policy {policy} does not let {step.kind} {step.name!r} be used"
    return Passed(denied(policy, message, f"{step.kind}s", None, step.name), passed.payload)


def _passed(scan: Scan | None, payload: bytes, seam: Seam[Any] | None, where: str) -> Passed:
    """What a scan means for a payload: a value without what was found must still fit its type."""
    if scan is None:
        return Passed(None, payload)
    blocking = scan.blocking
    if blocking is not None:
        return Passed(_blocked(blocking, where, "was found"), scan.payload)
    if not scan.fits:
        return Passed(_blocked(scan.found[0], where, "was found, and the value without it is longer than a value may be"), scan.payload)
    try:
        if seam is not None:
            seam.decode(scan.payload)
    except SeamError:
        return Passed(_blocked(scan.found[0], where, "was found, and the value without it does not fit its type"), scan.payload)
    return Passed(None, scan.payload, tuple(scan.found))


def _blocked(found: Found, where: str, what: str) -> Rejection:
    """Names the filter and the place, never what stood there."""
    message = f"Policy {found.policy}, filter {found.filter!r}: what it looks for {what} in {where} at {found.path or '/'}"
    return denied(found.policy, message, "filter", None, None, filter=found.filter, path=found.path, where=where)


def noted(redacted: tuple[Found, ...], place: str) -> dict[str, Any]:
    """What was taken out, as records keep it."""
    return {"redacted": [[each.policy, each.filter, place, each.path] for each in redacted]} if redacted else {}

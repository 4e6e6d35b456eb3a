"""Policies as people see them, and what of them held for one execution: which applied and why, which limit won, every verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from remit.control.queries import unknown
from remit.control.views import moment
from remit.engine.definitions import in_range
from remit.engine.ending.faults import decode_error
from remit.engine.governing.governance import subject_of
from remit.engine.governing.policies import policy_from
from remit.engine.terms import terms_of
from remit.errors import ErrorInfo, MisuseError
from remit.kernel.narrowing import narrowed
from remit.kernel.policies import Policy
from remit.kernel.trace import ancestors_of
from remit.store.port import Reader
from remit.store.records import ExecutionRecord, PolicyRecord

__all__ = [
    "AppliedPolicy",
    "PolicyExplanation",
    "PolicyVerdict",
    "PolicyView",
    "PolicyViews",
    "explain",
    "policy_view",
    "policy_views",
]

_DENIED = "policy_denied"


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A version of a policy: its content, its file as it was written, and who put it in force and who withdrew it."""

    policy: str
    version: str
    in_force: bool
    digest: str
    content: dict[str, Any]
    source: str
    applied_at: datetime | None
    applied_by: str | None
    ended_at: datetime | None
    ended_by: str | None


@dataclass(frozen=True, slots=True)
class AppliedPolicy:
    """A policy that an execution was admitted under: what selected it, at which execution of its ancestry."""

    policy: str
    version: str
    selected_at: str | None
    because: list[str]
    in_force: bool


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """What a policy did: `what` is 'admitted', 'denied' or 'redacted'; `target` is the process or tool it was about."""

    what: str
    target: str
    policy: str | None
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PolicyExplanation:
    """What policies had to say of an execution; `limits` has the tightest of each with the policy that sets it."""

    execution_id: str
    process: str
    version: str
    tags: list[str]
    applied: list[AppliedPolicy]
    limits: dict[str, dict[str, Any]]
    demands: list[dict[str, Any]]
    verdicts: list[PolicyVerdict]


PolicyViews = list[PolicyView]


def policy_view(record: PolicyRecord) -> PolicyView:
    """One version of a policy."""
    return PolicyView(
        policy=record.name,
        version=record.version,
        in_force=record.in_force,
        digest=record.digest.hex(),
        content=orjson.loads(record.content),
        source=record.source,
        applied_at=moment(record.applied_at),
        applied_by=record.applied_by,
        ended_at=moment(record.ended_at),
        ended_by=record.ended_by,
    )


def policy_views(reader: Reader, reference: str | None = None, *, ended: bool = False) -> PolicyViews:
    """Policies in force by name, with `ended` those that were withdrawn too; raises MisuseError `unknown_policy`.

    `reference` narrows them to a name, or to one version: 'pii@1.0.0'.
    """
    records = reader.policies()
    name, at, version = (reference or "").partition("@")
    if reference is not None:
        records = [each for each in records if each.name == name and (not at or each.version == version)]
        if not records:
            raise unknown_policy(reference, reader.policies())
    shown = [each for each in records if ended or at or each.in_force]
    return [policy_view(each) for each in sorted(shown, key=lambda each: (each.name, each.applied_at))]


def unknown_policy(reference: str, records: list[PolicyRecord]) -> MisuseError:
    """There is no such policy; the message lists those in force."""
    there = ", ".join(sorted(f"{each.name}@{each.version}" for each in records if each.in_force)) or "none"
    return MisuseError(f"No policy {reference!r} was applied; in force: {there}", code="unknown_policy")


def explain(reader: Reader, execution_id: str) -> PolicyExplanation:
    """What policies had to say of an execution; raises MisuseError `unknown_execution`."""
    record = reader.execution(execution_id)
    if record is None:
        raise unknown(execution_id)
    kept = {f"{each.name}@{each.version}": each for each in reader.policies()}
    labels = terms_of(record).get("policies", [])
    policies = [policy_from(kept[label]) for label in labels if label in kept]
    regime = narrowed(policies)
    lineage = [each for ancestor in ancestors_of(record.id) if (each := reader.execution(ancestor)) is not None]
    return PolicyExplanation(
        execution_id=record.id,
        process=record.process,
        version=record.version,
        tags=list(subject_of(record).tags),
        applied=[_applied(each, [*lineage, record], kept) for each in policies],
        limits={name: {"limit": each.value, "policy": each.policy} for name, each in regime.ceilings.items()},
        demands=[demand for policy in policies for demand in _demands(policy)],
        verdicts=[*_own_verdicts(record, labels), *_verdicts(reader, record)],
    )


def _applied(policy: Policy, lineage: list[ExecutionRecord], kept: Mapping[str, PolicyRecord]) -> AppliedPolicy:
    """The topmost execution that the policy selects is where it comes from."""
    for record in lineage:
        because = policy.selector.why(subject_of(record), in_range)
        if because is not None:
            break
    else:  # it selected an ancestor whose record is no more
        record, because = None, ()
    in_force = kept[policy.label].in_force
    return AppliedPolicy(policy.name, policy.version, record.id if record is not None else None, list(because), in_force)


def _demands(policy: Policy) -> Iterator[dict[str, Any]]:
    """What a policy asks for beside its limits."""
    if policy.rate is not None:
        yield {"policy": policy.label, "rate_limit": policy.rate.spelled(), "by": policy.rate.by}
    for kind, names in (("tools", policy.tools), ("models", policy.models)):
        if names is not None:
            allow = list(names.allow) if names.allow is not None else None
            yield {"policy": policy.label, kind: {"allow": allow, "deny": list(names.deny)}}
    for each in policy.filters:
        action = "redact" if each.redacts else "block"
        yield {"policy": policy.label, "filter": each.name, "on": list(each.on), "action": action}
    for rule in policy.rules:
        yield {"policy": policy.label, "rule": rule.name, "require": rule.require.text}
    if policy.isolates:
        yield {"policy": policy.label, "isolation": "process"}
    if policy.four_eyes:
        yield {"policy": policy.label, "approvals": "four_eyes"}


def _own_verdicts(record: ExecutionRecord, labels: list[str]) -> Iterator[PolicyVerdict]:
    """How it was let in, what was taken out of its values, and whether its result was kept back."""
    if labels:
        yield PolicyVerdict("admitted", record.process, None, {"policies": labels})
    yield from _redactions(terms_of(record).get("redacted", []), record.process)
    if record.error is not None and b'"policy_denied"' in record.error:
        error = decode_error(record.error)
        if error.code == _DENIED and error.origin == record.id:
            yield _denial(error, record.process)


def _verdicts(reader: Reader, record: ExecutionRecord) -> Iterator[PolicyVerdict]:
    """What was refused to it, and what was taken out of the parameters of tools it used, in order."""
    for entry in reader.journal(record.n):
        if entry.terms is not None and b'"redacted"' in entry.terms:
            yield from _redactions(orjson.loads(entry.terms)["redacted"], entry.name)
        if entry.error is not None and b'"policy' in entry.error:
            error = decode_error(entry.error)
            if "policy" in error.details and error.origin == record.id:
                yield _denial(error, entry.name)


def _redactions(redacted: list[list[str]], target: str) -> Iterator[PolicyVerdict]:
    for policy, found_by, place, path in redacted:
        yield PolicyVerdict("redacted", target, policy, {"filter": found_by, "where": place, "path": path})


def _denial(error: ErrorInfo, target: str) -> PolicyVerdict:
    details = {name: value for name, value in error.details.items() if name not in ("policy", "ancestry")}
    return PolicyVerdict(
        "denied", target, error.details.get("policy"), {"code": error.code, "message": error.message, **details}
    )

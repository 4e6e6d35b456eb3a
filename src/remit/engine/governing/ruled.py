"""What one set of policies demands together, ready to be asked: made once for each set, and used for every call under it (L43)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from remit.engine.definitions import Definition
from remit.engine.governing.content import Scanner
from remit.engine.values.plain_json import loads
from remit.kernel.expressions.conditions import ConditionFailed
from remit.kernel.narrowing import Regime, narrowed
from remit.kernel.policies import Policy, Rule, Subject
from remit.kernel.preflight import Limits, Rejection

if TYPE_CHECKING:
    from remit.engine.node import Node

__all__ = ["Caller", "Ruled", "denied"]


class Caller(NamedTuple):
    """On whose behalf a call is made, and by whom: the process is None where a root is started."""

    tenant: str | None
    owner: str | None
    region: str | None
    process: str | None = None
    depth: int = 0

    @classmethod
    def of(cls, node: Node) -> Caller:
        """An execution that calls."""
        record = node.record
        return cls(record.tenant, record.owner, record.region, record.process, len(node.path))


class Ruled:
    """All that one set of policies demands, ready to be asked."""

    def __init__(self, policies: frozenset[Policy]) -> None:
        self.policies = policies
        self.regime: Regime = narrowed(sorted(policies, key=lambda each: each.label))
        self.labels = list(self.regime.labels)
        self._limits: tuple[Limits, Mapping[str, str]] | None = None
        self._of_inputs = [each for each in self.regime.rules if _reads_input(each[1])]
        self._of_callers = [each for each in self.regime.rules if each not in self._of_inputs]

    def within(self, limits: Limits) -> tuple[Limits, Mapping[str, str]]:
        """The operator's limits as these policies narrow them, and which policy narrows which; worked out once."""
        if self._limits is None:
            self._limits = self.regime.within(limits)
        return self._limits

    @cached_property
    def input(self) -> Scanner | None:
        """What looks through inputs."""
        return self._scanner("input")

    @cached_property
    def result(self) -> Scanner | None:
        """What looks through results."""
        return self._scanner("result")

    @cached_property
    def tool(self) -> Scanner | None:
        """What looks through the parameters of tools and models."""
        return self._scanner("tool")

    def _scanner(self, place: str) -> Scanner | None:
        filters = [(label, each) for label, each in self.regime.filters if place in each.on]
        return Scanner(filters) if filters else None

    def against(self, definition: Definition, subject: Subject, caller: Caller) -> Rejection | None:
        """What they have against any call of a process by that caller, whatever its input."""
        isolates = self.regime.isolates
        if isolates is not None and definition.isolation != "process":
            message = f'Policy {isolates} asks for isolation="process", which {definition.name} {definition.version} has not'
            return denied(isolates, message, "isolation", "process", definition.isolation)
        return _broken(self._of_callers, _facts(subject, caller, None))

    def against_input(self, subject: Subject, caller: Caller, payload: bytes) -> Rejection | None:
        """The first of the rules that read the input that does not hold."""
        return _broken(self._of_inputs, _facts(subject, caller, loads(payload))) if self._of_inputs else None


def _reads_input(rule: Rule) -> bool:
    return any(path[:2] == ("call", "input") or path == ("call",) for path in rule.require.paths)


def _facts(subject: Subject, caller: Caller, value: Any) -> dict[str, Any]:
    """`call` as rules read it."""
    return {
        "process": subject.process,
        "version": subject.version,
        "tags": list(subject.tags),
        "department": subject.department,
        "tenant": caller.tenant,
        "owner": caller.owner,
        "region": caller.region,
        "caller": caller.process,
        "depth": caller.depth,
        "input": value,
    }


def _broken(rules: list[tuple[str, Rule]], facts: dict[str, Any]) -> Rejection | None:
    """The first rule that does not hold; one that cannot be worked out does not."""
    names = {"call": facts}
    for label, rule in rules:
        try:
            if rule.require.holds(names):
                continue
            why = rule.message or f"Rule {rule.name!r} of policy {label} does not hold: {rule.require.text}"
        except ConditionFailed as failure:
            why = f"Rule {rule.name!r} of policy {label} cannot be worked out: {failure}"
        return denied(label, why, "rule", rule.require.text, None, rule=rule.name)
    return None


def denied(policy: str, message: str, by: str, limit: Any, current: Any, **details: Any) -> Rejection:
    """What a policy has against something; `by` is the part of it that has."""
    return Rejection("policy_denied", "policy", message, limit, current, {"policy": policy, "by": by, **details})

"""What one set of policies demands together, ready to be asked: made once for each set, and used for every call under it (L43)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from remit.engine.content import Scanner
from remit.kernel.conditions import ConditionFailed
from remit.kernel.narrowing import Regime, narrowed
from remit.kernel.policies import Policy
from remit.kernel.preflight import Limits, Rejection

__all__ = ["Ruled", "denied"]


class Ruled:
    """All that one set of policies demands, ready to be asked."""

    def __init__(self, policies: frozenset[Policy]) -> None:
        self.policies = policies
        self.regime: Regime = narrowed(sorted(policies, key=lambda each: each.label))
        self.labels = list(self.regime.labels)
        self._limits: tuple[Limits, Mapping[str, str]] | None = None
        self.reads_input = any(path[:2] == ("call", "input") or path == ("call",) for path in self._paths())

    def within(self, limits: Limits) -> tuple[Limits, Mapping[str, str]]:
        """The operator's limits as these policies narrow them, and which policy narrows which; worked out once."""
        if self._limits is None:
            self._limits = self.regime.within(limits)
        return self._limits

    def _paths(self) -> list[tuple[str, ...]]:
        return [path for _, rule in self.regime.rules for path in rule.require.paths]

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

    def against_rules(self, facts: dict[str, Any]) -> Rejection | None:
        """The first rule that does not hold; one that cannot be worked out does not."""
        names = {"call": facts}
        for label, rule in self.regime.rules:
            why = rule.message or f"Rule {rule.name!r} of policy {label} does not hold: {rule.require.text}"
            try:
                if rule.require.holds(names):
                    continue
            except ConditionFailed as failure:
                why = f"Rule {rule.name!r} of policy {label} cannot be worked out: {failure}"
            return denied(label, why, "rule", rule.require.text, None, rule=rule.name)
        return None


def denied(policy: str, message: str, by: str, limit: Any, current: Any, **details: Any) -> Rejection:
    """What a policy has against something; `by` is the part of it that has."""
    return Rejection("policy_denied", "policy", message, limit, current, {"policy": policy, "by": by, **details})

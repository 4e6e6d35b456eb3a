"""Several policies as one: a child runs under its own and all its ancestors', and of each limit the tightest wins (L43)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from remit.kernel.policies import CEILINGS, Filter, Names, Policy, Rule
from remit.kernel.preflight import Limits
from remit.kernel.rates import RateLimit

__all__ = ["Ceiling", "Regime", "narrowed"]

_BOUNDS = {"depth": "max_depth", "fan_out": "max_descendants"}
"""Ceilings that narrow one of the operator's limits."""


class Ceiling(NamedTuple):
    """The tightest of several limits, and the policy that sets it."""

    value: int
    policy: str


class Regime(NamedTuple):
    """All that an execution is under; each demand with the label of the policy that makes it."""

    labels: tuple[str, ...] = ()
    ceilings: Mapping[str, Ceiling] = {}
    rates: tuple[tuple[str, RateLimit], ...] = ()
    tools: tuple[tuple[str, Names], ...] = ()
    models: tuple[tuple[str, Names], ...] = ()
    filters: tuple[tuple[str, Filter], ...] = ()
    rules: tuple[tuple[str, Rule], ...] = ()
    isolates: str | None = None
    four_eyes: str | None = None

    def least(self, name: str, wanted: int | None) -> int | None:
        """What is granted of something that is wanted (None: without limit)."""
        ceiling = self.ceilings.get(name)
        if ceiling is None:
            return wanted
        return ceiling.value if wanted is None else min(wanted, ceiling.value)

    def within(self, limits: Limits) -> tuple[Limits, Mapping[str, str]]:
        """The operator's limits as these policies narrow them, and which policy narrows which; none is ever raised."""
        tighter = {
            bound: self.ceilings[name]
            for name, bound in _BOUNDS.items()
            if name in self.ceilings and self.ceilings[name].value < getattr(limits, bound)
        }
        values = {bound: ceiling.value for bound, ceiling in tighter.items()}
        return replace(limits, **values), {bound: ceiling.policy for bound, ceiling in tighter.items()}

    def refusing(self, kind: str, name: str) -> str | None:
        """The policy that forbids a tool or a model; None where none does."""
        lists = self.models if kind == "model" else self.tools
        return next((label for label, names in lists if names.refuses(name)), None)


def narrowed(policies: Iterable[Policy]) -> Regime:
    """Policies as one regime; the order does not matter, except that the first of two equal limits is named."""
    given = tuple(policies)
    ceilings: dict[str, Ceiling] = {}
    for name in CEILINGS:
        held = [Ceiling(policy.ceilings[name], policy.label) for policy in given if name in policy.ceilings]
        if held:
            ceilings[name] = min(held, key=lambda each: each.value)
    return Regime(
        labels=tuple(policy.label for policy in given),
        ceilings=ceilings,
        rates=tuple((policy.label, policy.rate) for policy in given if policy.rate is not None),
        tools=tuple((policy.label, policy.tools) for policy in given if policy.tools is not None),
        models=tuple((policy.label, policy.models) for policy in given if policy.models is not None),
        filters=tuple((policy.label, each) for policy in given for each in policy.filters),
        rules=tuple((policy.label, each) for policy in given for each in policy.rules),
        isolates=next((policy.label for policy in given if policy.isolates), None),
        four_eyes=next((policy.label for policy in given if policy.four_eyes), None),
    )

"""Policies as data: whom they select, and what several demand together (L43)."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.expressions.conditions import ConditionError
from remit.kernel.narrowing import Regime, narrowed
from remit.kernel.policies import Names, Policy, Selector, Subject, like, policy_of
from remit.kernel.preflight import Limits
from remit.kernel.rates import RateLimit


def in_major(version: str, wanted: str) -> bool:
    return wanted == "*" or version.startswith(wanted.removeprefix("^"))


PAYMENT = Subject("payment", "2.1.0", ("pii", "money"), "finance", "acme")

CHOSEN: list[tuple[dict[str, tuple[str, ...]], tuple[str, ...] | None]] = [
    ({}, ()),
    ({"tenant": ("acme",)}, ("tenant acme",)),
    ({"tenant": ("globex", "acme")}, ("tenant acme",)),
    ({"tenant": ("globex",)}, None),
    ({"department": ("finance",)}, ("department finance",)),
    ({"department": ("sales",)}, None),
    ({"process": ("pay*",)}, ("process pay*",)),
    ({"process": ("order", "*ment")}, ("process *ment",)),
    ({"process": ("order",)}, None),
    ({"version": ("^2",)}, ("version ^2",)),
    ({"version": ("^1",)}, None),
    ({"tag": ("pii",)}, ("tag pii",)),
    ({"tag": ("health",)}, None),
    ({"tenant": ("acme",), "tag": ("money",)}, ("tenant acme", "tag money")),
    ({"tenant": ("acme",), "tag": ("health",)}, None),
]


@pytest.mark.parametrize(("wanted", "why"), CHOSEN)
def test_L43_of_each_selector_that_is_given_one_text_must_fit(wanted: Any, why: Any) -> None:
    assert Selector(**wanted).why(PAYMENT, in_major) == why


def test_L43_what_has_no_tenant_or_tags_is_selected_by_none() -> None:
    bare = Subject("payment", "1.0.0")
    assert Selector(tenant=("acme",)).why(bare, in_major) is None
    assert Selector(tag=("pii",)).why(bare, in_major) is None
    assert Selector(department=("finance",)).why(bare, in_major) is None
    assert Selector(tenant=("*",)).why(bare, in_major) is None


def test_L43_a_star_stands_for_any_text_in_every_name() -> None:
    subject = Subject("payment", "1.0.0", ("pii", "eu.bank"), "finance.eu", "acme-west")
    for selector in (Selector(tenant=("acme-*",)), Selector(department=("*.eu",)), Selector(tag=("eu.*",))):
        assert selector.why(subject, in_major) is not None
    assert Selector(tenant=("globex-*",)).why(subject, in_major) is None
    assert Selector(tag=("us.*",)).why(subject, in_major) is None


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("order", "order", True),
        ("order", "orders", False),
        ("*", "", True),
        ("*", "anything", True),
        ("tools.*", "tools.mail", True),
        ("tools.*", "tool.mail", False),
        ("*.mail", "tools.mail", True),
        ("a*b*c", "aXbYc", True),
        ("a*b*c", "aXc", False),
        ("ab*ba", "aba", False),
        ("a*bc*c", "abc", False),
        ("**", "x", True),
    ],
)
def test_L43_a_star_stands_for_any_text(pattern: str, name: str, fits: bool) -> None:
    assert like(pattern, name) is fits


def test_L43_a_name_is_compared_in_time_linear_in_it() -> None:
    assert not like("*a" * 50 + "*b", "a" * 100_000)


def test_L43_names_are_allowed_and_denied() -> None:
    assert not Names().refuses("mail")
    assert Names(allow=()).refuses("mail")
    assert not Names(allow=("ma*",)).refuses("mail")
    assert Names(allow=("ma*",)).refuses("erp")
    assert Names(allow=("ma*",), deny=("mail",)).refuses("mail")
    assert Names(deny=("erp.*",)).refuses("erp.write")


FULL: dict[str, Any] = {
    "policy": "strict",
    "version": "1.0.0",
    "applies_to": {"tag": ["pii"]},
    "limits": {"ttl_ms": 60_000, "depth": 2, "fan_out": 20, "attempts": 1, "tokens": 500, "cost": 1_000},
    "rate_limit": {"calls": 10, "per_ms": 1_000, "burst": 5, "by": "tenant"},
    "tools": {"allow": ["mail.*"]},
    "models": {"deny": ["gpt-*"]},
    "isolation": "process",
    "filters": [
        {"name": "mail", "on": ["input", "result"], "find": ["email"], "action": "redact"},
        {"name": "staff", "on": ["tool"], "pattern": "EMP-[0-9]+", "action": "block"},
    ],
    "rules": [{"name": "eu", "require": "call.region == 'eu'", "message": "only in the EU"}],
    "four_eyes": True,
}


def test_L43_a_policy_is_read_from_what_is_kept_of_it() -> None:
    policy = policy_of(FULL)
    assert policy.label == "strict@1.0.0"
    assert policy.selector == Selector(tag=("pii",))
    assert policy.rate == RateLimit(10, 1_000, 5, "tenant")
    assert policy.tools == Names(("mail.*",), ())
    assert policy.models == Names(None, ("gpt-*",))
    assert [each.redacts for each in policy.filters] == [True, False]
    assert [(each.name, each.message, each.require.text) for each in policy.rules] == [
        ("eu", "only in the EU", "call.region == 'eu'")
    ]
    assert (policy.isolates, policy.four_eyes) == (True, True)


def test_L43_a_policy_without_demands_asks_for_nothing() -> None:
    regime = narrowed([policy_of({"policy": "empty", "version": "1.0.0"})])
    assert regime == Regime(labels=("empty@1.0.0",))


def test_L43_a_rule_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ConditionError):
        policy_of({"policy": "p", "version": "1.0.0", "rules": [{"name": "r", "require": "tenant == 'acme'"}]})


# -- narrowing --------------------------------------------------------------------------------------------------------


def limiting(name: str, **limits: int) -> Policy:
    return Policy(name, "1.0.0", ceilings=limits)


def test_L43_the_tightest_limit_wins_and_names_its_policy() -> None:
    regime = narrowed([limiting("a", ttl_ms=500, depth=3), limiting("b", ttl_ms=200), limiting("c", depth=3)])
    assert regime.ceilings["ttl_ms"] == (200, "b@1.0.0")
    assert regime.ceilings["depth"] == (3, "a@1.0.0")
    assert regime.least("ttl_ms", 100) == 100
    assert regime.least("ttl_ms", 300) == 200
    assert regime.least("ttl_ms", None) == 200
    assert regime.least("tokens", 7) == 7
    assert regime.least("tokens", None) is None


def test_L43_policies_narrow_the_operators_limits_and_raise_none() -> None:
    limits, by = narrowed([limiting("a", depth=2, fan_out=50_000)]).within(Limits(max_depth=4))
    assert (limits.max_depth, limits.max_descendants) == (2, 10_000)
    assert by == {"max_depth": "a@1.0.0"}
    same, by_none = narrowed([limiting("a", depth=9)]).within(Limits())
    assert (same, by_none) == (Limits(), {})


def test_L43_every_policys_lists_filters_and_rules_count() -> None:
    full = policy_of(FULL)
    other = Policy("other", "2.0.0", tools=Names(None, ("mail.send",)))
    regime = narrowed([full, other])
    assert regime.refusing("tool", "mail.read") is None
    assert regime.refusing("tool", "mail.send") == "other@2.0.0"
    assert regime.refusing("tool", "erp") == "strict@1.0.0"
    assert regime.refusing("model", "gpt-5") == "strict@1.0.0"
    assert regime.refusing("model", "mail.send") is None
    assert [label for label, _ in regime.filters] == ["strict@1.0.0", "strict@1.0.0"]
    assert [label for label, _ in regime.rules] == ["strict@1.0.0"]
    assert [label for label, _ in regime.rates] == ["strict@1.0.0"]
    assert (regime.isolates, regime.four_eyes) == ("strict@1.0.0", "strict@1.0.0")


LIMITS = st.dictionaries(st.sampled_from(["ttl_ms", "depth", "attempts"]), st.integers(0, 50), max_size=3)


@given(st.lists(LIMITS, min_size=1, max_size=4))
def test_L43_a_further_policy_never_widens_anything(given_limits: list[dict[str, int]]) -> None:
    policies = [limiting(f"p{index}", **limits) for index, limits in enumerate(given_limits)]
    fewer, more = narrowed(policies[:-1]), narrowed(policies)
    for name in ("ttl_ms", "depth", "attempts"):
        for wanted in (None, 0, 25, 50):
            before, after = fewer.least(name, wanted), more.least(name, wanted)
            assert before is None or (after is not None and after <= before)
    assert {n: c.value for n, c in more.ceilings.items()} == {
        n: c.value for n, c in narrowed(policies[::-1]).ceilings.items()
    }


def test_L43_the_order_of_policies_does_not_matter() -> None:
    policies = [limiting("a", ttl_ms=5), limiting("b", depth=1), policy_of(FULL)]
    regimes = [narrowed(order) for order in permutations(policies)]
    assert all(each.ceilings == regimes[0].ceilings for each in regimes)

"""What an evaluation must show, and what it lacks (L41)."""

from __future__ import annotations

from typing import Any

import pytest

from remit.kernel.policies import policy_of
from remit.kernel.requirement import PARTS, Requirement, Shown, each_of, requirement_of, shortfall

ENOUGH = Shown("2.0.0", None, 50, 50, 50, False, (10, 10), (10, 10), (10, 10))
OF_CALLS = Requirement(recorded=50)


def test_L41_a_requirement_is_read_from_plain_data() -> None:
    given = {"recorded": 50, "min_pass": 0.98, "max_cost_increase": 0.1, "max_tokens_increase": None}
    assert requirement_of(given) == Requirement(None, 50, 9_800, None, 1_000, None)
    assert requirement_of({"cases": "ab"}) == Requirement("ab")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"min_pass": 0.5},
        {"recorded": True},
        {"recorded": "5"},
        {"recorded": 0},
        {"recorded": 1, "min_pass": 1.01},
        {"recorded": 1, "min_pass": True},
        {"recorded": 1, "max_cost_increase": "10%"},
        {"recorded": 1, "max_cost_increase": -1},
        {"recorded": 1, "max_cost_increase": 1_001},
        {"recorded": 1, "cost": 1},
    ],
)
def test_L41_what_cannot_be_required_is_refused_by_name(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        requirement_of(given)


def test_L43_a_policy_may_require_an_evaluation() -> None:
    content = {"policy": "p", "version": "1.0.0"}
    assert policy_of(content).evaluation is None
    assert policy_of({**content, "evaluation": {"recorded": 5}}).evaluation == Requirement(recorded=5)


def test_L41_cases_and_recorded_calls_are_two_evaluations() -> None:
    both = Requirement("ab", 50)
    assert each_of(both, "2.0.0") == [Requirement("ab"), OF_CALLS]
    assert each_of(both, None) == [Requirement("ab")]
    assert each_of(OF_CALLS, None) == []
    assert each_of(Requirement("ab"), "2.0.0") == [Requirement("ab")]


@pytest.mark.parametrize(
    ("wanted", "shown", "lacks"),
    [
        (OF_CALLS, ENOUGH, None),
        (OF_CALLS, ENOUGH._replace(recorded=51), None),
        (OF_CALLS, ENOUGH._replace(recorded=49), "it was of 49 recorded calls"),
        (OF_CALLS, ENOUGH._replace(recorded=None), "it was of no recorded calls"),
        (OF_CALLS, ENOUGH._replace(baseline=None), "held against no other version, and 2.0.0 is current"),
        (OF_CALLS, ENOUGH._replace(breaks=True), "the contract of its major breaks"),
        (OF_CALLS, ENOUGH._replace(passes=49), "49 of 50 cases passed, and 100.00% must"),
        (OF_CALLS._replace(min_pass=9_800), ENOUGH._replace(passes=49), None),
        (OF_CALLS._replace(min_pass=9_801), ENOUGH._replace(passes=49), "98.01% must"),
        (Requirement("ab"), ENOUGH._replace(cases="ab", recorded=None), None),
        (Requirement("ab"), ENOUGH, "it was of other cases"),
        (OF_CALLS._replace(max_cost_increase=1_000), ENOUGH._replace(cost=(11, 10)), None),
        (OF_CALLS._replace(max_cost_increase=1_000), ENOUGH._replace(cost=(12, 10)), "its cost went from $0.00001 to $0.000012"),
        (OF_CALLS._replace(max_tokens_increase=0), ENOUGH._replace(tokens=(11, 10)), "its tokens went from 10 to 11"),
        (OF_CALLS._replace(max_duration_increase=0), ENOUGH._replace(duration=(1, 0)), "its duration went from 0 ms to 1 ms"),
        (OF_CALLS._replace(max_duration_increase=PARTS), ENOUGH._replace(duration=(0, 0)), None),
    ],
)
def test_L41_what_an_evaluation_lacks_is_said(wanted: Requirement, shown: Shown, lacks: str | None) -> None:
    found = shortfall(wanted, shown, "2.0.0")
    assert found is None if lacks is None else lacks in str(found)


def test_L41_against_none_is_what_the_first_version_is_held() -> None:
    assert shortfall(Requirement("ab"), ENOUGH._replace(cases="ab"), None) == "it was held against 2.0.0, and none is current"

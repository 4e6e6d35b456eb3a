"""Published versions: their states, who gets them, whom they concern, when they are taken back (L5, L40, L41, L42)."""

from __future__ import annotations

import pytest

from remit.kernel.registry import (
    SHARES,
    Act,
    Declaration,
    Release,
    Rollout,
    State,
    Tally,
    after,
    closing_path,
    newest,
    on_trial,
    place_of,
    reaches,
    stranded,
    to_migrate,
    verdict,
)
from remit.kernel.trace import root_id


def admits(version: str, versions: str) -> bool:
    """'^2' and '3' take a major, '2.1.0' a version, '*' any."""
    return versions in ("*", version) or version.split(".", maxsplit=1)[0] in versions.strip("^").split("|")


def release(version: str, state: State = State.PROMOTED, name: str = "inventory", **more: object) -> Release:
    order = tuple(map(int, version.split(".")))
    return Release(name, version, order[0], order, state, **more)  # type: ignore[arg-type]


def caller(name: str, versions: str = "^2", state: State = State.PROMOTED, version: str = "1.0.0") -> Release:
    return release(version, state, name, calls=(("inventory", versions), ("payment", "^1")))


# -- states -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "leads"),
    [
        (Act.PROMOTE, {"published": "promoted", "deprecated": "promoted"}),
        (Act.ROLL_OUT, {"published": "published"}),
        (Act.ROLL_BACK, {"published": "published", "promoted": "published"}),
        (Act.DEPRECATE, {"promoted": "deprecated"}),
        (Act.RETIRE, {"published": "retired", "promoted": "retired", "deprecated": "retired"}),
    ],
)
def test_L40_each_act_leads_from_some_states_and_retired_is_the_end(act: Act, leads: dict[str, str]) -> None:
    assert {str(state): str(to) for state in State if (to := after(act, state)) is not None} == leads


# -- who gets a version -----------------------------------------------------------------------------------------------

EARLY, LATE = root_id(1_000, 7), root_id(5_000, 7)


def test_L42_a_place_is_the_same_each_time_and_another_for_another_process_or_major() -> None:
    places = [place_of(root_id(n, n), "inventory", 3) for n in range(2_000)]
    assert places == [place_of(root_id(n, n), "inventory", 3) for n in range(2_000)]
    assert place_of(LATE, "inventory", 3) != place_of(LATE, "inventory", 2) != place_of(LATE, "payment", 2)
    assert all(0 <= place < SHARES for place in places)
    assert 140 < sum(place < SHARES // 10 for place in places) < 260


def test_L40_a_live_version_reaches_whoever_s_range_has_it() -> None:
    assert reaches(release("2.0.0"), "order", EARLY)
    assert reaches(release("2.0.0", State.DEPRECATED), "order", EARLY)
    assert not reaches(release("2.0.0", State.PUBLISHED), "order", EARLY)
    assert not reaches(release("2.0.0", State.RETIRED), "order", EARLY)


def test_L41_a_declared_version_reaches_traces_that_begin_once_it_is_promoted() -> None:
    promoted = release("3.0.0", rollout=Rollout(stages=((3_000, SHARES),)))
    assert reaches(promoted, "order", LATE, declared_only=True)
    assert not reaches(promoted, "order", EARLY, declared_only=True)
    assert not reaches(release("3.0.0"), "order", LATE, declared_only=True)


def test_L42_a_rollout_reaches_named_callers_in_traces_that_begin_then() -> None:
    version = release("2.1.0", State.PUBLISHED, rollout=Rollout(callers=(("order", 3_000),)))
    assert version.rolled_out
    assert version.active
    assert not version.live
    assert [reaches(version, name, root) for name in ("order", "other") for root in (LATE, EARLY)] == [
        True, False, False, False,
    ]  # fmt: skip


def test_L42_a_trace_keeps_to_the_share_that_held_when_it_began() -> None:
    place = place_of(LATE, "inventory", 2)
    stages = ((2_000, place), (4_000, place + 1), (9_000, place))
    version = release("2.1.0", State.PUBLISHED, rollout=Rollout(stages=stages))
    assert reaches(version, "order", LATE)
    narrower = release("2.1.0", State.PUBLISHED, rollout=Rollout(stages=stages[:1]))
    assert not reaches(narrower, "order", LATE)


# -- cycles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("calls", "path"),
    [
        ({"a": ["b"], "b": ["c"], "c": []}, None),
        ({"a": ["a"]}, ["a", "a"]),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, ["a", "b", "c", "a"]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["a"], "d": ["c"]}, ["a", "c", "a"]),
        ({"a": ["tools.*"], "tools.x": ["a"], "tools.y": []}, ["a", "tools.x", "a"]),
        ({"a": ["b"], "b": ["*"]}, ["a", "b", "a"]),
        ({"a": ["*"], "b": []}, None),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, None),
        ({"a": ["unknown"]}, None),
    ],
)
def test_L5_the_shortest_way_back_is_named(calls: dict[str, list[str]], path: list[str] | None) -> None:
    assert closing_path("a", calls) == path


# -- whom a version concerns ------------------------------------------------------------------------------------------

OLD = release("2.0.0")
NEW = release("3.0.0", State.PUBLISHED)


def names(found: list[Release]) -> list[str]:
    return [each.process for each in found]


def test_L41_a_new_major_concerns_every_active_caller_that_has_not_declared() -> None:
    callers = [
        caller("order"),
        caller("returns"),
        caller("asleep", state=State.PUBLISHED),
        caller("gone", state=State.RETIRED),
        release("1.0.0", name="apart", calls=(("payment", "^1"),)),
    ]
    everyone = [OLD, NEW, *callers]
    assert names(to_migrate(NEW, everyone, [], admits)) == ["order", "returns"]
    said = [Declaration("order", "1.0.0", "inventory", "3")]
    assert names(to_migrate(NEW, everyone, said, admits)) == ["returns"]
    others = [Declaration("returns", "1.1.0", "inventory", "3"), Declaration("returns", "1.0.0", "payment", "3")]
    assert names(to_migrate(NEW, everyone, [*said, *others], admits)) == ["returns"]
    assert to_migrate(NEW, everyone, [*said, Declaration("returns", "1.0.0", "inventory", "3")], admits) == []


def test_L41_a_range_that_ends_with_the_new_major_says_so_itself_and_one_without_an_end_says_nothing() -> None:
    everyone = [OLD, NEW, caller("written-for-it", "^3"), caller("either", "2|3"), caller("careless", "*")]
    assert names(to_migrate(NEW, everyone, [], admits)) == ["careless"]


def test_L41_a_first_version_and_one_within_a_live_major_concern_nobody_unless_nobody_can_tell() -> None:
    assert to_migrate(NEW, [NEW, caller("order")], [], admits) == []
    minor = release("2.1.0", State.PUBLISHED)
    assert to_migrate(minor, [OLD, minor, caller("order")], [], admits) == []
    assert names(to_migrate(minor, [OLD, minor, caller("order")], [], admits, unknown=True)) == ["order"]


def test_L40_whoever_would_be_left_without_a_version_is_named() -> None:
    widened = [Declaration("widened", "1.0.0", "inventory", "3")]
    three = release("3.0.0")
    everyone = [OLD, three, caller("order"), caller("widened"), caller("gone", state=State.RETIRED), caller("new", "^3")]
    assert names(stranded(OLD, everyone, widened, admits)) == ["order"]
    assert names(stranded(three, everyone, widened, admits)) == ["new"]
    assert stranded(OLD, [*everyone, release("2.1.0", State.DEPRECATED)], widened, admits) == []


# -- what is taken back -----------------------------------------------------------------------------------------------


def tally(failures: int, calls: int, violations: int = 0) -> Tally:
    return Tally(violations, "x" * failures + "." * (calls - failures))


def test_L42_ends_are_counted_over_the_last_50_calls() -> None:
    counted = Tally()
    for n in range(60):
        counted = counted.counting(failed=n < 12, violated=n == 0)
    assert (counted.violations, len(counted.recent), counted.failures) == (1, 50, 2)


@pytest.mark.parametrize(
    ("new", "old", "why"),
    [
        (tally(0, 3, violations=2), tally(0, 0), None),
        (tally(3, 3, violations=3), tally(0, 0), "3 contract violations"),
        (tally(49, 49), tally(0, 50), None),
        (tally(2, 50), tally(0, 50), None),
        (tally(3, 50), tally(0, 50), "3 of the last 50 calls failed; of the old version 0 of 50"),
        (tally(9, 50), tally(5, 50), None),
        (tally(10, 50), tally(5, 50), "10 of the last 50 calls failed; of the old version 5 of 50"),
        (tally(9, 50), tally(1, 10), None),
        (tally(10, 50), tally(1, 10), "10 of the last 50 calls failed; of the old version 1 of 10"),
        (tally(3, 50), tally(0, 0), "3 of the last 50 calls failed; of the old version 0 of 0"),
    ],
)
def test_L42_a_version_is_taken_back_for_violations_or_twice_the_failures(new: Tally, old: Tally, why: str) -> None:
    assert verdict(new, old) == why


def test_L42_an_eye_is_kept_on_what_is_rolled_out_else_on_what_was_promoted_last() -> None:
    def since(moment: int) -> Rollout:
        return Rollout(stages=((moment, SHARES),))

    first, second = release("2.0.0", rollout=since(3)), release("2.1.0", rollout=since(5))
    named = release("1.9.0", State.PUBLISHED, rollout=Rollout(callers=(("order", 1),)))
    left = [release("2.2.0", State.DEPRECATED, rollout=since(9)), release("2.3.0", State.PUBLISHED), release("2.4.0")]
    assert newest([first, second, *left]) == second
    assert newest([first, named, second]) == named
    assert newest(left) is None


def test_L42_a_promoted_version_is_on_trial_over_50_calls() -> None:
    assert on_trial(Tally(2, "." * 49))
    assert not on_trial(Tally(0, "." * 50))
    assert not on_trial(Tally(3, "."))

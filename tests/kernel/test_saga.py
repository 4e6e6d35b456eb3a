"""What is undone, in which order, and how a rollback ends (L34, L37)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.saga import (
    COMPENSATIONS,
    Deed,
    Undo,
    concluded,
    last_first,
    may_become,
    needs_rollback,
    starts_over,
    undoing,
)
from remit.kernel.states import OPEN, TERMINAL, Compensation, Status

C = Compensation


def order(*deeds: Deed[str]) -> list[str]:
    return [deed.what for deed in last_first(deeds)]


def test_L37_what_completed_last_is_undone_first() -> None:
    assert order(Deed(0, 5, 50, "a"), Deed(1, 3, 30, "b"), Deed(2, 9, 90, "c")) == ["c", "a", "b"]


def test_L37_the_recorded_order_of_completion_holds_whatever_the_clock_did() -> None:
    assert order(Deed(0, 1, 90, "a"), Deed(1, 2, 10, "b"), Deed(2, 3, 40, "c")) == ["c", "b", "a"]


def test_L37_what_never_ended_was_there_last_and_of_several_the_one_begun_last() -> None:
    assert order(Deed(3, None, None, "open"), Deed(0, 1, 10, "a"), Deed(4, None, None, "later")) == [
        "later",
        "open",
        "a",
    ]


def test_L37_what_nobody_awaited_stands_where_it_ended() -> None:
    awaited = [Deed(0, 1, 10, "a"), Deed(2, 2, 30, "b")]
    assert order(*awaited, Deed(1, None, 20, "async")) == ["b", "async", "a"]
    assert order(*awaited, Deed(1, None, 5, "async")) == ["b", "a", "async"]
    assert order(*awaited, Deed(1, None, 30, "async")) == ["async", "b", "a"]


deeds = st.lists(st.tuples(st.none() | st.integers(0, 20), st.none() | st.integers(0, 50)), max_size=12).map(
    lambda drawn: [Deed(place, completed, ended, place) for place, (completed, ended) in enumerate(drawn)]
)


@given(deeds, st.randoms())
def test_L37_every_deed_is_listed_once_and_the_order_does_not_depend_on_how_they_were_found(found, random) -> None:
    listed = last_first(found)
    assert sorted(deed.position for deed in listed) == list(range(len(found)))
    shuffled = random.sample(found, len(found))
    awaited = [deed.completed for deed in listed if deed.completed is not None]
    assert awaited == sorted(awaited, reverse=True)
    if len(set(awaited)) == len(awaited):
        assert last_first(shuffled) == listed


@pytest.mark.parametrize(
    ("left", "failed", "undo"),
    [
        (False, False, Undo.WITH_RESULT),
        (False, True, Undo.SKIP),
        (True, False, Undo.WITHOUT_RESULT),
        (True, True, Undo.WITHOUT_RESULT),
    ],
)
def test_L37_a_failed_step_is_skipped_and_one_left_while_it_ran_is_undone_without_a_result(left, failed, undo) -> None:
    assert undoing(left=left, failed=failed) is undo


@pytest.mark.parametrize("status", sorted(Status))
def test_L37_whatever_ended_without_a_result_is_rolled_back_where_it_is_a_saga(status) -> None:
    assert needs_rollback(status, saga=True) is (status in TERMINAL - {Status.COMPLETED})
    assert not needs_rollback(status, saga=False)
    assert not any(needs_rollback(open_, saga=True) for open_ in OPEN)


def test_L37_a_rollback_is_done_only_when_all_of_it_is() -> None:
    assert concluded([]) is C.DONE
    assert concluded([True, True]) is C.DONE
    assert concluded([True, False, True]) is C.FAILED


def test_L34_after_a_rollback_here_or_above_a_retry_starts_over() -> None:
    assert not starts_over([C.NONE, C.NONE])
    assert starts_over([C.NONE, C.DONE])
    assert starts_over([C.FAILED])


@given(st.sampled_from(C), st.sampled_from(C))
def test_L32_a_change_of_compensation_is_permitted_if_and_only_if_the_table_holds_it(before, after) -> None:
    assert may_become(before, after) is any((before, after) == row[:2] for row in COMPENSATIONS)
    assert not may_become(before, before)


def test_L32_what_is_undone_stays_so_until_a_retry_and_each_change_has_a_cause() -> None:
    assert {after for before, after, _ in COMPENSATIONS if before in {C.DONE, C.FAILED}} == {C.NONE}
    assert all(cause for _, _, cause in COMPENSATIONS)

"""The table of statuses: what may follow what, and how a child's status shows above it (L32, L33)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.states import (
    OPEN,
    PROPAGATION,
    TERMINAL,
    TRANSITIONS,
    Compensation,
    Status,
    Waits,
    may,
    parked_status,
    shown,
)

S = Status
PARKED = (S.PENDING_ASYNC, S.PENDING_SUB_WORKFLOW, S.WAITING_HUMAN_INPUT, S.WAITING_CHILD_HUMAN_INPUT)
HUMAN = (S.WAITING_HUMAN_INPUT, S.WAITING_CHILD_HUMAN_INPUT)


def test_L32_the_names_are_those_of_the_law() -> None:
    assert [str(status) for status in Status] == [status.name for status in Status]
    assert {status.name for status in TERMINAL} == {
        "COMPLETED",
        "FAILED",
        "FAILED_CHILD_WORKFLOW",
        "TIMED_OUT",
        "CANCELLED",
    }
    assert {status.name for status in OPEN} == {"PENDING", "ACTIVE", "PAUSED", *(status.name for status in PARKED)}
    assert [str(each) for each in Compensation] == ["none", "running", "done", "failed"]


def test_L32_the_table_names_each_change_once_and_none_of_a_status_to_itself() -> None:
    changes = [(row.before, row.after) for row in TRANSITIONS]
    assert len(changes) == len(set(changes))
    assert all(before is not after for before, after in changes)
    assert all(row.cause for row in TRANSITIONS)


@given(st.sampled_from(Status), st.sampled_from(Status))
def test_L32_a_change_is_permitted_if_and_only_if_the_table_holds_it(before: Status, after: Status) -> None:
    assert may(before, after) is any(row.before is before and row.after is after for row in TRANSITIONS)


@pytest.mark.parametrize("ended", sorted(TERMINAL))
def test_L32_an_end_changes_only_by_an_operator_s_retry(ended: Status) -> None:
    after = {row.after: row.cause for row in TRANSITIONS if row.before is ended}
    assert after == ({} if ended is S.COMPLETED else {S.PENDING: "operator's retry"})


@pytest.mark.parametrize("before", sorted(OPEN))
def test_L35_whatever_is_open_can_be_cancelled_time_out_or_fail_with_its_child(before: Status) -> None:
    assert all(may(before, after) for after in (S.CANCELLED, S.TIMED_OUT, S.FAILED_CHILD_WORKFLOW, S.FAILED))


@pytest.mark.parametrize("before", sorted(OPEN - {S.ACTIVE}))
def test_L32_only_what_runs_can_complete(before: Status) -> None:
    assert may(S.ACTIVE, S.COMPLETED)
    assert not may(before, S.COMPLETED)


def test_L32_every_status_can_be_reached_from_the_first_and_every_open_one_can_end() -> None:
    reached = {S.PENDING}
    while more := {row.after for row in TRANSITIONS if row.before in reached} - reached:
        reached |= more
    assert reached == set(Status)
    assert all(any(may(before, ended) for ended in TERMINAL) for before in OPEN)


@pytest.mark.parametrize(
    ("waits", "status"),
    [
        (Waits(asks=0, children=0, human_children=0), S.PENDING_ASYNC),
        (Waits(asks=0, children=1, human_children=0), S.PENDING_SUB_WORKFLOW),
        (Waits(asks=0, children=5, human_children=1), S.WAITING_CHILD_HUMAN_INPUT),
        (Waits(asks=1, children=0, human_children=0), S.WAITING_HUMAN_INPUT),
        (Waits(asks=2, children=3, human_children=3), S.WAITING_HUMAN_INPUT),
    ],
)
def test_L33_what_a_parked_execution_shows(waits: Waits, status: Status) -> None:
    assert parked_status(waits) is status


@given(st.lists(st.sampled_from(sorted(OPEN)), min_size=1, max_size=6))
def test_L33_a_parent_shows_what_the_table_says_of_its_children_a_human_before_all(children: list[Status]) -> None:
    humans = sum(child in HUMAN for child in children)
    shows = {PROPAGATION[child] for child in children}
    assert parked_status(Waits(0, len(children), humans)) is max(shows, key=lambda each: each in HUMAN)


@given(st.integers(min_value=0, max_value=8))
def test_L33_a_waiting_human_shows_on_every_ancestor_however_deep(levels: int) -> None:
    status = S.WAITING_HUMAN_INPUT
    for _ in range(levels):
        status = PROPAGATION[status]
        assert status is S.WAITING_CHILD_HUMAN_INPUT


def test_L33_every_status_has_its_row_and_an_ended_child_leaves_nothing_to_wait_for() -> None:
    assert set(PROPAGATION) == set(Status)
    assert all(PROPAGATION[status] in PARKED for status in OPEN)
    assert PROPAGATION[S.COMPLETED] is S.ACTIVE
    assert {PROPAGATION[status] for status in TERMINAL - {S.COMPLETED}} == {S.FAILED_CHILD_WORKFLOW}


@given(st.sampled_from(Status), st.sampled_from(Compensation))
def test_L32_a_failure_whose_compensations_are_done_is_shown_as_rolled_back(
    status: Status, compensation: Compensation
) -> None:
    rolled_back = compensation is Compensation.DONE and status in {S.FAILED, S.FAILED_CHILD_WORKFLOW}
    assert shown(status, compensation) == ("FAILED_ROLLED_BACK" if rolled_back else status.value)

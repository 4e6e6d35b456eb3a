"""What the tests of stalls look through: a program's own stalls are told from the machine's."""

from __future__ import annotations

import gc
import time

import pytest

from tests.stalls import Machine, no_stall, own_stalls


class Late:
    """A witness that was late then, whatever it is asked."""

    def __init__(self, *spans: tuple[float, float]) -> None:
        self._spans = list(spans)

    def late(self, until: float) -> list[tuple[float, float]]:
        return self._spans


async def test_L22_a_stall_of_the_programs_own_is_seen() -> None:
    with pytest.raises(AssertionError, match=r"the loop stood still for 0\.[23]"):
        async with no_stall():
            time.sleep(0.3)  # noqa: ASYNC251


def test_L22_what_either_core_was_kept_from_is_not_counted() -> None:
    machine = Machine([Late((0.5, 1.0), (2.0, 2.5)), Late((0.9, 1.25), (3.0, 9.0))])  # type: ignore[list-item]
    assert machine.kept((0.0, 3.0)) == 1.25
    assert machine.longest([(0.0, 1.25), (1.25, 3.5)]) == 1.25
    assert machine.longest([]) == 0.0


def test_L22_the_collector_leaves_alone_what_was_there_before() -> None:
    with own_stalls():
        assert gc.get_freeze_count() > 1_000
    assert gc.get_freeze_count() == 0

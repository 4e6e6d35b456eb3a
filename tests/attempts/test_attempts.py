"""Attempts to get around the guards: each gets its code and leaves its audit entry, and nothing it was after happens (L49)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import apsw
import pytest

from tests.attempts import by_code, by_name, by_rule, by_value  # noqa: F401  # they fill the list
from tests.attempts.attempt import ATTEMPTS, Attempt, Place


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda each: each.name)
async def test_L49_an_attempt_gets_its_code(attempt: Attempt, tmp_path: Path) -> None:
    assert await attempt.run(Place(tmp_path)) == attempt.code
    if attempt.audit.startswith("none"):
        assert _audited(tmp_path) == set()
    else:
        assert attempt.audit in _audited(tmp_path)


def _audited(directory: Path) -> set[str]:
    """The kinds of entries in the audit logs of the stores that an attempt has left; 'tool' for a tool's."""
    kinds: set[str] = set()
    for file in directory.rglob("*.db"):
        store = apsw.Connection(str(file))
        kinds |= {str(kind).partition(".")[0] for (kind,) in store.execute("SELECT kind FROM audit")}
        store.close()
    return kinds


def test_the_list_holds_forty_attempts_by_every_way() -> None:
    ways = Counter(each.way for each in ATTEMPTS)
    assert len(ATTEMPTS) >= 40
    assert set(ways) == {"code", "input", "configuration", "alias", "identifier", "tenant"}
    assert min(ways.values()) >= 3
    assert len({each.name for each in ATTEMPTS}) == len(ATTEMPTS)

"""Attempts to get around the guards: each gets its code and leaves its audit entry, and nothing it was after happens (L49)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.attempts.attempt import Attempt, Place
from tests.attempts.listed import ATTEMPTS


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda each: each.name)
async def test_L49_an_attempt_gets_its_code_and_its_audit_entry(attempt: Attempt, tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert await attempt.run(place) == attempt.code
    entries = [code for kind, code in place.audited if kind == attempt.audit]
    assert not attempt.audit or {*entries} & {"", attempt.code}, place.audited


def test_the_list_holds_forty_attempts_by_every_way() -> None:
    audited = [each for each in ATTEMPTS if each.audit]
    ways = Counter(each.way for each in audited)
    assert len(audited) >= 40
    assert set(ways) == {"code", "input", "configuration", "alias", "identifier", "tenant"}
    assert min(ways.values()) >= 3
    assert len({each.name for each in ATTEMPTS}) == len(ATTEMPTS)

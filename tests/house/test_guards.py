"""The table that `make mutate` works through names guards that are there, and tests that are there."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from typing import Any

from tests.house.sources import ROOT, python_files

TABLE = ROOT / "scripts" / "guards.toml"
TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def guards() -> list[dict[str, Any]]:
    """The rows of the table."""
    return tomllib.loads(TABLE.read_text("utf-8"))["guard"]


def test_every_guard_stands_in_its_file_once() -> None:
    cuts = [cut for guard in guards() for cut in (guard, *guard.get("also", ()))]
    found = {(cut["file"], cut["text"]): (ROOT / "src/remit" / cut["file"]).read_text("utf-8") for cut in cuts}
    assert [where for where, text in found.items() if text.count(where[1]) != 1] == [], f"mend {TABLE.name}"


def test_every_test_that_misses_a_guard_has_a_name_of_its_own() -> None:
    there = Counter(name for path in python_files("tests") for name in TEST.findall(path.read_text("utf-8")))
    named = {test for guard in guards() for test in guard["tests"] if not test.endswith(".py")}
    assert {test: there[test] for test in named if there[test] != 1} == {}, f"mend {TABLE.name}"


def test_every_guard_has_a_name_of_its_own_and_a_law() -> None:
    names = Counter(guard["name"] for guard in guards())
    assert [name for name, count in names.items() if count > 1] == []
    assert all(re.fullmatch(r"L\d+( L\d+)*", guard["law"]) for guard in guards())

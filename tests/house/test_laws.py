"""Every law that is built has a test that names it, as in `test_L13_a_bad_input_is_refused`."""

from __future__ import annotations

import re

from tests.house.sources import ROOT, python_files

# What this release builds; a law joins the list with its tests.
BUILT = set(range(1, 55))
TEST = re.compile(r"^\s*(?:async )?def (test_\w+)", re.MULTILINE)
LAW = re.compile(r"_L(\d+)(?=_|$)")


def laws_named(text: str) -> set[int]:
    """The numbers of the laws in the names of a file's tests."""
    return {int(number) for name in TEST.findall(text) for number in LAW.findall(name)}


def test_every_law_that_is_built_is_named_by_a_test() -> None:
    files = [path for path in python_files("tests") if not path.is_relative_to(ROOT / "tests" / "house")]
    named = {law for path in files for law in laws_named(path.read_text("utf-8"))}
    assert sorted(BUILT - named) == []
    assert sorted(named - set(range(1, 55))) == [], "there is no such law"


def test_names_are_read() -> None:
    text = "def test_L1_ids(): ...\n    async def test_L9_L11_both(): ...\ndef helper_L2_x(): ...\n"
    assert laws_named(text) == {1, 9, 11}

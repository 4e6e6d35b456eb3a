"""Every code block, table row and sentence of the documents that Remit was built from has its answer in tests/seeds.toml.

Where the documents are not beside the checkout, this file is not collected, and the end of the run says so.
"""

from __future__ import annotations

import re
from collections import defaultdict
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from pieces import SEEDS, Piece, pieces
from seedmap import MAP, documents, load, pieces_of_documents, render, stale, unmapped
from tests.house.sources import ROOT


@pytest.fixture(scope="module")
def directory() -> Path:
    """Where the documents are."""
    found = documents()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def everything() -> list[Piece]:
    """Every piece of the three documents."""
    return pieces_of_documents()


def test_every_piece_has_an_answer(everything: list[Piece]) -> None:
    left = [f"{piece.seed} · {piece.section}: {piece.hash} {piece.text}" for piece in unmapped(load(), everything)]
    assert left == [], "answer for them with scripts/seeds map"


def test_every_answer_has_a_piece(everything: list[Piece]) -> None:
    assert stale(load(), everything) == [], "scripts/seeds tidy drops what is in no document any more"


def test_the_map_is_written_as_the_tool_writes_it(everything: list[Piece]) -> None:
    assert MAP.read_text("utf-8") == render(load(), everything), "scripts/seeds tidy writes it so"


def test_the_beginnings_of_the_pieces_are_theirs(everything: list[Piece]) -> None:
    beginnings = {(piece.seed, piece.hash): piece.beginning for piece in everything}
    assert [e for e in load().entries if beginnings[e.seed, e.hash] != e.text] == []


MARKS = re.compile(r"\d\.|•|-+|[─\s]+|ChildStatus→ParentStatus|CONTROLFAILUREMODEPREVENTEDENFORCEMENTMECHANISMLAYER")


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_in_no_piece_is_a_heading_or_a_mark(seed: str, directory: Path) -> None:
    text = (directory / f"{seed}.txt").read_text("utf-8")
    left = [part for part in _outside(pieces(seed, text), text) if not MARKS.fullmatch(part)]
    claims = [part for part in left if len(part) > 80 or part[-1] in ".:!"]
    assert left != []
    assert claims == []


def _outside(found: list[Piece], text: str) -> list[str]:
    """What of each line is in no piece, without white space; the pieces follow each other in the text."""
    letters = [(letter, number) for number, line in enumerate(text.splitlines()) for letter in "".join(line.split())]
    stream, at, outside = "".join(letter for letter, _ in letters), 0, defaultdict(list)
    for piece in [*found, None]:
        inside = "".join(piece.text.split()) if piece else ""
        begins = stream.index(inside, at) if piece else len(stream)
        for letter, number in letters[at:begins]:
            outside[number].append(letter)
        at = begins + len(inside)
    return ["".join(part) for part in outside.values()]


def test_each_deviation_is_one_that_the_laws_list(directory: Path) -> None:
    laws = directory.parent / "design" / "SEMANTICS.md"
    assert laws.is_file(), f"the laws stand beside the documents, in {laws}"
    listed = laws.read_text("utf-8").partition("## Deviations")[2]
    assert [each.law for each in load().deviations.values() if each.says not in listed] == []


# -- the tool ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/seeds, on a copy of the map."""
    loader = SourceFileLoader("seeds_tool", str(ROOT / "scripts" / "seeds"))
    spec = spec_from_loader(loader.name, loader)
    assert spec is not None
    found = module_from_spec(spec)
    loader.exec_module(found)
    monkeypatch.setattr(found, "MAP", tmp_path / "seeds.toml")
    found.MAP.write_text(MAP.read_text("utf-8"), "utf-8")
    return found


def test_the_tool_finds_nothing_to_do(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main([]) == 0
    assert ", 0 unmapped; " in capsys.readouterr().out
    assert tool.main(["tidy"]) == 0
    assert tool.MAP.read_text("utf-8") == MAP.read_text("utf-8")


def test_the_tool_shows_a_piece_and_gives_it_another_answer(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    entry = next(each for each in load().entries if each.test)
    assert tool.main(["show", entry.hash]) == 0
    assert entry.test[0] in capsys.readouterr().out
    assert tool.main(["map", entry.hash, "--issue", "4", "--reason", "later", "--also", *entry.test]) == 0
    [changed] = [each for each in load(tool.MAP).entries if each.hash == entry.hash]
    assert (changed.issue, changed.reason, changed.also, changed.test) == (4, "later", entry.test, ())
    assert [each.hash for each in load(tool.MAP).entries] == [each.hash for each in load().entries]
    assert tool.main(["map", entry.hash, "--test", "tests/house/test_seeds.py::test_of_no_such_name"]) == 1
    assert "no such test: tests/house/test_seeds.py::test_of_no_such_name" in capsys.readouterr().out


def test_the_tool_lists_what_has_no_answer(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    dropped = load().entries[0]
    block = f'[[piece]]\nhash = "{dropped.hash}"'
    before, _, after = tool.MAP.read_text("utf-8").partition(block)
    tool.MAP.write_text(before + after[after.index("[[piece]]") :], "utf-8")
    assert tool.main([]) == 1
    assert dropped.hash in capsys.readouterr().out
    with pytest.raises(SystemExit, match="No piece has a hash that begins with zzz"):
        tool.main(["show", "zzz"])

"""The map in tests/seeds.toml: what answers for each piece of the documents that Remit was built from.

Each piece has one answer: the tests that prove it, a deviation that the laws list, the later issue that brings it, or
why it claims nothing about the system. Beside a deviation or an issue, `also` names the tests of what else it says.
"""

from __future__ import annotations

import ast
import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from pieces import HASH_DIGITS, SEEDS, Piece, read

__all__ = [
    "MAP",
    "Deviation",
    "Entry",
    "SeedMap",
    "documents",
    "load",
    "missing_tests",
    "parse",
    "pieces_of_documents",
    "problems",
    "render",
    "stale",
    "unmapped",
]

ROOT = Path(__file__).resolve().parents[1]
MAP = ROOT / "tests" / "seeds.toml"
ISSUES = (4, 5)  # those that may still owe something; 5 stands for all that come after 4
ANSWERS = ("test", "deviation", "issue", "claims_nothing")

HEAD = """\
# What answers for each code block, table row and sentence of the three documents that Remit was built from: the tests
# that prove it, a deviation of the laws, the issue that brings it, or why it claims nothing about the system.
# `scripts/seeds` lists what is missing, shows a piece in full, and writes this file; tests/house/test_seeds.py reads it.
"""


@dataclass(frozen=True)
class Deviation:
    """A law that departs from a document: what the document says, what holds instead, and the tests of it."""

    law: str
    says: str
    instead: str
    test: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One piece and its answer; `reason` goes with an issue, `also` with an issue or a deviation."""

    hash: str
    seed: str
    text: str
    test: tuple[str, ...] = ()
    deviation: str | None = None
    issue: int | None = None
    reason: str | None = None
    also: tuple[str, ...] = ()
    claims_nothing: str | None = None

    @property
    def answers(self) -> list[str]:
        """Which kinds of answer it has; one, if it is right."""
        return [name for name in ANSWERS if getattr(self, name)]


@dataclass(frozen=True)
class SeedMap:
    """The whole map: the deviations by law, and the entries in their order."""

    deviations: dict[str, Deviation]
    entries: list[Entry]

    @property
    def counts(self) -> dict[str, int]:
        """How many entries there are of each kind."""
        found = Counter(answer for entry in self.entries for answer in entry.answers)
        return {answer: found[answer] for answer in ANSWERS}


def documents() -> Path | None:
    """The directory of the three documents: $REMIT_SEEDS, else ../shared/seeds where it exists, else none.

    OSError where $REMIT_SEEDS names a directory that is not there.
    """
    named = os.environ.get("REMIT_SEEDS")
    directory = Path(named) if named else ROOT.parent / "shared" / "seeds"
    if named and not directory.is_dir():
        raise FileNotFoundError(f"REMIT_SEEDS={named} is no directory; name the one that holds {SEEDS[0]}.txt")
    return directory if directory.is_dir() else None


def load(path: Path = MAP) -> SeedMap:
    """The map as it stands in its file."""
    return parse(path.read_text("utf-8"))


def parse(text: str) -> SeedMap:
    """A map from its text; an unknown field raises TypeError."""
    table = tomllib.loads(text)
    deviations = {law: Deviation(law, **_tuples(each)) for law, each in table.get("deviation", {}).items()}
    return SeedMap(deviations, [Entry(**_tuples(each)) for each in table.get("piece", [])])


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    lists = {"test", "also"}
    return {
        name: ((value,) if isinstance(value, str) else tuple(value)) if name in lists else value
        for name, value in table.items()
    }


# -- what is wrong with it ------------------------------------------------------------------------------------------


def problems(seed_map: SeedMap) -> list[str]:
    """What the map alone shows to be wrong."""
    seen = Counter((entry.seed, entry.hash) for entry in seed_map.entries)
    found = [f"{seed} {hash_}: mapped {count} times" for (seed, hash_), count in seen.items() if count > 1]
    for entry in seed_map.entries:
        found += [f"{entry.seed} {entry.hash}: {problem}" for problem in _problems(entry, seed_map)]
    used = {entry.deviation for entry in seed_map.entries}
    found += [f"deviation {law}: no piece has it" for law in seed_map.deviations if law not in used]
    return found + [f"deviation {law}: no test proves the law" for law, each in seed_map.deviations.items() if not each.test]


def _problems(entry: Entry, seed_map: SeedMap) -> Iterable[str]:
    if len(entry.answers) != 1:
        yield f"has {' and '.join(entry.answers) or 'no answer'}; it takes one of {', '.join(ANSWERS)}"
    if not re.fullmatch(rf"[0-9a-f]{{{HASH_DIGITS}}}", entry.hash) or entry.seed not in SEEDS:
        yield "is no hash of a piece of one of the documents"
    if entry.deviation and entry.deviation not in seed_map.deviations:
        yield f"deviation {entry.deviation} is not described at the head of the map"
    if entry.issue and entry.issue not in ISSUES:
        yield f"issue {entry.issue} is none of {ISSUES}"
    if entry.issue and not entry.reason:
        yield "an issue takes a reason: what is still to come"
    if entry.reason and not entry.issue:
        yield "a reason goes with an issue"
    if entry.also and not (entry.issue or entry.deviation):
        yield "also goes with an issue or a deviation"


def missing_tests(seed_map: SeedMap) -> list[str]:
    """The tests that the map names and that do not exist."""
    named = [name for each in seed_map.deviations.values() for name in each.test]
    named += [name for entry in seed_map.entries for name in (*entry.test, *entry.also)]
    return sorted({name for name in named if not _exists(name)})


def _exists(name: str) -> bool:
    path, separator, test = name.partition("::")
    return bool(separator) and path.startswith("tests/") and test in _tests_in(ROOT / path)


@cache
def _tests_in(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    names = (node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, functions))
    return frozenset(name for name in names if name.startswith("test_"))


def unmapped(seed_map: SeedMap, pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces without an entry."""
    there = {(entry.seed, entry.hash) for entry in seed_map.entries}
    return [piece for piece in pieces if (piece.seed, piece.hash) not in there]


def stale(seed_map: SeedMap, pieces: Sequence[Piece]) -> list[Entry]:
    """The entries whose piece is in no document any more."""
    there = {(piece.seed, piece.hash) for piece in pieces}
    return [entry for entry in seed_map.entries if (entry.seed, entry.hash) not in there]


# -- how it is written ----------------------------------------------------------------------------------------------


def render(seed_map: SeedMap, pieces: Sequence[Piece]) -> str:
    """The map's text: the deviations, then the entries by document and heading, in the documents' order."""
    by_piece = {(entry.seed, entry.hash): entry for entry in seed_map.entries}
    lines = [HEAD]
    for each in seed_map.deviations.values():
        lines += [f"[deviation.{each.law}]", *_fields(each, skip="law"), ""]
    seed = section = None
    for piece in pieces:
        entry = by_piece.pop((piece.seed, piece.hash), None)
        if entry is None:
            continue
        if piece.seed != seed:
            seed = piece.seed
            lines += [f"# {f' {seed} ':=^117}", ""]
        if piece.section != section:
            section = piece.section
            lines += [f"# -- {section} --", ""]
        lines += ["[[piece]]", *_fields(entry), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _fields(record: Deviation | Entry, skip: str = "") -> list[str]:
    values = ((field.name, getattr(record, field.name)) for field in fields(record) if field.name != skip)
    return [f"{name} = {_toml(value)}" for name, value in values if value]


def _toml(value: str | int | tuple[str, ...]) -> str:
    if not isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False)
    if len(value) == 1:
        return _toml(value[0])
    return "[\n" + "".join(f"  {_toml(each)},\n" for each in value) + "]"


def pieces_of_documents() -> list[Piece]:
    """The pieces of the documents beside this checkout; FileNotFoundError where there are none."""
    directory = documents()
    if directory is None:
        raise FileNotFoundError(f"No documents in {ROOT.parent / 'shared' / 'seeds'}; name their directory in REMIT_SEEDS.")
    return read(directory)

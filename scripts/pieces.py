"""Splits the documents that Remit was built from into the pieces that can make a claim.

A piece is a sentence, a list item, a table row, a code block (diagrams in characters included) or a figure. The
documents are page dumps: prose stands in paragraphs of one line, code in paragraphs of several or indented lines,
figures have lost their line breaks, and so has one table, whose header is glued to its first row. Headings and what
belongs to the page rather than to the text make no piece.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["SEEDS", "Piece", "pieces", "read"]

SEEDS = ("governed-invocation", "depth-cycles-ancestry", "sub-workflows")  # in the order in which they are spoken of

Kind = Literal["sentence", "item", "row", "code", "figure"]

HEADING_MAX = 80  # characters; a longer line without an end of sentence is a figure that lost its line breaks
HASH_DIGITS = 12
BEGINNING_MAX = 60  # characters of a piece that stand in the map

GLUED_TABLES = {"CONTROLFAILURE MODE PREVENTEDENFORCEMENT MECHANISMLAYER": 4}  # header → lines of a row
LIST_ITEM = re.compile(r"\s+(?:\d+\.|•) ")
LABELLED_ITEM = re.compile(r" - (?=[A-Z][^:]{,30}: )")
RULE = re.compile(r"[─\s]+")
CODE_LINE = re.compile(r"\s|# |from \S+ import ")
SENTENCE_END = re.compile(r"""[.!:]["”)]*$""")
BETWEEN_SENTENCES = re.compile(r"""(?:(?<=[.!?])|(?<=[.!?]["”)]))\s+(?=["“A-Z])""")


@dataclass(frozen=True)
class Piece:
    """One piece of a document: its heading, what it is, and its text."""

    seed: str
    section: str
    kind: Kind
    text: str

    @property
    def hash(self) -> str:
        """The first 12 hex digits of the SHA-256 of its text: how the map names it."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:HASH_DIGITS]

    @property
    def beginning(self) -> str:
        """Enough of its text to recognise it by, in one line."""
        line = " ".join(self.text.split())
        return line if len(line) <= BEGINNING_MAX else line[: BEGINNING_MAX - 1].rstrip() + "…"


def read(directory: Path) -> list[Piece]:
    """The pieces of the three documents in a directory; OSError where one is missing."""
    return [piece for seed in SEEDS for piece in pieces(seed, (directory / f"{seed}.txt").read_text("utf-8"))]


def pieces(seed: str, text: str) -> list[Piece]:
    """The pieces of one document, in order; consecutive paragraphs of code are one block."""
    found: list[Piece] = []
    section, in_code = "", False
    for paragraph in _paragraphs(text):
        if _is_heading(paragraph):
            section, in_code = paragraph[0].strip(), False
            continue
        for kind, part in _parts(paragraph):
            if kind == "code" and in_code:
                found[-1] = Piece(seed, section, "code", f"{found[-1].text}\n\n{part}")
            else:
                found.append(Piece(seed, section, kind, part))
            in_code = kind == "code"
    return found


def _paragraphs(text: str) -> Iterator[list[str]]:
    paragraph: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.strip():
            paragraph.append(line.rstrip())
        elif paragraph:
            yield paragraph
            paragraph = []


def _is_heading(lines: list[str]) -> bool:
    line = lines[0]
    return len(lines) == 1 and len(line) <= HEADING_MAX and not CODE_LINE.match(line) and not SENTENCE_END.search(line)


def _parts(lines: list[str]) -> Iterator[tuple[Kind, str]]:
    while lines and LIST_ITEM.match(lines[0]):
        yield "item", LIST_ITEM.sub("", lines[0], count=1)
        lines = lines[1:]
    if lines:
        yield from _parts_of_one_kind(lines)


def _parts_of_one_kind(lines: list[str]) -> Iterator[tuple[Kind, str]]:
    glued = next((header for header in GLUED_TABLES if lines[0].startswith(header)), None)
    ruled = next((number for number, line in enumerate(lines) if RULE.fullmatch(line)), None)
    if glued is not None:
        cells = [lines[0].removeprefix(glued), *lines[1:]]
        height = GLUED_TABLES[glued]
        yield from (("row", "\n".join(cells[at : at + height])) for at in range(0, len(cells), height))
    elif ruled is not None:
        yield from (("row", " ".join(line.split())) for line in lines[ruled + 1 :])
    elif len(lines) > 1 or CODE_LINE.match(lines[0]):
        yield "code", "\n".join(lines)
    else:
        yield from _prose(lines[0])


def _prose(line: str) -> Iterator[tuple[Kind, str]]:
    first, *items = LABELLED_ITEM.split(line)
    if not items and not SENTENCE_END.search(line):
        yield "figure", line
        return
    yield from (("sentence", sentence) for sentence in BETWEEN_SENTENCES.split(first))
    yield from (("item", item) for item in items)

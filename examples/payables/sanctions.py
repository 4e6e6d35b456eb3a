"""The sanctions list, and which names on an invoice mean a name on it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .latin import to_latin

__all__ = ["Listed", "listed_name", "load_sanctions"]

_FORMS = (
    "ab ag aps as asa bv co company corp corporation doo eood fze gmbh inc kft lda limited llc llp ltd nv "
    "oao oo ooo ou oy oyj plc pte pty sa sarl sas sl sp spa srl srls sro the zoo"
)
_LEGAL_FORMS = frozenset(_FORMS.split())


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the sanctions list: the name as listed and the programme that lists it."""

    name: str
    programme: str


def load_sanctions(path: Path) -> list[Listed]:
    """The sanctions list, a CSV file with `name` and `programme`."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Listed(row["name"], row["programme"]) for row in csv.DictReader(file)]


def listed_name(name: str, sanctions: Iterable[Listed]) -> Listed | None:
    """The listed party a name means, or None.

    Word order, accents, script, punctuation and legal form do not matter, and a word of five letters or more
    may differ by one letter. Every word must have its counterpart: a shared word alone is no match.
    """
    words = _words(name)
    return next((entry for entry in sanctions if _same_words(words, _words(entry.name))), None)


@lru_cache(maxsize=4096)
def _words(name: str) -> tuple[str, ...]:
    joined = re.sub(r"(?<=\b\w)\.(?=\w\b)", "", to_latin(name).casefold())  # S.A. and Sp. z o.o. are one word each
    words = re.findall(r"\w+", joined)
    telling = [word for word in words if word not in _LEGAL_FORMS]
    return tuple(sorted(telling or words))


def _same_words(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    if len(left) != len(right) or not left:
        return False
    rest = list(right)
    for word in left:
        counterpart = next((other for other in rest if other == word), None)
        counterpart = counterpart or next((other for other in rest if _one_letter_apart(word, other)), None)
        if counterpart is None:
            return False
        rest.remove(counterpart)
    return True


def _one_letter_apart(left: str, right: str) -> bool:
    """Whether one letter inserted, dropped, replaced or swapped with its neighbour makes one the other."""
    if min(len(left), len(right)) < 5 or abs(len(left) - len(right)) > 1:
        return False
    shorter = min(len(left), len(right))
    start = next((at for at in range(shorter) if left[at] != right[at]), shorter)
    a, b = left[start:], right[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])

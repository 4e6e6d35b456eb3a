"""What can be said of patterns and formats without running a regular expression that somebody else wrote (L41).

A pattern is tried only where it is plain: characters, classes and at most three that repeat, on a short text. So no pattern can
stall the check, and Python reads it as every other reader does. Of formats it is known which texts are examples of them.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["EXAMPLES", "fits_format", "includes_format", "matches", "text_like"]

TEXT_CHARACTERS_MAX = 40
_REPEATED_MAX = 3
_ATOM = r"\\[dws.\-+*?()\[\]{}^$|/\\@]|\[\^?(?:[^\]\\\[^]|\\[dws.\-\]\\/+@])+\]|[^\\^$.|?*+()\[\]{}]|\."
_REPEAT = r"[?*+]|\{\d{1,2}(?:,\d{0,2})?\}"
_PART = re.compile(f"(?P<atom>{_ATOM})(?P<repeat>{_REPEAT})?", re.ASCII)
_CANDIDATES = "aA0xZ9_-.@ /+:#" + "".join(map(chr, range(33, 127)))

EXAMPLES = {
    "date-time": "2024-01-31T12:00:00Z",
    "date": "2024-01-31",
    "time": "12:00:00Z",
    "duration": "P1DT2H",
    "uuid": "6f1f5f0e-3c52-4f0c-9d51-4d3a1f0f8d10",
    "email": "someone@example.com",
    "uri": "https://example.com/path",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}
_NO_FORMAT = frozenset({"binary", "password"})  # any text is one


def includes_format(wider: str, narrower: str) -> bool:
    """Whether every text in the one format is in the other."""
    return wider == narrower or wider in _NO_FORMAT or (wider == "uuid" and narrower in {"uuid1", "uuid4", "uuid5"})


def fits_format(name: str, text: str) -> bool | None:
    """Whether a text is in a format; None where that is not known."""
    if name in _NO_FORMAT or EXAMPLES.get(name) == text:
        return True
    if name in EXAMPLES and (text in EXAMPLES.values() or not text.strip("x")):
        return False
    return None


@lru_cache(maxsize=4096)
def _plain(pattern: str) -> tuple[re.Pattern[str], tuple[tuple[str, int], ...]] | None:
    """A pattern that is tried, with its atoms and how often each stands at least; None for one that is not."""
    begin, end = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith(r"\$")
    body = pattern[begin : len(pattern) - end]
    found = list(_PART.finditer(body))
    if "".join(part.group() for part in found) != body:
        return None
    if sum(part["repeat"] is not None and not _is_exact(part["repeat"]) for part in found) > _REPEATED_MAX:
        return None
    try:
        compiled = re.compile(("^" if begin else "") + body + (r"\Z" if end else ""), re.ASCII)
    except re.error:
        return None
    return compiled, tuple((part["atom"], _least(part["repeat"])) for part in found)


def _is_exact(repeat: str) -> bool:
    return repeat.startswith("{") and "," not in repeat


def _least(repeat: str | None) -> int:
    if repeat is None or repeat == "+":
        return 1
    return 0 if repeat in {"?", "*"} else int(re.split(r"\D", repeat)[1])


def matches(pattern: str, text: str) -> bool | None:
    """Whether a pattern is found in a text; None where it is not tried."""
    plain = _plain(pattern)
    if plain is None or len(text) > TEXT_CHARACTERS_MAX or not (text.isascii() and (text.isprintable())):
        return None
    return plain[0].search(text) is not None


def text_like(pattern: str) -> str | None:
    """A short text in which the pattern is found; None where it is not tried."""
    plain = _plain(pattern)
    if plain is None:
        return None
    made = "".join(_character(atom) * count for atom, count in plain[1])
    return made if matches(pattern, made) else None


def _character(atom: str) -> str:
    return next((each for each in _CANDIDATES if re.fullmatch(atom, each, re.ASCII)), "")

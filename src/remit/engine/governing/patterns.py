"""Patterns in linear time: whatever the pattern and whatever the text, a search takes time in proportion to the text (L43, L48).

RE2 looks neither around nor back, and so has no way to try again. It also says where a match stands, which the engine that
pydantic brings does not. It is loaded when the first filter is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

__all__ = ["MATCHES_MAX", "PATTERN_CHARS_MAX", "Pattern", "compiled", "spans", "states", "unfit"]

Pattern = Any
"""A pattern of RE2's Python wrapper, which has no types; it has the methods of `re.Pattern`."""
PATTERN_CHARS_MAX = 500
MATCHES_MAX = 64
"""Matches of one pattern in one text; beyond them the whole text counts. A search that must look far ahead for each match
would take time by the square of the text."""
_MEMORY_BYTES = 1 << 20
STATES_MAX = 1_000
"""Places a pattern can be at, its repetitions written out. A text made for it keeps it at all of them at once, and each byte then costs
a step for each: about 8 s a mebibyte at worst. What fits into the memory below alone could take minutes."""
_LINES = re.compile(r"(?<!\\)(?:\\\\)*\\[AzZ]|\(\?[a-zA-Z]*[m-]")


@lru_cache(maxsize=1_024)
def compiled(pattern: str, memory_bytes: int = _MEMORY_BYTES) -> Pattern:
    """A pattern that searches bytes of UTF-8; raises ValueError for one that cannot be read or takes too much memory."""
    return _compiled(pattern, memory_bytes)


def _compiled(pattern: str | bytes, memory_bytes: int, encoding: str = "UTF8") -> Pattern:
    import re2  # type: ignore[import-untyped]

    options: Any = re2.Options()
    options.log_errors = False
    options.max_mem = memory_bytes
    options.encoding = getattr(re2.Options.Encoding, encoding)
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        told = error.args[0]
        raise ValueError(told.decode() if isinstance(told, bytes) else str(told)) from None


@lru_cache(maxsize=1_024)
def states(pattern: str) -> int:
    """How many states a pattern has, each character one: as bytes of UTF-8, a letter alone has hundreds."""
    bytewise = "".join(char if char.isascii() else "x" for char in pattern).encode()
    size: int = _compiled(bytewise, _MEMORY_BYTES, "LATIN1").programsize
    return size


def unfit(pattern: str) -> str | None:
    """Why a pattern cannot be one of a filter; None where it can."""
    if len(pattern) > PATTERN_CHARS_MAX:
        return f"a pattern has at most {PATTERN_CHARS_MAX} characters"
    if _LINES.search(pattern):
        return "^ and $ stand for the beginning and the end of a text: \\A, \\z and the flag m are not for filters"
    try:
        if compiled(pattern).search(b"") is not None:
            return "the pattern fits the empty text, and so every text"
        taken = states(pattern)
        if taken > STATES_MAX:
            return f"its repetitions written out, the pattern has {taken} states, and at most {STATES_MAX} are taken: repeat less"
    except ValueError as error:
        return f"this is no pattern that can be matched in linear time: {error}"
    return None


def spans(pattern: Pattern, text: bytes) -> Iterator[tuple[int, int]]:
    """Where a pattern fits, in bytes; the whole text, where it fits more often than MATCHES_MAX."""
    found = []
    for match in pattern.finditer(text):
        found.append(match.span())
        if len(found) > MATCHES_MAX:
            yield 0, len(text)
            return
    yield from (span for span in found if span[0] < span[1])

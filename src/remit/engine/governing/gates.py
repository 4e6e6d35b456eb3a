"""Gates: whether a text may hold anything of what patterns fit, told by one search (L43, L48).

The search is of the engine that pydantic brings. It says no more than yes or no, but it keeps the interpreter to itself: RE2's
wrapper gives it away in every search, and the call then waits for the thread that took it. A gate may say yes where no pattern
fits, and never no where one does: what the two engines read alike goes through it, the rest through RE2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

from remit.engine.governing.patterns import Pattern, compiled

__all__ = ["Gate", "readable_by_both", "rest_search"]

_UNION_BYTES = 1 << 25
_CLASSES = {
    "d": "0-9",
    "w": "0-9A-Za-z_",
    "s": r"\t\n\f\r\x20",
    "pN": r"0-9\x{80}-\x{10FFFF}",
    "pL": r"A-Za-z\x{80}-\x{10FFFF}",
}
"""What RE2's classes hold, or more: beside ASCII, which letters there are is for each engine's tables to say."""
_SIGN = r"[!-/:-@\[-`{-~]"
_MEMBER = re.compile(
    rf"""
      [A-Za-z0-9]-[A-Za-z0-9] | [A-Za-z0-9 _@:;,=\#%'"<>!/`.+*?()|{{}}$] | [^\x00-\x7f] | -\Z
    | \\(?P<kind> [dws] | p[LN] )
    | \\(?P<sign> {_SIGN} )
    """,
    re.VERBOSE,
)
_PIECE = re.compile(
    rf"""
      (?P<literal> [A-Za-z0-9 _@:;,=\#%'"<>!/`~&-] | [^\x00-\x7f] )
    | \\(?P<kind> [dws] | p[LN] )
    | \\(?P<other> [DWS] )
    | (?P<edge> \\b )
    | \\(?P<sign> {_SIGN} )
    | \[ (?P<negated> \^? ) (?P<members> (?: \\. | [^\]\[\\&~^] )+ ) \]
    | (?P<group> \(\?: | \(\?i: | \((?!\?) | [)|.] )
    | (?P<times> (?: [*+?] | \{{ [0-9]+ (?: ,[0-9]* )? \}} ) \?? )
    """,
    re.VERBOSE,
)


class Gate:
    """One search for several patterns, in the syntax of RE2."""

    def __init__(self, patterns: Sequence[str]) -> None:
        read = {each: readable_by_both(each) for each in dict.fromkeys(patterns)}
        self._shared = _shared_search(tuple(each for each in read.values() if each is not None))
        rest = tuple(each for each, shared in read.items() if shared is None or self._shared is None)
        self._rest = rest_search(rest) if rest else None
        self.by_ends = any(sign in each for each in rest for sign in "^$")
        """Whether beginnings and ends of texts count: then JSON, where they are not to be seen, is not searched as it is."""

    def opens_for(self, payload: bytes) -> bool:
        """Whether JSON without escapes may hold something."""
        return bool(self._shared is not None and self._shared(payload)) or (self._rest is not None and self._rest(payload))

    def opens_for_texts(self, texts: Iterable[str]) -> bool:
        """Whether any of these texts may."""
        return self.opens_for("\n".join(texts).encode())


def _nothing(_: bytes) -> bool:
    return False


def _anything(_: bytes) -> bool:
    return True


@lru_cache(maxsize=1_024)
def _shared_search(patterns: tuple[str, ...]) -> Callable[[bytes], bool] | None:
    """A search for any of these; None where they are too large together."""
    if not patterns:
        return _nothing
    union = "|".join(f"(?:{each})" for each in patterns)
    try:
        return SchemaValidator(core_schema.str_schema(pattern=union, regex_engine="rust-regex")).isinstance_python
    except SchemaError:
        return None


@lru_cache(maxsize=1_024)
def rest_search(patterns: tuple[str, ...]) -> Callable[[bytes], bool]:
    """The same by RE2, each text a line. Where they are too large together, every text may hold something."""
    try:
        union: Pattern = compiled(f"(?m:{'|'.join(f'(?:{each})' for each in patterns)})", _UNION_BYTES)
    except ValueError:
        return _anything
    return lambda text: union.search(text) is not None


def readable_by_both(pattern: str) -> str | None:
    """A pattern of RE2 in the syntax of the other engine, where it fits at least as much; None for what they may read differently."""
    folded = "(?i" in pattern
    if folded and not pattern.isascii():
        return None
    start = "(?i)" if pattern.startswith("(?i)") else ""
    at, pieces = len(start), [start]
    while at < len(pattern):
        found = _PIECE.match(pattern, at)
        piece = _translated(found) if found is not None else None
        if found is None or piece is None:
            return None
        at = found.end()
        pieces.append(piece)
    return "".join(pieces)


def _translated(piece: re.Match[str]) -> str | None:
    match piece.lastgroup:
        case "kind":
            return f"[{_CLASSES[piece['kind']]}]"
        case "other":
            return f"(?-i:[^{_CLASSES[piece['other'].lower()]}])"
        case "edge":
            return r"(?-u:\b)"
        case "sign":
            return _escaped(piece["sign"])
        case "members":
            return _class(piece["members"], negated=bool(piece["negated"]))
        case _:
            return piece[0]


def _class(members: str, *, negated: bool) -> str | None:
    """A class of characters. What it leaves out is left out in one case only: RE2 folds it before it is turned round."""
    at, parts = 0, []
    while at < len(members):
        found = _MEMBER.match(members, at)
        if found is None or (negated and (found["kind"] or "").startswith("p")):
            return None
        at = found.end()
        parts.append(_CLASSES[found["kind"]] if found["kind"] else _escaped(found["sign"]) if found["sign"] else found[0])
    return f"(?-i:[^{''.join(parts)}])" if negated else f"[{''.join(parts)}]"


def _escaped(sign: str) -> str:
    return f"\\x{{{ord(sign):x}}}"

"""The words of an expression, each with its place, and the error that names a place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import NamedTuple

from remit.errors import DefinitionError

__all__ = ["TEXT_CHARS_MAX", "ConditionError", "Token", "Where", "nearest", "quoted", "shortened", "tokenise"]

TEXT_CHARS_MAX = 4_096
NUMBER_CHARS_MAX = 100

Where = tuple[str | int, ...]  # the keys that lead to a part of a structure


class ConditionError(DefinitionError):
    """An expression that cannot be read (L38): the `problem` at a 1-based `column` of `text`, the `suggestion` to write there.

    In a template `where` holds the keys that lead to the text, and `others` what else is wrong in the same structure.
    """

    def __init__(self, text: str, start: int, problem: str, suggestion: str | None = None) -> None:
        self.text = text
        self.column = start + 1
        self.problem = problem
        self.suggestion = suggestion
        self.where: Where = ()
        self.others: tuple[ConditionError, ...] = ()
        advice = f"; write {shortened(suggestion)}" if suggestion else ""
        super().__init__(f"{problem}{advice} (column {self.column} of {quoted(text)})", column=self.column)


class Token(NamedTuple):
    """One word: its kind (number, string, name, symbol or end), its text, its value and its span in the whole text."""

    kind: str
    text: str
    value: str | int | float | None
    start: int
    end: int


# The longest symbol first. Those that no expression has are read whole, so that the error can say what to write.
_SYMBOLS = (
    r"===|!==|\*\*|<<|>>|&&|\|\||==|!=|<=|>=|<>|=>|=<|:=|->|//"
    r"|[-+*/%<>()\[\]{},:.|=!&^~?;@]"
)
_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<number>(?:[0-9][0-9_]*(?:\.(?:[0-9][0-9_]*)?)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<string>'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\")"
    rf"|(?P<symbol>{_SYMBOLS})",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t", "r": "\r", "/": "/", "0": "\0", "\n": ""}


def shortened(text: str) -> str:
    """A text cut to what a message can hold."""
    return text if len(text) <= 120 else f"{text[:117]}..."


def quoted(text: str) -> str:
    """A text in quotes on one line, cut to what a message can hold."""
    return repr(shortened(text))


def nearest(word: str, known: Iterable[str], count: int = 1) -> list[str]:
    """Those of the known words that someone who wrote this one may have meant, the likeliest first."""
    return get_close_matches(word[:64], list(islice(known, 200)), count)  # both bounds keep it below a few milliseconds


def tokenise(text: str, start: int = 0, *, closing: bool = False) -> list[Token]:
    """The words from `start` on, the last of kind `end`: at the end of the text, or (`closing`) before its `}}`."""
    tokens: list[Token] = []
    braces = 0
    here = start
    while here < len(text):
        if closing and not braces and text.startswith("}}", here):
            break
        found = _TOKEN.match(text, here)
        if found is None:
            raise _unreadable(text, here)
        token = _token(found, text)
        if token is not None:
            tokens.append(token)
            braces += (token.text == "{") - (token.text == "}")
        here = found.end()
        if here - start > TEXT_CHARS_MAX:
            beyond = start + TEXT_CHARS_MAX
            raise ConditionError(text, beyond, f"an expression has at most {TEXT_CHARS_MAX} characters")
    if closing and here == len(text):
        raise ConditionError(text, start - 2, "'{{' has no '}}' after it")
    tokens.append(Token("end", "", None, here, here))
    return tokens


def _token(found: re.Match[str], text: str) -> Token | None:
    kind, word, start = str(found.lastgroup), found.group(), found.start()
    if kind == "space":
        return None
    value: str | int | float | None = None
    if kind == "number":
        value = _number(word, text, start)
    elif kind == "string":
        value = _ESCAPE.sub(lambda escape: _character(escape, text, start), word[1:-1])
    return Token(kind, word, value, start, found.end())


def _number(word: str, text: str, start: int) -> int | float:
    if len(word) > NUMBER_CHARS_MAX:
        raise ConditionError(text, start, f"a number has at most {NUMBER_CHARS_MAX} digits")
    whole = word.replace("_", "").isdigit()
    if word.endswith("_") or "__" in word or "_." in word or "_e" in word.lower():
        raise ConditionError(text, start, f"{word!r} is no number", word.replace("_", ""))
    if whole and len(word) > 1 and word.startswith("0") and int(word):
        raise ConditionError(text, start, "a number does not begin with 0", word.lstrip("0_"))
    value = int(word) if whole else float(word)
    if abs(value) == float("inf"):
        raise ConditionError(text, start, f"{word} is too large a number")
    return value


def _character(escape: re.Match[str], text: str, start: int) -> str:
    what = escape.group(1)
    column = start + 1 + escape.start()
    if what[0] in "xuU" and len(what) > 1:
        if int(what[1:], 16) > 0x10FFFF:
            raise ConditionError(text, column, f"{escape.group()} is no character")
        return chr(int(what[1:], 16))
    if what not in _ESCAPED:
        raise ConditionError(text, column, f"{escape.group()!r} is no escape", "\\" + escape.group())
    return _ESCAPED[what]


def _unreadable(text: str, here: int) -> ConditionError:
    character = text[here]
    if character in "'\"":
        return ConditionError(text, here, f"the string that begins here has no closing {character}")
    if character in "\u2018\u2019\u201c\u201d":
        return ConditionError(text, here, f"{character} is a typographic quotation mark", "' or \"")
    if character == "\N{NO-BREAK SPACE}":
        return ConditionError(text, here, "a no-break space stands here", "a plain space")
    return ConditionError(text, here, f"{character!r} has no meaning here")

"""Where each character of a YAML scalar's value stands in the text it was written as."""

from __future__ import annotations

import re

__all__ = ["offsets"]

_HEX = {"x": 2, "u": 4, "U": 8}


def offsets(raw: str, style: str, value: str) -> list[int]:
    """For every character of the value, and for its end, the index in `raw`; the styles are YAML's: plain ' " | >."""
    if style in {"|", ">"}:
        found = _block(raw, value)
        found = found if style == "|" else _aligned(raw, found, value)
    else:
        found = {"'": _single, '"': _double}.get(style, _flowing)(raw)
    end = found[-1] + 1 if found else int(style in {"'", '"'})
    # A chomped or folded ending has no place of its own: it stands where the text ends.
    return [*found[: len(value)], *[end] * (len(value) + 1 - len(found[: len(value)]))]


def _flowing(raw: str) -> list[int]:
    """Plain text: a line break and the blanks around it are one space, further breaks are breaks."""
    return _folded(raw, [(index, index + 1) for index in range(len(raw))])


def _single(raw: str) -> list[int]:
    return _folded(raw, [(m.start() + 1, m.end() + 1) for m in re.finditer(r"''|[\s\S]", raw[1:-1])])


def _double(raw: str) -> list[int]:
    pieces: list[tuple[int, int]] = []
    index, end = 1, len(raw) - 1
    while index < end:
        if raw[index] != "\\":
            length = 1
        elif raw[index + 1] in "\r\n":  # an escaped break joins two lines without a space
            joined = re.compile(r"\\\r?\n[ \t]*").match(raw, index)
            index = joined.end() if joined else index + 2
            continue
        else:
            length = 2 + _HEX.get(raw[index + 1], 0)
        pieces.append((index, index + length))
        index += length
    return _folded(raw, pieces)


def _folded(raw: str, pieces: list[tuple[int, int]]) -> list[int]:
    """The places of pieces, with the breaks between them folded."""
    found: list[int] = []
    at = 0
    while at < len(pieces):
        start, end = pieces[at]
        if end - start != 1 or raw[start] not in " \t\r\n":
            found.append(start)
            at += 1
            continue
        after = at
        while after < len(pieces) and pieces[after][1] - pieces[after][0] == 1 and raw[pieces[after][0]] in " \t\r\n":
            after += 1
        blanks = [piece[0] for piece in pieces[at:after]]
        breaks = [place for place in blanks if raw[place] == "\n"]
        found += blanks if not breaks else breaks[:1] if len(breaks) == 1 else breaks[1:]
        at = after
    return found


def _block(raw: str, value: str) -> list[int]:
    """A literal block: the lines below its header without their indentation."""
    header, newline, below = raw.partition("\n")
    start = len(header) + len(newline)
    # The header may say how far the text is indented, but from where is not in `raw`: the value's first words tell.
    indent = _blanks_before_words(below) - _blanks_before_words(value)
    found: list[int] = []
    for line in below.splitlines(keepends=True):
        found += (start + index for index in _kept(line, indent))
        start += len(line)
    return found


def _blanks_before_words(text: str) -> int:
    first = next((line for line in text.split("\n") if line.strip(" \r")), "")
    return len(first) - len(first.lstrip(" "))


def _kept(line: str, indent: int) -> range | list[int]:
    body = line.rstrip("\r\n")
    end = len(body)
    return [*range(min(indent, end), end), *([end] if line != body else [])]


def _aligned(raw: str, places: list[int], value: str) -> list[int]:
    """Folded text has a space, or nothing, where its lines break: each character is found from the one before it."""
    found: list[int] = []
    at = 0
    for character in value:
        while at < len(places) and raw[places[at]] != character and raw[places[at]] == "\n" and character != " ":
            at += 1
        if at == len(places):
            break
        found.append(places[at])
        at += 1
    return found

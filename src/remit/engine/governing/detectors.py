"""What filters find by kind: e-mail addresses, card numbers, IBANs, secrets. Each gives the places in a text, as bytes.

A detector has a `gate`, a pattern that fits wherever the detector finds anything: one search with the gates of all filters
settles most values. Whatever the text, the time is in proportion to it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from remit.engine.governing.patterns import Pattern, compiled, spans
from remit.engine.values.redaction import is_secret_key, secret_spans
from remit.kernel.checksums import IBAN_LENGTHS, is_card, is_iban

__all__ = ["DETECTORS", "Detector", "is_secret_member", "own"]

Span = tuple[int, int]

_EMAIL = r"[\pL\pN._%+\-]+@[\pL\pN\-]+(?:\.[\pL\pN\-]+)*\.\pL{2,}"
_CARD = (
    r"\b[2-6](?:[0-9]{12,18}|[0-9]{3}[ \-][0-9]{4}[ \-][0-9]{4}[ \-][0-9]{1,7}|[0-9]{3}[ \-][0-9]{6}[ \-][0-9]{4,5})\b"
)
_IBAN = r"\b[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,40}"
_ASSIGNED = r"""(?i:key|token|secret|passw[a-z]{0,6}|passphrase|pwd|credentials?)["']?\s{0,3}[:=]\s{0,3}["']?([^\s"',;]{6,512})"""
_HIDDEN_GATE = (
    r"(?i:bearer\s|private key|\bakia|\basia|\bsk-|\bgh[pousr]_|\bxox|://[^\s/:@]*:[^\s/@]+@)"
    r"|(?i:key|token|secret|credentials?)[^A-Za-z0-9]{1,8}[A-Za-z0-9+/_.\~=\-]{16}"
    r"|(?i:passw[a-z]{0,6}|passphrase|pwd)[^A-Za-z0-9]{1,8}\S"
)
_PASSWORDS = ("passw", "passphrase", "pwd")
_RANDOM_CHARS_MIN = 16
_RANDOM_BITS_MIN = 3.0
"""Per character: words have 2 to 2.8, base64 and hexadecimal of some length more than 3."""


class Detector(NamedTuple):
    """One kind of data: its gate, and where it stands in a text."""

    gate: str
    find: Callable[[bytes], Iterator[Span]]


def own(pattern: str) -> Detector:
    """An operator's own pattern."""
    ready = compiled(pattern)
    return Detector(pattern, lambda text: spans(ready, text))


def _emails(text: bytes) -> Iterator[Span]:
    return spans(compiled(_EMAIL), text)


def _cards(text: bytes) -> Iterator[Span]:
    for start, end in _candidates(compiled(_CARD), text):
        if is_card(text[start:end].translate(None, b" -").decode()):
            yield start, end


def _ibans(text: bytes) -> Iterator[Span]:
    for start, end in _candidates(compiled(_IBAN), text):
        compact = text[start:end].replace(b" ", b"").decode().upper()
        length = IBAN_LENGTHS.get(compact[:2], 0)
        if is_iban(compact[:length]):
            last = start + _first(text[start:end], length)
            if not text[last : last + 1].isalnum():
                yield start, last


def _first(text: bytes, count: int) -> int:
    """How long the part is that holds the first `count` characters that are no spaces; there are as many."""
    end = 0
    for _ in range(count):
        end += 1 + (text[end : end + 1] == b" ")
    return end


def _candidates(pattern: Pattern, text: bytes) -> Iterator[Span]:
    """Matches, each looked for from just behind the beginning of the last: a part of what was no number may be one."""
    match = pattern.search(text)
    while match is not None:
        yield match.span()
        match = pattern.search(text, match.start() + 1)


def _secrets(text: bytes) -> Iterator[Span]:
    yield from _in_bytes(text, secret_spans(text.decode()))
    for match in compiled(_ASSIGNED).finditer(text):
        label, value = text[match.start() : match.start(1)].decode().lower(), match.group(1).decode()
        if label.startswith(_PASSWORDS) or _is_random(value):
            yield match.span(1)


def is_secret_member(key: str, value: str) -> bool:
    """Whether a member of an object is a secret: its key says so, and its value looks like one or is a password."""
    if not value or not is_secret_key(key):
        return False
    return any(word in key.lower() for word in _PASSWORDS) or _is_random(value)


def _is_random(value: str) -> bool:
    """Whether a value looks drawn and not written: long, of letters and digits, and of more bits a character than words have."""
    if len(value) < _RANDOM_CHARS_MIN or value.isalpha() or value.isdigit():
        return False
    shares = (count / len(value) for count in Counter(value).values())
    return -sum(share * math.log2(share) for share in shares) > _RANDOM_BITS_MIN


def _in_bytes(text: bytes, found: Iterable[Span]) -> Iterator[Span]:
    """Places in characters as places in bytes; they are in order."""
    if text.isascii():
        yield from found
        return
    written, chars, at = text.decode(), 0, 0
    for start, end in found:
        at += len(written[chars:start].encode())
        width = len(written[start:end].encode())
        yield at, at + width
        chars, at = end, at + width


DETECTORS = {
    "email": Detector(_EMAIL, _emails),
    "card": Detector(_CARD, _cards),
    "iban": Detector(_IBAN, _ibans),
    "secrets": Detector(_HIDDEN_GATE, _secrets),
}

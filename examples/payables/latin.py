"""Names written in the letters every bank and every list can read."""

# ruff: noqa: RUF001 - telling look-alike letters of other scripts apart is what this module is for
from __future__ import annotations

import re
import unicodedata

__all__ = ["bank_text", "to_latin"]

# Letters that are no base letter with an accent (Unicode NFKD), after their usual romanisation.
_LETTERS = str.maketrans({
    "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D",
    "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ł": "l", "Ł": "L", "ı": "i", "ħ": "h", "Ħ": "H", "ŋ": "n",
    "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "є": "ye", "ж": "zh", "з": "z",
    "и": "i", "і": "i", "ї": "yi", "й": "y", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p",
    "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch",
    "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya",
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k",
    "λ": "l", "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t",
    "υ": "y", "φ": "f", "χ": "ch", "ψ": "ps", "ω": "o",
    "&": "+", "_": "-", "–": "-", "—": "-", "’": "'", "‘": "'", "`": "'", "´": "'", ";": ",",
})  # fmt: skip
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")


def to_latin(text: str) -> str:
    """The text with accents dropped and Cyrillic and Greek romanised; other scripts stay as they are."""
    romanised = "".join(_romanised(character) for character in unicodedata.normalize("NFC", text))
    return unicodedata.normalize("NFC", romanised)


def bank_text(text: str, length: int) -> str:
    """The text in the Latin set of SEPA, at most `length` characters, never empty.

    A slash stands neither first nor last nor twice in a row: banks read those as codes (EPC217-08).
    """
    plain = _NOT_ALLOWED.sub(".", " ".join(to_latin(text).split()))
    return re.sub("/{2,}", "/", plain).strip("/ ")[:length].strip("/ ") or "NOTPROVIDED"


def _romanised(character: str) -> str:
    if ord(character) in _LETTERS or ord(character.lower()[0]) in _LETTERS:
        return _letter(character)
    plain = unicodedata.normalize("NFKD", character)
    return "".join(_letter(part) for part in plain if not unicodedata.combining(part))


def _letter(character: str) -> str:
    if ord(character) in _LETTERS:
        return character.translate(_LETTERS)
    lower = character.lower()
    return lower.translate(_LETTERS).capitalize() if ord(lower[0]) in _LETTERS else character

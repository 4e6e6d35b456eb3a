"""International bank account numbers: ISO 13616 check digits and each country's length."""

from __future__ import annotations

import re

__all__ = ["IBAN_LENGTHS", "check_digits", "compact", "iban_problem"]

IBAN_LENGTHS: dict[str, int] = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
    "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
    "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25,
    "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip

_SHAPE = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{1,30}", re.ASCII)
_SEPARATORS = re.compile(r"[\s\u00a0.\-]+")


def compact(text: str) -> str:
    """The account number as machines write it: upper case, without the spaces, dots and dashes people add."""
    return _SEPARATORS.sub("", text).upper()


def iban_problem(text: str) -> str | None:
    """What is wrong with an IBAN, or None where it is sound; `text` may hold spaces."""
    iban = compact(text)
    if not _SHAPE.fullmatch(iban):
        return f"{text.strip()!r} does not have the shape of an IBAN (country, two check digits, account)"
    expected = IBAN_LENGTHS.get(iban[:2])
    if expected is None:
        return f"no IBAN country has the code {iban[:2]}"
    if len(iban) != expected:
        return f"an IBAN of {iban[:2]} has {expected} characters, this one has {len(iban)}"
    if check_digits(iban[:2], iban[4:]) != iban[2:4]:
        return f"the check digits {iban[2:4]} of {iban} do not fit: a digit is wrong or two are swapped"
    return None


def check_digits(country: str, account: str) -> str:
    """The two check digits (ISO 7064 MOD 97-10) of a country code and a national account number."""
    numeric = "".join(str(int(character, 36)) for character in f"{account}{country}00")
    return f"{98 - int(numeric) % 97:02d}"

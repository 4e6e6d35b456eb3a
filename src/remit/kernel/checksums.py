"""The check digits by which a card number and an IBAN tell themselves from any other number."""

from __future__ import annotations

__all__ = ["IBAN_LENGTHS", "is_card", "is_iban"]

_DOUBLED = str.maketrans("0123456789", "0246813579")
_AS_NUMBERS = str.maketrans({letter: str(ord(letter) - 55) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
_LENGTHS = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20 EG29 ES24"
    " FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32"
    " LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24"
    " RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
)
IBAN_LENGTHS = {each[:2]: int(each[2:]) for each in _LENGTHS.split()}
"""Characters of an IBAN by its country, as registered with SWIFT."""


def is_card(digits: str) -> bool:
    """Whether 13 to 19 digits pass Luhn's test and are not all the same."""
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    total = sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))
    return total % 10 == 0


def is_iban(text: str) -> bool:
    """Whether a text without spaces, in capitals, has its country's length and the rest 1 by 97 (ISO 13616)."""
    digits = (text[4:] + text[:4]).translate(_AS_NUMBERS)
    return IBAN_LENGTHS.get(text[:2]) == len(text) and digits.isascii() and digits.isdigit() and int(digits) % 97 == 1

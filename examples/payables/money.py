"""Amounts of money: exact decimals and the minor units of ISO 4217 currencies."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal

__all__ = [
    "MAX_DIGITS",
    "exact_in_minor_units",
    "format_amount",
    "minor_unit",
    "parse_decimal",
    "round_amount",
]

MAX_DIGITS = 18  # ISO 20022 amounts hold at most this many digits in all

_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)", re.ASCII)  # xs:decimal: no exponent, no NaN, no infinity
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_UP)

_TWO_DECIMALS = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF "
    "CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD "
    "HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT "
    "MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR "
    "SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU "
    "UZS VED VES WST XCD YER ZAR ZMW ZWG"
)
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_MINOR_DIGITS = (
    dict.fromkeys(_TWO_DECIMALS.split(), 2)
    | dict.fromkeys(_NO_DECIMALS.split(), 0)
    | dict.fromkeys(_THREE_DECIMALS.split(), 3)
    | dict.fromkeys(["CLF", "UYW"], 4)
)


def parse_decimal(text: str) -> Decimal | None:
    """The value of an xs:decimal of at most MAX_DIGITS digits, or None where the text is none."""
    stripped = text.strip(" \t\r\n")
    if len(stripped) > 3 * MAX_DIGITS or not _DECIMAL.fullmatch(stripped):
        return None
    value = Decimal(stripped)
    integer_digits = max(value.adjusted() + 1, 0)
    fraction_digits = -min(_exponent(value.normalize()), 0)
    return value if integer_digits + fraction_digits <= MAX_DIGITS else None


def minor_unit(currency: str) -> Decimal | None:
    """The smallest amount of a currency (0.01 for EUR, 1 for JPY); None where ISO 4217 lacks the code."""
    digits = _MINOR_DIGITS.get(currency)
    return None if digits is None else Decimal(1).scaleb(-digits)


def round_amount(amount: Decimal, unit: Decimal) -> Decimal:
    """The amount rounded half up (away from zero) to whole units."""
    return amount.quantize(unit, context=_CONTEXT)


def exact_in_minor_units(amount: Decimal, unit: Decimal) -> bool:
    """Whether the amount has no fraction below the unit, so that a bank can move it."""
    return round_amount(amount, unit) == amount


def format_amount(amount: Decimal, currency: str) -> str:
    """The amount for people, such as `1,204.50 EUR`."""
    return f"{round_amount(amount, minor_unit(currency) or Decimal('0.01')):,} {currency}"


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0

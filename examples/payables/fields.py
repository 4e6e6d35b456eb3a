"""Single values read from UBL nodes; whatever does not fit is refused under the element's own path."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from .money import MAX_DIGITS, parse_decimal
from .refusal import Refused
from .safe_xml import Node

__all__ = [
    "amount",
    "amount_or_none",
    "clipped",
    "day",
    "day_or_none",
    "decimal",
    "decimal_or_none",
    "flag",
    "need",
    "need_text",
]

MAX_TEXT = 140

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(Z|[+-]\d{2}:\d{2})?", re.ASCII)
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def need(node: Node, path: str) -> Node:
    """The node at the path; refused as `missing_element` where it is absent."""
    found = node.first(path)
    if found is None:
        raise Refused("missing_element", f"{node.path}/{path}", "the element is missing", "UBL 2.1 requires it: add it")
    return found


def need_text(node: Node, path: str) -> str:
    """The text at the path, of at most MAX_TEXT characters; refused where it is absent or empty."""
    found = need(node, path)
    text = " ".join(found.text.split())
    if not text:
        raise Refused("missing_element", found.path, "the element is empty", "Fill it in")
    if len(text) > MAX_TEXT:
        raise Refused("too_long", found.path, f"the text has {len(text)} characters", f"Use at most {MAX_TEXT}")
    return text


def clipped(text: str) -> str:
    """A description cut to MAX_TEXT characters, white space collapsed; not for identifiers."""
    return " ".join(text.split())[:MAX_TEXT]


def amount(node: Node, currency: str) -> Decimal:
    """An amount in the document's currency."""
    stated = node.attributes.get("currencyID", "")
    if stated != currency:
        raise Refused(
            "currency_mixed",
            f"{node.path}/@currencyID",
            f"it says {stated or 'nothing'} in a document in {currency}",
            "State every amount in the document's currency",
        )
    return decimal(node)


def amount_or_none(node: Node, path: str, currency: str) -> Decimal | None:
    """The amount at the path, or None where there is no such element."""
    found = node.first(path)
    return None if found is None else amount(found, currency)


def decimal(node: Node) -> Decimal:
    """The number an element holds."""
    value = parse_decimal(node.text)
    if value is None:
        raise Refused(
            "not_a_number",
            node.path,
            f"{node.text[:40]!r} is not a decimal number",
            f"Write digits with a point for the decimals, at most {MAX_DIGITS} digits",
        )
    return value


def decimal_or_none(node: Node, path: str) -> Decimal | None:
    """The number at the path, or None where there is no such element or it is empty."""
    found = node.first(path)
    return None if found is None or not found.text else decimal(found)


def day_or_none(node: Node, path: str) -> date | None:
    """The date at the path, or None where there is no such element or it is empty."""
    found = node.first(path)
    return None if found is None or not found.text else day(found)


def day(found: Node) -> date:
    """The xs:date an element holds; a time zone is dropped."""
    match = _DATE.fullmatch(found.text)
    try:
        if match:
            return date(int(match[1]), int(match[2]), int(match[3]))
        problem = "it is not of the form YYYY-MM-DD"
    except ValueError as error:
        problem = str(error)
    raise Refused("not_a_date", found.path, f"{found.text[:40]!r} is no date: {problem}", "Write YYYY-MM-DD")


def flag(node: Node, path: str) -> bool:
    """The xs:boolean at the path."""
    found = need(node, path)
    value = _FLAGS.get(found.text)
    if value is None:
        raise Refused("not_a_flag", found.path, f"{found.text[:40]!r} is no boolean", "Write true or false")
    return value

"""Arithmetic of a document: the business rules BR-CO-10 to BR-CO-17 and BR-S-08 of EN 16931.

Every figure in a document is rounded to the currency's minor unit, so a sum over n figures may differ by
n half units from the sum of the exact values; that, and at least one unit, is the tolerance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal

from .document import Adjustment, Document, Line, TaxShare
from .money import exact_in_minor_units, minor_unit
from .refusal import Refusal

__all__ = ["total_refusals"]

MAX_RATE = 30  # per cent; the highest value added tax in force is 27

_TaxKey = tuple[str, Decimal]


def total_refusals(document: Document) -> list[Refusal]:
    """Every figure that does not follow from the others; empty where the arithmetic holds."""
    return [*_line_refusals(document), *_document_refusals(document), *_tax_refusals(document)]


def _line_refusals(document: Document) -> Iterator[Refusal]:
    """Quantity times price, with the line's allowances and charges, gives its net (PEPPOL-EN16931-R120)."""
    unit = _unit(document)
    for line in document.lines:
        if line.quantity is None or line.price is None:
            continue
        share = line.quantity / line.base_quantity
        expected = share * line.price + _signed(line.adjustments)
        if abs(line.net - expected) > unit + abs(share) * _half_last_digit(line.price):
            yield _wrong("line_total", f"{line.element}/cbc:LineExtensionAmount", line.net, expected)


def _document_refusals(document: Document) -> Iterator[Refusal]:
    totals, unit, count = document.totals, _unit(document), len(document.lines)
    allowances = [part for part in document.adjustments if not part.charge]
    charges = [part for part in document.adjustments if part.charge]
    lines = sum((line.net for line in document.lines), Decimal(0))
    tax = sum((total.amount for total in document.taxes), Decimal(0))
    net = lines + _signed(document.adjustments)
    gross = net + tax
    payable = gross - totals.prepaid + totals.rounding
    terms = count + len(document.adjustments)
    rules = [
        ("BR-CO-10", "LineExtensionAmount", totals.lines, [lines], count),
        ("BR-CO-11", "AllowanceTotalAmount", totals.allowances, [-_signed(allowances)], len(allowances)),
        ("BR-CO-12", "ChargeTotalAmount", totals.charges, [_signed(charges)], len(charges)),
        ("BR-CO-13", "TaxExclusiveAmount", totals.exclusive, [net], terms),
        # UBL's own samples add the rounding here already, EN 16931 only to the payable amount
        ("BR-CO-15", "TaxInclusiveAmount", totals.inclusive, [gross, gross + totals.rounding], terms),
        ("BR-CO-16", "PayableAmount", totals.payable, [payable], terms),
    ]
    for rule, name, stated, expected, figures in rules:
        if stated is not None and all(abs(stated - value) > _tolerance(figures, unit) for value in expected):
            yield _wrong("wrong_total", f"{totals.element}/cbc:{name}", stated, expected[0], rule)
    if abs(totals.rounding) > 1:  # rounding is for coins: more would be a way to slip an amount past the order
        yield Refusal(
            "wrong_total",
            f"{totals.element}/cbc:PayableRoundingAmount",
            f"{totals.rounding:,f} is more than rounding",
            "Round by at most one unit of the currency",
        )
    if totals.prepaid * gross < 0:
        yield Refusal(
            "wrong_total",
            f"{totals.element}/cbc:PrepaidAmount",
            "the prepayment would raise the amount payable",
            "State what was prepaid, or add a charge",
        )
    if not exact_in_minor_units(totals.payable, unit):
        yield Refusal(
            "wrong_total",
            f"{totals.element}/cbc:PayableAmount",
            f"{totals.payable} has more decimals than {document.currency} has",
            "Round it to what can be paid",
        )


def _tax_refusals(document: Document) -> Iterator[Refusal]:
    unit = _unit(document)
    bases = _taxable_amounts(document)
    invoiced = sum((abs(line.net) for line in document.lines), Decimal(0))
    invoiced += sum((part.amount for part in document.adjustments if part.charge), Decimal(0))
    ceiling = invoiced * MAX_RATE / 100 + _tolerance(len(document.lines), unit)
    for total in document.taxes:
        shares = sum((share.tax for share in total.shares), Decimal(0))
        if total.shares and abs(total.amount - shares) > _tolerance(len(total.shares), unit):
            yield _wrong("wrong_tax", f"{total.element}/cbc:TaxAmount", total.amount, shares, "BR-CO-14")
        if not total.shares and total.amount:
            yield _unexplained(f"{total.element}/cac:TaxSubtotal", "no subtotal explains the tax (BR-CO-18)")
        if abs(total.amount) > ceiling:
            problem = f"{total.amount:,f} of tax are more than {MAX_RATE} % of what is invoiced"
            yield _unexplained(f"{total.element}/cbc:TaxAmount", problem)
        for share in total.shares:
            yield from _share_refusals(share, bases, len(document.lines), unit)


def _share_refusals(share: TaxShare, bases: dict[_TaxKey, Decimal], lines: int, unit: Decimal) -> Iterator[Refusal]:
    if share.taxable is None or share.percent is None:
        return
    tax = share.taxable * share.percent / 100
    if abs(share.tax - tax) > _tolerance(lines, unit):  # a seller may round the tax of each line
        yield _wrong("wrong_tax", f"{share.element}/cbc:TaxAmount", share.tax, tax, "BR-CO-17")
    base = bases.get((share.category, share.percent))
    if base is not None and abs(share.taxable - base) > _tolerance(lines, unit):
        yield _wrong("wrong_tax", f"{share.element}/cbc:TaxableAmount", share.taxable, base, "BR-S-08")


def _taxable_amounts(document: Document) -> dict[_TaxKey, Decimal]:
    """What lines, allowances and charges say is taxable, by category and rate; empty where one is silent."""
    parts: list[tuple[Line | Adjustment, Decimal]] = [(line, line.net) for line in document.lines]
    parts += [(part, part.signed) for part in document.adjustments]
    bases: dict[_TaxKey, Decimal] = defaultdict(Decimal)
    for part, net in parts:
        if not part.category:
            return {}
        bases[part.category, part.percent or Decimal(0)] += net
    return dict(bases)


def _unexplained(element: str, problem: str) -> Refusal:
    return Refusal("wrong_tax", element, problem, "State taxable amount, rate and tax of each category")


def _wrong(code: str, element: str, stated: Decimal, expected: Decimal, rule: str = "") -> Refusal:
    cited = f" ({rule} of EN 16931)" if rule else ""
    return Refusal(
        code,
        element,
        f"it says {stated:,f}, the figures it is made of give {_plain(expected)}{cited}",
        "Correct the figure and send the document again",
    )


def _tolerance(figures: int, unit: Decimal) -> Decimal:
    return unit * max(1, -(-figures // 2))


def _signed(adjustments: list[Adjustment] | tuple[Adjustment, ...]) -> Decimal:
    return sum((part.signed for part in adjustments), Decimal(0))


def _unit(document: Document) -> Decimal:
    return minor_unit(document.currency) or Decimal("0.01")


def _half_last_digit(price: Decimal) -> Decimal:
    """How far a price may be from the exact one that was rounded to it."""
    exponent = price.as_tuple().exponent
    return Decimal(5).scaleb((exponent if isinstance(exponent, int) else 0) - 1)


def _plain(value: Decimal) -> str:
    return f"{value.quantize(Decimal('0.0001')).normalize():,f}"

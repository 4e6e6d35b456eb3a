"""The arithmetic of a document: EN 16931's rules, with the tolerance that rounding needs and no more."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.payables.totals import total_refusals
from examples.payables.ubl import read_document
from tests.examples.payables_samples import INVOICES, Ubl, sample

cents = st.decimals(min_value="0.01", max_value="99999", places=2)


def refusals(text: str) -> list[tuple[str, str]]:
    return [(found.code, found.element) for found in total_refusals(read_document(text.encode()))]


def test_only_the_invoice_with_wrong_totals_is_refused_for_them():
    wrong = {path.name[:2] for path in INVOICES.glob("*.xml") if refusals(path.read_text(encoding="utf-8"))}
    assert wrong == {"03"}


def test_a_wrong_total_is_refused_with_what_it_should_be():
    first, second = total_refusals(read_document(sample("03")))
    assert first.element == "/Invoice/cac:LegalMonetaryTotal/cbc:TaxInclusiveAmount"
    assert first.problem == "it says 1,164.15, the figures it is made of give 1,074.15 (BR-CO-15 of EN 16931)"
    assert second.element == "/Invoice/cac:LegalMonetaryTotal/cbc:PayableAmount"


@given(
    st.lists(st.tuples(st.integers(1, 500).map(str), cents.map(str)), min_size=1, max_size=12),
    st.sampled_from(["0", "5.5", "7", "19", "25", "27"]),
)
def test_what_adds_up_is_accepted(lines, rate):
    document = Ubl(lines=lines, rate=rate)
    if document.net > 0:
        document.allowance = min(Decimal("1.00"), document.net)
    assert refusals(document.text()) == []


FIGURES = {
    "LineExtensionAmount": "wrong_total",
    "TaxExclusiveAmount": "wrong_total",
    "TaxInclusiveAmount": "wrong_total",
    "AllowanceTotalAmount": "wrong_total",
    "PayableAmount": "wrong_total",
    "TaxableAmount": "wrong_tax",
    "TaxAmount": "wrong_tax",
}


@given(
    st.lists(st.tuples(st.integers(1, 50).map(str), cents.map(str)), min_size=1, max_size=5),
    st.sampled_from(sorted(FIGURES)),
    st.decimals(min_value="0.06", max_value="5000", places=2),
    st.booleans(),
)
def test_no_figure_can_be_off_by_more_than_rounding(lines, name, by, up):
    head, mark, rest = Ubl(lines=lines).text().partition(f'<cbc:{name} currencyID="EUR">')
    stated, _, tail = rest.partition("<")
    changed = Decimal(stated) + (by if up else -by)
    found = refusals(f"{head}{mark}{changed}<{tail}")
    assert FIGURES[name] in {code for code, _ in found}
    assert any(element.endswith(f"cbc:{name}") for _, element in found)


def test_the_second_of_two_wrong_lines_is_numbered():
    text = Ubl(lines=[("2", "10.00"), ("3", "10.00")]).text().replace(">30.00<", ">31.00<")
    assert ("line_total", "/Invoice/cac:InvoiceLine[2]/cbc:LineExtensionAmount") in refusals(text)


def test_a_price_rounded_to_its_decimals_is_no_fault():
    text = Ubl(lines=[("300", "0.33")]).text()
    exact = Ubl(lines=[("1", "100.00")]).text()
    amounts = text.replace(">99.00<", ">100.00<").replace(">18.81<", ">19.00<").replace(">117.81<", ">119.00<")
    assert refusals(exact) == refusals(amounts) == []


def test_tax_rounded_line_by_line_is_no_fault():
    document = Ubl(lines=[("1", "0.10")] * 7)  # 7 x round(0.019) = 0.14; round(0.133) = 0.13
    text = document.text().replace(">0.13<", ">0.14<").replace(">0.83<", ">0.84<")
    assert (document.tax, refusals(text)) == (Decimal("0.13"), [])


def test_rounding_in_the_total_with_tax_is_ubl_s_way_and_fine():
    base = Ubl().text()
    rounded = base.replace('<cbc:PayableAmount currencyID="EUR">23.80', (
        '<cbc:PayableRoundingAmount currencyID="EUR">0.20</cbc:PayableRoundingAmount>'
        '<cbc:PayableAmount currencyID="EUR">24.00'
    ))  # fmt: skip
    assert refusals(rounded) == []
    total = '<cbc:TaxInclusiveAmount currencyID="EUR">'
    assert refusals(rounded.replace(f"{total}23.80", f"{total}24.00")) == []


@pytest.mark.parametrize(
    ("extra", "payable", "element"),
    [
        (
            '<cbc:PayableRoundingAmount currencyID="EUR">500.00</cbc:PayableRoundingAmount>',
            "523.80",
            "Rounding",
        ),
        ('<cbc:PrepaidAmount currencyID="EUR">-500.00</cbc:PrepaidAmount>', "523.80", "Prepaid"),
        (
            '<cbc:PayableRoundingAmount currencyID="EUR">0.005</cbc:PayableRoundingAmount>',
            "23.805",
            "PayableAmount",
        ),
    ],
)
def test_no_amount_slips_in_as_rounding_or_prepayment(extra, payable, element):
    old = '<cbc:PayableAmount currencyID="EUR">'
    text = Ubl().text().replace(f"{old}23.80", f"{extra}{old}{payable}")
    ((code, where),) = refusals(text)
    assert code == "wrong_total"
    assert element in where


def test_a_tax_no_law_knows_is_refused():
    assert ("wrong_tax", "/Invoice/cac:TaxTotal/cbc:TaxAmount") in refusals(Ubl(rate="31").text())


def test_an_unexplained_tax_is_refused():
    text = Ubl().text()
    start, end = text.index("<cac:TaxSubtotal>"), text.index("</cac:TaxTotal>")
    assert refusals(text[:start] + text[end:]) == [("wrong_tax", "/Invoice/cac:TaxTotal/cac:TaxSubtotal")]


def test_totals_that_are_left_out_are_not_missed():
    head, mark, totals = Ubl().text().partition("<cac:LegalMonetaryTotal>")
    kept = totals[totals.index("<cbc:PayableAmount") :]
    document = read_document(f"{head}{mark}{kept}".encode())
    assert (document.totals.lines, document.totals.exclusive, document.totals.inclusive) == (None, None, None)
    assert total_refusals(document) == []
    wrong = kept.replace(">23.80<", ">24.80<")
    assert refusals(f"{head}{mark}{wrong}") == [("wrong_total", "/Invoice/cac:LegalMonetaryTotal/cbc:PayableAmount")]

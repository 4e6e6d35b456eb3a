"""Reading UBL: what is valid goes through, what is not is refused by name, nothing is a traceback."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples.payables.document import Document
from examples.payables.refusal import Refused
from examples.payables.safe_xml import MAX_BYTES, MAX_DEPTH, parse_xml
from examples.payables.totals import total_refusals
from examples.payables.ubl import MAX_LINES, MAX_RECORD, read_document
from tests.examples.payables_samples import INVOICES, UBL, Ubl, sample

SAMPLES = sorted(path.name for path in INVOICES.glob("*.xml"))


def refusal_of(content: bytes):
    with pytest.raises(Refused) as caught:
        read_document(content)
    assert caught.value.refusal.mend
    return caught.value.refusal


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_read_and_survives_a_record(name):
    document = read_document((INVOICES / name).read_bytes())
    assert Document.model_validate_json(document.model_dump_json()) == document


def test_the_fields_of_an_invoice_are_read():
    document = read_document(sample("02"))
    assert (document.kind, document.number, document.currency) == ("invoice", "2026/11/0093", "EUR")
    assert (document.issued, document.due) == (date(2026, 11, 5), date(2026, 12, 5))
    assert document.supplier.name == "Van den Berg Elektro B.V."
    assert document.supplier.ids == ("NL999000021B01",)
    assert [means.code for means in document.means] == ["48", "58"]
    assert document.means[1].reference.startswith("RF")
    assert [(part.charge, part.amount) for part in document.adjustments] == [
        (False, Decimal("79.79")),
        (True, Decimal("35.00")),
    ]
    assert (document.totals.prepaid, document.totals.rounding) == (Decimal("500.00"), Decimal("0.04"))
    assert document.lines[1].element == "/Invoice/cac:InvoiceLine[2]"
    assert document.lines[1].item_ids == ("VB-CBL-5",)


def test_prefixes_do_not_matter():
    assert b"<b:ID>" in sample("07")
    assert read_document(sample("07")).supplier.name == "Sjöberg Verktyg AB"


def test_a_credit_note_is_owed_to_us():
    document = read_document(Ubl(kind="CreditNote").content())
    assert (document.kind, document.owed) == ("credit_note", Decimal("-23.80"))
    assert document.lines[0].quantity == Decimal(2)


def test_a_payee_receives_the_money():
    document = read_document(sample("14"))
    assert document.creditor.name == "Clontarf Factoring DAC"
    assert document.supplier.name == "Hibernia Data Ltd"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "us-ascii", "windows-1252"])
def test_encodings_are_read_as_declared(encoding):
    text = Ubl(supplier="Caf&#233; Soci&#233;t&#233;").text().replace("UTF-8", encoding)
    assert read_document(text.encode(encoding)).supplier.name == "Café Société"


def test_the_currency_of_the_payable_amount_stands_in_for_a_missing_code():
    text = Ubl(currency="SEK").text().replace("<cbc:DocumentCurrencyCode>SEK</cbc:DocumentCurrencyCode>", "")
    assert read_document(text.encode()).currency == "SEK"


def test_a_tax_total_in_the_accounting_currency_is_left_out():
    extra = '<cac:TaxTotal><cbc:TaxAmount currencyID="SEK">41.00</cbc:TaxAmount></cac:TaxTotal>'
    text = Ubl(extra=extra).text()
    stated = text.replace("<cac:OrderReference>", "<cbc:TaxCurrencyCode>SEK</cbc:TaxCurrencyCode><cac:OrderReference>")
    assert len(read_document(stated.encode()).taxes) == 1
    assert refusal_of(text.encode()).code == "currency_mixed"


BREAKAGES = [
    ("<cbc:ID>T-1</cbc:ID>", "", "missing_element", "/Invoice/cbc:ID"),
    ("<cbc:ID>T-1</cbc:ID>", "<cbc:ID> </cbc:ID>", "missing_element", "/Invoice/cbc:ID"),
    ("<cbc:ID>T-1</cbc:ID>", f"<cbc:ID>{'9' * 141}</cbc:ID>", "too_long", "/Invoice/cbc:ID"),
    ("2026-11-02", "2026-11-31", "not_a_date", "/Invoice/cbc:IssueDate"),
    ("2026-11-02", "02.11.2026", "not_a_date", "/Invoice/cbc:IssueDate"),
    (">EUR<", ">EURO<", "unknown_currency", "/Invoice/cbc:DocumentCurrencyCode"),
    (
        "<cbc:RegistrationName>Brightwater Paper GmbH</cbc:RegistrationName>",
        "",
        "missing_name",
        "/Invoice/cac:AccountingSupplierParty/cac:Party/cac:PartyName/cbc:Name",
    ),
    ("cac:InvoiceLine>", "cac:Other>", "missing_element", "/Invoice/cac:InvoiceLine"),
    (
        '<cbc:PayableAmount currencyID="EUR">23.80',
        '<cbc:PayableAmount currencyID="USD">23.80',
        "currency_mixed",
        "/Invoice/cac:LegalMonetaryTotal/cbc:PayableAmount/@currencyID",
    ),
    (
        '<cbc:PayableAmount currencyID="EUR">23.80',
        '<cbc:PayableAmount currencyID="EUR">23,80',
        "not_a_number",
        "/Invoice/cac:LegalMonetaryTotal/cbc:PayableAmount",
    ),
    (
        '<cbc:PriceAmount currencyID="EUR">10.00</cbc:PriceAmount>',
        '<cbc:PriceAmount currencyID="EUR">10.00</cbc:PriceAmount><cbc:BaseQuantity>0</cbc:BaseQuantity>',
        "not_a_number",
        "/Invoice/cac:InvoiceLine/cac:Price/cbc:BaseQuantity",
    ),
    (
        "<cbc:IssueDate>",
        "<cbc:InvoiceTypeCode>381</cbc:InvoiceTypeCode><cbc:IssueDate>",
        "ambiguous_type",
        "/Invoice/cbc:InvoiceTypeCode",
    ),
    (
        "<cbc:IssueDate>",
        "<cbc:InvoiceTypeCode>325</cbc:InvoiceTypeCode><cbc:IssueDate>",
        "not_payable",
        "/Invoice/cbc:InvoiceTypeCode",
    ),
]


@pytest.mark.parametrize(("old", "new", "code", "element"), BREAKAGES)
def test_a_fault_is_refused_under_its_element(old, new, code, element):
    text = Ubl().text()
    assert old in text
    refusal = refusal_of(text.replace(old, new).encode())
    assert (refusal.code, refusal.element) == (code, element)


def test_an_allowance_without_a_flag_is_refused():
    extra = "<cac:AllowanceCharge><cbc:ChargeIndicator>yes</cbc:ChargeIndicator></cac:AllowanceCharge>"
    refusal = refusal_of(Ubl(extra=extra).content())
    assert (refusal.code, refusal.element) == (
        "not_a_flag",
        "/Invoice/cac:AllowanceCharge/cbc:ChargeIndicator",
    )


def test_the_second_of_two_faulty_lines_is_numbered():
    text = Ubl(lines=[("1", "5.00"), ("1", "6.00")]).text()
    broken = text.replace("6.00</cbc:PriceAmount>", "six</cbc:PriceAmount>")
    assert refusal_of(broken.encode()).element == "/Invoice/cac:InvoiceLine[2]/cac:Price/cbc:PriceAmount"


LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol1 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
<!ENTITY lol2 "&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;&lol1;">]><Invoice>&lol2;</Invoice>"""
OUTSIDE = b'<!DOCTYPE Invoice [<!ENTITY x SYSTEM "file:///etc/hostname">]><Invoice>&x;</Invoice>'


@pytest.mark.parametrize("content", [LAUGHS, OUTSIDE, b"<!DOCTYPE Invoice><Invoice/>"])
def test_a_doctype_is_refused_before_anything_is_read(content):
    assert refusal_of(content).code == "unsafe_xml"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not_xml"),
        (b"\x00\x01", "not_xml"),
        (b"%PDF-1.7", "not_xml"),
        (b"<Invoice>", "not_xml"),
        (b"<Invoice>&nbsp;</Invoice>", "not_xml"),
        (b"<cbc:ID/>", "not_xml"),
        (b'<?xml version="1.0" encoding="klingon"?><Invoice/>', "not_xml"),
        (b'<?xml version="1.0" encoding="utf-7"?><Invoice/>', "not_xml"),
        (b'<?xml version="1.0" encoding="shift_jis"?><Invoice/>', "not_xml"),
        (b"<Invoice>\xff</Invoice>", "not_xml"),
        (b"<a/>", "not_an_invoice"),
        (b"<Invoice/>", "not_an_invoice"),  # the right name in no namespace
        (f'<Order xmlns="{UBL}Order-2"/>'.encode(), "not_an_invoice"),
        (b"<a>" * (MAX_DEPTH + 1), "too_large"),
        (b"<a>" + b"<b/>" * 200_001 + b"</a>", "too_large"),
        (b" " * (MAX_BYTES + 1), "too_large"),
    ],
)
def test_what_is_no_invoice_is_refused(content, code):
    assert refusal_of(content).code == code


def test_too_many_lines_are_refused():
    refusal = refusal_of(Ubl(lines=[("1", "1.00")] * (MAX_LINES + 1)).content())
    assert (refusal.code, refusal.element) == ("too_many_lines", "/Invoice/cac:InvoiceLine")


def test_L48_a_document_that_no_record_holds_is_refused():
    refusal = refusal_of(Ubl(item="x" * MAX_RECORD).content())
    assert (refusal.code, refusal.element) == ("too_large", "/Invoice")


def test_a_fault_in_the_xml_is_told_with_its_line():
    refusal = refusal_of(b"<a>\n<b>\n</a>")
    assert refusal.element == "/a/b (line 3, column 3)"


def test_foreign_elements_are_passed_over():
    node = parse_xml(b'<a xmlns:x="urn:x"><x:b>1</x:b><b>2</b></a>')
    assert [child.name for child in node.children] == ["{urn:x}b", "b"]
    assert node.value("b") == "2"


def survives(content: bytes) -> None:
    """A document or a refusal: no other exception."""
    try:
        found = total_refusals(read_document(content))
    except Refused as refused:
        found = [refused.refusal]
    assert all(refusal.element and refusal.problem and refusal.mend for refusal in found)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False), st.integers(1, 12))
def test_no_mutation_of_the_bytes_is_a_traceback(name, chance, count):
    content = bytearray((INVOICES / name).read_bytes())
    for _ in range(count):
        _mutate_bytes(content, chance)
    survives(bytes(content))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SAMPLES), st.data())
def test_no_mutation_of_a_text_is_a_traceback(name, data):
    root = parse_xml((INVOICES / name).read_bytes())
    leaves = sorted({node.text for node in _nodes(root) if not node.children and node.text})
    old = data.draw(st.sampled_from(leaves))
    new = data.draw(st.one_of(st.sampled_from(NASTY), st.text(st.characters(codec="utf-8", exclude_characters="<&\r"))))
    clean = "".join(character for character in new if character >= " ")
    text = (INVOICES / name).read_text(encoding="utf-8")
    survives(text.replace(f">{old}<", f">{clean.replace('<', '').replace('&', '')}<").encode())


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SAMPLES), st.data())
def test_no_missing_or_doubled_element_is_a_traceback(name, data):
    text = (INVOICES / name).read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    leaves = [at for at, line in enumerate(lines) if line.strip().startswith("<c") and "</c" in line]
    leaves = leaves or [at for at, line in enumerate(lines) if "</b:" in line]
    at = data.draw(st.sampled_from(leaves))
    lines[at] *= data.draw(st.sampled_from([0, 2, 3]))
    survives("".join(lines).encode())


NASTY = [
    "",
    "0",
    "-1",
    "NaN",
    "1e999",
    "9" * 18,
    "-0.00",
    "EUR",
    "JPY",
    "0000-00-00",
    "9999-12-31",
    "true",
    "²",
    "\u202e1",
]


def _nodes(node):
    yield node
    for child in node.children:
        yield from _nodes(child)


def _mutate_bytes(content: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(content))
    kind = chance.randrange(4)
    if kind == 0:
        content[at] = chance.randrange(256)
    elif kind == 1:
        del content[at : at + chance.randrange(1, 40)]
    elif kind == 2:
        content[at:at] = content[at : at + chance.randrange(1, 80)]
    else:
        content[at : at + 1] = bytes([content[at] ^ (1 << chance.randrange(8))])

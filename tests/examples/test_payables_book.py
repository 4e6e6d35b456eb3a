"""The buyer's book: three-way match, duplicates, accounts on file, bookings."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from examples.payables.book import create_book, reading, writing
from examples.payables.bookings import book_payment, open_bookings
from examples.payables.iban import check_digits
from examples.payables.orders import Match, match_document, release_claims
from examples.payables.refusal import Refused
from examples.payables.screening import Account, claim_number, payable_account, release_number
from examples.payables.ubl import read_document
from tests.examples.payables_samples import EXAMPLE, IBAN, Ubl, demo_book, sample

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ORDERED = [("40", "21.90")]


@pytest.fixture
def book(tmp_path):
    with writing(demo_book(tmp_path)) as connection:
        yield connection


def document(**changes):
    return read_document(Ubl(**{"lines": ORDERED, **changes}).content())


def refusal_of(call, *arguments):
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return caught.value.refusal


def test_what_was_ordered_and_received_matches(book):
    assert match_document(book, "a", document()) == Match("brightwater", ("PO-2026-0101",))


def test_matching_again_claims_nothing_twice(book):
    for _ in range(5):
        match_document(book, "a", document())
    assert claims(book) == [("a", "1", "40")]


def account_of(book, document_, supplier="brightwater"):
    return payable_account(book, supplier, document_.currency, document_.means, document_.element)


def claims(book):
    return [(row["document"], row["line"], row["quantity"]) for row in book.execute("SELECT * FROM claims")]


def test_lines_are_found_by_number_item_and_name():
    document_ = read_document(sample("02"))
    assert [line.order_line for line in document_.lines] == ["1", "2"]
    by_item = read_document(Ubl(item="BP-80-A4").content())
    assert by_item.lines[0].order_line == ""
    assert by_item.lines[0].item_ids == ("BP-80-A4",)


def test_a_line_is_found_by_its_name_alone(book):
    text = Ubl(lines=[("25", "8.40")], item="").text().replace(">Paper<", ">shipping labels 62 x 100 MM, ROLL<")
    match_document(book, "a", read_document(text.encode()))
    assert claims(book) == [("a", "2", "25")]


@pytest.mark.parametrize(
    ("changes", "code", "element"),
    [
        (
            {"buyer_id": "FR1"},
            "not_our_invoice",
            "/Invoice/cac:AccountingCustomerParty/cac:Party/cac:PartyTaxScheme",
        ),
        ({"supplier_id": "DE1"}, "unknown_supplier", "/Invoice/cac:AccountingSupplierParty/cac:Party"),
        ({"order": "NA"}, "missing_order", "/Invoice/cac:OrderReference/cbc:ID"),
        (
            {"order": "PO-2026-0107"},
            "unknown_order",
            "/Invoice/cac:OrderReference/cbc:ID",
        ),  # another supplier's
        ({"currency": "SEK"}, "currency_mismatch", "/Invoice/cbc:DocumentCurrencyCode"),
        ({"item": "GOLD"}, "line_not_ordered", "/Invoice/cac:InvoiceLine/cac:Item"),
        ({"lines": [("40", "22.00")]}, "price_too_high", "/Invoice/cac:InvoiceLine/cbc:LineExtensionAmount"),
        ({"lines": [("81", "21.90")]}, "not_received", "/Invoice/cac:InvoiceLine/cbc:InvoicedQuantity"),
        (
            {"lines": [("40", "21.90"), ("41", "21.90")]},
            "not_received",
            "/Invoice/cac:InvoiceLine[2]/cbc:InvoicedQuantity",
        ),
    ],
)
def test_what_no_order_covers_is_refused_under_its_element(book, changes, code, element):
    refusal = refusal_of(match_document, book, "a", document(**changes))
    assert refusal.code == code
    assert refusal.element.startswith(element)


def test_more_than_ordered_is_refused_even_if_it_was_received(book):
    book.execute("UPDATE receipts SET quantity = '500' WHERE order_number = 'PO-2026-0101'")
    assert refusal_of(match_document, book, "a", document(lines=[("121", "21.90")])).code == "over_ordered"


def test_deliveries_add_up_over_receipts(book):
    book.execute("INSERT INTO receipts VALUES ('PO-2026-0101', '1', '20', '2026-11-10')")
    match_document(book, "a", document(lines=[("100", "21.90")]))


def test_two_documents_share_what_was_received(book):
    match_document(book, "a", document())
    match_document(book, "b", document(number="T-2"))
    assert refusal_of(match_document, book, "c", document(number="T-3")).code == "not_received"
    release_claims(book, "a")
    match_document(book, "c", document(number="T-3"))


def test_a_credit_note_gives_its_quantity_back(book):
    match_document(book, "a", document(lines=[("80", "21.90")]))
    match_document(book, "b", document(kind="CreditNote", number="C-1"))
    match_document(book, "c", document(number="T-3"))
    assert claims(book) == [("a", "1", "80"), ("b", "1", "-40"), ("c", "1", "40")]


def test_a_lower_price_is_welcome(book):
    match_document(book, "a", document(lines=[("40", "20.00")]))


def test_charges_beyond_what_was_agreed_are_refused(book):
    sound = sample("02").decode()
    over = sound.replace(">35.00<", ">135.00<")  # 135.00 of freight less 79.79 of discount
    match_document(book, "a", read_document(sound.encode()))
    release_claims(book, "a")
    refusal = refusal_of(match_document, book, "a", read_document(over.encode()))
    assert (refusal.code, refusal.element) == ("charges_too_high", "/Invoice/cac:AllowanceCharge/cbc:Amount")


def test_a_credit_note_without_an_order_needs_an_invoice_we_booked(book):
    reference = (
        "<cac:BillingReference><cac:InvoiceDocumentReference><cbc:ID>T-1</cbc:ID></cac:InvoiceDocumentReference>"
        "</cac:BillingReference>"
    )
    credit = document(kind="CreditNote", number="C-1", order="NA", extra=reference)
    assert refusal_of(match_document, book, "c", credit).code == "missing_order"
    book_payment(book, "a" * 64, "brightwater", document(), Account(IBAN, "", ""), NOW)
    assert match_document(book, "c", credit) == Match("brightwater", ())


def test_the_account_on_file_is_paid(book):
    assert account_of(book, document()) == Account(IBAN, "", "")
    assert account_of(book, read_document(sample("02")), "vandenberg").bic == "VDBENL2A"


def test_an_account_in_print_form_is_paid_too(book):
    spaced = " ".join(IBAN[at : at + 4] for at in range(0, len(IBAN), 4)).lower()
    assert account_of(book, document(iban=spaced)).iban == IBAN


OTHER = "DE" + check_digits("DE", "000000000000999999") + "000000000000999999"


@pytest.mark.parametrize(
    ("changes", "old", "new", "code", "element"),
    [
        ({"iban": "DE00000000000000123456"}, "", "", "broken_iban", "cac:PayeeFinancialAccount/cbc:ID"),
        ({"iban": ""}, "", "", "broken_iban", "cac:PayeeFinancialAccount/cbc:ID"),
        ({"iban": OTHER}, "", "", "account_not_on_file", "cac:PayeeFinancialAccount/cbc:ID"),
        ({}, ">58<", ">49<", "not_a_transfer", "cbc:PaymentMeansCode"),
        ({"currency": "GBP"}, "", "", "no_account_in_currency", "cbc:DocumentCurrencyCode"),
    ],
)
def test_an_account_that_must_not_be_paid_is_refused_under_its_element(book, changes, old, new, code, element):
    text = Ubl(**changes).text().replace(old, new) if old else Ubl(**changes).text()
    refusal = refusal_of(account_of, book, read_document(text.encode()))
    assert refusal.code == code
    assert refusal.element.endswith(element)


def test_the_first_sound_account_of_several_is_paid(book):
    other = (
        "<cac:PaymentMeans><cbc:PaymentMeansCode>30</cbc:PaymentMeansCode><cac:PayeeFinancialAccount>"
        f"<cbc:ID>{IBAN}</cbc:ID></cac:PayeeFinancialAccount></cac:PaymentMeans>"
    )
    assert account_of(book, document(iban="123-456", extra=other)).iban == IBAN


def test_without_an_account_on_the_invoice_the_one_on_file_is_paid(book):
    text = Ubl().text()
    start, end = text.index("<cac:PaymentMeans>"), text.index("<cac:TaxTotal>")
    bare = read_document((text[:start] + text[end:]).encode())
    assert account_of(book, bare).iban == IBAN
    book.execute("INSERT INTO supplier_accounts VALUES ('brightwater', ?)", (OTHER,))
    assert refusal_of(account_of, book, bare).code == "missing_account"


def test_a_number_comes_once(book):
    claim_number(book, "a", "brightwater", "invoice", "BW-2026-0417")
    claim_number(book, "a", "brightwater", "invoice", "BW-2026-0417")
    claim_number(book, "b", "bellini", "invoice", "BW-2026-0417")
    claim_number(book, "c", "brightwater", "credit_note", "BW-2026-0417")
    refusal = refusal_of(claim_number, book, "d", "brightwater", "invoice", "bw 2026/0417")
    assert (refusal.code, refusal.element) == ("duplicate", "/Invoice/cbc:ID")


def test_a_refused_document_s_number_is_free_for_its_correction(book):
    claim_number(book, "a", "brightwater", "invoice", "T-1")
    release_number(book, "a")
    claim_number(book, "b", "brightwater", "invoice", "T-1")


def test_numbers_without_latin_letters_differ(book):
    claim_number(book, "a", "brightwater", "invoice", "発票")
    claim_number(book, "b", "brightwater", "invoice", "請求")


def test_a_document_is_booked_once(book):
    first = book_payment(book, "a" * 64, "brightwater", document(), Account(IBAN, "", "RF1"), NOW)
    again = book_payment(book, "a" * 64, "brightwater", document(), Account(IBAN, "", "RF1"), NOW)
    (booking,) = open_bookings(book)
    assert first == again == booking.end_to_end_id == "T-1-aaaaaaaaaaaa"
    assert (booking.amount, booking.iban, booking.reference) == (Decimal("1042.44"), IBAN, "RF1")


def test_two_documents_with_one_number_keep_ids_apart(book):
    ids = {book_payment(book, key * 64, "brightwater", document(), Account(IBAN, "", ""), NOW) for key in "ab"}
    assert len(ids) == 2


def test_the_book_is_made_once_and_whole(tmp_path):
    book = demo_book(tmp_path)
    with writing(book) as connection:
        connection.execute("DELETE FROM supplier_accounts")
    demo_book(tmp_path)
    with reading(book) as connection:
        assert connection.execute("SELECT count(*) FROM supplier_accounts").fetchone()[0] == 0
    with pytest.raises(sqlite3.OperationalError):
        create_book(tmp_path / "other.db", "INSERT INTO nothing VALUES (1);")
    assert not (tmp_path / "other.db").exists()
    assert EXAMPLE.exists()


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    book = demo_book(tmp_path)
    with pytest.raises(Refused), writing(book) as connection:
        match_document(connection, "a", document(lines=[("40", "21.90"), ("80", "21.90")]))
    with reading(book) as connection:
        assert claims(connection) == []


def test_a_missing_book_is_an_error(tmp_path):
    with pytest.raises(sqlite3.OperationalError), reading(tmp_path / "none.db"):
        pass
    assert not (tmp_path / "none.db").exists()

"""From bookings to the payment file: credit set off, one file a run, and every rule of pain.001 kept."""

from __future__ import annotations

import stat
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.payables.book import writing
from examples.payables.bookings import Booking, Debtor, book_payment, open_bookings
from examples.payables.export import export_payments, release_payments
from examples.payables.files import write_atomically
from examples.payables.iban import check_digits
from examples.payables.pain001 import payment_file
from examples.payables.screening import Account
from examples.payables.transfers import plan_transfers
from examples.payables.ubl import read_document
from tests.examples.payables_pain001_rules import findings
from tests.examples.payables_samples import IBAN, Ubl, demo_book

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TODAY = NOW.date()
NORWAY = "NO" + check_digits("NO", "00000000123") + "00000000123"
DEBTORS = {
    "EUR": Debtor("Halden Instruments B.V.", "NL45HALD0000000001", "HALDNL2A"),
    "SEK": Debtor("Halden Instruments B.V.", "SE" + check_digits("SE", "0" * 20) + "0" * 20, ""),
    "JPY": Debtor("Halden Instruments B.V.", "NL45HALD0000000001", "HALDNL2A"),
}


def booking(number: str, amount: str, **changes) -> Booking:
    return replace(
        Booking(
            document=number,
            supplier="brightwater",
            number=number,
            issued=date(2026, 11, 2),
            creditor="Brightwater Paper GmbH",
            iban=IBAN,
            bic="",
            currency="EUR",
            amount=Decimal(amount),
            reference="",
            due=date(2026, 12, 2),
            end_to_end_id=f"{number}-id",
        ),
        **changes,
    )


def file_of(*bookings: Booking) -> bytes:
    transfers, _ = plan_transfers(bookings, TODAY)
    return payment_file("PAY-1", NOW, DEBTORS, transfers)


def test_invoices_are_paid_one_by_one_when_due():
    transfers, parked = plan_transfers([booking("A", "10"), booking("B", "20", due=date(2026, 12, 1))], TODAY)
    assert [(t.head.number, t.amount, t.day.day) for t in transfers] == [("B", 20, 1), ("A", 10, 2)]
    assert parked == []


def test_what_is_overdue_is_paid_today():
    transfers, _ = plan_transfers([booking("A", "10", due=date(2026, 1, 1))], TODAY)
    assert transfers[0].day == TODAY


def test_credit_is_set_off_against_the_supplier_s_invoices():
    transfers, parked = plan_transfers([booking("A", "10"), booking("C", "-4"), booking("B", "20")], TODAY)
    assert [(t.amount, [part.number for part in t.bookings]) for t in transfers] == [(26, ["A", "B", "C"])]
    assert parked == []


@pytest.mark.parametrize("other", [{"supplier": "bellini"}, {"currency": "SEK"}])
def test_credit_is_not_set_off_across_suppliers_or_currencies(other):
    transfers, parked = plan_transfers([booking("A", "10"), booking("C", "-4", **other)], TODAY)
    assert [t.amount for t in transfers] == [10]
    assert [part.number for part in parked] == ["C"]


@pytest.mark.parametrize("credit", ["-10", "-11"])
def test_credit_that_is_not_smaller_parks_both(credit):
    transfers, parked = plan_transfers([booking("A", "10"), booking("C", credit)], TODAY)
    assert transfers == []
    assert {part.number for part in parked} == {"A", "C"}


def test_credit_goes_to_the_account_with_the_larger_sum():
    bookings = [booking("A", "10"), booking("B", "30", iban=NORWAY), booking("C", "-4")]
    transfers, _ = plan_transfers(bookings, TODAY)
    assert {(t.head.number, t.amount) for t in transfers} == {("A", 10), ("B", 26)}


amounts = st.decimals(min_value="-500", max_value="500", places=2).filter(bool)


@given(st.lists(st.tuples(amounts, st.sampled_from("xyz"), st.sampled_from(["EUR", "SEK"])), max_size=15))
def test_nothing_is_lost_or_paid_twice_by_setting_off(parts):
    bookings = [
        booking(f"N{at}", str(amount), supplier=supplier, currency=currency)
        for at, (amount, supplier, currency) in enumerate(parts)
    ]
    transfers, parked = plan_transfers(bookings, TODAY)
    used = [part.number for transfer in transfers for part in transfer.bookings] + [part.number for part in parked]
    assert sorted(used) == sorted(part.number for part in bookings)
    assert all(transfer.amount > 0 for transfer in transfers)
    assert all(len({part.currency for part in transfer.bookings}) == 1 for transfer in transfers)
    paid = sum((transfer.amount for transfer in transfers), Decimal(0)) + sum(
        (part.amount for part in parked), Decimal(0)
    )
    assert paid == sum((part.amount for part in bookings), Decimal(0))


names = st.text(min_size=1, max_size=140)


@given(
    st.lists(
        st.tuples(
            st.decimals(min_value="-900", max_value="9999999", places=2).filter(bool),
            names,
            names,
            st.sampled_from(["EUR", "SEK"]),
            st.sampled_from([IBAN, NORWAY, "SA4420000001234567891234"]),
            st.sampled_from(["", "RF18539007547034", "RF00 1", "2026/1", "//x//"]),
            st.dates(date(2026, 1, 1), date(2027, 12, 31)),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_every_file_keeps_the_rules(parts):
    bookings = [
        booking(
            f"{number}{at}",
            str(amount),
            supplier=str(at % 3),
            creditor=name,
            currency=currency,
            iban=iban,
            reference=reference,
            due=due,
            end_to_end_id=f"E{at}",
        )
        for at, (amount, name, number, currency, iban, reference, due) in enumerate(parts)
    ]
    transfers, _ = plan_transfers(bookings, TODAY)
    if transfers:
        assert findings(payment_file("PAY-1", NOW, DEBTORS, transfers), TODAY) == []


def test_a_currency_without_decimals_is_written_without():
    content = file_of(booking("A", "1200", currency="JPY"))
    assert b'<InstdAmt Ccy="JPY">1200</InstdAmt>' in content
    assert findings(content, TODAY) == []


def test_sepa_is_asked_for_only_where_it_reaches():
    content = file_of(booking("A", "1"), booking("B", "2", iban="SA4420000001234567891234", end_to_end_id="b"))
    assert content.count(b"<Cd>SEPA</Cd>") == 1
    assert content.count(b"<ChrgBr>SHAR</ChrgBr>") == 1
    assert content.count(b"<PmtInf>") == 2


def test_an_iso_11649_reference_is_passed_on_as_such():
    content = file_of(booking("A", "1", reference="RF18 5390 0754 7034"))
    assert b"<Ref>RF18539007547034</Ref>" in content
    assert b"SCOR" in content
    assert b"<Ustrd>A RF17 5390</Ustrd>" in file_of(booking("A", "1", reference="RF17 5390"))  # check digits fail


TWO = [booking("A", "10"), booking("B", "20", end_to_end_id="b")]
SET_OFF = [booking("A", "10"), booking("C", "-4", end_to_end_id="c")]


@pytest.mark.parametrize(
    ("bookings", "old", "new", "told"),
    [
        (TWO, b"<NbOfTxs>2</NbOfTxs>", b"<NbOfTxs>3</NbOfTxs>", "NbOfTxs"),
        (TWO, b"<CtrlSum>30.00</CtrlSum>", b"<CtrlSum>30.01</CtrlSum>", "CtrlSum"),
        (TWO, b"<MsgId>PAY-1</MsgId>", b"", "0 x MsgId"),
        (TWO, b"<MsgId>PAY-1</MsgId>", b"<MsgId></MsgId>", "Max35Text"),
        (TWO, b"<MsgId>PAY-1", b"<MsgId>" + b"x" * 36, "Max35Text"),
        (TWO, b"<MsgId>PAY-1", b"<MsgId>/PAY-1", "slashes"),
        (TWO, b"12:00:00Z", b"noon", "ISODateTime"),
        (TWO, b"2026-12-02", b"2026-12-42", "no such day"),
        (TWO, b"2026-12-02", b"2026-11-20", "past"),
        (TWO, b"<EndToEndId>b<", b"<EndToEndId>A-id<", "stands 2 times"),
        (TWO, b'Ccy="EUR">10.00', b'Ccy="EUR">10.001', "10.001 EUR"),
        (TWO, b'Ccy="EUR">10.00', b'Ccy="SEK">10.00', "SEK"),
        (TWO, b' Ccy="EUR">10.00', b">10.00", "attributes"),
        (TWO, IBAN.encode(), IBAN.replace("123456", "123465").encode(), "fails its check"),
        (TWO, b"Brightwater", b"Br&#228;tw", "outside the Latin set"),
        (TWO, b"<PmtMtd>TRF", b"<PmtMtd>ZZZ", "PaymentMethod3Code"),
        (TWO, b"SLEV", b"SHAR", "in a SEPA group"),
        (TWO, b"HALDNL2A", b"HALD", "BICFIDec2014Identifier"),
        (TWO, b"<ChrgBr>SLEV</ChrgBr>", b"<Purp/>", "does not belong"),
        (TWO, b"<Ccy>EUR</Ccy>", b"<Ccy>SEK</Ccy>", "from an account in"),
        (TWO, b"<Dt>2026-12-02</Dt>", b"", "exactly one"),
        (TWO, b"<Nm>Halden", b"<Nm>" + b"x" * 60 + b"Halden", "83 characters"),
        (SET_OFF, b'"EUR">4.00', b'"EUR">5.00', "less 5.00"),
        (SET_OFF, b">CREN<", b">OOPS<", "DocumentType6Code"),
    ],
)
def test_the_rules_notice_what_is_wrong(bookings, old, new, told):
    content = file_of(*bookings)
    assert findings(content, TODAY) == []
    assert old in content
    assert told in " | ".join(findings(content.replace(old, new), TODAY))


def test_the_rules_know_the_order_of_the_schema():
    content = file_of(*TWO)
    head, _, rest = content.partition(b"<PmtMtd>TRF</PmtMtd>")
    moved = head + rest.replace(b"<NbOfTxs>2</NbOfTxs>", b"<NbOfTxs>2</NbOfTxs><PmtMtd>TRF</PmtMtd>", 1)
    assert any("order of the schema" in finding for finding in findings(moved, TODAY))


def book_invoice(book, key, **changes):
    with writing(book) as connection:
        document = read_document(Ubl(**changes).content())
        account = Account(IBAN if document.owed > 0 else "", "", "")
        return book_payment(connection, key * 64, "brightwater", document, account, NOW)


def test_exporting_again_writes_the_same_file(tmp_path):
    book, out = demo_book(tmp_path), tmp_path / "out.xml"
    book_invoice(book, "a")
    first = export_payments(book, out, NOW)
    content = out.read_bytes()
    assert export_payments(book, out, NOW).message_id == first.message_id
    assert out.read_bytes() == content
    assert findings(content, TODAY) == []


def test_a_file_grows_until_it_is_released_and_then_never_holds_the_same_again(tmp_path):
    book, out = demo_book(tmp_path), tmp_path / "out.xml"
    first = book_invoice(book, "a").encode()
    export_payments(book, out, NOW)
    second = book_invoice(book, "b", number="T-2").encode()
    export = export_payments(book, out, NOW)
    assert len(export.transfers) == 2
    released = release_payments(book, out, NOW)
    assert released is not None
    assert first in released.read_bytes()
    assert second in released.read_bytes()
    assert not out.exists()
    assert export_payments(book, out, NOW + timedelta(hours=1)).transfers == []
    assert not out.exists()
    assert release_payments(book, out, NOW) is None
    third = book_invoice(book, "c", number="T-3").encode()
    export_payments(book, out, NOW + timedelta(hours=2))
    assert third in out.read_bytes()
    assert first not in out.read_bytes()
    assert released.name != out.name


def test_a_parked_credit_is_set_off_in_a_later_run(tmp_path):
    book, out = demo_book(tmp_path), tmp_path / "out.xml"
    book_invoice(book, "c", kind="CreditNote", number="C-1", lines=[("5", "10.00")])
    export = export_payments(book, out, NOW)
    assert [part.number for part in export.parked] == ["C-1"]
    assert not out.exists()
    book_invoice(book, "a", lines=[("8", "10.00")])
    export = export_payments(book, out, NOW)
    assert [transfer.amount for transfer in export.transfers] == [Decimal("35.70")]
    assert b"<CdtNoteAmt" in out.read_bytes()


def test_credit_that_arrives_before_release_takes_the_file_back(tmp_path):
    book, out = demo_book(tmp_path), tmp_path / "out.xml"
    book_invoice(book, "a")
    export_payments(book, out, NOW)
    book_invoice(book, "c", kind="CreditNote", number="C-1")
    assert export_payments(book, out, NOW).transfers == []
    assert not out.exists()
    with writing(book) as connection:
        assert len(open_bookings(connection)) == 2


def test_a_file_cut_short_leaves_the_one_before(tmp_path, monkeypatch):
    out = tmp_path / "out.xml"
    write_atomically(out, b"whole")
    monkeypatch.setattr("examples.payables.files.os.fsync", _fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(out, b"never")
    assert out.read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["out.xml"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def _fail(_descriptor):
    raise OSError("disk full")

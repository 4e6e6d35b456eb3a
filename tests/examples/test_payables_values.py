"""Amounts and account numbers of the payables."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.payables.iban import IBAN_LENGTHS, check_digits, compact, iban_problem
from examples.payables.latin import bank_text, to_latin
from examples.payables.money import (
    exact_in_minor_units,
    format_amount,
    minor_unit,
    parse_decimal,
    round_amount,
)

ALNUM = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@st.composite
def ibans(draw: st.DrawFn) -> str:
    country = draw(st.sampled_from(sorted(IBAN_LENGTHS)))
    account = draw(st.text(ALNUM, min_size=IBAN_LENGTHS[country] - 4, max_size=IBAN_LENGTHS[country] - 4))
    return f"{country}{check_digits(country, account)}{account}"


# Published examples of ISO 13616's registry.
@pytest.mark.parametrize(
    "iban",
    [
        "GB29 NWBK 6016 1331 9268 19",
        "DE89370400440532013000",
        "NO93 8601 1117 947",
        "MT84MALT011000012345MTLCAST001S",
        "nl91 abna 0417 1643 00",
        "FR14 2004 1010 0505 0001 3M02 606",
    ],
)
def test_published_ibans_are_sound(iban):
    assert iban_problem(iban) is None


@pytest.mark.parametrize(
    ("iban", "told"),
    [
        ("", "shape"),
        ("123-4567", "shape"),
        ("DE8937040044053201300", "22 characters, this one has 21"),
        ("ZZ89370400440532013000", "no IBAN country"),
        ("DE89370400440532013001", "check digits"),
        ("DE٨٩370400440532013000", "shape"),
    ],
)
def test_a_broken_iban_is_told_what_is_wrong(iban, told):
    assert told in (iban_problem(iban) or "")


@given(ibans())
def test_every_iban_with_its_check_digits_is_sound(iban):
    assert iban_problem(iban) is None
    assert int(iban_as_number(iban)) % 97 == 1  # the definition, computed the other way round


@given(ibans(), st.data())
def test_one_changed_character_is_noticed(iban, data):
    at = data.draw(st.integers(4, len(iban) - 1))
    kept = ALNUM.replace(iban[at], "")
    same_kind = [c for c in kept if c.isdigit() == iban[at].isdigit()]
    assert iban_problem(iban[:at] + data.draw(st.sampled_from(same_kind)) + iban[at + 1 :]) is not None


@given(ibans(), st.data())
def test_two_swapped_digits_are_noticed(iban, data):
    pairs = [i for i in range(4, len(iban) - 1) if (iban[i : i + 2]).isdigit() and iban[i] != iban[i + 1]]
    if pairs:
        i = data.draw(st.sampled_from(pairs))
        assert iban_problem(iban[:i] + iban[i + 1] + iban[i] + iban[i + 2 :]) is not None


@given(st.text(max_size=60))
def test_no_text_breaks_the_iban_check(text):
    problem = iban_problem(text)
    assert problem is None or problem
    assert compact(compact(text)) == compact(text)


def iban_as_number(iban: str) -> str:
    return "".join(str(int(character, 36)) for character in iban[4:] + iban[:4])


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**10), max_value=10**10))
def test_a_decimal_is_read_as_written(value):
    assert parse_decimal(f" {value:f}\n") == value


@pytest.mark.parametrize(
    "text",
    ["", ".", "1e3", "NaN", "INF", "-", "1,5", "1 000", "0x1", "٣", "1_000", "9" * 19, "0." + "1" * 18 + "1"],
)
def test_what_is_no_xsd_decimal_is_none(text):
    assert parse_decimal(text) is None


@pytest.mark.parametrize(("text", "value"), [("+1.50", "1.5"), (".5", "0.5"), ("5.", "5"), ("-0", "0"), ("007", "7")])
def test_every_form_of_xsd_decimal_is_read(text, value):
    assert parse_decimal(text) == Decimal(value)


def test_minor_units_are_those_of_iso_4217():
    units = {code: str(minor_unit(code)) for code in ("EUR", "JPY", "KWD", "CLF", "QQQ", "eur")}
    assert units == {"EUR": "0.01", "JPY": "1", "KWD": "0.001", "CLF": "0.0001", "QQQ": "None", "eur": "None"}


def test_amounts_are_rounded_half_up_and_shown_in_minor_units():
    assert round_amount(Decimal("2.345"), Decimal("0.01")) == Decimal("2.35")
    assert round_amount(Decimal("-2.345"), Decimal("0.01")) == Decimal("-2.35")
    assert not exact_in_minor_units(Decimal("2.345"), Decimal("0.01"))
    assert exact_in_minor_units(Decimal("2.3400"), Decimal("0.01"))
    assert format_amount(Decimal("1204.5"), "EUR") == "1,204.50 EUR"
    assert format_amount(Decimal("1204.5"), "JPY") == "1,205 JPY"


@pytest.mark.parametrize(
    ("text", "latin"),
    [
        ("Łódź", "Lodz"),
        ("Straße", "Strasse"),
        ("Sjöberg", "Sjoberg"),
        ("Ærø", "AEro"),
        ("Щука", "Shchuka"),
        ("Йод", "Yod"),
        ("Αθήνα", "Athina"),
        ("山田", "山田"),
        ("한국", "한국"),
    ],
)
def test_names_are_romanised(text, latin):
    assert to_latin(text) == latin


@given(st.text(max_size=200), st.integers(1, 140))
def test_bank_text_holds_to_the_characters_of_sepa(text, length):
    result = bank_text(text, max(length, 11))
    assert 1 <= len(result) <= max(length, 11)
    assert set(result) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-?:().,'+ ")
    assert not result.startswith("/")
    assert not result.endswith("/")
    assert "//" not in result

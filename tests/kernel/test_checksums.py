"""The check digits of cards and IBANs, on published examples and with digits changed (L43)."""

from __future__ import annotations

import pytest

from remit.kernel.checksums import is_card, is_iban

CARDS = ["4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "3530111333300000", "4222222222222"]
IBANS = ["DE89370400440532013000", "GB29NWBK60161331926819", "FR1420041010050500013M02606", "NO9386011117947", "MT84MALT011000012345MTLCAST001S"]


@pytest.mark.parametrize("card", CARDS)
def test_L43_a_card_number_passes_and_no_other_last_digit_does(card: str) -> None:
    assert is_card(card)
    assert [digit for digit in "0123456789" if is_card(card[:-1] + digit)] == [card[-1]]


@pytest.mark.parametrize("digits", ["0000000000000000", "411111111111", "41111111111111111111", ""])
def test_L43_what_has_another_length_or_one_digit_only_is_no_card(digits: str) -> None:
    assert not is_card(digits)


@pytest.mark.parametrize("iban", IBANS)
def test_L43_an_iban_passes_and_changed_it_does_not(iban: str) -> None:
    assert is_iban(iban)
    assert not is_iban(iban[:2] + iban[3] + iban[2] + iban[4:])
    assert not is_iban(iban + "0")
    assert not is_iban("XX" + iban[2:])


def test_L43_an_iban_has_letters_and_digits_of_ascii_only() -> None:
    assert not is_iban("DE8937040044053201300²")
    assert not is_iban("DE89 370400440532013 0")

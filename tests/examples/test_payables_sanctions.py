"""Names on the sanctions list: found however written, not found in names that resemble them."""

# ruff: noqa: RUF001 - look-alike letters of other scripts are the case in point
from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.payables.sanctions import Listed, listed_name, load_sanctions
from tests.examples.payables_samples import EXAMPLE

LIST = load_sanctions(EXAMPLE / "sanctions.csv")


@pytest.mark.parametrize(
    "name",
    [
        "Zarya Marine Logistics OÜ",
        "ZARYA MARINE LOGISTIC",
        "Marine Logistic, Zarya (OOO)",
        "ООО Заря Марине Логистик",
        "Zaryá Mariné Logístic",
        "Zarya Marnie Logistic",  # two letters swapped
        "Voronov, Grigori Anatolievich",
        "Black Anchor Shipping SA",
        "Black Anchor Shiping S.A.",
    ],
)
def test_a_listed_name_is_found_however_it_is_written(name):
    assert listed_name(name, LIST) is not None


@pytest.mark.parametrize(
    "name",
    [
        "Brightwater Paper GmbH",
        "Marine Logistics",
        "Black Anchor",
        "Black Anchor Shipping Museum",
        "Anna Voronova",
        "Zarya Bakery",
        "Kharg",
        "S.A.",
        "",
        "---",
    ],
)
def test_a_name_that_merely_resembles_one_is_not(name):
    assert listed_name(name, LIST) is None


def test_no_sample_supplier_but_one_is_listed():
    assert len(LIST) == 4
    assert listed_name("Hibernia Data Ltd", LIST) is None


def test_a_name_of_legal_forms_only_is_compared_as_it_stands():
    assert listed_name("SA Co", [Listed("Co SA", "X")]) == Listed("Co SA", "X")


def test_short_words_must_be_equal():
    assert listed_name("Ali Han", [Listed("Ali Khan", "X")]) is None


@given(st.sampled_from(LIST), st.randoms(use_true_random=False))
def test_order_and_case_of_words_never_matter(entry, chance: random.Random):
    words = entry.name.split()
    chance.shuffle(words)
    assert listed_name("  ".join(word.swapcase() for word in words), LIST) == entry


@given(st.text(max_size=80))
def test_no_name_breaks_the_comparison(name):
    found = listed_name(name, [*LIST, Listed(name, "itself")])
    assert found is None or found.programme


@given(st.text(st.characters(categories=["Lu", "Ll", "Nd"]), min_size=1, max_size=40))
def test_a_name_with_letters_matches_itself(name):
    assert listed_name(name, [Listed(name, "itself")]) is not None

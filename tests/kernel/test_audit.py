"""The chain of the audit log: what a hash is over, and which row is named for each way of laying hands on it (L49)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.audit import (
    Entry,
    Fault,
    Head,
    beginning_of,
    chain_of,
    control_chain,
    findings,
    hash_of,
    tenant_of,
)

CHAIN = "exec_0123456789abcdef01234567"
START = beginning_of(b"store")


def chain(length: int, name: str = CHAIN, start: bytes = START) -> list[Entry]:
    """A sound chain."""
    rows: list[Entry] = []
    previous = start
    for seq in range(1, length + 1):
        fields = (name, seq, 1_000 + seq, "admitted", f"{name}.{seq}", "ann", b'{"n":%d}' % seq)
        previous = hash_of(previous, *fields)
        rows.append(Entry(*fields, previous))
    return rows


def told(rows: list[Entry], **terms: Any) -> list[tuple[int, str]]:
    return [(each.seq, str(each.fault)) for each in findings(CHAIN, rows, START, **terms)]


def test_L49_a_hash_is_over_the_one_before_and_all_fields() -> None:
    first = chain(1)[0]
    text = f"29:{CHAIN} 1 1001 8:admitted 31:{CHAIN}.1 3:ann " + '{"n":1}'
    assert first.hash == sha256(START + text.encode()).digest()


texts = st.text(max_size=6)
entries = st.tuples(texts, st.integers(0, 99), st.integers(0, 99), texts, texts, texts, st.binary(max_size=6))


@given(entries, entries)
def test_L49_no_two_entries_share_a_hash(one: Any, other: Any) -> None:
    try:
        same = hash_of(START, *one) == hash_of(START, *other)
    except UnicodeEncodeError:
        return
    assert same == (one == other)


def test_L49_chains_have_names_that_cannot_meet() -> None:
    assert chain_of(f"{CHAIN}.2.1") == CHAIN
    assert (tenant_of(CHAIN), tenant_of(control_chain(None)), tenant_of(control_chain("acme"))) == (None, "", "acme")
    assert tenant_of(control_chain(CHAIN)) == CHAIN
    assert beginning_of(b"a") != beginning_of(b"b")


def test_L49_a_sound_chain_has_no_findings() -> None:
    rows = chain(5)
    assert told([]) == []
    assert told(rows, head=Head(5, rows[4].hash)) == []
    assert told(rows, head=Head(3, rows[2].hash)) == [], "the chain has gone on since"
    assert findings(CHAIN, rows[2:], rows[1].hash, first=3, head=Head(5, rows[4].hash)) == []
    assert findings(CHAIN, [], rows[4].hash, first=6, head=Head(5, rows[4].hash)) == []


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize(
    "change",
    [
        {"at": 7}, {"kind": "x"}, {"execution": "x"}, {"actor": "x"}, {"details": b"{}"}, {"hash": b"x" * 32},
        {"chain": "x"},
    ],
)  # fmt: skip
def test_L49_an_edited_row_is_named_and_no_other(at: int, change: dict[str, Any]) -> None:
    rows = chain(4)
    rows[at] = rows[at]._replace(**change)
    assert told(rows) == [(at + 1, Fault.EDITED)]


@pytest.mark.parametrize("at", range(4))
def test_L49_a_deleted_row_is_named(at: int) -> None:
    rows = chain(5)
    head = Head(5, rows[4].hash)
    del rows[at]
    assert told(rows, head=head) == [(at + 1, Fault.MISSING)]


def test_L49_rows_after_a_gap_are_still_looked_at() -> None:
    rows = chain(8)
    rows[6] = rows[6]._replace(actor="x")
    del rows[1:4]
    assert told(rows) == [(2, Fault.MISSING), (7, Fault.EDITED)]
    assert "rows 2 to 4" in findings(CHAIN, rows, START)[0].message


def test_L49_a_row_put_in_and_all_that_was_moved_for_it_are_named() -> None:
    rows = chain(4)
    moved = [row._replace(seq=row.seq + 1) for row in rows[2:]]
    rows = [*rows[:2], rows[1]._replace(seq=3, actor="x"), *moved]
    assert told(rows)[0] == (3, Fault.MISPLACED)
    assert {seq for seq, _ in told(rows)} == {3, 4, 5}


def test_L49_two_rows_that_have_changed_places_are_named() -> None:
    rows = chain(5)
    one, other = rows[1], rows[3]
    rows[1], rows[3] = other._replace(seq=one.seq), one._replace(seq=other.seq)
    assert {2, 4} <= {seq for seq, _ in told(rows)}


def test_L49_a_number_that_comes_twice_is_misplaced() -> None:
    rows = chain(3)
    assert told([*rows, rows[1]])[0] == (2, Fault.MISPLACED)


def test_L49_a_chain_of_another_store_does_not_fit_at_its_first_row() -> None:
    assert told(chain(3, start=beginning_of(b"other"))) == [(1, Fault.EDITED)]


def test_L49_a_cut_tail_is_found_with_a_checkpoint_only() -> None:
    rows = chain(5)
    head = Head(5, rows[4].hash)
    assert told(rows[:4]) == []
    assert told(rows[:4], head=head) == [(5, Fault.CUT)]
    assert told(rows[:2], head=head) == [(3, Fault.CUT)]
    assert told([], head=head) == [(1, Fault.CUT)]


def test_L49_a_chain_written_anew_is_found_with_a_checkpoint_only() -> None:
    rows = chain(5)
    head = Head(4, rows[3].hash)
    anew = chain(2)
    previous = anew[1].hash
    for seq in range(3, 6):
        fields = (CHAIN, seq, 1, "admitted", "", "mallory", b"{}")
        previous = hash_of(previous, *fields)
        anew.append(Entry(*fields, previous))
    assert told(anew) == []
    assert told(anew, head=head) == [(4, Fault.REWRITTEN)]

"""Ids that spell out the tree, and keys that tell one call from every other (L1, L2, L9)."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.kernel.trace import (
    CallKeys,
    ancestors_of,
    child_id,
    depth_of,
    descendant_range,
    is_execution_id,
    ordinal_of,
    otel_trace_id,
    parent_of,
    root_id,
    root_key,
    root_of,
)

ROOT = "exec_0192a0b1c2d3aabbccddeeff"
roots = st.builds(root_id, st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1))
ordinals = st.lists(st.integers(min_value=1, max_value=120), max_size=6)


def below(root: str, path: list[int]) -> str:
    """The execution reached from the root by those ordinals."""
    for ordinal in path:
        root = child_id(root, ordinal)
    return root


@given(roots, ordinals)
def test_L1_an_id_spells_out_its_place_in_the_tree(root: str, path: list[int]) -> None:
    execution = below(root, path)
    assert is_execution_id(execution)
    assert root_of(execution) == root
    assert depth_of(execution) == len(path)
    assert ordinal_of(execution) == (path[-1] if path else 0)
    assert parent_of(execution) == (below(root, path[:-1]) if path else None)


@given(roots, ordinals)
def test_L2_ancestors_are_named_root_first_and_number_the_depth(root: str, path: list[int]) -> None:
    ancestors = ancestors_of(below(root, path))
    assert list(ancestors) == [below(root, path[:depth]) for depth in range(len(path))]
    assert len(ancestors) == depth_of(below(root, path))


@given(st.lists(st.tuples(st.integers(0, 2**48 - 1), st.integers(0, 2**48 - 1)), min_size=2))
def test_L1_ids_of_roots_sort_by_time(births: list[tuple[int, int]]) -> None:
    assert [root_id(*birth) for birth in sorted(births)] == sorted(root_id(*birth) for birth in births)


def test_L1_more_than_48_bits_never_lengthen_an_id() -> None:
    assert root_id(2**48 + 1, 2**48 + 2) == root_id(1, 2) == "exec_000000000001000000000002"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "exec_",
        ROOT[:-1],
        ROOT + "f",
        ROOT.upper(),
        ROOT + ".",
        ROOT + ".0",
        ROOT + ".01",
        ROOT + ".1.",
        ROOT + "\n",
    ],
)
def test_L1_what_is_no_id_is_told_apart(text: str) -> None:
    assert not is_execution_id(text)


@given(roots, ordinals, ordinals)
def test_L1_the_range_of_an_execution_holds_its_descendants_and_nothing_else(
    root: str, one: list[int], other: list[int]
) -> None:
    low, high = descendant_range(below(root, one))
    assert (low <= below(root, other) < high) is (len(other) > len(one) and other[: len(one)] == one)


@given(roots)
def test_L1_the_opentelemetry_id_is_derived_and_never_the_same_text(root: str) -> None:
    assert otel_trace_id(root) == sha256(root.encode()).digest()[:16].hex()
    assert otel_trace_id(root) not in root


texts = st.text(alphabet="ab\0.key0", max_size=6)
digests = st.binary(min_size=16, max_size=16)
calls = st.fixed_dictionaries(
    {
        "tenant": texts,
        "parent": st.sampled_from([ROOT, ROOT + ".1", ROOT + ".11"]),
        "generation": st.integers(0, 2),
        "target": st.sampled_from(["a", "b", "key"]),
        "digest": st.sampled_from([bytes(16), b"x" * 16]),
        "occurrence": st.integers(0, 2),
        "explicit": st.none() | texts,
    }
)


def identity(call: dict) -> tuple:
    """What L9 says a call is known by."""
    place = (call["tenant"], call["parent"], call["generation"])
    if call["explicit"] is not None:
        return (*place, "explicit", call["explicit"])
    return (*place, call["target"], call["digest"], call["occurrence"])


def call_key(tenant: str, parent: str, generation: int, **identity: Any) -> bytes:
    """The key of one call; two of the same execution make no difference to each other."""
    keys = CallKeys(tenant, parent, generation)
    keys.of("another", bytes(16), 0, None)
    return keys.of(**identity)


def test_L9_a_call_s_key_is_the_sha256_of_whose_call_it_is_and_which() -> None:
    whose = f"4\0acme\0{ROOT}\0{2}\0".encode()
    assert call_key("acme", ROOT, 2, target="ship", digest=b"d" * 16, occurrence=3, explicit=None) == (
        sha256(whose + b"3\0ship\0" + b"d" * 16).digest()
    )
    assert call_key("acme", ROOT, 2, target="ship", digest=b"", occurrence=0, explicit="é") == sha256(whose + b"key\0" + "é".encode()).digest()


@given(calls, calls)
def test_L9_two_calls_share_a_key_if_and_only_if_they_are_one_call(one: dict, other: dict) -> None:
    assert (call_key(**one) == call_key(**other)) is (identity(one) == identity(other))


@given(calls)
def test_L9_each_part_of_a_call_s_identity_counts(call: dict) -> None:
    changes = {"tenant": call["tenant"] + "a", "parent": ROOT + ".2", "generation": 9}
    if call["explicit"] is None:
        changes |= {"target": "c", "digest": b"y" * 16, "occurrence": 9}
    else:
        changes |= {"explicit": call["explicit"] + "a"}
    keys = {call_key(**{**call, name: value}) for name, value in changes.items()} | {call_key(**call)}
    assert len(keys) == len(changes) + 1


@given(st.tuples(texts, texts), st.tuples(texts, texts))
def test_L44_no_tenant_s_key_is_another_s(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (root_key(*one) == root_key(*other)) is (one == other)


def test_L44_a_tenant_whose_name_holds_the_separator_gets_no_other_s_key() -> None:
    assert root_key("a", "x\0root\0y") != root_key("a\0root\0x", "y")

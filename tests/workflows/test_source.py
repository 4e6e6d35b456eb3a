"""YAML is read as plain data with the place of each character, and nothing in it can make the reader do more."""

from __future__ import annotations

import io
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import (
    DoubleQuotedScalarString,
    FoldedScalarString,
    LiteralScalarString,
    SingleQuotedScalarString,
)

from remit.workflows.format.source import BYTES_MAX, DEPTH_MAX, NODES_MAX, Position, SourceError, parse

SAMPLE = """\
plain: words that
  go on

  below
single: 'it''s {{ state.x }}
  here'
double: "a \\"word\\", \\u0041\\tand \\
   more {{ y }}"
literal: |
  one
    two {{ z }}

  three
folded: >-
  folded text
  goes {{ w }} on

  again
    indented
  end
list: [1, -2.5, 0x10, 0o17, ~, yes, 1e3, true, "1", .5]
anchored: &base {k: v}
alias: *base
merged:
  <<: *base
  z: !!str 1
"""


def test_what_is_read_is_plain_data() -> None:
    assert parse(SAMPLE, "f.yaml").data == {
        "plain": "words that go on\nbelow",
        "single": "it's {{ state.x }} here",
        "double": 'a "word", A\tand more {{ y }}',
        "literal": "one\n  two {{ z }}\n\nthree\n",
        "folded": "folded text goes {{ w }} on\nagain\n  indented\nend",
        "list": [1, -2.5, 16, 15, None, "yes", 1000.0, True, "1", 0.5],
        "anchored": {"k": "v"},
        "alias": {"k": "v"},
        "merged": {"z": "1", "k": "v"},
    }


@pytest.mark.parametrize(
    ("loc", "place"),
    [
        (("list", 1), (21, 11)),
        (("merged", "k"), (22, 21)),
        (("merged", "z"), (26, 12)),
        ((), (1, 1)),
        (("list", 99), (21, 7)),
    ],
)
def test_a_value_has_its_place(loc: tuple[str | int, ...], place: tuple[int, int]) -> None:
    assert parse(SAMPLE, "f.yaml").position(loc) == Position("f.yaml", *place)


def test_a_key_has_its_place() -> None:
    source = parse(SAMPLE, "f.yaml")
    assert source.key_position(("merged", "z")) == Position("f.yaml", 26, 3)
    assert source.key_position(("merged", "k")) == Position("f.yaml", 22, 18)
    assert source.key_position(()) == Position("f.yaml", 1, 1)


def test_what_is_left_empty_stands_where_its_key_stands() -> None:
    assert parse("a: 1\nb:\n\n# the end\n", "f.yaml").position(("b",)) == Position("f.yaml", 2, 1)


def _mismatches(text: str, key: str) -> list[tuple[str, str]]:
    """Characters of a value that are not what stands at their place, escapes and folded breaks apart."""
    source = parse(text, "f.yaml")
    value = source.data[key]
    # Where YAML counts lines: at what it calls a break, which str.splitlines knows more of.
    lines = re.split(r"\r\n|[\r\n\x85\u2028\u2029]", text)
    wrong = []
    for offset, character in enumerate(value):
        _, line, column = source.position((key,), offset)
        there = (lines[line - 1] + "\n")[column - 1]
        if there not in {character, "\\"} and not (character.isspace() and there in "\n "):
            wrong.append((character, there))
    return wrong


@pytest.mark.parametrize("key", ["plain", "single", "double", "literal", "folded"])
def test_every_character_of_a_text_stands_where_its_position_says(key: str) -> None:
    assert _mismatches(SAMPLE, key) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("k: &a plain text", (1, 13)),
        ('k: &a "plain text"', (1, 14)),
        ("k: !!str 'plain text'", (1, 17)),
        ("k: &a !!str |\n  plain text", (2, 9)),
        ("k: &a\n  plain text", (2, 9)),
    ],
)
def test_an_anchor_or_a_tag_before_a_text_is_not_counted(text: str, place: tuple[int, int]) -> None:
    assert parse(text, "f.yaml").position(("k",), 6) == Position("f.yaml", *place)


STYLES = (str, SingleQuotedScalarString, DoubleQuotedScalarString, LiteralScalarString, FoldedScalarString)
WORDS = st.lists(
    st.sampled_from(["a", "bc", "{{ x }}", "d'e", 'f"g', "\\", "h: i", "#", "- j", "\n", "\n\n", " ", "é", "𝄞"]),
    max_size=14,
)


@given(words=WORDS, style=st.sampled_from(STYLES), width=st.integers(8, 60))
def test_positions_hold_however_a_text_is_written(words: list[str], style: type[str], width: int) -> None:
    """Texts are written by another implementation's emitter, in all styles, and read back."""
    value = " ".join(words)
    yaml = YAML()
    yaml.width = width
    out = io.StringIO()
    yaml.dump({"before": [1], "text": style(value), "after": 2}, out)
    if parse(out.getvalue(), "f.yaml").data["text"] != value:
        return  # the emitter folds some texts so that not even it reads them back
    assert _mismatches(out.getvalue(), "text") == []


BOMB = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED = {
    "yaml_syntax": [
        "a: [",
        "a: b: c",
        "\ta: 1",
        "a: \x00",
        "%YAML 9.9\n---\na: 1",
        "a: 'x",
        "@",
        "a: \x85\x1f",
        "- &",
    ],
    "yaml_duplicate_key": ["a: 1\nb: 2\na: 3", "{a: 1, 'a': 2}"],
    "yaml_tag": [
        "a: !!python/object/apply:os.system ['true']",
        "a: !!python/name:os.system",
        "!!python/object:os.x {}",
        "a: !env HOME",
        "a: !!binary aGk=",
        "a: !!timestamp 2026-01-01",
        "a: !!set {b}",
        "a: !!int text",
        "a: !!seq {b: 1}",
    ],
    "yaml_alias": ["a: *b", "a: &a [*a]", "a: &a {b: *a}", "a: *a\nb: &a 1"],
    "yaml_key": ["? [a]\n: 1", "? {a: 1}\n: 1", "&a x: 1\n*a : 2"],
    "yaml_number": ["a: .inf", "a: -.INF", "a: .nan", "a: 1e999", f"a: {'9' * 500}"],
    "yaml_too_deep": [
        "[" * (DEPTH_MAX + 1),
        "a: " + "{b: " * DEPTH_MAX,
        "\n".join(f"{' ' * n}a:" for n in range(60)),
        f"a: &a {'[' * 30}1{']' * 30}\nb: {'[' * 30}*a{']' * 30}",
        f"a: &a {'{b: ' * 30}1{'}' * 30}\nc: {{<<: {'[' * 20}*a{']' * 20}}}",
    ],
    "yaml_too_large": [BOMB, "- 1\n" * (NODES_MAX + 1), "#" * (BYTES_MAX + 1), "é" * (BYTES_MAX // 2 + 1)],
    "yaml_documents": ["a: 1\n---\nb: 2", "--- 1\n--- 2"],
    "yaml_merge": ["a:\n  <<: 1", "a:\n  <<: [1]"],
}


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in REFUSED.items() for text in texts])
def test_what_may_not_be_read_is_refused_with_its_place(code: str, text: str) -> None:
    with pytest.raises(SourceError) as refused:
        parse(text, "f.yaml")
    assert refused.value.code == code
    line, column = refused.value.position.line, refused.value.position.column
    lines = text.split("\n")
    assert 1 <= line <= len(lines) + 1
    assert column >= 1


def test_brackets_beyond_the_bound_are_not_read_ahead() -> None:
    """The library reads a line of open brackets ahead, in time that grows with their square."""
    started = time.process_time()
    with pytest.raises(SourceError, match="levels deep"):
        parse("a: " + "[" * 5000 + "]" * 5000, "f.yaml")
    assert time.process_time() - started < 0.1


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: 1\nb: 'x\n", (2, 4)),  # the quote that is never closed, not the end of the file
        ("a: 1\nb: [1, 2\n", (2, 4)),
        ("a: 1\nb: c: d", (2, 5)),
        ("a: 1\n  b: \x01", (2, 6)),
        ("a: 1\nb: 2\na: 3", (3, 1)),
    ],
)
def test_the_place_of_a_fault_is_where_a_person_would_look(text: str, place: tuple[int, int]) -> None:
    with pytest.raises(SourceError) as refused:
        parse(text, "f.yaml")
    assert (refused.value.position.line, refused.value.position.column) == place


def test_aliases_within_the_bound_are_values_like_others() -> None:
    source = parse("steps: [&s {name: a}, *s]", "f.yaml")
    assert source.data == {"steps": [{"name": "a"}, {"name": "a"}]}
    assert source.position(("steps", 1, "name")) == Position("f.yaml", 1, 19)


def test_of_merged_mappings_the_first_counts_and_what_is_written_counts_more() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc:\n  z: 3\n  <<: [*a, *b]"
    assert parse(text, "f.yaml").data["c"] == {"z": 3, "x": 1, "y": 1}


def test_an_empty_file_holds_nothing() -> None:
    assert parse("# only a comment\n", "f.yaml").data is None

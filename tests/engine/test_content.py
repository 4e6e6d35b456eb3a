"""Content filters: what is found, where, and what is left; in time linear in the value (L43, L48)."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.engine.governing.content import Scanner
from remit.engine.governing.detectors import DETECTORS
from remit.engine.governing.gates import Gate, readable_by_both
from remit.engine.governing.patterns import MATCHES_MAX, compiled, unfit
from remit.kernel.policies import Filter


def looking(*find: str, pattern: str | None = None, redacts: bool = True, name: str = "f") -> Scanner:
    return Scanner([("p@1.0.0", Filter(name, ("input",), find, pattern, redacts))])


def cleared(scanner: Scanner, value: Any) -> Any:
    scan = scanner.scan(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
    return value if scan is None else orjson.loads(scan.payload)


R = "[redacted]"
SECRET = "aK3" + "x9Zq7Lm2Vb8Nc4Rt6"
TEXTS: list[tuple[str, str, str]] = [
    ("email", "write to jane.doe+shop@mail.example.co.uk, please", f"write to {R}, please"),
    ("email", "<a@b.de>", f"<{R}>"),
    ("email", "näher: müller@exämple.de!", f"näher: {R}!"),
    ("email", "a@b, @home, a@ b.de, 3 @ 4.50", "a@b, @home, a@ b.de, 3 @ 4.50"),
    ("card", "4111 1111 1111 1111", R),
    ("card", "card 5555-5555-5555-4444 exp 12", f"card {R} exp 12"),
    ("card", "3782 822463 10005", R),
    ("card", "no 4111111111111111.", f"no {R}."),
    ("card", "1234 4111 1111 1111 1111", f"1234 {R}"),
    ("card", "4111 1111 1111 1112 or 20260301123456789", "4111 1111 1111 1112 or 20260301123456789"),
    ("card", "x4111111111111111", "x4111111111111111"),
    ("iban", "DE89370400440532013000", R),
    ("iban", "to de89 3704 0044 0532 0130 00 over 9000", f"to {R} over 9000"),
    ("iban", "GB29 NWBK 6016 1331 9268 19, GB29 NWBK 6016 1331 9268 18", f"{R}, GB29 NWBK 6016 1331 9268 18"),
    ("iban", "XX89370400440532013000 DE8937040044053201300", "XX89370400440532013000 DE8937040044053201300"),
    ("secrets", "Authorization: Bearer abcdefgh12345678", f"Authorization: Bearer {R}"),
    ("secrets", "AKIAABCDEFGHIJKLMNOP", R),
    ("secrets", f"api_key={SECRET} is it", f"api_key={R} is it"),
    ("secrets", "password: hunter22, user: jane", f"password: {R}, user: jane"),
    ("secrets", "clé: password=thé12345é é", f"clé: password={R} é"),
    ("secrets", "https://jane:pa55@host/x", f"https://{R}@host/x"),
    ("secrets", "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", R),
    ("secrets", "keyboard, tokens: 12, the key is under the mat", "keyboard, tokens: 12, the key is under the mat"),
]


@pytest.mark.parametrize(("find", "text", "left"), TEXTS)
def test_L43_each_kind_of_data_is_found_and_nothing_beside_it(find: str, text: str, left: str) -> None:
    assert cleared(looking(find), [text]) == [left]
    assert cleared(looking(find), {"quoted": f'"{text}"\n'}) == {"quoted": f'"{left}"\n'}


def test_L43_keys_numbers_and_members_are_looked_at_too() -> None:
    both = looking("email", "card", "secrets")
    assert cleared(both, {"a@b.de": 1, "c@d.de": 2}) == {R: 1, f"{R}'": 2}
    assert cleared(both, [4111111111111111, 4111111111111112, True, None, 4.5]) == [R, 4111111111111112, True, None, 4.5]
    assert cleared(both, {"api_key": SECRET, "password": "x", "token_count": "5", "next_token": "word"}) == {
        "api_key": R, "password": R, "token_count": "5", "next_token": "word",
    }  # fmt: skip


def test_L43_digits_behind_a_point_are_no_card_and_a_pattern_of_ones_own_sees_them() -> None:
    value = [130.4111111111111111, 0.4111111111111111, 4111111111111111.0]
    assert cleared(looking("card", "iban"), value) == [*value[:2], R]
    assert cleared(looking(pattern=r"^0\.41"), value) == [value[0], R, value[2]]


def test_L48_as_many_keys_as_fit_into_a_value_are_taken_out_in_time_linear_in_them() -> None:
    began = time.perf_counter()
    left = cleared(looking("email"), {f"{n}@b.de": n for n in range(40_000)} | {f"{R}'3": "own"})
    assert time.perf_counter() - began < 10
    assert len(left) == 40_001
    assert list(left.values()).count("own") == 1
    assert {R, f"{R}'", f"{R}'2", f"{R}'40000"} <= set(left)


def test_L43_what_was_found_is_told_by_a_pointer_that_does_not_show_it() -> None:
    scan = looking("email").scan(orjson.dumps({"a/b": [{"c~d": "x@y.de"}], "k@l.de": {"deep": "m@n.de"}}))
    assert scan is not None
    assert [each.path for each in scan.found] == ["/a~1b/0/c~0d", "", "/[redacted]/deep"]


def test_L43_own_patterns_are_found_in_texts_of_their_own() -> None:
    anchored = looking(pattern="^EMP-[0-9]+$")
    assert cleared(anchored, ["EMP-1", "EMP-1 x", "EMP-12\n"]) == [R, "EMP-1 x", "EMP-12\n"]
    numbers = {"staff": 123456789, "share": 4.5, "whole": 12345678.0, "more": [1234567890, -4.5]}
    assert cleared(looking(pattern="^[0-9]{8,9}$"), numbers) == {**numbers, "staff": R, "whole": R}
    assert cleared(looking(pattern=r"^4\.5$"), numbers) == {**numbers, "share": R}
    assert cleared(looking(pattern="(?i)emp-[0-9]+"), ["Emp-1, emp-2"]) == [f"{R}, {R}"]
    assert cleared(looking(pattern="übung[0-9]"), ["eine übung1!"]) == [f"eine {R}!"]


def test_L43_overlapping_finds_are_taken_out_together() -> None:
    scanner = Scanner([
        ("a@1.0.0", Filter("mail", ("input",), ("email",), None, redacts=True)),
        ("b@1.0.0", Filter("example", ("input",), (), "example[a-z.]*", redacts=False)),
    ])
    scan = scanner.scan(b'"x jane@example.com y"')
    assert scan is not None
    assert scan.payload == b'"x [redacted] y"'
    assert [(each.policy, each.filter, each.blocks) for each in scan.found] == [
        ("a@1.0.0", "mail", False), ("b@1.0.0", "example", True),
    ]  # fmt: skip
    assert scan.blocking == scan.found[1]


def test_L43_more_finds_than_are_told_still_block_and_are_all_taken_out() -> None:
    scanner = Scanner([
        ("a@1.0.0", Filter("mail", ("input",), ("email",), None, redacts=True)),
        ("b@1.0.0", Filter("late", ("input",), (), "LATE", redacts=False)),
    ])
    scan = scanner.scan(orjson.dumps([*(f"a{n}@b.de" for n in range(50)), "LATE"]))
    assert scan is not None
    assert scan.blocking is not None
    assert scan.blocking.path == "/50"
    assert orjson.loads(scan.payload) == [R] * 51


def test_L43_where_a_pattern_fits_very_often_the_whole_text_goes() -> None:
    text = "a1 " * (MATCHES_MAX + 1)
    assert cleared(looking(pattern="a1"), ["a1 a1", text]) == [f"{R} {R}", R]


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("a" * 501, "at most 500 characters"),
        ("x*", "fits the empty text"),
        ("(a", "no pattern that can be matched in linear time"),
        (r"(a)\1", "no pattern that can be matched in linear time"),
        ("a(?=b)", "no pattern that can be matched in linear time"),
        (r"a\z", "^ and $ stand for"),
        ("(?m)^a", "^ and $ stand for"),
        ("((a{1,100}){1,100}){1,100}", "no pattern that can be matched in linear time"),
        ("(?:[ab]{0,30}){0,30}c", "1834 states, and at most 1000 are taken: repeat less"),
    ],
)
def test_L43_a_pattern_that_will_not_do_is_refused_and_says_why(pattern: str, problem: str) -> None:
    assert problem in str(unfit(pattern))


@pytest.mark.parametrize("pattern", ["(?i)abc", r"\\Aabc", "^a|b$", "[a-z]{3,5}", "(?:x+x+)+y", "[A-Za-z0-9+/]{40,200}", r"[\pL\pN]{1,32}é", "x" * 500])
def test_L43_a_pattern_of_the_kind_that_is_read_is_taken(pattern: str) -> None:
    assert unfit(pattern) is None


PIECES = st.sampled_from(["password: abc", "AKIAABCDEFGHIJKLMNOP", "jane@example.com", "4111111111111111", '"', "\\", "\n", "é", " ", "x", "EMP-1", "DE89370400440532013000"])
VALUES = st.recursive(
    st.lists(PIECES, max_size=4).map("".join),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.lists(PIECES, max_size=2).map("".join), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_L43_the_quick_search_overlooks_nothing_that_a_walk_through_the_value_finds(value: Any) -> None:
    filters = [
        ("p@1.0.0", Filter("kinds", ("input",), ("email", "card", "iban", "secrets"), None, redacts=True)),
        ("p@1.0.0", Filter("own", ("input",), (), "^EMP-[0-9]$", redacts=True)),
    ]
    quick, thorough = Scanner(filters), Scanner(filters)
    thorough._gate = Gate(["(?s)."])
    payload = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    assert quick.scan(payload) == thorough.scan(payload)
    assert "jane@example" not in str(cleared(quick, value))


@pytest.mark.parametrize("kind", DETECTORS)
def test_L43_what_detectors_look_for_is_searched_without_giving_the_interpreter_away(kind: str) -> None:
    assert readable_by_both(DETECTORS[kind].gate) is not None


ATOMS = st.sampled_from([
    "a", "k", "K", "s", "-", "_", "1", "é", " ", '"', "@", ".", r"\.", r"\-", r"\d", r"\w", r"\s", r"\W", r"\S", r"\D", r"\b",
    r"\pL", r"\pN", "[ak]", "[a-k]", "[^a]", r"[^\w]", r"[\d-]", "[a-]", r"[^\s@]", r"[\pL_]", "[.$|]", r"\<", r"\&",
])  # fmt: skip
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["*", "+", "?", "+?", "{2}", "{1,2}", "{2,}"])).map(lambda two: f"(?:{two[0]}){two[1]}"),
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda each: f"({'|'.join(each)})"),
        inner.map(lambda each: f"(?i:{each})"),
    ),
    max_leaves=6,
)
CHARS = st.text(st.sampled_from('aAkKsS1- _@."é\u017f\u212a\n\t\v\u00a0<&'), max_size=8)


@given(PATTERNS, st.booleans(), CHARS)
def test_L43_the_gate_opens_wherever_a_pattern_fits(pattern: str, folded: bool, text: str) -> None:
    pattern = f"(?i){pattern}" if folded else pattern
    if compiled(pattern).search(text.encode()) is not None:
        assert Gate([pattern]).opens_for_texts([text])


@given(PATTERNS, CHARS)
def test_L43_and_for_ascii_nowhere_else(pattern: str, text: str) -> None:
    text = text.encode("ascii", "ignore").decode()
    if readable_by_both(pattern) is not None and "(?i" not in pattern:
        assert Gate([pattern]).opens_for_texts([text]) == (compiled(pattern).search(text.encode()) is not None)


@pytest.mark.parametrize(
    "pattern",
    [
        "^a", "a$", "[a&&b]", "[+--]", "[a~~b]", "[[a]b]", r"\Qa\E", "a{,3}", "(?s)a.b", "(?P<n>a)", "[[:alpha:]]", r"\C",
        r"[^\pL]", r"\p{Greek}", r"\x41", r"\012", "[]a]", "(?i)ü", r"\B", "{", "a\nb",
    ],
)  # fmt: skip
def test_L43_what_the_engines_may_read_differently_is_left_to_the_one_that_decides(pattern: str) -> None:
    assert readable_by_both(pattern) is None
    for text in ("a", "ab", "a&&b&", "[a]b]", "b]", "a{,3}", "a\nb", "A", "Ü", "{", "\u03b1", "\n"):
        if compiled(pattern).search(text.encode()) is not None:
            assert Gate([pattern]).opens_for_texts([text]), text


EVIL = ["a", "a@", "a@a.", "4111 1111 1111 1112 ", "DE12 ", "key=", "://", "-----BEGIN ", "bearer ", "1 ", "é@"]


@pytest.mark.parametrize("piece", EVIL)
def test_L48_time_is_linear_in_the_value_whatever_it_holds(piece: str) -> None:
    scanner = looking("email", "card", "iban", "secrets")
    own = looking(pattern="(x+x+)+y|a(.*z)?|(1 )*b")
    for value in (piece * (500_000 // len(piece)), [piece] * 20_000, {f"{piece}{n}": 1 for n in range(20_000)}):
        payload = orjson.dumps(value)
        began = time.perf_counter()
        scanner.scan(payload)
        own.scan(payload)
        assert time.perf_counter() - began < 10

"""The map of the documents that Remit was built from is sound, and the documents are split as it takes for granted."""

from __future__ import annotations

import textwrap

import pytest

from pieces import Piece, pieces
from seedmap import MAP, SeedMap, load, missing_tests, parse, problems, render, stale, unmapped

# -- the map ----------------------------------------------------------------------------------------------------------


def test_every_entry_has_one_answer_that_is_one() -> None:
    assert problems(load()) == []


def test_every_test_that_the_map_names_exists() -> None:
    assert missing_tests(load()) == []


def _map(text: str) -> SeedMap:
    return parse('[deviation.L33]\nsays = "a"\ninstead = "b"\ntest = "tests/x.py::test_x"\n' + textwrap.dedent(text))


def _entry(answer: str, hash_: str = "0123456789ab", seed: str = "sub-workflows") -> str:
    return f'[[piece]]\nhash = "{hash_}"\nseed = "{seed}"\ntext = "It does."\n{answer}\n'


DEVIATES = _entry('deviation = "L33"', "aaaaaaaaaaaa")
THIS_TEST = "tests/house/test_seeds.py::test_every_entry_has_one_answer_that_is_one"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (_entry(""), "has no answer"),
        (_entry('test = "tests/x.py::test_x"\nclaims_nothing = "why"'), "has test and claims_nothing"),
        (_entry("test = []"), "has no answer"),
        (_entry('claims_nothing = ""'), "has no answer"),
        (_entry('deviation = "L99"'), "deviation L99 is not described"),
        (_entry("issue = 4"), "takes a reason"),
        (_entry('issue = 3\nreason = "late"'), "issue 3 is none of"),
        (_entry('claims_nothing = "why"\nreason = "x"'), "a reason goes with an issue"),
        (_entry('claims_nothing = "why"\nalso = "tests/x.py::test_x"'), "also goes with"),
        (_entry('claims_nothing = "why"', "0123"), "is no hash"),
        (_entry('claims_nothing = "why"', seed="another"), "is no hash"),
        (_entry('claims_nothing = "why"') * 2, "mapped 2 times"),
    ],
)
def test_an_entry_that_answers_nothing_is_found(entry: str, problem: str) -> None:
    [found] = problems(_map(DEVIATES + entry))
    assert problem in found


def test_a_deviation_that_no_piece_has_or_no_test_proves_is_found() -> None:
    assert problems(_map("")) == ["deviation L33: no piece has it"]
    unproven = parse('[deviation.L33]\nsays = "a"\ninstead = "b"\n' + DEVIATES)
    assert problems(unproven) == ["deviation L33: no test proves the law"]
    assert problems(_map(DEVIATES)) == []


@pytest.mark.parametrize(
    "name",
    [
        "tests/house/test_seeds.py::test_none_of_this_name",
        "tests/house/test_none_of_this_name.py::test_x",
        "tests/house/test_seeds.py",
        "house/test_seeds.py::test_every_entry_has_one_answer_that_is_one",
        "tests/house/test_seeds.py::_map",
    ],
)
@pytest.mark.parametrize("answer", ["test = ['{}', '{}']", "issue = 4\nreason = 'x'\nalso = ['{}', '{}']"])
def test_a_test_that_is_not_there_is_found(answer: str, name: str) -> None:
    seed_map = parse(_entry(answer.format(THIS_TEST, name)))
    assert missing_tests(seed_map) == [name]


def test_a_piece_without_an_entry_and_an_entry_without_a_piece_are_found() -> None:
    mapped, changed = Piece("sub-workflows", "", "sentence", "It does."), "It does not."
    seed_map = parse(_entry('claims_nothing = "why"', mapped.hash))
    assert (unmapped(seed_map, [mapped]), stale(seed_map, [mapped])) == ([], [])
    other = Piece("sub-workflows", "", "sentence", changed)
    assert unmapped(seed_map, [other]) == [other]
    assert [entry.text for entry in stale(seed_map, [other])] == ["It does."]
    elsewhere = Piece("governed-invocation", "", "sentence", "It does.")
    assert unmapped(seed_map, [mapped, elsewhere]) == [elsewhere]


def test_what_is_written_reads_back_as_it_was() -> None:
    kinds = ['test = ["tests/a.py::test_a", "tests/b.py::test_b"]', 'issue = 4\nreason = "„später“ \\"quoted\\""\nalso = "c"']
    found = [Piece("sub-workflows", "A heading", "sentence", text) for text in ("It does.", "It does too.", "Deviates.")]
    entries = "".join(_entry(answer, piece.hash) for answer, piece in zip([*kinds, 'deviation = "L33"'], found, strict=True))
    seed_map = _map(entries)
    assert parse(render(seed_map, found)) == seed_map
    assert [entry.hash for entry in parse(render(seed_map, found[::-1])).entries] == [p.hash for p in found[::-1]]


def test_the_map_stays_readable() -> None:
    assert max(len(entry.text) for entry in load().entries) <= 60
    assert MAP.read_text("utf-8").count("# -- ") > 20, "its sections are those of the documents"


# -- the splitter -----------------------------------------------------------------------------------------------------


def split(text: str) -> list[tuple[str, str]]:
    """Kind and text of each piece."""
    return [(piece.kind, piece.text) for piece in pieces("sub-workflows", textwrap.dedent(text))]


def test_prose_is_split_into_sentences() -> None:
    text = 'It runs (e.g., at once). Does it stop? "Yes." Fig. 01 - v1.0 of it. As seen, i.e. as read: it may.\n'
    sentences = ["It runs (e.g., at once).", "Does it stop?", '"Yes."', "Fig. 01 - v1.0 of it."]
    assert split(text) == [("sentence", each) for each in [*sentences, "As seen, i.e. as read: it may."]]


def test_headings_are_no_pieces_but_sections() -> None:
    found = pieces("sub-workflows", "A Title\n\nIt runs.\n\nWhy?\n\n1. First Part\n\nIt stops:\n")
    assert [(piece.section, piece.text) for piece in found] == [("A Title", "It runs."), ("1. First Part", "It stops:")]


def test_a_long_line_that_ends_in_no_sentence_is_a_figure() -> None:
    line = "CALLERCONTROL" * 8
    assert split(f"Title\n\n{line}\n") == [("figure", line)]


def test_paragraphs_of_code_that_follow_each_other_are_one_block() -> None:
    text = "Like this:\n\ndef f():\n    # first\n\n    return 1\n\n# a comment\n\nSo it goes.\n\nfrom a import b\n\nx = 1\ny = 2\n"
    assert split(text) == [
        ("sentence", "Like this:"),
        ("code", "def f():\n    # first\n\n    return 1\n\n# a comment"),
        ("sentence", "So it goes."),
        ("code", "from a import b\n\nx = 1\ny = 2"),
    ]


def test_a_diagram_is_code_and_trailing_blanks_do_not_count() -> None:
    assert split("\n\nA → B  [OK]  \nC → D\n  \n") == [("code", "A → B  [OK]\nC → D")]


def test_list_items_come_one_by_one_and_code_may_follow_at_once() -> None:
    text = "  1. First, it stops\n  2. Then it goes\nA: x → y\nB: z\n\n  • Rows: 3\n"
    assert split(text) == [
        ("item", "First, it stops"),
        ("item", "Then it goes"),
        ("code", "A: x → y\nB: z"),
        ("item", "Rows: 3"),
    ]


def test_a_list_that_lost_its_line_breaks_is_split_at_its_labels() -> None:
    line = "Benefits: - Speed: It is as quick as anybody may wish it to be - Don't use: hardly ever - or never"
    assert split(line) == [
        ("sentence", "Benefits:"),
        ("item", "Speed: It is as quick as anybody may wish it to be"),
        ("item", "Don't use: hardly ever - or never"),
    ]


def test_a_table_gives_its_rows() -> None:
    assert split("Child    → Parent\n─────      ─────\nACTIVE   → WAITS\nDONE     → ACTIVE\n") == [
        ("row", "ACTIVE → WAITS"),
        ("row", "DONE → ACTIVE"),
    ]
    glued = "CONTROLFAILURE MODE PREVENTEDENFORCEMENT MECHANISMLAYER"
    assert split(f"{glued}Depth\nfloods\nchecks\nEngine\nCycle\nloops\nrejects\nEngine\n") == [
        ("row", "Depth\nfloods\nchecks\nEngine"),
        ("row", "Cycle\nloops\nrejects\nEngine"),
    ]


def test_a_hash_tells_texts_apart_and_nothing_else() -> None:
    one, same, other = (Piece(seed, seed, "code", text) for seed, text in (("a", "x"), ("b", "x"), ("a", "y")))
    assert one.hash == same.hash == "2d711642b726"
    assert one.hash != other.hash
    assert Piece("a", "", "code", "word " * 30).beginning == "word word word word word word word word word word word word…"

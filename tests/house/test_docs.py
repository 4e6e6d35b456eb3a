"""What the pages say is so: their blocks run, their links resolve, their words are the glossary's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from documents import LANGUAGES, Block, BlockFailed, Reader, blocks, matches
from tests.house.sources import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROSE = [*PAGES, ROOT / "CHANGELOG.md"]
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?^ *```$|`[^`\n]+`|<!--.*?-->", re.DOTALL | re.MULTILINE)
GLOSSARY = ROOT / "docs" / "glossary.md"
ENTRY = re.compile(r"^\*\*(?P<term>[^*]+)\*\*: (?P<text>.+?)(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
TERMS = {
    "Attempt", "Barrier", "Budget", "Call", "Claim", "Contract", "Department", "Effect", "Execution",
    "Journal", "Lease", "Ledger", "Lineage", "Outcome", "Park", "Policy", "Process", "Replay",
    "Reservation", "Root", "Step", "Tenant", "Trace", "TTL", "Warm set",
}  # fmt: skip


def _id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _reader(directory: Path) -> Reader:
    """An empty directory and home, with this environment's `remit` and `python` on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "HOME": str(directory), "COLUMNS": "100", "NO_COLOR": "1"}
    return Reader(directory, {**os.environ, **own})


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_every_block_runs(page: Path, tmp_path: Path) -> None:
    reader = _reader(tmp_path)
    for block in blocks(_id(page), page.read_text("utf-8")):
        assert block.language in LANGUAGES, f"{block.where}: a fence names one of {sorted(LANGUAGES)}"
        for line in reader.follow(block):
            print(line)


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_commands_for_a_checkout_exist(page: Path) -> None:
    found = [b for b in blocks(_id(page), page.read_text("utf-8")) if b.language == "sh"]
    for command in (line.split("#")[0].strip() for block in found for line in block.text.splitlines()):
        assert command.startswith("make "), f"{page.name}: {command!r} is no make target of a checkout"
        ran = subprocess.run(
            ["make", "--dry-run", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr


def test_the_readme_begins_with_demo_and_test_and_ci_runs_the_latter() -> None:
    first = next(
        b for b in blocks("README.md", (ROOT / "README.md").read_text("utf-8")) if b.language == "sh"
    )
    assert [line.split("#")[0].strip() for line in first.text.splitlines()][:2] == ["make demo", "make test"]
    assert (ROOT / ".ci" / "run").read_text("utf-8").rstrip().endswith(" make test")


@pytest.mark.parametrize("page", PROSE, ids=_id)
def test_links_resolve(page: Path) -> None:
    text = CODE.sub("", page.read_text("utf-8"))
    broken = [link for link in LINK.findall(text) if not _resolves(page, link)]
    assert broken == []


def _resolves(page: Path, link: str) -> bool:
    if link.startswith(("https://", "mailto:")):
        return True
    target, _, anchor = link.partition("#")
    path = (page.parent / target).resolve() if target else page
    if not path.is_relative_to(ROOT) or not path.exists():
        return False
    return not anchor or anchor in _anchors(path)


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in LINK.findall(PAGES[0].read_text("utf-8"))}
    assert [page.name for page in PAGES[1:] if page not in linked] == []


def _entries() -> dict[str, str]:
    return {m["term"]: " ".join(m["text"].split()) for m in ENTRY.finditer(GLOSSARY.read_text("utf-8"))}


def test_the_glossary_has_every_term_in_order_in_one_sentence() -> None:
    entries = _entries()
    assert TERMS - set(entries) == set()
    assert list(entries) == sorted(entries, key=str.lower)
    wordy = [
        term for term, text in entries.items() if not text.endswith(".") or re.search(r"[.?!] [A-Z]", text)
    ]
    assert wordy == []


def test_the_pages_use_the_glossary_s_words() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", GLOSSARY.read_text("utf-8"), re.MULTILINE)[2:]
    avoided = {word.strip(): term.strip() for words, term in rows for word in words.split(",")}
    assert avoided != {}
    found = []
    for page in (page for page in PAGES if page != GLOSSARY):
        text = CODE.sub("", page.read_text("utf-8"))
        found += [
            f"{page.name}: {word!r} is here called {term}"
            for word, term in avoided.items()
            if re.search(rf"\b{re.escape(word)}s?\b", text, re.IGNORECASE)
        ]
    assert found == []


def test_the_changelog_begins_with_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"


# ---------------------------------------------------------------------------------------- the reader itself


def _follow(directory: Path, text: str) -> list[str]:
    return [line for block in blocks("page.md", text) for line in _reader(directory).follow(block)]


def test_a_page_is_followed_in_order(tmp_path: Path) -> None:
    page = (
        "```python\n# greet.py\nprint('good day')\n```\n\n"
        "```bash\ncat > name.txt <<'END'\nAda\nEND\n```\n\n"
        "```console\n$ python greet.py && \\\n> cat name.txt\ngood …\nAda\n$ true\n```\n\n"
        "1. nested\n   ```python\n   assert open('name.txt').read() == 'Ada\\n'\n   ```\n"
    )
    assert len(_follow(tmp_path, page)) == 5


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ echo one\ntwo\n```\n",
        "```console\n$ exit 3\n```\n",
        "```console\nno prompt\n```\n",
        "```bash\nfalse\ntrue\n```\n",
        "```python\nraise SystemExit(1)\n```\n",
    ],
)
def test_a_block_that_fails_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(BlockFailed, match=r"page\.md:1"):
        _follow(tmp_path, text)


def test_a_command_that_hangs_is_an_error(tmp_path: Path) -> None:
    block = Block("page.md", 1, "bash", "sleep 5")
    with pytest.raises(BlockFailed, match="still running"):
        list(Reader(tmp_path, os.environ, timeout=0.2).follow(block))


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("exec_… done", "exec_0af3 done\n", True),
        ("a ...", "a\nb\nc", True),
        ("a   b", "a b", True),
        ("", "whatever", True),
        ("a", "ab", False),
        ("a … c", "a b d", False),
    ],
)
def test_output_is_compared_loosely(expected: str, printed: str, same: bool) -> None:
    assert matches(expected, printed) is same

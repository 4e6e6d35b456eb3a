"""L38: what docs/expressions.md says of the language is so: every row of its tables is worked out here."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import pytest
from ruamel.yaml import YAML

from remit.kernel.expressions.conditions import parse
from remit.kernel.expressions.filters import FILTERS
from remit.kernel.expressions.templates import template
from tests.house.sources import ROOT

PAGE = (ROOT / "docs" / "expressions.md").read_text("utf-8")
ROW = re.compile(r"^\|(?: `(?P<name>\w+)` \|)? `(?P<text>.+)` \| `(?P<value>.+)` \|$", re.MULTILINE)
ROWS = [(row["name"], row["text"].replace(r"\|", "|"), row["value"]) for row in ROW.finditer(PAGE)]
STATE_BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)


def _names() -> dict[str, Any]:
    found = STATE_BLOCK.search(PAGE)
    assert found is not None
    return {"state": YAML(typ="safe").load(StringIO(found[1]))}


@pytest.mark.parametrize(("name", "text", "value"), ROWS)
def test_L38_a_row_of_the_page_gives_what_it_says(name: str | None, text: str, value: str) -> None:
    roots = frozenset({"state"})
    read = template(text, roots).render if "{{" in text else parse(text, roots).evaluate
    got = read(_names())
    assert (got, type(got)) == (json.loads(value), type(json.loads(value)))
    assert name is None or f"| {name}" in text


def test_the_page_shows_every_filter() -> None:
    assert [name for name, *_ in ROWS if name] == sorted(FILTERS)
    assert len(ROWS) > len(FILTERS) + 12

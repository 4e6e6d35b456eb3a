"""The documentation's drawings say what the kernel's tables say."""

from __future__ import annotations

import pytest

from drawing import DRAWINGS, GROUPS, edges, redraw
from remit.kernel.states import PROPAGATION, TRANSITIONS, Status
from tests.house.sources import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))


def test_L32_the_arrows_stand_for_the_table_exactly() -> None:
    drawn = [transition for edge in edges() for transition in edge.expanded()]
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {tuple(t) for t in TRANSITIONS}


def test_L32_every_status_is_drawn() -> None:
    text = DRAWINGS["states"]()
    assert [status for status in Status if status not in text] == []


def test_L33_the_table_of_propagation_has_every_status() -> None:
    rows = [line for line in DRAWINGS["propagation"]().splitlines() if line.startswith("| ")][1:]
    assert len(rows) - 1 == len(PROPAGATION) == len(Status)


def test_no_arrow_leads_into_its_own_box() -> None:
    inside = [e for e in edges() if e.before != e.after and e.after in GROUPS.get(e.before, ())]
    assert inside == []


def test_pages_are_drawn_up_to_date() -> None:
    stale = [page.name for page in PAGES if redraw(page.read_text("utf-8")) != page.read_text("utf-8")]
    assert stale == [], "run make diagrams"


def test_every_drawing_stands_on_a_page() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert [name for name in DRAWINGS if f"<!-- drawn: {name} -->" not in text] == []


def test_a_stale_region_is_redrawn() -> None:
    stale = "before\n<!-- drawn: propagation -->\nold\n<!-- end -->\nafter\n"
    assert (
        redraw(stale)
        == f"before\n<!-- drawn: propagation -->\n{DRAWINGS['propagation']()}<!-- end -->\nafter\n"
    )
    with pytest.raises(KeyError):
        redraw("<!-- drawn: nothing -->\n<!-- end -->")

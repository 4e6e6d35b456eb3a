"""The story of a shared child that drops a field: refused by name, rolled out, taken back, unnoticed by who runs (L41, L42)."""

from __future__ import annotations

import re

import pytest

from examples.inventory_v3.demo import main

TOLD = r"""inventory 3\.0\.0 is refused \(callers_to_migrate\): audit@1\.0\.0, order@1\.0\.0, returns@1\.0\.0
order declares that it works with inventory@3\.
inventory 3\.0\.0 is refused \(callers_to_migrate\): audit@1\.0\.0, returns@1\.0\.0
returns declares that it works with inventory@3\.
inventory 3\.0\.0 is refused \(callers_to_migrate\): audit@1\.0\.0
audit declares too: inventory 3\.0\.0 is for 10% of the traces that begin now\.
Of 60 orders (\d+) called 2\.0\.0 and (\d+) called 3\.0\.0\.
inventory 3\.0\.0 was rolled back: 3 contract violations
A return calls 2\.0\.0 again\.
The stocktaking that began before all this called 2\.0\.0, and then 2\.0\.0\.
"""


def test_L41_L42_the_story_of_a_field_that_goes_away_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    told = re.fullmatch(TOLD, capsys.readouterr().out)
    assert told is not None
    assert int(told[1]) + int(told[2]) == 60
    assert int(told[1]) > int(told[2])

"""A verb starts with what it needs and no more, and every verb that is listed is there."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from remit.cli import app
from remit.cli.verbs import PANELS

LOADED = "import sys; from remit.cli import main\ntry: main()\nfinally: print(*sorted(sys.modules), file=sys.stderr)"


@pytest.mark.parametrize(
    ("line", "spared"),
    [
        (["--version"], ("remit.engine", "remit.control", "remit.store", "pydantic", "rich.console")),
        (["explain"], ("remit.control.app", "remit.store.sqlite")),
        (["ps", "--store", "sqlite:///none.db"], ("remit.control.app", "remit.workflows", "remit.cli.run")),
    ],
)
def test_a_start_imports_only_what_its_verb_needs(line: list[str], spared: tuple[str, ...]) -> None:
    ran = subprocess.run([sys.executable, "-c", LOADED, *line], capture_output=True, text=True, timeout=60, check=False)
    loaded = ran.stderr.split()
    assert "remit.cli.verbs" in loaded
    assert [each for each in loaded if each.startswith(spared)] == []


def test_every_verb_that_the_help_lists_is_there_and_says_what_it_does() -> None:
    group = typer.main.get_command(app)
    for panel, verbs in PANELS.items():
        for name in verbs:
            verb = group.commands[name]  # type: ignore[attr-defined]
            assert (verb.name, verb.rich_help_panel) == (name, panel)
            assert verb.get_short_help_str()

"""A verb starts with what it needs and no more, and every verb that is listed is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from remit.cli import app
from remit.cli.verbs import PANELS
from tests.cli.terminal import SHOP, Shell

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


@pytest.mark.parametrize("line", [["explain"], ["explain", "--json"], ["run", f"{SHOP}:nap"], ["--help"]])
def test_L48_output_that_does_not_fit_on_the_disk_is_told_without_a_traceback(shell: Shell, line: list[str]) -> None:
    command = [sys.executable, "-m", "remit", *line]
    pipes = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(command, cwd=shell.home, env=shell.env, stdout=full, **pipes, timeout=60, check=False)
        unheard = subprocess.run(
            command, cwd=shell.home, env=shell.env, stdin=subprocess.DEVNULL, stdout=full, stderr=full, timeout=60, check=False
        )
    assert ran.stderr == b"The output cannot be written: No space left on device. What the verb did stands.\n"
    assert (ran.returncode, unheard.returncode) == (1, 1)


def test_L48_a_verb_whose_streams_are_closed_does_its_work(shell: Shell) -> None:
    closed = 'exec "$0" -m remit "$@" <&- >&- 2>&-'
    command = ["bash", "-c", closed, sys.executable, "run", f"{SHOP}:nap"]
    ran = subprocess.run(command, cwd=shell.home, env=shell.env, timeout=60, check=False)
    assert ran.returncode == 0
    (record,) = shell.json("ps")["executions"]
    assert record["status"] == "COMPLETED"
    assert "✓ integrity" in shell.run("doctor").stdout


def test_python_minus_m_remit_is_the_command() -> None:
    told = [
        subprocess.run([sys.executable, "-m", module, "explain"], capture_output=True, timeout=60, check=True).stdout
        for module in ("remit", "remit.cli")
    ]
    assert told[0] == told[1] != b""

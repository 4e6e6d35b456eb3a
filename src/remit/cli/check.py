"""`remit check`: everything that can be known of workflow files before they run; exit code 2 where one cannot be loaded."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.text import Text

from remit.cli.options import JsonFlag
from remit.cli.output import Ending, console, print_json, reported
from remit.errors import MisuseError
from remit.workflows.format.findings import Finding
from remit.workflows.format.published import json_schema
from remit.workflows.load import Loaded, load

__all__ = ["check"]


@reported
def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FILE…", help="Workflow files, registries, and directories of them.", show_default=False
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="PREFIX", help="A package beside the workflow's directory that functions may come from."),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of a workflow file, for editors.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Check workflow files together: all that is wrong at once, each with its place. Nothing of theirs is imported.

    Exit codes: 0 where they can be loaded (there may be warnings), 2 where not.
    """
    if schema:
        sys.stdout.write(orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    if not files:
        raise MisuseError("Say what to check: a workflow file, or a directory of them", code="invalid_input")
    here = str(Path.cwd())
    if here not in sys.path:  # an allowed package may lie in the working directory, as for `python -m`
        sys.path.insert(0, here)
    loaded = load(files, allow or ())
    if as_json:
        _tell_programs(loaded)
    else:
        _tell_people(loaded)
    raise typer.Exit(Ending.WRONG_USAGE if loaded.errors else Ending.COMPLETED)


def _tell_programs(loaded: Loaded) -> None:
    print_json(
        {
            "ok": not loaded.errors,
            "workflows": [
                {"workflow_type": each.name, "version": each.workflow.workflow_version, "file": str(each.path)}
                for each in loaded.files
            ],
            "findings": [each.as_dict() for each in loaded.findings],
        }
    )


def _tell_people(loaded: Loaded) -> None:
    screen = console()
    for each in loaded.findings:
        screen.print(_line(each), soft_wrap=True)
    errors, warnings = len(loaded.errors), len(loaded.warnings)
    counted = f"{_many(len(loaded.files), 'workflow')}: {_many(errors, 'error')}, {_many(warnings, 'warning')}"
    screen.print(Text(counted, style="bold red" if errors else "green"), soft_wrap=True)


def _line(finding: Finding) -> Text:
    """The finding as it prints itself, with its severity in colour."""
    before, severity, after = str(finding).partition(f" {finding.severity}: ")
    style = "bold red" if finding.severity == "error" else "yellow"
    return Text.assemble((before, "bold"), (severity, style), after)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"

"""`remit explain`: what a code of an error means and how to mend it."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from remit.cli.options import JsonFlag
from remit.cli.output import console, print_json, reported
from remit.errors import CODES, MisuseError
from remit.workflows.format.finding_codes import FINDING_CODES

__all__ = ["explain"]

_WHO = {"TRANSIENT": "retried by itself", "DOMAIN": "the parent decides", "SYSTEM": "ends the whole chain"}


@reported
def explain(
    code: Annotated[
        str | None,
        typer.Argument(
            metavar="[CODE]", help="A code such as budget_exceeded; all of them without one.", show_default=False
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Explain the code of an error or of a finding of `remit check`: what happened, how to mend it."""
    if code is not None and code not in CODES and code in FINDING_CODES:
        _explain_finding(code, as_json=as_json)
        return
    if code is not None and code not in CODES:
        near = get_close_matches(code, [*CODES, *FINDING_CODES], n=3)
        advice = f"Did you mean {' or '.join(near)}?" if near else "`remit explain` lists them all."
        raise MisuseError(
            f"{code!r} is none of Remit's codes; a code that workflow code raises is its own. {advice}",
            code="invalid_input",
        )
    chosen = {code: CODES[code]} if code is not None else CODES
    if as_json:
        rows = [
            {"code": name, "error_class": str(entry.error_class), "meaning": entry.meaning, "mend": entry.mend}
            for name, entry in chosen.items()
        ]
        print_json(rows[0] if code is not None else {"codes": rows})
        return
    screen = console()
    if code is not None:
        entry = CODES[code]
        screen.print(Text.assemble((code, "bold"), f"  {entry.error_class}, {_WHO[entry.error_class]}"))
        screen.print(Text.assemble(entry.meaning, "\n", ("To mend it: ", "green"), entry.mend))
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, entry in CODES.items():
        table.add_row(name, str(entry.error_class), entry.meaning)
    screen.print(table)


def _explain_finding(code: str, *, as_json: bool) -> None:
    found = FINDING_CODES[code]
    if as_json:
        print_json({"code": code, "found_by": "remit check", "meaning": found.meaning, "mend": found.mend})
        return
    screen = console()
    screen.print(Text.assemble((code, "bold"), "  found by `remit check`"))
    screen.print(Text.assemble(found.meaning, "\n", ("To mend it: ", "green"), found.mend))

"""`remit contract diff | show`: what a new version changes for callers of the old one, and the contract itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.text import Text

from remit.authoring.process import Process, split_reference
from remit.cli.options import JsonFlag
from remit.cli.output import Ending, console, print_json, reported
from remit.cli.target import load_target
from remit.cli.values import json_value
from remit.control.hosting import Hosting
from remit.errors import DefinitionError, MisuseError
from remit.kernel.contract.comparison import Finding, Role, compare, is_compatible

__all__ = ["contract"]

_KINDS = (
    "module:process, file.py:process, workflow.yaml, or a file.json with a JSON Schema or what `contract show` printed"
)
_STYLES = {"breaks": "bold red", "unknown": "yellow", "compatible": "green"}
_ROLES: tuple[Role, ...] = ("input", "result")

contract = typer.Typer(
    name="contract", help="Compare the contracts of two versions, or print one.", no_args_is_help=True
)

Allow = Annotated[
    list[str] | None,
    typer.Option(metavar="PREFIX", help="A package that workflows may import from beside their own directories."),
]


class Which(StrEnum):
    """Which part of a contract is compared."""

    INPUT = "input"
    RESULT = "result"
    BOTH = "both"


class Side(NamedTuple):
    """One of two versions: how it was named, and its schemas; a plain JSON Schema stands for both."""

    target: str
    input: Any
    result: Any
    process: str | None = None
    version: str | None = None
    plain: bool = False


@contract.command("diff")
@reported
def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help=_KINDS, show_default=False)],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same, of the new version.", show_default=False)],
    role: Annotated[Which, typer.Option(help="What to compare.")] = Which.BOTH,
    allow: Allow = None,
    as_json: JsonFlag = False,
) -> None:
    """Say what breaks callers of the old version, and what is merely new.

    Results must stay usable for callers of the old version; inputs may only accept more. Exit codes: 0 compatible, 1 breaking
    or unknown, 2 wrong usage.
    """
    sides = _read([old, new], allow or [])
    chosen = [each for each in _ROLES if role in {Which.BOTH, Which(each)}]
    if role is Which.BOTH and any(side.plain for side in sides):
        raise MisuseError(
            "A JSON Schema does not say what it is for: add --role input or --role result", code="invalid_input"
        )
    found = {each: compare(getattr(sides[0], each), getattr(sides[1], each), each) for each in chosen}
    compatible = all(is_compatible(each) for each in found.values())
    if as_json:
        told = [{"role": each, **finding.as_dict()} for each in chosen for finding in found[each]]
        named = {name: _named(side) for name, side in zip(("old", "new"), sides, strict=True)}
        print_json({"compatible": compatible, **named, "findings": told})
    else:
        for line in _lines(found):
            console().print(line, soft_wrap=True)
    raise typer.Exit(Ending.COMPLETED if compatible else Ending.FAILED)


@contract.command("show")
@reported
def show(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="module:process, file.py:process or workflow.yaml", show_default=False),
    ],
    allow: Allow = None,
    as_json: JsonFlag = False,  # noqa: ARG001  a contract is JSON either way
) -> None:
    """Print the contract of a process as JSON, to be kept and compared with later."""
    found = load_target(target, [], allow or [])
    if isinstance(found.process, Process):
        definition = found.process.definition
    else:
        name, versions = split_reference(found.process, where=target)
        newest = Hosting(found.hosted, allow or ()).catalog().newest(name, versions or "*")
        if newest is None:
            raise DefinitionError(f"{target} is not hosted: `remit check` says why")
        definition = newest
    schemas = {"input": definition.input.schema(), "result": definition.result.written_schema()}
    print_json({"process": definition.name, "version": definition.version, **schemas})


def _read(targets: list[str], allow: list[str]) -> list[Side]:
    """Both sides; code is imported in an interpreter for each, since both versions go by the same names."""
    options = [part for each in allow for part in ("--allow", each)]
    command = [sys.executable, "-m", "remit.cli", "contract", "show", "--json", *options, "--"]
    begun = {
        at: subprocess.Popen([*command, each], stdout=subprocess.PIPE, text=True)
        for at, each in enumerate(targets)
        if not each.endswith(".json")
    }
    printed = {at: (each.communicate()[0], each.returncode) for at, each in begun.items()}
    return [_of_code(each, *printed[at]) if at in printed else _of_file(each) for at, each in enumerate(targets)]


def _of_code(target: str, printed: str, code: int) -> Side:
    """What the last line says: modules may print when they are imported."""
    try:
        told = json.loads(printed.splitlines()[-1])
    except (IndexError, ValueError):
        raise DefinitionError(f"{target} cannot be read: importing it ended Python (exit code {code})") from None
    if "error" in told:
        raise DefinitionError(told["error"]["message"], code=told["error"]["code"])
    return Side(target, told["input"], told["result"], told["process"], told["version"])


def _of_file(target: str) -> Side:
    if not Path(target).is_file():
        raise MisuseError(f"There is no file {target}: name {_KINDS}", code="invalid_input")
    told = json_value(f"@{target}", target)
    if isinstance(told, Mapping) and {"input", "result"} <= told.keys():
        return Side(target, told["input"], told["result"], told.get("process"), told.get("version"))
    if not isinstance(told, Mapping | bool):
        raise MisuseError(f"{target} is no JSON Schema: one is an object, or true or false", code="invalid_input")
    return Side(target, told, told, plain=True)


def _named(side: Side) -> dict[str, str | None]:
    return {"target": side.target, "process": side.process, "version": side.version}


def _lines(found: Mapping[Role, list[Finding]]) -> Iterator[Text]:
    for role, findings in found.items():
        for each in findings:
            before, kind, after = str(each).partition(f" {each.kind}: ")
            yield Text.assemble((f"{role} {before}", "bold"), (kind, _STYLES[each.kind]), after)
    every = [str(each.kind) for findings in found.values() for each in findings]
    broken = every.count("compatible") < len(every)
    counted = (
        f"{every.count('breaks')} breaking, {every.count('unknown')} unknown, {every.count('compatible')} compatible"
    )
    yield Text(counted, style="bold red" if broken else "green")

"""`remit run`: start a process, or go on with an execution, and show it until nothing moves by itself."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated

import typer

from remit.cli.options import DEFAULT_STORE, EnvNames, HttpHosts, JsonFlag, SecretNames, StoreUrl
from remit.cli.output import reported
from remit.cli.session import Session
from remit.cli.values import json_value
from remit.control.hosting import OperatorsList
from remit.errors import MisuseError
from remit.kernel.usage import Budget

__all__ = ["OnExhausted", "run"]


class OnExhausted(StrEnum):
    """What a metered effect does that finds no headroom."""

    FAIL = "fail"
    SUSPEND = "suspend"


@reported
def run(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help="module:process, file.py:process or workflow.yaml", show_default=False),
    ],
    value: Annotated[
        str | None, typer.Option("--input", metavar="JSON|@FILE", help="The process's input; @- reads standard input.")
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    key: Annotated[
        str | None, typer.Option(metavar="K", help="The same key with the same input is the same execution.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(metavar="T")] = None,
    owner: Annotated[str | None, typer.Option(metavar="O")] = None,
    region: Annotated[str | None, typer.Option(metavar="R")] = None,
    budget_tokens: Annotated[
        int | None, typer.Option(metavar="N", help="The most tokens the whole tree may use.")
    ] = None,
    budget_cost: Annotated[
        str | None, typer.Option(metavar="X", help="The most dollars the whole tree may cost, such as 2.50.")
    ] = None,
    on_exhausted: Annotated[
        OnExhausted, typer.Option(help="When the budget is used up: fail, or suspend until a top-up.")
    ] = OnExhausted.FAIL,
    resume: Annotated[str | None, typer.Option(metavar="ID", help="Start nothing: go on with this execution.")] = None,
    beside: Annotated[
        list[str] | None, typer.Option("--with", metavar="MODULE", help="Host these modules, files or workflows too.")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="PREFIX", help="A package that workflows may import from beside their own directories."),
    ] = None,
    http_host: HttpHosts = None,
    env: EnvNames = None,
    secret: SecretNames = None,
    wait: Annotated[
        bool | None,
        typer.Option(
            "--wait/--no-wait", help="Stay while it waits for a human or an event. Default: on a terminal only."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Run a process and show its tree until it has ended or waits for somebody.

    On a terminal it stays while an execution waits, and shows the command that answers. Otherwise it leaves with exit
    code 6, and the same command with the same --key, or --resume ID, goes on. Exit codes: 0 completed, 1 failed,
    2 wrong usage or bad definition, 3 rejected, 4 timed out, 5 cancelled, 6 waiting, 130 interrupted.
    """
    terms = {"key": key, "tenant": tenant, "owner": owner, "region": region}
    if resume is not None:
        _refuse({"input": value, **terms, "tenant": None, "budget-tokens": budget_tokens, "budget-cost": budget_cost})
    budget = _budget(budget_tokens, budget_cost, on_exhausted)
    session = Session(target, store, resume, _listed(http_host, secret, env), as_json=as_json, wait=wait)
    session.go(
        json_value(value, "--input") if value is not None else None,
        {**terms, "budget": budget},
        beside or [],
        allow or [],
    )


def _refuse(terms: dict[str, object]) -> None:
    given = [f"--{option}" for option, each in terms.items() if each is not None]
    if given:
        raise MisuseError(f"--resume goes on with what was started: drop {', '.join(given)}", code="invalid_input")


def _listed(hosts: list[str] | None, secrets: list[str] | None, env: list[str] | None) -> OperatorsList:
    missing = [name for name in secrets or () if name not in os.environ]
    if missing:
        raise MisuseError(f"--secret {missing[0]}: there is no environment variable of that name", code="invalid_input")
    return OperatorsList(hosts or (), {name: os.environ[name] for name in secrets or ()}, env or ())


def _budget(tokens: int | None, cost: str | None, on_exhausted: OnExhausted) -> Budget | None:
    if tokens is None and cost is None:
        return None
    try:
        return Budget(tokens=tokens, cost=cost, on_exhausted=on_exhausted.value)
    except ValueError as error:
        raise MisuseError(f"--budget-tokens, --budget-cost: {error}", code="invalid_input") from None

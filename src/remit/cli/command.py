"""`remit answer | send | cancel | retry | top-up`: carried out by whoever drives the store, else right here."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer
from rich.text import Text

from remit.cli.carrying import carried_out
from remit.cli.options import DEFAULT_STORE, ExecutionId, JsonFlag, ReplyTimeout, StoreUrl, TenantName
from remit.cli.output import console, print_json, reported
from remit.cli.values import json_value
from remit.control.client import Carried
from remit.errors import MisuseError
from remit.kernel.usage import Budget

__all__ = ["answer", "cancel", "retry", "send", "top_up"]

_WAIT_S = 10.0


@reported
def answer(
    execution_id: ExecutionId,
    value: Annotated[
        str,
        typer.Argument(
            metavar="JSON|@FILE", help="The answer; a text needs its quotes: '\"yes\"'.", show_default=False
        ),
    ],
    ask: Annotated[str | None, typer.Option(metavar="NAME", help="Which ask, where several are open.")] = None,
    by: Annotated[str | None, typer.Option("--as", metavar="WHO", help="Who answers; it is recorded.")] = None,
    tenant: TenantName = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Answer an ask that is open at an execution or below it. The first answer stands."""
    arguments = {
        "execution_id": execution_id,
        "tenant": tenant,
        "value": json_value(value, "the answer"),
        "ask": ask,
        "by": by,
    }
    carried = _carry_out(store, "answer", arguments, timeout)
    _tell(carried, execution_id, f"{execution_id} has its answer", as_json=as_json)


@reported
def send(
    execution_id: ExecutionId,
    event: Annotated[
        str, typer.Argument(metavar="EVENT", help="The name the execution waits for.", show_default=False)
    ],
    payload: Annotated[str, typer.Argument(metavar="JSON|@FILE", help="What the event carries.")] = "null",
    dedupe: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key again is not delivered again.")
    ] = None,
    tenant: TenantName = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Send an event to an execution; one that comes early waits for it, each is delivered once."""
    arguments = {
        "execution_id": execution_id,
        "tenant": tenant,
        "event": event,
        "payload": json_value(payload, "the payload"),
        "dedupe": dedupe,
    }
    carried = _carry_out(store, "send", arguments, timeout)
    told = (
        f"Event {event!r} is with {execution_id}"
        if carried.done
        else f"Event {event!r} with --dedupe {dedupe} came before: not sent again"
    )
    _tell(carried, execution_id, told, as_json=as_json)


@reported
def cancel(
    execution_id: ExecutionId,
    tenant: TenantName = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Cancel an execution and everything below it that is not detached."""
    carried = _carry_out(store, "cancel", {"execution_id": execution_id, "tenant": tenant}, timeout)
    told = (
        f"{execution_id} is cancelled, with what is below it"
        if carried.done
        else f"{execution_id} had ended already: nothing changed"
    )
    _tell(carried, execution_id, told, as_json=as_json)


@reported
def retry(
    execution_id: ExecutionId,
    from_step: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make this step and what came after it anew.")
    ] = None,
    tenant: TenantName = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Try a failed, timed out or cancelled execution again, or let a paused one go on; finished work is kept."""
    arguments = {"execution_id": execution_id, "tenant": tenant, "from_step": from_step}
    carried = _carry_out(store, "retry", arguments, timeout)
    _tell(carried, execution_id, f"{execution_id} is tried again", as_json=as_json)


@reported
def top_up(
    execution_id: ExecutionId,
    tokens: Annotated[int | None, typer.Option(metavar="N", help="Raise the token limit by this.")] = None,
    cost: Annotated[str | None, typer.Option(metavar="X", help="Raise the cost limit by this many dollars.")] = None,
    tenant: TenantName = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Raise the budget of an execution's root; executions paused for want of it go on."""
    if tokens is None and cost is None:
        raise MisuseError("Say by how much: --tokens N, --cost X, or both", code="invalid_input")
    try:
        by = Budget(tokens=tokens, cost=cost)
    except ValueError as error:
        raise MisuseError(f"--tokens, --cost: {error}", code="invalid_input") from None
    arguments = {"execution_id": execution_id, "tenant": tenant, "tokens": by.tokens, "cost": by.cost}
    carried = _carry_out(store, "top-up", arguments, timeout)
    _tell(carried, execution_id, f"The budget of {execution_id} is raised", as_json=as_json)


def _carry_out(store: str, verb: str, arguments: dict[str, Any], wait_s: float) -> Carried:
    if verb != "answer":  # who answers is said, since it counts; of the rest the audit log has the account
        arguments["by"] = _account()
    return carried_out(store, verb, arguments, wait_s)


def _account() -> str | None:
    """The operating system's name of whoever runs this; None where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        return None


def _tell(carried: Carried, execution_id: str, told: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"done": carried.done, "execution_id": execution_id, "by": carried.by})
        return
    if carried.by is not None:
        by = f"Done by {carried.by}."
    elif carried.done is False:
        by = ""
    else:
        root = execution_id.partition(".")[0]
        by = f"Nobody drives this store: it is recorded. `remit run TARGET --resume {root}` drives on."
    console().print(Text.assemble((f"{told}. ", "green"), (by, "dim")), soft_wrap=True)

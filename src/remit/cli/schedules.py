"""`remit schedules [list | remove NAME]`: what is started again and again, and when next."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from remit.cli.carrying import carried_out
from remit.cli.looks import until
from remit.cli.options import DEFAULT_STORE, JsonFlag, ReplyTimeout, StoreUrl
from remit.cli.output import Ending, console, print_json, reported
from remit.control.client import Client
from remit.control.schedules import ScheduleView, schedule_views
from remit.control.views import plain
from remit.errors import MisuseError

__all__ = ["schedules"]


class Action(StrEnum):
    """What is done with schedules."""

    LIST = "list"
    REMOVE = "remove"


@reported
def schedules(
    action: Annotated[Action, typer.Argument(show_default=False)] = Action.LIST,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Which to remove.", show_default=False)] = None,
    tenant: Annotated[str | None, typer.Option(metavar="T", help="Whose; to remove, none means nobody's.")] = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = 10.0,
    as_json: JsonFlag = False,
) -> None:
    """List schedules and when each fires next; `remove NAME` removes one, and what it has started goes on."""
    if action is Action.LIST:
        _show(store, tenant, as_json=as_json)
    elif name is None:
        raise MisuseError(
            "Say which: `remit schedules remove NAME`; `remit schedules` lists them", code="invalid_input"
        )
    else:
        _remove(store, name, tenant, timeout, as_json=as_json)


def _remove(store: str, name: str, tenant: str | None, wait_s: float, *, as_json: bool) -> None:
    carried = carried_out(store, "unschedule", {"name": name, "tenant": tenant}, wait_s)
    if as_json:
        print_json({"done": carried.done, "schedule": name, "by": carried.by})
    elif carried.done:
        console().print(Text(f"Schedule {name!r} is removed.", "green"), soft_wrap=True)
    else:
        whose = f" of tenant {tenant!r}" if tenant is not None else " without a tenant"
        console().print(f"There is no schedule {name!r}{whose}: `remit schedules` lists them.", soft_wrap=True)
    raise typer.Exit(Ending.COMPLETED if carried.done else Ending.FAILED)


def _show(store: str, tenant: str | None, *, as_json: bool) -> None:
    with Client(store).reader() as reader:
        found = schedule_views(reader, tenant)
    if as_json:
        print_json({"schedules": plain(found)})
    elif found:
        console().print(_table(found))
    else:
        console().print("No schedule.")


def _table(found: list[ScheduleView]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for title in ("schedule", "cron", "zone", "starts"):
        table.add_column(title, overflow="fold")
    for title in ("next", "fired", "skipped", "missed", "failed"):
        table.add_column(title, justify="right", overflow="fold")
    now = datetime.now(UTC)
    for each in found:
        name = f"{each.tenant}/{each.name}" if each.tenant else each.name
        following = until(each.next_at, now) if each.next_at is not None else "never"
        counts = [str(count or "") for count in (each.fired, each.skipped, each.missed, each.failed)]
        table.add_row(*(Text(cell) for cell in (name, each.cron, each.timezone, each.target, following, *counts)))
    return table

"""`remit costs`: what departments, tenants, processes and models used themselves, and what they caused."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from remit.cli.options import DEFAULT_STORE, JsonFlag, StoreUrl, TenantName
from remit.cli.output import console, print_json, reported
from remit.control.billing.costs import CostViews, cost_views
from remit.control.client import Client
from remit.control.views import plain
from remit.errors import MisuseError
from remit.kernel.usage import decimal_string, micros

__all__ = ["BilledBy", "costs"]


class BilledBy(StrEnum):
    """Whose bills are drawn up."""

    DEPARTMENT = "department"
    TENANT = "tenant"
    PROCESS = "process"
    VERSION = "version"
    MODEL = "model"


_FIGURES = ("own_tokens", "own_cost", "caused_tokens", "caused_cost")


@reported
def costs(
    by: Annotated[BilledBy, typer.Option("--by", help="Whose bills.")] = BilledBy.DEPARTMENT,
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="From this day on, in UTC: 2026-11-01, or 30d for the last 30.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="DAY", help="Up to and without this day.")] = None,
    tenant: TenantName = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """Show what was used: own is what executions used themselves, caused what was used in traces that their roots began."""
    today = datetime.now(UTC).date()
    days = _day(since, "--since", today), _day(until, "--until", today)
    with Client(store).reader() as reader:
        found = cost_views(reader, by.value, *days, tenant)
    if as_json:
        print_json({"by": by.value, "since": days[0], "until": days[1], "tenant": tenant, "costs": plain(found)})
    elif as_csv:
        _write(by.value, found)
    elif found:
        console().print(_table(by.value, found))
    else:
        console().print("Nothing was used.")


def _day(text: str | None, option: str, today: date) -> date | None:
    if text is None:
        return None
    try:
        return today - timedelta(days=int(text[:-1])) if text.endswith("d") else date.fromisoformat(text)
    except (ValueError, OverflowError):
        raise MisuseError(f"{option} {text!r}: write a day, 2026-11-01, or how many ago, 30d", code="invalid_input") from None


def _rows(found: CostViews) -> list[tuple[str, int, str, int, str]]:
    return [(each.name or "", each.own.tokens, each.own.cost, each.caused.tokens, each.caused.cost) for each in found]


def _write(by: str, found: CostViews) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow([by, *_FIGURES])
    writer.writerows(_rows(found))


def _table(by: str, found: CostViews) -> Table:
    rows = _rows(found)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim", show_footer=True)
    table.add_column(by, "together", overflow="fold")
    for number, title in enumerate(_FIGURES, 1):
        total = sum(int(row[number]) if number % 2 else micros(str(row[number])) for row in rows)
        together = f"{total:,}" if number % 2 else f"${decimal_string(total)}"
        table.add_column(title.replace("_", " "), together, justify="right", no_wrap=True)
    for name, own, own_cost, caused, caused_cost in rows:
        cells = (name or "(none)", f"{own:,}", f"${own_cost}", f"{caused:,}", f"${caused_cost}")
        table.add_row(*map(Text, cells))
    return table

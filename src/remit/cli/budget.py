"""`remit budget set | show | remove`: what departments may spend in a day, a week or a month."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from remit.cli.carrying import carried_out
from remit.cli.options import DEFAULT_STORE, By, JsonFlag, ReplyTimeout, StoreUrl
from remit.cli.output import Ending, console, print_json, reported
from remit.cli.run import OnExhausted
from remit.control.billing.departments import DepartmentBudgetView, DepartmentBudgetViews, budget_views
from remit.control.client import Client
from remit.control.views import plain

__all__ = ["PeriodChoice", "budget"]

budget = typer.Typer(
    name="budget", no_args_is_help=True, help="What departments may spend in a day, a week or a month, beside each root's budget."
)
_WAIT_S = 10.0


class PeriodChoice(StrEnum):
    """What a budget is for."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


Department = Annotated[str, typer.Argument(metavar="DEPARTMENT", show_default=False)]
PeriodOption = Annotated[PeriodChoice, typer.Option(help="From midnight to midnight, from Monday, or from the 1st.")]
ForTenant = Annotated[
    str | None, typer.Option("--tenant", metavar="T", help="Its work for this tenant; without, for all together.")
]


@budget.command("set")
@reported
def set_(
    department: Department,
    tokens: Annotated[int | None, typer.Option(metavar="N", help="The most tokens in a period.")] = None,
    cost: Annotated[str | None, typer.Option(metavar="X", help="The most dollars in a period, such as 250.00.")] = None,
    period: PeriodOption = PeriodChoice.MONTH,
    zone: Annotated[str, typer.Option(metavar="ZONE", help="Whose midnights count: Europe/Vienna.")] = "UTC",
    tenant: ForTenant = None,
    on_exhausted: Annotated[
        OnExhausted, typer.Option(help="What a metered effect does that finds nothing left.")
    ] = OnExhausted.FAIL,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Set a department's budget, or change it: it goes on with what was spent in the period. What was paused for it goes on."""
    given = {"department": department, "tokens": tokens, "cost": cost, "period": period.value, "zone": zone}
    more = {"tenant": tenant, "on_exhausted": on_exhausted.value, "by": by}
    done = carried_out(store, "set-budget", {**given, **more}, timeout).done
    if as_json:
        print_json(done)
    else:
        console().print(Text(f"The budget of {department} for the {period.value} is set.", "green"), soft_wrap=True)


@budget.command()
@reported
def show(
    department: Annotated[str | None, typer.Argument(metavar="DEPARTMENT", show_default=False)] = None,
    tenant: ForTenant = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """Show budgets with what is spent, reserved and left in the period that is now."""
    with Client(store).reader() as reader:
        found = budget_views(reader, int(time.time() * 1_000), department, tenant)
    if as_json:
        print_json({"budgets": plain(found)})
    elif found:
        console().print(_table(found))
    else:
        console().print("No department has a budget: `remit budget set DEPARTMENT --tokens N` sets one.")


@budget.command()
@reported
def remove(
    department: Department,
    period: PeriodOption = PeriodChoice.MONTH,
    tenant: ForTenant = None,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Remove a department's budget: its executions are under their roots' alone."""
    arguments = {"department": department, "period": period.value, "tenant": tenant, "by": by}
    done = carried_out(store, "remove-budget", arguments, timeout).done
    if as_json:
        print_json({"done": done, "department": department, "period": period.value})
    elif done:
        console().print(Text(f"The budget of {department} for the {period.value} is removed.", "green"), soft_wrap=True)
    else:
        console().print(f"{department} has no budget for the {period.value}: `remit budget show` lists them.", soft_wrap=True)
    raise typer.Exit(Ending.COMPLETED if done else Ending.FAILED)



def _table(found: DepartmentBudgetViews) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for title in ("department", "tenant", "period", "until"):
        table.add_column(title, overflow="fold")
    for title in ("limit", "spent", "reserved", "left"):
        table.add_column(title, justify="right", overflow="fold")
    for each in found:
        until = f"{each.ends:%Y-%m-%d %H:%M} UTC" if each.ends is not None else ""
        table.add_row(*map(Text, (each.department, each.tenant or "", each.period, until, *_figures(each))))
    return table


def _figures(view: DepartmentBudgetView) -> list[str]:
    """Limit, spent, reserved and left, in the units that are limited."""
    rows = []
    for part in ("limit", "spent", "reserved", "left"):
        tokens, cost = getattr(view, f"{part}_tokens"), getattr(view, f"{part}_cost")
        shown = [f"{tokens:,} tokens"] if view.limit_tokens is not None else []
        rows.append(", ".join(shown + ([f"${cost}"] if view.limit_cost is not None else [])))
    return rows

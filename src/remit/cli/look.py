"""`remit tree | show | journal | lineage | ps`: what is durable in a store, whoever drives it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from remit.cli.live import legend
from remit.cli.looks import age, cost, elapsed, sign_of, style_of, tokens, took
from remit.cli.options import DEFAULT_STORE, ExecutionId, JsonFlag, StoreUrl, TenantName
from remit.cli.output import console, print_json, reported
from remit.cli.trees import budget_line, plain_lines, tree_table
from remit.cli.values import compact
from remit.cli.waits import waits_of
from remit.control.client import Client
from remit.control.queries import Queries, only_own
from remit.control.views import CompensationView, Entry, Record, UndoStatus, plain
from remit.kernel.states import Compensation

__all__ = ["journal", "lineage", "ps", "show", "tree"]

_VALUE_MOST = 2_000


@reported
def tree(
    execution_id: ExecutionId,
    tenant: TenantName = None,
    store: StoreUrl = DEFAULT_STORE,
    as_plain: Annotated[
        bool, typer.Option("--plain", help="Only the lines └─ process (STATUS), two spaces a level.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the whole trace of an execution as a tree, from its root, whichever of its executions is named."""
    with Client(store).reader() as reader:
        only_own(reader, tenant, execution_id)
        root = Queries(reader).tree(execution_id)
        waits = waits_of(root, reader, store)
    if as_json:
        print_json(plain(root))
    elif as_plain:
        sys.stdout.writelines(f"{line}\n" for line in plain_lines(root))
    else:
        screen = console()
        screen.print(
            tree_table(
                root,
                datetime.now(UTC),
                screen.width,
                marked=execution_id if execution_id != root.execution_id else None,
            )
        )
        screen.print(Text(f"{root.execution_id} · {budget_line(root)}", style="dim"), soft_wrap=True)
        for line in legend(waits):
            screen.print(line, soft_wrap=True)


@reported
def show(
    execution_id: ExecutionId, tenant: TenantName = None, store: StoreUrl = DEFAULT_STORE, as_json: JsonFlag = False
) -> None:
    """Show all that is recorded of one execution."""
    with Client(store).reader() as reader:
        only_own(reader, tenant, execution_id)
        record = Queries(reader).get(execution_id)
        waits = waits_of(Queries(reader).tree(execution_id), reader, store)
    if as_json:
        print_json(plain(record))
        return
    screen = console()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in _facts(record):
        grid.add_row(name, text)
    screen.print(grid)
    for line in legend([wait for wait in waits if f"{wait.execution_id}.".startswith(f"{execution_id}.")]):
        screen.print(line, soft_wrap=True)


def _facts(record: Record) -> list[tuple[str, Text]]:
    """The fields of a record that say something, as people read them."""
    own, below = record.usage.own, record.usage.subtree
    status = Text(f"{sign_of(record.status)} {record.shown_status}", style_of(record.status))
    facts: list[tuple[str, Text | str | None]] = [
        ("execution_id", record.execution_id),
        ("process", f"{record.process} {record.version}"),
        ("status", status),
        ("attempt", str(record.attempt)),
        ("current_step", record.current_step),
        ("parent", record.parent_execution_id),
        ("key", record.key),
        ("tenant", record.tenant),
        ("owner", record.owner),
        ("region", record.region),
        ("department", record.department),
        ("policies", ", ".join(record.policies) or None),
        ("created_at", f"{record.created_at:%Y-%m-%d %H:%M:%S} UTC, {age(record.created_at)}"),
        ("took", elapsed(record, datetime.now(UTC)) or None),
        ("usage own", f"{own.tokens:,} tokens, ${own.cost}"),
        ("usage subtree", f"{below.tokens:,} tokens, ${below.cost}"),
        (
            "budget",
            budget_line(record) if record.budget["tokens"] is not None or record.budget["cost"] is not None else None,
        ),
        ("progress", compact(record.progress, _VALUE_MOST) if record.progress is not None else None),
        ("input", compact(record.input, _VALUE_MOST)),
        ("result", compact(record.result, _VALUE_MOST) if record.result is not None else None),
        ("error", f"{record.error.error_class} {record.error}" if record.error else None),
        ("details", compact(record.error.details, _VALUE_MOST) if record.error and record.error.details else None),
        ("compensation", str(record.compensation) if record.compensation is not Compensation.NONE else None),
        *((str(each.status), _undone(each)) for each in record.compensations),
    ]
    return [(name, Text(value) if isinstance(value, str) else value) for name, value in facts if value is not None]


def _undone(each: CompensationView) -> Text:
    """A compensation as one line: what it undid, and what came of it."""
    came = {
        UndoStatus.RUNNING: ("runs", "yellow"),
        UndoStatus.DONE: (compact(each.result, _VALUE_MOST), ""),
        UndoStatus.SKIPPED: (f"skipped, the step had failed ({each.skipped})", "dim"),
        UndoStatus.FAILED: (str(each.error).replace("\n", " "), "red"),
    }[each.status]
    return Text.assemble(f"{each.step} #{each.undoes} by {each.name}: ", came)


@reported
def journal(
    execution_id: ExecutionId, tenant: TenantName = None, store: StoreUrl = DEFAULT_STORE, as_json: JsonFlag = False
) -> None:
    """List what an execution has recorded, in order: steps, tool and model calls, waits, calls of other processes."""
    with Client(store).reader() as reader:
        only_own(reader, tenant, execution_id)
        entries = Queries(reader).journal(execution_id)
    if as_json:
        print_json({"entries": plain(entries)})
    else:
        _print_entries(console(), entries, "Nothing is recorded yet.", with_execution=False)


@reported
def lineage(
    execution_id: ExecutionId, tenant: TenantName = None, store: StoreUrl = DEFAULT_STORE, as_json: JsonFlag = False
) -> None:
    """List every tool and model call at an execution and below it, with parameters, result and usage."""
    with Client(store).reader() as reader:
        only_own(reader, tenant, execution_id)
        entries = Queries(reader).lineage(execution_id)
    if as_json:
        print_json({"entries": plain(entries)})
    else:
        _print_entries(console(), entries, "No tool and no model was called.", with_execution=True)


def _print_entries(screen: Console, entries: list[Entry], nothing: str, *, with_execution: bool) -> None:
    if not entries:
        screen.print(nothing)
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for title in (["execution"] if with_execution else []) + ["kind", "name"]:
        table.add_column(title, no_wrap=True, overflow="fold")
    for title in ("took", "tokens", "cost"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("came of it", overflow="ellipsis", no_wrap=screen.is_terminal)
    for entry in entries:
        first = [entry.execution_id.partition(".")[2] or "root"] if with_execution else []
        figures = [took(entry), tokens(entry.usage), cost(entry.usage)]
        table.add_row(*(Text(cell) for cell in (*first, entry.kind, entry.name, *figures)), _came_of(entry))
    screen.print(table)


def _came_of(entry: Entry) -> Text:
    about = f"undoes #{entry.undoes}: " if entry.undoes is not None else ""
    if entry.error is not None:
        return Text.assemble(about, (str(entry.error).replace("\n", " "), "red"))
    if entry.ended_at is None:
        return Text.assemble(about, ("open", "yellow"))
    if entry.skipped is not None:
        return Text.assemble(about, (f"skipped, the step had failed ({entry.skipped})", "dim"))
    return Text(about + compact(entry.result, _VALUE_MOST))


@reported
def ps(
    store: StoreUrl = DEFAULT_STORE,
    status: Annotated[
        list[str] | None, typer.Option(metavar="S", help="Only these statuses; OPEN means all that have not ended.")
    ] = None,
    parent: Annotated[str | None, typer.Option(metavar="ID", help="Only direct children of this execution.")] = None,
    process: Annotated[str | None, typer.Option(metavar="NAME")] = None,
    tenant: TenantName = None,
    owner: Annotated[str | None, typer.Option(metavar="O")] = None,
    limit: Annotated[int, typer.Option(metavar="N")] = 100,
    cursor: Annotated[str | None, typer.Option(metavar="C", help="Go on where an earlier listing ended.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """List executions, newest first."""
    with Client(store).queries() as queries:
        if parent is not None:
            queries.refuse_unknown(parent, tenant)
        wanted = [each.upper() for each in status or []]
        page = queries.list(
            status="OPEN" if wanted == ["OPEN"] else wanted,
            process=process,
            parent=parent,
            tenant=tenant,
            owner=owner,
            limit=limit,
            cursor=cursor,
        )
    if as_json:
        print_json({"executions": plain(list(page)), "cursor": page.cursor})
        return
    screen = console()
    screen.print(
        _listing(page, screen.width)
        if page
        else "No execution is like that."
        if wanted or parent or process or tenant or owner
        else "No execution yet."
    )
    if page.cursor is not None:
        screen.print(f"More: --cursor {page.cursor}", style="dim")


def _listing(page: list[Record], width: int) -> Table:
    now = datetime.now(UTC)
    wide = width >= 110
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for title in ("execution", "process", "status"):
        table.add_column(title, no_wrap=title != "status", overflow="fold")
    for title in ("took", *(("tokens", "cost", "started") if wide else ())):
        table.add_column(title, justify="right", no_wrap=True)
    for record in page:
        status = Text(f"{sign_of(record.status)} {record.shown_status}", style_of(record.status))
        more = [tokens(record.usage.subtree), cost(record.usage.subtree), age(record.created_at)] if wide else []
        table.add_row(record.execution_id, Text(record.process), status, elapsed(record, now), *more)
    return table

"""`remit policy apply | remove | show | explain | check`: what is in force, and what it meant for one execution."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from remit.cli.carrying import carried_out
from remit.cli.options import DEFAULT_STORE, By, ExecutionId, JsonFlag, ReplyTimeout, StoreUrl, TenantName
from remit.cli.output import console, print_json, reported, say
from remit.cli.values import compact
from remit.control.client import Client
from remit.control.policies.views import PolicyExplanation, PolicyVerdict, PolicyView, explain, policy_views
from remit.control.queries import only_own
from remit.control.views import plain

__all__ = ["policy"]

_WAIT_S = 10.0
_MOST = 500
policy = typer.Typer(name="policy", help="Put policies in force, and see what they meant.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Policy files in YAML.", show_default=False)]


@policy.command()
@reported
def apply(
    files: Files,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Put policies in force for every call from now on, all or none; each takes the place of its earlier version."""
    done = carried_out(store, "policy-apply", {"sources": _checked(files), "by": by}, timeout).done
    if as_json:
        print_json({"policies": done})
        return
    for each in done:
        say(f"Policy {each['policy']} {each['version']} is in force.")


@policy.command()
@reported
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which policy.", show_default=False)],
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Withdraw a policy for every call from now on; what it was stays on record."""
    done = carried_out(store, "policy-remove", {"name": name, "by": by}, timeout).done
    if as_json:
        print_json(done)
    else:
        say(f"Policy {done['policy']} {done['version']} is withdrawn.")


@policy.command()
@reported
def check(files: Files, as_json: JsonFlag = False) -> None:
    """Check policy files: all that is wrong at once, each with its place; exit code 2 where one cannot be applied."""
    from remit.control.policies.files import read_policies

    read = read_policies(_texts(files))
    if as_json:
        print_json({"ok": True, "policies": [each.content for each in read]})
        return
    for each in read:
        say(f"{each.file}: policy {each.content['policy']} {each.content['version']} can be applied.")


@policy.command()
@reported
def show(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME[@VERSION]", help="One policy, as its file says.", show_default=False)
    ] = None,
    ended: Annotated[bool, typer.Option("--all", help="Those that were withdrawn too.")] = False,
    store: StoreUrl = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """List the policies in force, or print one as it was written."""
    with Client(store).reader() as reader:
        found = policy_views(reader, name, ended=ended)
    if as_json:
        print_json({"policies": plain(found)})
    elif name is not None and not ended:
        sys.stdout.writelines(each.source.rstrip("\n") + "\n" for each in found)
    elif found:
        console().print(_listing(found))
    else:
        console().print("No policy is in force.")


def _listing(found: list[PolicyView]) -> Table:
    table = _table("policy", "version", "for", "demands", "state", "by")
    for each in found:
        chosen = each.content.get("applies_to", {})
        selected = "; ".join(f"{name} {', '.join(texts)}" for name, texts in chosen.items()) or "all"
        demands = [key for key in each.content if key not in ("policy", "version", "description", "applies_to")]
        state = "in force" if each.in_force else f"until {each.ended_at:%Y-%m-%d %H:%M}"
        table.add_row(*map(Text, (each.policy, each.version, selected, ", ".join(demands), state, each.applied_by or "")))
    return table


@policy.command(name="explain")
@reported
def explain_(
    execution_id: ExecutionId, tenant: TenantName = None, store: StoreUrl = DEFAULT_STORE, as_json: JsonFlag = False
) -> None:
    """Say which policies an execution was admitted under and why, which limits won, and every verdict."""
    with Client(store).reader() as reader:
        only_own(reader, tenant, execution_id)
        found = explain(reader, execution_id)
    if as_json:
        print_json(plain(found))
        return
    screen = console()
    tags = f", tags {', '.join(found.tags)}" if found.tags else ""
    screen.print(Text(f"{found.execution_id}: {found.process} {found.version}{tags}", "bold"), soft_wrap=True)
    for title, lines in _sections(found):
        screen.print(Text(title, "dim"))
        for line in lines or ["none"]:
            screen.print(Text(f"  {line}"), soft_wrap=True)


def _sections(found: PolicyExplanation) -> list[tuple[str, list[str]]]:
    applied = [
        f"{each.policy} {each.version}: {', '.join(each.because) or 'for all'}, at {each.selected_at}"
        + ("" if each.in_force else " (no longer in force)")
        for each in found.applied
    ]
    limits = [f"{name} {each['limit']}, by {each['policy']}" for name, each in found.limits.items()]
    demands = [", ".join(f"{name} {compact(value, _MOST)}" for name, value in each.items()) for each in found.demands]
    return [
        ("admitted under", applied),
        ("the tightest limits", limits),
        ("demands", demands),
        ("verdicts", [_verdict(each) for each in found.verdicts]),
    ]


def _verdict(each: PolicyVerdict) -> str:
    if each.what == "admitted":
        return f"admitted {each.target}"
    if each.what == "denied":
        return f"denied {each.target}: {each.details['message']}"
    where, path = each.details["where"], each.details["path"] or "/"
    return f"redacted {where} of {each.target} at {path}, by {each.policy}, filter {each.details['filter']}"


def _table(*titles: str) -> Table:
    table = Table(*titles, box=None, header_style="dim", pad_edge=False)
    table.padding = (0, 2, 0, 0)
    return table


def _texts(files: list[Path]) -> dict[str, str]:
    from remit.control.policies.files import texts_of

    return texts_of(files)


def _checked(files: list[Path]) -> dict[str, str]:
    """The files' texts, once all of them can be applied: findings are shown without asking the owner of the store."""
    from remit.control.policies.files import read_policies

    texts = _texts(files)
    read_policies(texts)
    return texts



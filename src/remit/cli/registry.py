"""`remit publish | versions | callers | promote | rollout | rollback | deprecate | retire | declare`: versions and who gets them."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from remit.authoring.process import Process
from remit.cli.carrying import carried_out
from remit.cli.looks import table
from remit.cli.options import DEFAULT_STORE, By, JsonFlag, ReplyTimeout, StoreUrl
from remit.cli.output import console, print_json, reported, say
from remit.cli.target import load_target
from remit.cli.values import share_of
from remit.control.client import Client
from remit.control.hosting import Hosting
from remit.control.releases.published import CallerView, VersionView, caller_views, publication_of, version_views
from remit.control.views import plain
from remit.errors import MisuseError
from remit.kernel.registry import State

__all__ = [
    "Reference",
    "callers",
    "declare",
    "deprecate",
    "promote",
    "publish",
    "retire",
    "rollback",
    "rollout",
    "versions",
]

_WAIT_S = 10.0
Reference = Annotated[
    str, typer.Argument(metavar="NAME@VERSION", help="A published version: inventory@2.1.0.", show_default=False)
]
Share = Annotated[
    str | None, typer.Option(metavar="SHARE", help="Only a share of the traces that begin from now on: 10% or 0.1.")
]
To = Annotated[list[str] | None, typer.Option("--to", metavar="CALLER", help="Only this caller; may be repeated.")]


@reported
def publish(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="TARGET…", help="module:process, file.py:process or workflow.yaml.", show_default=False),
    ],
    allow: Annotated[
        list[str] | None, typer.Option(metavar="PREFIX", help="A package that workflows may import from.")
    ] = None,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Publish processes and workflows as versions that never change, all or none. Nobody gets them before `remit promote`."""
    publications = [_publication(each, allow or []) for each in targets]
    done = carried_out(store, "publish", {"publications": publications, "by": by}, timeout).done
    if as_json:
        print_json({"published": done})
        return
    for each in done:
        say(f"{each['process']} {each['version']} is {each['state']}.")
        for why in each["denied"]:
            console().print(Text(f"As things stand a call of its would be rejected: {why}", "yellow"), soft_wrap=True)


def _publication(text: str, allow: list[str]) -> dict[str, Any]:
    target = load_target(text, [], allow)
    if isinstance(target.process, Process):
        return publication_of(target.process.definition, target.process.definition.calls)
    name, _, version = target.process.partition("@")
    hosting = Hosting(target.hosted, allow)
    definition = next(each for each in hosting.catalog().hosted(name) if each.version == version)
    return publication_of(definition, hosting.published_calls(definition))


@reported
def promote(
    reference: Reference,
    to: To = None,
    share: Share = None,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Let all callers get a version, or some of them first; refused until each caller that it concerns has declared."""
    _act(store, "promote", {"reference": reference, "to": _to(to, share), "by": by}, timeout, as_json=as_json)


@reported
def rollout(
    reference: Reference,
    to: To = None,
    share: Share = None,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Let some callers, or a share of traces, get a version first; it is taken back by itself where it fails them."""
    wanted = _to(to, share)
    if wanted is None:
        raise MisuseError("Say for whom: --to CALLER, or --share 10%", code="invalid_input")
    _act(store, "promote", {"reference": reference, "to": wanted, "by": by}, timeout, as_json=as_json)


def _to(callers: list[str] | None, share: str | None) -> float | list[str] | None:
    if share is None:
        return callers or None
    if callers:
        raise MisuseError("--to and --share are two rollouts: give one after the other", code="invalid_input")
    return share_of(share, "--share")


@reported
def rollback(
    reference: Reference,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Take a version back: new calls go to the others at once, and what runs ends as it began."""
    _act(store, "rollback", {"reference": reference, "by": by}, timeout, as_json=as_json)


@reported
def deprecate(
    reference: Reference,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Let callers get a version only where their range has no promoted one."""
    _act(store, "deprecate", {"reference": reference, "by": by}, timeout, as_json=as_json)


@reported
def retire(
    reference: Reference,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Let nobody get a version again; refused while a caller would be left without one."""
    _act(store, "retire", {"reference": reference, "by": by}, timeout, as_json=as_json)


@reported
def declare(
    caller: Annotated[str, typer.Argument(metavar="CALLER@VERSION", help="The caller: order@1.1.", show_default=False)],
    with_: Annotated[str, typer.Option("--with", metavar="NAME@VERSION", help="What it works with too: inventory@3.")],
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Record that a version of a caller works with further versions of what it calls."""
    carried_out(store, "declare", {"caller": caller, "with_": with_, "by": by}, timeout)
    if as_json:
        print_json({"caller": caller, "with": with_})
    else:
        say(f"{caller} works with {with_}.")


@reported
def versions(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Of which process.", show_default=False)] = None,
    store: StoreUrl = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """List published versions, newest first."""
    with Client(store).reader() as reader:
        found = version_views(reader, name)
    if as_json:
        print_json({"versions": plain(found)})
    elif found:
        rows = [
            (each.process, each.version, _state(each), each.department or "", ", ".join(each.calls)) for each in found
        ]
        console().print(table(("process", "version", "state", "department", "calls"), rows))
    else:
        console().print("No version is published.")


def _state(view: VersionView) -> str:
    if view.state != State.PUBLISHED or not (view.to_callers or view.to_share):
        return view.state
    share = [f"{view.to_share * 100:g}% of traces"] if view.to_share else []
    return f"rolled out to {', '.join([*view.to_callers, *share])}"


@reported
def callers(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of which process.", show_default=False)],
    store: StoreUrl = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """List the published versions that declare calls of a process."""
    with Client(store).reader() as reader:
        found = caller_views(reader, name)
    if as_json:
        print_json({"callers": plain(found)})
    elif found:
        rows = [_caller_row(each) for each in found]
        console().print(table(("caller", "version", "state", "calls", "declared", "department", "by"), rows))
    else:
        console().print(f"No published version declares calls of {name!r}.")


def _caller_row(view: CallerView) -> tuple[str, ...]:
    ranges, declared = " ".join(view.ranges), " ".join(view.declared)
    return view.caller, view.version, view.state, ranges, declared, view.department or "", view.published_by or ""


def _act(store: str, verb: str, arguments: dict[str, Any], wait_s: float, *, as_json: bool) -> None:
    done = carried_out(store, verb, arguments, wait_s).done
    if as_json:
        print_json(done)
    else:
        say(f"{done['process']} {done['version']} is {_state(VersionView(**done))}.")

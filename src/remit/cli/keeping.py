"""`remit erase | retention | keys | alerts | ack`: what is kept, for how long, sealed with what, and what to see to."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import Annotated

import typer

from remit.cli.carrying import carried_out
from remit.cli.looks import age, table
from remit.cli.options import DEFAULT_STORE, By, JsonFlag, ReplyTimeout, StoreUrl
from remit.cli.output import console, print_json, reported, say
from remit.control.client import Client
from remit.control.custody import key_views, retention_views
from remit.control.queries import Queries
from remit.control.views import AlertView, plain
from remit.errors import MisuseError, StoreError
from remit.store.keyring import Keyring

__all__ = ["ack", "alerts", "erase", "keys", "retention"]

_LONG_S = 600.0
Tenant = Annotated[str | None, typer.Option("--tenant", metavar="T")]
LongTimeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long to wait for its end.")]


@reported
def erase(
    tenant: Annotated[str, typer.Option("--tenant", metavar="T", help="Whose data.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: there is no way back.")] = False,
    cancel_open: Annotated[bool, typer.Option("--cancel-open", help="Cancel what is open first.")] = False,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: LongTimeout = _LONG_S,
    as_json: JsonFlag = False,
) -> None:
    """Erase what a tenant's executions worked on, and destroy its keys. Ids, statuses, times and usage stay."""
    client = Client(store)
    if not yes:
        if not sys.stdin.isatty() or as_json:
            raise MisuseError("There is no way back from an erasure: say that you mean it with --yes", code="invalid_input")
        typer.confirm(f"Erase all that executions of tenant {tenant!r} in {client.location.path} worked on?", abort=True)
    arguments = {"tenant": tenant, "cancel_open": cancel_open, "by": by}
    done = carried_out(store, "erase", arguments, timeout).done
    if as_json:
        print_json(done)
        return
    keys = f", {done['keys']} keys are destroyed" if done["keys"] else ""
    say(f"Tenant {tenant!r} is erased: {done['executions']:,} executions have no payload left{keys}.")


# -- retention --------------------------------------------------------------------------------------------------------

retention = typer.Typer(name="retention", help="Set and show how long ended trees are kept, or delete at once.", no_args_is_help=True)


@retention.command("set")
@reported
def set_(
    keep: Annotated[str, typer.Argument(metavar="KEEP", help="A time such as 90d, `forever` or `default`.", show_default=False)],
    tenant: Tenant = None,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = 10.0,
    as_json: JsonFlag = False,
) -> None:
    """Keep a tenant's trees so long after their end; without --tenant, those of all tenants that have no time of their own."""
    named = keep in {"forever", "default"}
    arguments = {"tenant": tenant, "keep": None if named else keep, "default": keep == "default", "by": by}
    carried_out(store, "set_retention", arguments, timeout)
    if as_json:
        print_json({"tenant": tenant, "keep": keep})
        return
    whose = f"tenant {tenant!r}" if tenant is not None else "tenants without a time of their own"
    say(f"Trees of {whose} are kept {_KEPT.get(keep, f'for {keep} after their end')}.")


_KEPT = {"forever": "for ever", "default": "as long as all others"}


@retention.command()
@reported
def show(store: StoreUrl = DEFAULT_STORE, as_json: JsonFlag = False) -> None:
    """Show how long trees are kept, by tenant."""
    with Client(store).reader() as reader:
        found = retention_views(reader)
    if as_json:
        print_json({"retention": plain(found)})
        return
    rows = [
        (each.tenant or "(all others)", _kept(each.keep_ms), age(each.set_at), each.set_by or "") for each in found
    ]
    console().print(table(("tenant", "kept", "set", "by"), rows) if found else "Everything is kept for ever.")


def _kept(keep_ms: int | None) -> str:
    return "for ever" if keep_ms is None else str(timedelta(milliseconds=keep_ms))


@retention.command()
@reported
def run(by: By = None, store: StoreUrl = DEFAULT_STORE, timeout: LongTimeout = _LONG_S, as_json: JsonFlag = False) -> None:
    """Delete at once what is kept no longer; an open app does so by itself every hour."""
    done = carried_out(store, "sweep", {"by": by}, timeout).done
    if as_json:
        print_json(done)
    else:
        say("Deleted: {roots:,} trees of {executions:,} executions, {alerts:,} alerts.".format(**done))


# -- keys -------------------------------------------------------------------------------------------------------------

keys = typer.Typer(name="keys", help="List the keys of an encrypted store, or give a tenant a new one.", no_args_is_help=True)


@keys.command("list")
@reported
def list_(tenant: Tenant = None, store: StoreUrl = DEFAULT_STORE, as_json: JsonFlag = False) -> None:
    """List keys, without the keys themselves: whose they are, when they were made and destroyed."""
    keyring = Keyring.of_environment()
    if keyring is None:
        raise StoreError("Name the key file: REMIT_KEYS, or `remit --keys FILE keys list`", code="keyring_unusable")
    with Client(store, keyring).reader():
        found = key_views(keyring.keys(tenant))
    if as_json:
        print_json({"keys": plain(found)})
        return
    rows = [
        (each.id, each.tenant or "(none)", age(each.made_at), age(each.destroyed_at) if each.destroyed_at else "")
        for each in found
    ]
    console().print(table(("key", "tenant", "made", "destroyed"), rows) if found else "No payload was sealed yet.")


@keys.command()
@reported
def rotate(
    tenant: Tenant = None,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = 10.0,
    as_json: JsonFlag = False,
) -> None:
    """Seal a tenant's payloads from now on with a new key; older ones stay readable."""
    done = carried_out(store, "rotate_keys", {"tenant": tenant, "by": by}, timeout).done
    if as_json:
        print_json(done)
    else:
        say(f"Payloads of {f'tenant {tenant!r}' if tenant else 'no tenant'} are sealed with key {done['id']} from now on.")


# -- alerts -----------------------------------------------------------------------------------------------------------


@reported
def alerts(
    only_open: Annotated[bool, typer.Option("--open", help="Only those that nobody has acknowledged.")] = False,
    code: Annotated[str | None, typer.Option(metavar="CODE")] = None,
    tenant: Tenant = None,
    execution: Annotated[str | None, typer.Option(metavar="ID", help="Only those about this execution.")] = None,
    limit: Annotated[int, typer.Option(metavar="N")] = 100,
    store: StoreUrl = DEFAULT_STORE,
    as_json: JsonFlag = False,
) -> None:
    """List alerts, newest first; `remit explain CODE` says what each code means and how to mend it."""
    acknowledged = False if only_open else None
    with Client(store).reader() as reader:
        found = Queries(reader).alerts(
            code=code, execution_id=execution, tenant=tenant, acknowledged=acknowledged, limit=limit
        )
    if as_json:
        print_json({"alerts": plain(found)})
        return
    titles = ("alert", "code", "count", "last", "about", "message", "seen by")
    console().print(table(titles, map(_alert_row, found)) if found else "No alert.")


def _alert_row(alert: AlertView) -> tuple[str, ...]:
    seen = "" if alert.acknowledged_at is None else alert.acknowledged_by or "somebody"
    about = alert.execution_id or alert.subject
    return str(alert.id), alert.code, str(alert.count), age(alert.last_at), about, alert.message, seen


@reported
def ack(
    alert: Annotated[
        int,
        typer.Argument(metavar="ALERT", help="Its number, as `remit alerts` shows it.", show_default=False, min=1, max=(1 << 63) - 1),
    ],
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = 10.0,
    as_json: JsonFlag = False,
) -> None:
    """Acknowledge an alert: what happens again is told anew. The first one who does stays."""
    who = by or os.environ.get("USER")
    done = carried_out(store, "acknowledge", {"alert_id": alert, "by": who}, timeout).done
    if as_json:
        print_json(done)
    else:
        say(f"Alert {alert} ({done['code']}) was seen by {done['acknowledged_by'] or 'somebody'}.")

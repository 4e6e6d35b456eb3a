"""`remit webhooks`: URLs that hear of refused promotions and of versions that are taken back."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from remit.cli.carrying import carried_out
from remit.cli.looks import table
from remit.cli.options import DEFAULT_STORE, By, JsonFlag, ReplyTimeout, StoreUrl
from remit.cli.output import console, print_json, reported, say
from remit.control.client import Client
from remit.control.releases.webhooks import webhook_views
from remit.control.views import plain
from remit.errors import MisuseError

__all__ = ["webhooks"]

_WAIT_S = 10.0
webhooks = typer.Typer(
    name="webhooks", help="URLs that hear of refused promotions and of versions that are taken back.", no_args_is_help=True
)


@webhooks.command("add")
@reported
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://host/path", show_default=False)],
    owner: Annotated[
        str | None, typer.Option(metavar="WHO", help="Only of what concerns versions that this one published.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Its host need not be public.")] = False,
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Add a URL. The secret that its messages are signed with is printed this once."""
    done = carried_out(store, "add-webhook", {"url": url, "owner": owner, "private": private, "by": by}, timeout).done
    if as_json:
        print_json(done)
        return
    say(f"{done['id']} hears of what happens to versions. Its secret, shown this once:")
    console().print(Text(done["secret"]), soft_wrap=True)


@webhooks.command("list")
@reported
def list_(store: StoreUrl = DEFAULT_STORE, as_json: JsonFlag = False) -> None:
    """List the URLs, and what is still to be delivered."""
    with Client(store).reader() as reader:
        found = webhook_views(reader)
    if as_json:
        print_json({"webhooks": plain(found)})
    elif found:
        rows = [(each.id, each.url, each.owner or "all", str(each.waiting), each.problem or "") for each in found]
        console().print(table(("webhook", "url", "concerning", "waiting", "problem"), rows))
    else:
        console().print("There is no webhook.")


@webhooks.command("remove")
@reported
def remove(
    webhook_id: Annotated[str, typer.Argument(metavar="ID", help="A webhook: wh_….", show_default=False)],
    by: By = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: ReplyTimeout = _WAIT_S,
    as_json: JsonFlag = False,
) -> None:
    """Remove a URL, and what was still to be delivered there."""
    if not carried_out(store, "remove-webhook", {"webhook_id": webhook_id, "by": by}, timeout).done:
        raise MisuseError(f"There is no webhook {webhook_id!r}: see `remit webhooks list`", code="invalid_input")
    if as_json:
        print_json({"removed": webhook_id})
    else:
        say(f"{webhook_id} is removed.")

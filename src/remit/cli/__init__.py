"""The command line: `remit VERB`. One file per group of verbs; `main` is what the `remit` script calls."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from remit import __version__
from remit.cli.audit import audit
from remit.cli.backup import backup, migrate, restore
from remit.cli.budget import budget
from remit.cli.check import check
from remit.cli.command import answer, cancel, retry, send, top_up
from remit.cli.contract import contract
from remit.cli.costs import costs
from remit.cli.doctor import doctor
from remit.cli.evaluate import evaluate, evaluations, require
from remit.cli.explain import explain
from remit.cli.keeping import ack, alerts, erase, keys, retention
from remit.cli.look import journal, lineage, ps, show, tree
from remit.cli.policy import policy
from remit.cli.registry import callers, declare, deprecate, promote, publish, retire, rollback, rollout, versions
from remit.cli.run import run
from remit.cli.schedules import schedules
from remit.cli.webhooks import webhooks

__all__ = ["app", "main"]

_PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "Run": {"run": run, "check": check},
    "Look": {
        "tree": tree,
        "show": show,
        "journal": journal,
        "lineage": lineage,
        "ps": ps,
        "schedules": schedules,
        "costs": costs,
        "alerts": alerts,
    },
    "Command": {"answer": answer, "send": send, "cancel": cancel, "retry": retry, "top-up": top_up, "ack": ack},
    "Versions": {
        "publish": publish,
        "versions": versions,
        "callers": callers,
        "declare": declare,
        "evaluate": evaluate,
        "evaluations": evaluations,
        "require": require,
        "promote": promote,
        "rollout": rollout,
        "rollback": rollback,
        "deprecate": deprecate,
        "retire": retire,
    },
    "Keep": {"backup": backup, "restore": restore, "migrate": migrate, "doctor": doctor, "explain": explain, "erase": erase},
}

app = typer.Typer(
    name="remit",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for panel, verbs in _PANELS.items():
    for name, verb in verbs.items():
        app.command(name, rich_help_panel=panel)(verb)
app.add_typer(contract, rich_help_panel="Run")
app.add_typer(policy, rich_help_panel="Versions")
for group in (audit, retention, keys):
    app.add_typer(group, rich_help_panel="Keep")
app.add_typer(webhooks, rich_help_panel="Versions")
app.add_typer(budget, rich_help_panel="Command")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"remit {__version__}")
        raise typer.Exit


def _keys(file: Path | None) -> None:
    if file is not None:
        os.environ["REMIT_KEYS"] = str(file)


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    keys: Annotated[
        Path | None,
        typer.Option(callback=_keys, metavar="FILE", help="The key file of an encrypted store; else REMIT_KEYS."),
    ] = None,
) -> None:
    """Governed, nested workflow invocation: run processes, look at executions, command them.

    Every verb takes --store URL (or REMIT_STORE; else sqlite:///remit.db) and --json, and works
    while another process drives the store.
    """


def main() -> None:
    """Run the command line; what the terminal cannot write becomes '?'."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except SystemExit as leaving:
        _leave_stuck_threads(leaving.code)
        raise


def _leave_stuck_threads(code: object) -> None:
    """A thread that outlived its lease cannot be ended, and Python would wait for it; what counts is durable by now."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if any(not thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))

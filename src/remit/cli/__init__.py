"""The command line: `remit VERB`. One file per group of verbs; `main` is what the `remit` script calls."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from remit import __version__
from remit.cli.verbs import Verbs

__all__ = ["app", "main"]

app = typer.Typer(
    name="remit",
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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

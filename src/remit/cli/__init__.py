"""The command line: `remit VERB`. One file per group of verbs; `main` is what the `remit` script calls."""

from __future__ import annotations

import contextlib
import errno
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

_UNWRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""A full or failing disk under the output; of the store's own, verbs tell as RemitError."""

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
    _occupy_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        _run()
    except SystemExit as leaving:
        _leave_stuck_threads(leaving.code)
        raise


def _run() -> None:
    """Every verb; one whose output does not fit on the disk says so and leaves with exit code 1."""
    try:
        app()
    except OSError as error:
        if error.errno not in _UNWRITTEN:
            raise
        with contextlib.suppress(OSError):  # where standard error is full as well, nobody can be told
            typer.echo(f"The output cannot be written: {error.strerror}. What the verb did stands.", err=True)
        _empty_buffers()
        raise SystemExit(1) from None


def _occupy_closed_streams() -> None:
    """A stream that was closed at the start (`>&-`) takes nothing; its descriptor is no store's."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def _empty_buffers() -> None:
    """What could not be written is not tried again when Python leaves, which would be a second complaint."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())


def _leave_stuck_threads(code: object) -> None:
    """A thread that outlived its lease cannot be ended, and Python would wait for it; what counts is durable by now."""
    others = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    if any(not thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))

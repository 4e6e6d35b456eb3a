"""What the commands print and how they end: JSON or text for people, exit codes, errors that name the fix."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from remit.engine.values.plain_json import dumps
from remit.errors import RemitError, class_of

__all__ = ["PIPED_WIDTH", "Ending", "console", "ending_of", "errors_to", "print_json", "reported", "say"]

PIPED_WIDTH = 200
"""Columns of a table that does not go to a terminal, so that nothing is cut off for a program that reads it."""

P = ParamSpec("P")
T = TypeVar("T")


class Ending(IntEnum):
    """Exit codes, those of `remit run` among them."""

    COMPLETED = 0
    FAILED = 1
    WRONG_USAGE = 2
    REJECTED = 3
    TIMED_OUT = 4
    CANCELLED = 5
    WAITING = 6
    INTERRUPTED = 130


_BY_STATUS = {
    "completed": Ending.COMPLETED,
    "failed": Ending.FAILED,
    "rejected": Ending.REJECTED,
    "timed_out": Ending.TIMED_OUT,
    "cancelled": Ending.CANCELLED,
    "waiting": Ending.WAITING,
}


def ending_of(status: str) -> Ending:
    """The exit code for how a run stands."""
    return _BY_STATUS[status]


def console(*, stderr: bool = False) -> Console:
    """Colours on a terminal only and never with NO_COLOR; wide enough for every column where it is piped."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else PIPED_WIDTH)


def print_json(value: Any) -> None:
    """One JSON document on standard output: a line where it is piped, indented on a terminal."""
    sys.stdout.write(dumps(value, str, indent=sys.stdout.isatty()).decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """One line about what was done."""
    console().print(Text(text, "green"), soft_wrap=True)


def errors_to(error: RemitError, *, as_json: bool) -> None:
    """Say what went wrong: to standard error for people, on standard output as `{"error": …}` for programs."""
    if as_json:
        print_json(
            {
                "error": {
                    "code": error.code,
                    "error_class": str(class_of(error.code)),
                    "message": str(error),
                    "details": error.details,
                }
            }
        )
        return
    told = Text.assemble((f"{error.code}: ", "bold red"), str(error))
    screen = console(stderr=True)
    screen.print(told, soft_wrap=True)


def reported(verb: Callable[P, T]) -> Callable[P, T]:
    """Turn a verb's RemitError into a message and an exit code: 2 for what cannot be asked so, 1 for a failed disk."""

    @functools.wraps(verb)
    def told(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return verb(*args, **kwargs)
        except RemitError as error:
            errors_to(error, as_json=bool(kwargs.get("as_json")))
            failed_disk = bool(error.details.get("transient"))
            raise typer.Exit(Ending.FAILED if failed_disk else Ending.WRONG_USAGE) from None

    return told

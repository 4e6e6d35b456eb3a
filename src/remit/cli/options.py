"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["DEFAULT_STORE", "ExecutionId", "JsonFlag", "ReplyTimeout", "StoreUrl"]

DEFAULT_STORE = "sqlite:///remit.db"

StoreUrl = Annotated[
    str,
    typer.Option("--store", envvar="REMIT_STORE", metavar="URL", help="Where executions are recorded: sqlite:///FILE."),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ExecutionId = Annotated[
    str, typer.Argument(metavar="ID", help="An execution's id, such as exec_….2.1.", show_default=False)
]
ReplyTimeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long to wait for the store's owner.")
]

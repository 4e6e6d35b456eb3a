"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "DEFAULT_STORE",
    "By",
    "EnvNames",
    "ExecutionId",
    "HttpHosts",
    "JsonFlag",
    "ReplyTimeout",
    "SecretNames",
    "StoreUrl",
    "TenantName",
]

DEFAULT_STORE = "sqlite:///remit.db"

StoreUrl = Annotated[
    str,
    typer.Option("--store", envvar="REMIT_STORE", metavar="URL", help="Where executions are recorded: sqlite:///FILE."),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
ExecutionId = Annotated[
    str, typer.Argument(metavar="ID", help="An execution's id, such as exec_….2.1.", show_default=False)
]
By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who asks for it; it is recorded.")]
TenantName = Annotated[
    str | None,
    typer.Option("--tenant", metavar="T", help="Only this tenant's: what is another's is as good as not there."),
]
HttpHosts = Annotated[
    list[str] | None,
    typer.Option(metavar="HOST", help="A host that is not public and that HTTP steps may reach: localhost:8080."),
]
EnvNames = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="An environment variable that HTTP steps may send.")
]
SecretNames = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A secret for HTTP steps, held by the environment variable of that name."),
]
ReplyTimeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0.1, help="How long to wait for the store's owner.")
]

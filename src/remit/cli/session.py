"""One `remit run`: opens the store, drives, shows, says how it stands and how to go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import typer
from rich.text import Text

from remit.cli.live import LiveScreen, QuietScreen, Screen, print_ended
from remit.cli.options import DEFAULT_STORE
from remit.cli.output import Ending, console, ending_of, print_json
from remit.cli.target import Target, load_target
from remit.cli.waits import Wait
from remit.cli.watch import Watch
from remit.control.app import Remit
from remit.control.hosting import OperatorsList
from remit.control.queries import only_own
from remit.control.views import Record, plain
from remit.engine.answer import outcome_status
from remit.errors import InvalidInput, MisuseError, StoreOwned
from remit.store.keyring import Keyring

__all__ = ["Session"]

_REJECTIONS = frozenset({"invalid_input", "idempotency_conflict", "budget_exceeded", "execution_deleted"})


class Session:
    """A target on a store: started anew, or an execution of it that goes on."""

    def __init__(
        self,
        target: str,
        store: str,
        resume: str | None,
        operator: OperatorsList,
        *,
        as_json: bool,
        wait: bool | None,
    ) -> None:
        self._operator = operator
        self._options: list[str] = []
        self._text = target
        self._store = store
        self._id = resume
        self._as_json = as_json
        self._screen = console()
        self._live = self._screen.is_terminal and not as_json
        self._stay = self._live if wait is None else wait

    def go(self, value: Any, terms: dict[str, Any], beside: list[str], allow: list[str]) -> None:
        """Run to where nothing moves, and exit with the code that says how it stands."""
        self._options = self._needed_again(beside, allow)
        signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        printed = contextlib.redirect_stdout(sys.stderr) if self._as_json else contextlib.nullcontext()
        try:
            with printed:
                target = load_target(self._text, beside, allow)
                tree, waits = asyncio.run(self._drive(target, value, terms))
        except KeyboardInterrupt:
            self._interrupted()
        except (InvalidInput, MisuseError) as error:
            if self._id is not None or error.code not in _REJECTIONS:
                raise
            self._rejected(error, without_input=value is None)
        else:
            self._ended(tree, waits)

    async def _drive(self, target: Target, value: Any, terms: dict[str, Any]) -> tuple[Record, list[Wait]]:
        try:
            listed = self._operator._asdict()
            async with Remit(self._store, processes=target.hosted, workflow_imports=target.allow, encryption=Keyring.of_environment(), **listed) as app:
                if self._id is None:
                    self._id = (await app.start(target.process, value, **terms)).id
                else:
                    only_own(app.engine.store, terms["tenant"], self._id)
                    app.engine.release(self._id)
                screen: Screen = LiveScreen(self._screen) if self._live else QuietScreen()
                with screen:
                    return await Watch(app, self._id, self._store, screen).until_rest(stay=self._stay)
        except StoreOwned as owned:
            here = self._place() or f" --store {self._store}"
            raise StoreOwned(
                f"{owned} Nothing was started. `remit ps{here}` shows what runs there; "
                "to run beside it, name another store with --store.",
                details=owned.details,
            ) from None

    def _place(self) -> str:
        meant = os.environ.get("REMIT_STORE", DEFAULT_STORE)
        return "" if self._store == DEFAULT_STORE == meant else f" --store {shlex.quote(self._store)}"

    def _needed_again(self, beside: list[str], allow: list[str]) -> list[str]:
        """What going on needs as the start did: secrets by name, never what they hold; each in one word, it may begin with a dash."""
        hosts, secrets, env = self._operator
        listed = {"with": beside, "allow": allow, "http-host": hosts, "env": env, "secret": secrets or ()}
        return [f"--{option}={each}" for option, values in listed.items() for each in values]

    def _again(self) -> str:
        options = f" {shlex.join(self._options)}" if self._options else ""
        return f"remit run {shlex.quote(self._text)} --resume {self._id}{self._place()}{options}"

    def _ended(self, tree: Record, waits: Sequence[Wait]) -> None:
        status = outcome_status(tree.status) if tree.ended_at is not None else "waiting"
        if self._as_json:
            print_json(_summary(status, tree, waits))
        else:
            told = [Text.assemble("To go on: ", (self._again(), "bold"))] if waits or status == "waiting" else []
            print_ended(self._screen, tree, waits, told)
        raise typer.Exit(ending_of(status))

    def _rejected(self, error: InvalidInput | MisuseError, *, without_input: bool) -> None:
        if without_input and error.code == "invalid_input":
            error.message += " Give it with --input JSON or --input @FILE."
        told = {
            "error_class": str(error.error_class),
            "code": error.code,
            "message": str(error),
            "details": error.details,
            "origin": None,
            "attempt": None,
        }
        if self._as_json:
            print_json({"status": "rejected", "value": None, "error": told, "execution_id": None, "usage": None})
        else:
            console(stderr=True).print(
                Text.assemble(("rejected ", "bold red"), f"{error.code}: {error}"), soft_wrap=True
            )
        raise typer.Exit(Ending.REJECTED)

    def _interrupted(self) -> None:
        if self._id is None:
            told = "Interrupted before anything was started."
        else:
            told = (
                f"Interrupted. {self._id} is durable where it stands. To go on:\n  {self._again()}\n"
                "or the same command again, where it had a --key."
            )
        console(stderr=True).print(told, soft_wrap=True, markup=False)
        raise typer.Exit(Ending.INTERRUPTED)


def _summary(status: str, tree: Record, waits: Sequence[Wait]) -> dict[str, Any]:
    """The one object of `--json`: an Outcome's fields, and what is waited for where something is."""
    error = tree.error if status != "completed" else None
    summary = {
        "status": status,
        "value": tree.result,
        "error": plain(error),
        "execution_id": tree.execution_id,
        "usage": plain(tree.usage),
    }
    return summary | ({"waiting": [asdict(wait) for wait in waits]} if waits else {})

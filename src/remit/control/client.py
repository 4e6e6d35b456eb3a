"""A store as seen by a process that does not drive it: it reads what is durable, and leaves commands for the owner.

A command is always left in the inbox. Where a process drives the store, that one carries it out; where none does, this
one takes the store for a moment, hosts no code, and carries it out itself: it is recorded, and the next
owner drives on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import apsw
import orjson

from remit.control.queries import Queries
from remit.errors import MisuseError, StoreError, StoreOwned
from remit.store.keyring import Keyring
from remit.store.sqlite.database import APPLICATION_ID, Location, connect, explained, newest_schema, parse_location
from remit.store.sqlite.reader import SqliteReader
from remit.store.sqlite.sealing import unlock

__all__ = ["Carried", "Client"]

_LOOK_EVERY_S = 0.02
_TRY_TO_OWN_EVERY_S = 0.5
_LEAVE = "INSERT INTO inbox (id, verb, arguments, sent_at) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Carried:
    """A command that was carried out: what it returned, and the owner that did it (None: this process itself)."""

    done: Any
    by: str | None


class Client:
    """Reads and commands on one store; without a keyring it takes the one that the environment names.

    Raises StoreError for a store that is missing, foreign or of another schema.
    """

    def __init__(self, url: str, encryption: Keyring | None = None) -> None:
        self.url = url
        self._keyring = encryption or Keyring.of_environment()
        self.location: Location = parse_location(url)
        if self.location.in_memory:
            raise StoreError(
                f"{url!r} lives in the memory of the process that opened it: name a file with --store or REMIT_STORE"
            )
        if self.location.vfs is None and not Path(self.location.path).exists():
            raise StoreError(
                f"There is no store {self.location.path}: name one with --store or REMIT_STORE; `remit run` makes it",
                path=self.location.path,
            )

    @contextmanager
    def reader(self) -> Iterator[SqliteReader]:
        """Reads that all see the same state of the store, without a lock that a writer would notice."""
        with explained(self.location, "read the store"):
            connection = connect(self.location, readonly=True)
            try:
                _check(connection, self.location)
                with connection:
                    yield SqliteReader(connection, self.location, unlock(connection, self._keyring, self.location))
            finally:
                connection.close()

    @contextmanager
    def queries(self) -> Iterator[Queries]:
        """The same reads as views."""
        with self.reader() as reader:
            yield Queries(reader)

    async def command(self, verb: str, arguments: dict[str, Any], wait_s: float) -> Carried:
        """Have a command carried out; durable when this returns.

        Raises MisuseError with the code of a command that was refused, StoreError without a reply in time.
        """
        from remit.control.app import Remit

        command_id = uuid4().hex
        self._leave(command_id, verb, arguments)
        deadline = time.monotonic() + wait_s
        owner = "nobody"
        while time.monotonic() < deadline:
            try:
                async with Remit(self.url, encryption=self._keyring):
                    return Carried(await self._reply(command_id, deadline), None)
            except StoreOwned as owned:
                owner = str(owned.details.get("owner"))
            try:
                return Carried(
                    await self._reply(command_id, min(deadline, time.monotonic() + _TRY_TO_OWN_EVERY_S)), owner
                )
            except TimeoutError:
                continue
        raise StoreError(
            f"{self.location.path}: {owner} drives this store and has not replied within {wait_s:g} s. "
            "The command stays in its inbox and is carried out when it looks there; "
            "`remit doctor` shows its last sign of life.",
            code="store_owned",
            owner=owner,
        )

    def _leave(self, command_id: str, verb: str, arguments: dict[str, Any]) -> None:
        with explained(self.location, f"leave the command {verb!r}"):
            connection = connect(self.location)
            try:
                _check(connection, self.location)
                sealing = unlock(connection, self._keyring, self.location)
                told = orjson.dumps(arguments) if sealing is None else sealing.command(command_id, arguments)
                connection.execute(_LEAVE, (command_id, verb, told, int(time.time() * 1_000)))
            finally:
                connection.close()

    async def _reply(self, command_id: str, deadline: float) -> Any:
        """What the command returned; raises TimeoutError at the deadline (monotonic seconds)."""
        while True:
            with self.reader() as reader:
                reply = reader.reply(command_id)
            if reply is not None:
                return _done(reply)
            if time.monotonic() >= deadline:
                raise TimeoutError
            await asyncio.sleep(_LOOK_EVERY_S)


def _done(reply: dict[str, Any]) -> Any:
    if "error" not in reply:
        return reply["done"]
    error = reply["error"]
    raise MisuseError(error["message"], code=error["code"], details=error["details"])


def _check(connection: apsw.Connection, location: Location) -> None:
    """Refuse a database that is not Remit's, or whose tables another release laid out."""
    if connection.pragma("application_id") != APPLICATION_ID:
        raise StoreError(
            f"{location.path} is no store of Remit: name one with --store or REMIT_STORE", path=location.path
        )
    version, newest = connection.pragma("user_version"), newest_schema()
    if version < newest:
        raise StoreError(
            f"{location.path} has schema {version}, this Remit reads {newest}: run `remit migrate` on it",
            path=location.path,
        )
    if version > newest:
        raise StoreError(
            f"{location.path} was written by a newer Remit (schema {version}, this one knows {newest}): upgrade remit",
            path=location.path,
        )

"""The list of attempts to get around the guards: what is tried, by which way, the code that it gets, and what the audit has of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from remit import Outcome, Process, Remit, RemitError

__all__ = ["ATTEMPTS", "Attempt", "Place", "attempt", "code_of", "refusal"]

Way = Literal["code", "input", "configuration", "alias", "identifier", "tenant"]


class Place:
    """Where an attempt is made: a store of its own, and what its audit says once the app is closed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = f"sqlite:///{directory / 'remit.db'}"
        self.audited: list[tuple[str, str]] = []
        """The kind of each audit entry, and the code in it."""

    @asynccontextmanager
    async def app(self, *processes: Process[Any, Any] | str, **options: Any) -> AsyncIterator[Remit]:
        """An app on the store."""
        async with Remit(self.url, processes=processes, **options) as app:
            yield app
            entries = await app.audit(limit=1_000)
            self.audited = [(each.kind, str((each.details or {}).get("code", ""))) for each in entries]

    def file(self, name: str, text: str) -> str:
        """A file beside the store; its path."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return str(path)


Tried = Callable[[Place], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt. `run` tries it and gives the code it got; it asserts that what it was after did not happen."""

    way: Way
    code: str
    """The code it gets; empty where it is not refused and only comes to nothing."""
    audit: str
    """The kind of the entry that the audit has of it; empty where there was no app yet that could have written one."""
    run: Tried

    @property
    def name(self) -> str:
        """As the list names it."""
        return self.run.__name__

    @property
    def what(self) -> str:
        """What is tried, in a sentence."""
        return (self.run.__doc__ or "").strip()


ATTEMPTS: list[Attempt] = []


def attempt(way: Way, code: str, audit: str) -> Callable[[Tried], Tried]:
    """Enter an attempt in the list: by which way, and the code and the audit entry that it must get."""

    def enter(run: Tried) -> Tried:
        ATTEMPTS.append(Attempt(way, code, audit, run))
        return run

    return enter


def code_of(outcome: Outcome[Any]) -> str:
    """The code of an outcome's error; fails for one that completed."""
    assert outcome.error is not None, f"it went through: {outcome!r}"
    return outcome.error.code


async def refusal(tried: Awaitable[Any]) -> str:
    """The code that an operation is refused with; fails for one that goes through."""
    try:
        done = await tried
    except RemitError as error:
        return error.code
    raise AssertionError(f"it went through: {done!r}")

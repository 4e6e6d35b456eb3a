"""What the tests of the laws share: waiting for a state, reading the file as another program would, victims to kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw

from remit import MisuseError, Record, Remit, step

__all__ = ["Victim", "every", "flatten", "look_at", "open_store", "status", "stuck", "until", "wait_until", "working"]


async def until(look: Callable[[], Awaitable[Any]], seconds: float = 4.0) -> Any:
    """The first true value that `look` gives; fails when there is none in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = await look()
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, f"not within {seconds} s; the last look gave {found!r}"
        await asyncio.sleep(0.01)


async def wait_until(app: Remit, execution_id: str, *statuses: str, seconds: float = 4.0) -> Record:
    """The record, once it shows one of the statuses."""

    async def reached() -> Record | None:
        try:
            record = await app.get(execution_id)
        except MisuseError:  # not started yet
            return None
        return record if record.status in statuses else None

    return await until(reached, seconds)


async def status(app: Remit, execution_id: str) -> str:
    """The durable status."""
    return str((await app.get(execution_id)).status)


def flatten(tree: Record) -> list[Record]:
    """The executions of a tree, each before its children."""
    return [tree, *(record for child in tree.children for record in flatten(child))]


async def every(app: Remit, root_id: str) -> dict[str, Record]:
    """The executions of a trace by what follows the root's id: '' for the root, '.1' for its first child."""
    return {record.execution_id[len(root_id) :]: record for record in flatten(await app.tree(root_id))}


def open_store(directory: Path) -> str:
    """The URL of a file store in a directory."""
    return f"sqlite:///{directory / 'remit.db'}"


def look_at(directory: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows as another program sees them: what is committed, through a connection that only reads."""
    connection = apsw.Connection(str(directory / "remit.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(2_000)
        return list(connection.execute(query, values))
    finally:
        connection.close()


stuck = threading.Event()
"""Set by a test that is over, so that threads and bodies which refuse to stop end after all."""


@step
async def working(seconds: float) -> float:
    """Work that runs, as opposed to durable waiting."""
    await asyncio.sleep(seconds)
    return seconds


class Victim:
    """A program of its own that opens a store, says what it has reached, and is then killed or stopped."""

    def __init__(self, script: Path, source: str, *arguments: str) -> None:
        script.write_text(textwrap.dedent(source))
        paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self._process = subprocess.Popen(
            [sys.executable, str(script), *arguments], stdout=subprocess.PIPE, text=True, env=environment
        )

    def says(self) -> str:
        """Its next line; fails where it ended without one."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the victim ended with {self._process.wait()} and said nothing"
        return line.strip()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it with SIGKILL and wait for its end."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

"""The process that is killed: drives the workload on a file store and writes down what the world sees."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import orjson

from remit import Remit
from tests.faults.workload import PROCESSES, Answers, Seen, drive, watch

__all__ = ["ROOTS", "run", "seen_so_far", "url"]

ROOTS = ("north", "south")


def url(directory: Path) -> str:
    """The victim's store."""
    return f"sqlite:///{directory / 'remit.db'}"


def seen_so_far(directory: Path) -> list[Seen]:
    """What the world saw of all victims on this directory, in order; a written line outlives its writer."""
    lines = (directory / "seen.jsonl").read_bytes().splitlines()
    return [Seen.from_json(orjson.loads(line)) for line in lines]


def run(directory: str, verdict: str, word: str) -> None:
    """Sees all roots through, unless something ends this process first."""
    journal = os.open(Path(directory) / "seen.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    watch(lambda seen: os.write(journal, orjson.dumps(seen.as_json()) + b"\n"))
    asyncio.run(_run(Path(directory), Answers(verdict, word)))


async def _run(directory: Path, answers: Answers) -> None:
    async with Remit(url(directory), processes=PROCESSES) as app:
        await drive(app, ROOTS, answers)

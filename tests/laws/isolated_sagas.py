"""Sagas that another process can import: bodies and steps that run apart from the loop are undone there."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel

from remit import DomainError, TransientError, current, process, step

__all__ = ["Booking", "apart", "in_a_process", "said", "stumbles"]


class Booking(BaseModel):
    """A result that arrives as what it was."""

    what: str
    nights: int


def _note(path: str, text: str) -> None:
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()} {text}\n")


def said(path: str | Path) -> list[tuple[int, str]]:
    """What was noted, with the process that did."""
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return [(int(pid), text) for pid, _, text in (line.partition(" ") for line in lines)]


def release(booking: Booking | None, nights: int, path: str) -> str:
    _note(path, f"release {booking.what if booking else None} for {nights}")
    return "released"


async def release_async(booking: Booking | None, nights: int, path: str) -> str:
    _note(path, f"release async {booking.what if booking else None} for {nights} of {current().execution_id}")
    return "released"


# Its parameters are not in the order of the alphabet, as JSON keeps them.
@step(compensate=release, isolation="process")
def book(nights: int, path: str) -> Booking:
    _note(path, f"book {nights}")
    return Booking(what="room", nights=nights)


@step(compensate=release_async, isolation="process")
async def book_async(nights: int, path: str) -> Booking:
    _note(path, f"book async {nights}")
    return Booking(what="hall", nights=nights)


@process("in_a_process", saga=True)
async def in_a_process(path: str) -> None:
    """Its steps run in processes, its body does not."""
    await book(2, path)
    raise DomainError("no_guests")


@step(compensate=release)
def book_here(nights: int, path: str) -> Booking:
    _note(path, f"book {nights}")
    return Booking(what="room", nights=nights)


@step(compensate=release_async)
async def book_here_async(nights: int, path: str) -> Booking:
    _note(path, f"book async {nights}")
    return Booking(what="hall", nights=nights)


def release_badly(booking: Booking | None, nights: int, path: str) -> str:
    _note(path, "release badly")
    if len([text for _, text in said(path) if text == "release badly"]) < 2:
        raise TransientError("the line is busy")
    return "released at last"


@step(compensate=release_badly)
def stumbles(nights: int, path: str) -> Booking:
    return Booking(what="tent", nights=nights)


@process("apart", saga=True, isolation="process")
async def apart(path: str) -> None:
    """Its body runs in a process, and so do its steps."""
    await book_here(2, path)
    await book_here_async(3, path)
    await stumbles(1, path)
    raise DomainError("no_guests")

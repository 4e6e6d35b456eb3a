"""A saga that the command-line tests run: a trip whose second booking fails; a file named `hold` keeps a compensation from its end."""

from __future__ import annotations

import time
from pathlib import Path

from remit import DomainError, process, step


def cancel_flight(seat: int, who: str) -> str:
    while Path("hold").exists():
        time.sleep(0.01)
    return f"seat {seat} of {who} is free"


@step("Reserve_Flight", compensate=cancel_flight)
async def reserve_flight(who: str) -> int:
    return 12


def cancel_hotel(room: int, who: str) -> None: ...


@step("Reserve_Hotel", compensate=cancel_hotel)
async def reserve_hotel(who: str) -> int:
    raise DomainError("no_rooms")


@process("trip", saga=True)
async def trip(who: str) -> None:
    await reserve_flight(who)
    await reserve_hotel(who)

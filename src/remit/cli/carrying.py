"""A command carried out by whoever drives the store, else right here."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from remit.control.client import Carried, Client

__all__ = ["carried_out"]


def carried_out(store: str, verb: str, arguments: dict[str, Any], wait_s: float) -> Carried:
    """What a command came to; raises what `Client` and `Client.command` raise."""
    client = Client(store)
    log = logging.getLogger("remit.engine")
    level = log.level
    log.setLevel(logging.ERROR)  # that no code is hosted where this process takes the store is on purpose, and no news
    try:
        return asyncio.run(client.command(verb, arguments, wait_s))
    finally:
        log.setLevel(level)

"""Whether branches of a body wait for the engine or for one another: asked on the engine's loop and in a body's own process."""

from __future__ import annotations

import asyncio
import asyncio.locks
import asyncio.queues
import asyncio.taskgroups
import asyncio.tasks
from collections.abc import Container
from typing import Any

__all__ = ["waits"]

_QUIET_FILES = frozenset(
    {asyncio.taskgroups.__file__, asyncio.locks.__file__, asyncio.queues.__file__, asyncio.tasks.__file__}
)


def waits(branch: asyncio.Task[Any], pending: Container[Any], branches: Container[Any]) -> bool:
    """Whether a branch waits for one of the `pending` futures or for another branch, and for nothing else."""
    waiter = getattr(branch, "_fut_waiter", None)
    if waiter is None or waiter.done():
        return False
    if waiter in pending or waiter in branches:
        return True
    members = getattr(waiter, "_children", None)
    if members is not None:
        return all(member.done() or member in branches or member in pending for member in members)
    code = _innermost(branch)
    return code is not None and code.co_filename in _QUIET_FILES and code.co_name != "sleep"


def _innermost(branch: asyncio.Task[Any]) -> Any:
    coroutine: Any = branch.get_coro()
    while getattr(coroutine, "cr_await", None) is not None and hasattr(coroutine.cr_await, "cr_code"):
        coroutine = coroutine.cr_await
    return getattr(coroutine, "cr_code", None)

"""How often a step tries: what its `retry` says, with pauses that are recorded (L18)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from remit.authoring.effects import random, sleep
from remit.errors import DomainError, TransientError
from remit.kernel.retry import Retry, backoff_ms, exhausted

__all__ = ["tried"]

T = TypeVar("T")


async def tried(policy: Retry | None, attempt: Callable[[int], Awaitable[T]]) -> T:
    """What an attempt gives; a TRANSIENT failure is tried again, and in the end is DOMAIN `retries_exhausted`.

    Without a policy there is one attempt, whose TRANSIENT failure is the execution's to retry. Attempts count from 1.
    """
    if policy is None:
        return await attempt(1)
    for number in range(1, policy.attempts):
        try:
            return await attempt(number)
        except TransientError:
            await sleep(backoff_ms(number, policy, await random()) / 1_000)
    try:
        return await attempt(policy.attempts)
    except TransientError as error:
        spent = exhausted(error.info(), policy.attempts)
        raise DomainError(spent.message, code=spent.code, details=spent.details) from error

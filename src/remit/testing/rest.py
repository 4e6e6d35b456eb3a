"""Whether anything can still happen without the passing of time."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterator
from typing import Any

from remit.engine.body.quiet import waits
from remit.engine.body.run import Run
from remit.engine.engine import Engine
from remit.engine.node import Node

__all__ = ["at_work"]

Held = Container[asyncio.Future[Any]]


def at_work(engine: Engine, held: Held) -> Iterator[str]:
    """The executions that go on by themselves, with bodies, steps or compensations; `held`: what fakes hang in."""
    for node in list(engine.traces.nodes.values()):
        if node.run is not None and not node.queued and not _rests(node, node.run, held):
            yield node.id
    for execution_id in engine.sagas.at_work():
        called = engine.sagas.calling.get(execution_id)
        if called is None or not _hangs(called, held):
            yield execution_id


def _rests(node: Node, run: Run, held: Held) -> bool:
    """Whether it is parked; or all its branches wait, one of them for what a fake never gives."""
    if run.delivery.live:
        return False
    if node.parked:
        return True
    return any(_hangs(branch, held) for branch in run.branches) and all(
        _hangs(branch, held) or waits(branch, run.pending, run.branches) for branch in run.branches
    )


def _hangs(branch: asyncio.Task[Any], held: Held) -> bool:
    waiter = getattr(branch, "_fut_waiter", None)
    return waiter is not None and not waiter.done() and waiter in held

"""What the outside learns of an execution's end, once it is durable (L46)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from remit.engine.answer import Answer
from remit.engine.calls import answer_of
from remit.engine.node import Node
from remit.errors import RemitError
from remit.kernel.states import TERMINAL
from remit.store.records import ExecutionRecord

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Outcomes"]


class Outcomes:
    """Those outside who wait for executions to end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def announce(self, node: Node) -> None:
        """Tell outside waiters of an end once it is durable."""
        waiters = self._waiting.pop(node.id, None)
        if waiters:
            self._engine.durability.when_durable(lambda: _release(waiters))

    async def ended(self, execution_id: str) -> ExecutionRecord | None:
        """The record of an execution once it has ended, durably; None for an unknown id."""
        while True:
            record = self._engine.store.execution(execution_id)
            node = self._engine.traces.nodes.get(execution_id)
            if record is None and node is None:
                return None
            if record is not None and record.status in TERMINAL and (node is None or node.ended):
                return record
            if node is not None and node.ended:
                await self._engine.durability.barrier()
                continue
            if node is None:
                await self._engine.durability.barrier()
                record = self._engine.store.execution(execution_id)
                if record is not None and record.status in TERMINAL:
                    return record
            waiter: asyncio.Future[None] = self._engine.loop.create_future()
            self._waiting.setdefault(execution_id, []).append(waiter)
            await waiter

    def answer_of(self, record: ExecutionRecord) -> Answer:
        """The outcome of an ended execution, typed where its code is hosted here."""
        definition = self._engine.catalog.to_continue(record.process, record.version, record.n)
        return answer_of(record, definition.result if definition else None)

    def fail(self, failure: RemitError) -> None:
        """This process has lost the store, or leaves it: nobody who waits here will be told."""
        for waiters in self._waiting.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(failure)
        self._waiting.clear()


def _release(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)

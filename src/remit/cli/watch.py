"""Follows an execution until nothing in its tree moves by itself."""

from __future__ import annotations

import asyncio
import time

from remit.cli.live import Screen
from remit.cli.waits import Wait, moves, nodes_of, waits_of
from remit.control.app import Remit
from remit.control.views import Record
from remit.kernel.states import Status

__all__ = ["Watch"]

_LOOK_EVERY_S = 0.1
_REST = 9
"""Between two looks it rests so many times as long as a look takes: showing costs a tenth at most."""


class Watch:
    """Looks at the tree of one execution, again and again."""

    def __init__(self, app: Remit, execution_id: str, store: str, screen: Screen) -> None:
        self._app = app
        self._id = execution_id
        self._store = store
        self._screen = screen

    async def until_rest(self, *, stay: bool) -> tuple[Record, list[Wait]]:
        """The tree, and who is waited for, once the execution has ended or only others can move it.

        With `stay` it goes on looking while a command from elsewhere can bring an end about.
        """
        await self._app.get(self._id)
        ended = asyncio.ensure_future(self._app.outcome(self._id))
        rested = False
        try:
            while True:
                began = time.monotonic()
                tree, waits = await self._look()
                self._screen.show(tree, waits)
                if self._rests(tree, waits, stay=stay):
                    if rested:
                        return tree, waits
                    rested = True
                    await self._app.engine.durability.barrier()
                    continue
                rested = False
                pause = max(_LOOK_EVERY_S, _REST * (time.monotonic() - began))
                if ended.done():
                    await asyncio.sleep(pause)
                else:
                    await asyncio.wait({ended}, timeout=pause)
        finally:
            ended.cancel()

    async def _look(self) -> tuple[Record, list[Wait]]:
        tree = _node(await self._app.tree(self._id), self._id)
        engine = self._app.engine
        return tree, waits_of(tree, engine.store, self._store, engine.catalog)

    def _rests(self, tree: Record, waits: list[Wait], *, stay: bool) -> bool:
        catalog = self._app.engine.catalog
        if self._app.engine.sagas.moving:
            return False
        if tree.ended_at is not None:
            return not any(
                node.status in (Status.ACTIVE, Status.PENDING) and moves(node, catalog) for node in nodes_of(tree)
            )
        if any(moves(node, catalog) for node in nodes_of(tree)):
            return False
        return not stay or all(_needs_other_code(wait) for wait in waits)


def _node(tree: Record, execution_id: str) -> Record:
    """The part of a trace that is looked at."""
    return next(node for node in nodes_of(tree) if node.execution_id == execution_id)


def _needs_other_code(wait: Wait) -> bool:
    """Whether nothing can end the wait while this process lives: it has the code it has."""
    return wait.kind == "code" or (wait.kind == "paused" and wait.name == "code_changed")

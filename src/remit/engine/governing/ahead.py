"""Long values looked through beside the loop, before anything is judged: siblings go on meanwhile (L43, L48).

A pattern of an operator's own and a text made for it cost a step for each of its states and each byte, seconds for a mebibyte. What
could take longer than the loop may stand still is searched by a thread, and what the thread found waits in the scanner. What judges
is asked in the same turn, and so still looks, takes and writes without a wait between (L7, L8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from remit.engine.governing.ruled import Caller
from remit.engine.values.seam import SeamError
from remit.errors import LimitExceeded

if TYPE_CHECKING:
    from remit.engine.admission import RootTerms
    from remit.engine.body.run import Run
    from remit.engine.definitions import Definition
    from remit.engine.engine import Engine
    from remit.engine.governing.content import Scan, Scanner
    from remit.engine.governing.governance import Governance

__all__ = ["Searches", "ahead_of_afresh", "ahead_of_call", "ahead_of_effect", "ahead_of_result", "ahead_of_start", "takes_long"]

_THREADS = 2
"""Searches beside the loop at once; the rest waits in order. RE2 leaves the interpreter to others while it searches."""


class Searches:
    """The threads of one engine that look through long values; there are none before the first."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    def begin(self, loop: asyncio.AbstractEventLoop, scanner: Scanner, payload: bytes) -> asyncio.Future[Scan | None]:
        """What filters find in a payload, once a thread has looked through it."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, "remit-filters")
        return loop.run_in_executor(self._threads, scanner.search, payload)

    def close(self) -> None:
        """Nobody waits for what is found any more: what has begun ends by itself, and the rest is not begun."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)


def takes_long(scanner: Scanner | None, payload: bytes) -> bool:
    """Whether a payload is to be looked through beside the loop; for most it is not, and so this is asked first."""
    return scanner is not None and not scanner.is_soon_done(payload)


async def ahead_of_call(run: Run, definition: Definition, payload: bytes) -> None:
    """What a call is about to give its callee."""
    await _ahead(run.engine, lambda now: now.called(run.node, definition).ruled.input, payload)


async def ahead_of_effect(run: Run, params: bytes) -> None:
    """What a tool or a model is about to be called with."""
    await _ahead(run.engine, lambda now: now.over(run.node).tool, params)


async def ahead_of_result(run: Run, result: bytes) -> None:
    """What an execution is about to return; only its end breaks that off, for its body has nothing left to give up."""
    await _ahead(run.engine, lambda now: now.over(run.node).result, result, run)


async def ahead_of_afresh(run: Run, payload: bytes) -> None:
    """What an execution is about to start over with."""
    await _ahead(run.engine, lambda now: now.over(run.node).input, payload, run)


async def ahead_of_start(engine: Engine, definition: Definition, value: object, terms: RootTerms) -> None:
    """What a root is about to be started with; what is wrong with it is told by the start itself."""
    if engine.governance is None:
        return
    caller = Caller(terms.tenant, terms.owner, terms.region, terms.caller, terms.depth)
    if engine.governance.started(definition, caller).ruled.input is None:
        return
    try:
        payload = definition.input.accept(value)
    except (SeamError, LimitExceeded):
        return
    await _ahead(engine, lambda now: now.started(definition, caller).ruled.input, payload)


async def _ahead(
    engine: Engine, scanner_of: Callable[[Governance], Scanner | None], payload: bytes, ending: Run | None = None
) -> None:
    """Look through a payload, where that takes long; again, where policies have changed meanwhile."""
    while (governance := engine.governance) is not None:
        scanner = scanner_of(governance)
        if scanner is None or not takes_long(scanner, payload):
            return
        search = engine.searches.begin(engine.loop, scanner, payload)
        try:
            found = await (search if ending is None else _to_its_end(search, ending))
        except asyncio.CancelledError:
            if engine.closed and search.cancelled():  # by that, and nobody has cancelled who waits
                raise engine.closed_meanwhile() from None
            raise
        if engine.closed:
            raise engine.closed_meanwhile()
        if engine.governance is governance:
            scanner.keep(payload, found)
            return


async def _to_its_end(search: asyncio.Future[Scan | None], run: Run) -> Scan | None:
    while not search.done():
        try:
            await asyncio.shield(search)
        except asyncio.CancelledError:
            if not run.valid:
                search.cancel()
                raise
    return search.result()

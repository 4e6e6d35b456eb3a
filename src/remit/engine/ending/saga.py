"""Which executions are being rolled back here, and who waits for that (L37).

An execution's `compensation` becomes `running` in the event that ends it, so nothing that must be undone is forgotten; the
next owner of the store finds it by that. A caller's rollback waits for those of its callees, and begins the ones of those
that had completed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import TYPE_CHECKING, Any

from remit.engine.body.run import Run
from remit.engine.node import Node
from remit.engine.terms import has_saga, note
from remit.engine.versions.rollback import OnHold, Rollback
from remit.errors import MisuseError, RemitError, StoreError
from remit.kernel.saga import concluded, may_become, needs_rollback, starts_over
from remit.kernel.states import Compensation
from remit.store import boundaries
from remit.store.records import AlertFilter, JournalRecord

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Place", "Sagas"]

_AT_ONCE = 64
_LOOK_EVERY_S = 0.01
_log = logging.getLogger("remit.engine")


class Sagas:
    """The rollbacks of one engine. At most so many replay and compensate at once; those that wait for others do not count."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running: dict[str, asyncio.Task[None]] = {}
        self._begun: set[str] = set()
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self.places = asyncio.Semaphore(_AT_ONCE)
        self.waits_for: dict[str, str] = {}
        self.pausing: set[str] = set()
        """Those that wait for the clock before they try a compensation again."""
        self.calling: dict[str, asyncio.Task[Any]] = {}
        """The compensations under way, by execution."""

    # -- beginning ----------------------------------------------------------------------------------------------------

    def ended(self, node: Node, run: Run | None) -> None:
        """An execution has ended, in this event: is it to be rolled back?"""
        record = node.record
        if needs_rollback(record.status, saga=has_saga(record)):
            if run is not None and record.attempt > 1 and run.history.recorded:
                left = [each.position for each in run.history.recorded.values() if isinstance(each, JournalRecord)]
                note(record, {"unreached": left})
            self._becomes(node, Compensation.RUNNING)
            _ = self._task(node.id)

    def call_off(self, node: Node) -> bool:
        """An ended execution is tried again by itself: do not roll it back, where nothing of that has begun; whether so."""
        if node.record.compensation is not Compensation.RUNNING:
            return True
        if node.id in self._begun:
            return False
        self._running.pop(node.id).cancel()
        self._becomes(node, Compensation.NONE)
        return True

    async def roll_back(self, execution_id: str) -> Compensation:
        """Roll back an execution that had completed, or wait for the rollback of one that had not; raises OnHold."""
        node = self._engine.traces.load(execution_id)
        assert node is not None
        record = node.record
        if record.compensation is Compensation.NONE:
            self._becomes(node, Compensation.RUNNING)
            if boundaries.reach is not None:
                boundaries.reach("saga.child")
        if record.compensation is Compensation.RUNNING:
            await asyncio.wait({self._task(execution_id)})
            node = self._engine.traces.load(execution_id)
            assert node is not None
        if node.record.compensation is Compensation.RUNNING:
            what = f"The compensations of {execution_id} wait, and so do those of what called it"
            raise OnHold("compensation_waits", what, {"for": execution_id})
        return node.record.compensation

    def recover(self) -> None:
        """Go on with what the last owner had not finished."""
        for execution_id in self._engine.store.rolling_back():
            _ = self._task(execution_id)

    def _task(self, execution_id: str) -> asyncio.Task[None]:
        """The task that rolls the execution back, begun here where there is none."""
        task = self._running.get(execution_id)
        if task is None:
            # A context of its own: it is no branch of the body that happens to be running.
            task = asyncio.Task(
                self._roll_back(execution_id), loop=self._engine.loop, context=Context(), name=f"saga {execution_id}"
            )
            self._running[execution_id] = task
            task.add_done_callback(lambda _: self._ended(execution_id, task))
        return task

    def _ended(self, execution_id: str, task: asyncio.Task[None]) -> None:
        if self._running.get(execution_id) is task:
            del self._running[execution_id]
            self._begun.discard(execution_id)

    def _becomes(self, node: Node, compensation: Compensation) -> None:
        record = node.record
        assert may_become(record.compensation, compensation), (record.compensation, compensation)
        record.compensation = compensation
        record.updated_at = self._engine.clock.now()
        self._engine.durability.touch(node)

    # -- one rollback -------------------------------------------------------------------------------------------------

    async def _roll_back(self, execution_id: str) -> None:
        traces = self._engine.traces
        if not self._engine.catalog.names():
            return  # whoever takes the store for a moment without any code leaves this to the next owner
        place = Place(self)
        await place.take()
        self._begun.add(execution_id)
        node = traces.load(execution_id)
        assert node is not None
        traces.keep(node)
        try:
            undone = await Rollback(self._engine, node, place).run()
            self._conclude(node, concluded(undone))
        except OnHold as hold:
            self._hold(node, hold)
        except StoreError as failure:
            _log.warning("the rollback of %s stops here: %s", execution_id, failure)
        except Exception:
            _log.exception("the rollback of %s broke off; the next owner of the store takes it up again", execution_id)
        finally:
            place.leave()
            traces.no_longer_keep(node)

    def _conclude(self, node: Node, compensation: Compensation) -> None:
        self._becomes(node, compensation)
        if boundaries.reach is not None:
            boundaries.reach("saga.done")
        waiters = self._waiting.pop(node.id, [])
        self._engine.durability.when_durable(lambda: _release(waiters))

    def _hold(self, node: Node, hold: OnHold) -> None:
        """Tell operators, once for each cause."""
        engine, record = self._engine, node.record
        _log.warning("%s", hold)
        told = engine.store.alerts(AlertFilter(hold.code, node.id, since_ms=record.ended_at, limit=1))
        if not told:
            engine.alert(node, hold.code, str(hold), hold.details)

    # -- waiting ------------------------------------------------------------------------------------------------------

    async def over(self, execution_id: str) -> None:
        """Return once no compensation of an ended execution is to be done any more, durably."""
        while True:
            await self._engine.durability.settled()
            record = self._engine.store.execution(execution_id)
            if record is None or record.compensation is not Compensation.RUNNING:
                return
            waiter: asyncio.Future[None] = self._engine.loop.create_future()
            self._waiting.setdefault(execution_id, []).append(waiter)
            await waiter

    def fail(self, failure: RemitError) -> None:
        """Nobody who waits for a rollback here will be told of its end."""
        for waiter in (waiter for waiters in self._waiting.values() for waiter in waiters if not waiter.done()):
            waiter.set_exception(failure)
        self._waiting.clear()

    @property
    def moving(self) -> bool:
        """Whether a rollback is at work here, and not only waiting for an execution that goes on."""
        return any(not self._stands_still(execution_id) for execution_id in self._running)

    async def at_rest(self) -> None:
        """Return once every rollback here has ended, or waits for an execution that goes on, or for mended code."""
        while self.moving:
            await asyncio.wait(self._running.values(), timeout=_LOOK_EVERY_S)
        await self._engine.durability.barrier()

    def at_work(self) -> list[str]:
        """The executions whose rollbacks go on by themselves; one that waits for another's is as far as that one is."""
        alone = (each for each in self._running if self.waits_for.get(each) not in self._running)
        return [each for each in alone if each not in self.pausing and not self._stands_still(each)]

    def _stands_still(self, execution_id: str) -> bool:
        awaited = self.waits_for.get(execution_id)
        if awaited is None:
            return False
        if awaited in self._running:
            return self._stands_still(awaited)
        node = self._engine.traces.nodes.get(awaited)
        return node is None or not node.ended

    # -- what stands in the way of a retry, and the end ---------------------------------------------------------------

    def refuse_retry(self, node: Node) -> None:
        """Raise MisuseError `wrong_state` while an execution, or one above or below it, is being rolled back (L34)."""
        busy = [each.id for each in _lineage(node) if each.record.compensation is Compensation.RUNNING]
        busy += self._engine.store.rolling_back(node.id)
        if busy:
            raise MisuseError(
                f"{busy[0]} is being rolled back: wait until its `compensation` is done or failed, then retry {node.id}; it then runs in full. `remit show {busy[0]}` and its alerts tell what it waits for.",
                code="wrong_state",
                execution_id=busy[0],
            )

    def is_undone(self, node: Node) -> bool:
        """Whether what the execution had done was undone, with itself or with what called it."""
        return starts_over(each.record.compensation for each in _lineage(node))

    def start_over(self, node: Node) -> bool:
        """Begin a fresh generation where what the execution had done is undone; whether it was (L34)."""
        record, engine = node.record, self._engine
        if not self.is_undone(node):
            return False
        engine.durability.flush()
        note(record, {"since": engine.store.next_position(record.n)})
        record.generation += 1
        node.asks = 0
        if record.compensation is not Compensation.NONE:
            self._becomes(node, Compensation.NONE)
        return True

    def close(self) -> list[asyncio.Task[None]]:
        """Leave all compensations; those that ran run again under the next owner."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        return tasks


class Place:
    """A rollback's place among those that work at the same time."""

    def __init__(self, sagas: Sagas) -> None:
        self._sagas = sagas
        self._taken = False

    async def take(self) -> None:
        """Wait for a place, unless it has one."""
        if not self._taken:
            await self._sagas.places.acquire()
            self._taken = True

    def leave(self) -> None:
        """Let another one work."""
        if self._taken:
            self._taken = False
            self._sagas.places.release()

    @contextmanager
    def given_up(self, execution_id: str, awaited: str) -> Iterator[None]:
        """Without a place, the execution's rollback waits for another execution."""
        self.leave()
        self._sagas.waits_for[execution_id] = awaited
        try:
            yield
        finally:
            del self._sagas.waits_for[execution_id]


def _lineage(node: Node) -> Iterator[Node]:
    """The execution and those above it whose rollback undoes it too."""
    above: Node | None = node
    while above is not None:
        yield above
        above = None if above.record.detached else above.parent


def _release(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)

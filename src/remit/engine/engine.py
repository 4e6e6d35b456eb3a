"""The engine: one object per store that ties admission, runs, waiting, timers and durability together.

It acts on decisions and makes none: rules are in `kernel`, each concern has a room of its own here, and this one only wires
them and moves executions between them: begin → run → park → evict → wake → end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import orjson

from remit.engine.admission import Admission, RootTerms
from remit.engine.apart.shared import adopt_branches, collect_rarely
from remit.engine.apart.watchdog import Watchdog
from remit.engine.apart.workers import Workers
from remit.engine.audit import Audit
from remit.engine.body.driver import Driver
from remit.engine.body.local import LocalPort
from remit.engine.body.port import Port
from remit.engine.body.run import Run
from remit.engine.definitions import Catalog, Definition
from remit.engine.departments import Books, budgets_read
from remit.engine.durability import Durability
from remit.engine.ending import faults
from remit.engine.ending.endings import Endings
from remit.engine.ending.intents import was_left
from remit.engine.ending.outcomes import Outcomes
from remit.engine.ending.saga import Sagas
from remit.engine.ending.settling import Settling
from remit.engine.governing.ahead import Searches
from remit.engine.governing.governance import Governance
from remit.engine.governing.policies import Policies
from remit.engine.governing.rates import Rates
from remit.engine.keeping import Keeping
from remit.engine.metering import Metering
from remit.engine.node import Node
from remit.engine.terms import history_begins, is_at_work, is_held, note
from remit.engine.time.clock import Clock
from remit.engine.time.leases import Leases
from remit.engine.time.schedules import Schedules
from remit.engine.time.timers import Timers
from remit.engine.traces import Traces
from remit.engine.versions.outbox import Outbox
from remit.engine.versions.routing import Routing
from remit.engine.waiting import Waiting
from remit.engine.warm import Warm
from remit.errors import ErrorInfo, MisuseError, RemitError, StoreError
from remit.kernel.preflight import Limits
from remit.kernel.states import Status
from remit.store import boundaries
from remit.store.port import Store
from remit.store.records import UNHEARD, AlertRecord, EffectKind, ExecutionRecord

__all__ = ["Engine"]

_READ_TOGETHER = 500


class Engine:
    """Drives the executions of one store on one event loop."""

    def __init__(self, store: Store, catalog: Catalog, limits: Limits, clock: Clock, resources: object) -> None:
        self.loop = asyncio.get_running_loop()
        self.store = store
        self.catalog = catalog
        self.limits = limits
        self.clock = clock
        self.resources = resources
        self.log = logging.getLogger("remit.engine")
        self.durability = Durability(store, self.loop, self._fenced)
        self.audit = Audit(self)
        self.routing = Routing(self)
        self.rates = Rates(self)
        self.governance: Governance | None = None
        """What the policies in force say; None while none is."""
        self.searches = Searches()
        self.policies = Policies(self)
        self.outbox = Outbox(self)
        self.books: Books | None = budgets_read(store)
        """Budgets of departments; None where none has one."""
        self.traces = Traces(self)
        self.waiting = Waiting(self)
        self.leases = Leases(clock, self._expired)
        self.timers = Timers(self)
        self.schedules = Schedules(self)
        self.keeping = Keeping(self)
        self.admission = Admission(self)
        self.endings = Endings(self)
        self.sagas = Sagas(self)
        self.metering = Metering(self)
        self.driver = Driver(self)
        self.settling = Settling(self)
        self.outcomes = Outcomes(self)
        self.warm = Warm(self)
        self.workers = Workers()
        self.new_root_keys: dict[bytes, ExecutionRecord] = {}
        self.refusals = 0
        self._next_n = store.next_n
        self.closed = False
        self._collect_as_before = collect_rarely()
        self._make_tasks_as_before = adopt_branches(self.loop)
        self._watchdog = Watchdog(self.loop, self.driver.cut_off)

    # -- what the rooms ask -------------------------------------------------------------------------------------------

    def port_of(self, run: Run) -> Port:
        """What the body of that run asks for its effects."""
        return LocalPort(run)

    def status_of(self, execution_id: str) -> str:
        """The status of an execution as it stands in memory, else in the store."""
        node = self.traces.nodes.get(execution_id)
        if node is not None:
            return str(node.record.status)
        self.durability.flush()  # it may have ended, and left memory, since the last commit
        record = self.store.execution(execution_id)
        return str(record.status) if record is not None else "UNKNOWN"

    def take_n(self) -> int:
        """The row number of the next execution."""
        self._next_n += 1
        return self._next_n - 1

    def alert(self, node: Node, code: str, message: str, details: dict[str, Any], about: str = "") -> None:
        """Tell operators of something about an execution, in the same event as what it is about.

        `about` tells apart what the same code may say of one execution: a call's target, say.
        """
        payload = orjson.dumps(details, default=str)
        subject = f"{node.id} {about}" if about else node.id
        now = self.clock.now()
        self.durability.alert(AlertRecord(code, node.id, node.record.tenant, message, payload, now, subject=subject))

    def definition_of(self, node: Node) -> Definition | None:
        """The code hosted here that may drive the execution."""
        record = node.record
        return self.catalog.to_continue(record.process, record.version, record.n)

    # -- begin, run, end ----------------------------------------------------------------------------------------------

    def begin(self, node: Node, definition: Definition | None) -> None:
        """Drive an execution from its start or its journal, now or when the trace has a slot for it."""
        if is_held(node.record):
            self.waiting.stand_by(node)
            self.traces.let_go(node)
        elif definition is None:
            self.log.warning(
                "%s waits: no code for %s %s is hosted here", node.id, node.record.process, node.record.version
            )
            self.waiting.stand_by(node)
        elif self.waiting.claim_slot(node):
            self.launch(node, definition)

    def proceed(self, node: Node) -> None:
        """The execution has been given a slot."""
        if node.run is not None:
            node.run.delivery.drain()
            return
        definition = self.definition_of(node)
        if definition is not None:
            self.launch(node, definition)

    def launch(self, node: Node, definition: Definition) -> None:
        """Drive the execution in a new run, with what it has recorded."""
        record = node.record
        run = Run(self, node, definition)
        node.run = run
        first = record.started_at is None
        if node.restored or not first:  # that it has begun may not have been written yet when its owner ended
            self.load_history(run)
        if first:
            record.started_at = self.clock.now()
        if first and record.wake_at is None:
            self.durability.begin(node)
        else:
            record.wake_at = None
            self.durability.touch(node)
        run.begin()

    def load_history(self, run: Run) -> None:
        """Give the run what its execution has recorded, with the records of living children as they are in memory."""
        record = run.node.record
        begun_here = record.started_at is not None
        if begun_here and self.durability.concerns(record.n):
            self.durability.flush()
        entries = self.store.journal(record.n, record.generation)
        since = history_begins(record)
        wanted = (child for child in self.store.children(record.n) if child.position >= since and child.key is not None)
        children = [self.current_record(child) for child in wanted]
        run.history.load(entries, children, self.store.next_position(record.n))
        orders = [*(entry.completed for entry in entries), *(child.answered for child in children)]
        run.delivery.expect(order for order in orders if order is not None and order != UNHEARD)

    def current_record(self, record: ExecutionRecord) -> ExecutionRecord:
        """The living record of an execution: a copy read earlier may be out of date."""
        node = self.traces.nodes.get(record.id)
        if node is not None:
            return node.record
        if record.ended_at is None:
            self.durability.flush()
            return self.store.execution(record.id) or record
        return record

    def current_root(self, root_id: str) -> ExecutionRecord | None:
        """The living record of a root; None where there is no such execution."""
        node = self.traces.nodes.get(root_id)
        return node.record if node is not None else self.store.execution(root_id)

    def stop_run(self, node: Node) -> None:
        """Leave the execution's code."""
        run, node.run = node.run, None
        if run is not None:
            self.warm.forget(run)
            self.metering.entrust(node)
            run.stop()

    # -- park, wake ---------------------------------------------------------------------------------------------------

    def evict(self, run: Run) -> None:
        """Let a parked execution leave memory; it is replayed when it is woken."""
        self.stop_run(run.node)
        self.traces.let_go(run.node)

    def wake(self, node: Node) -> None:
        """Something the execution waits for has happened; a pause before a retry is waited out."""
        if (
            node.record.wake_at is None
            and node.run is None
            and not node.ended
            and node.record.status is not Status.PAUSED
        ):
            self.begin(node, self.definition_of(node))

    def child_ended(self, parent: Node, child: Node) -> None:
        """Hand a child's end to the caller that waits for it."""
        run = parent.run
        if run is not None:
            waiting = run.children.pop(child.record.n, None)
            if waiting is not None:
                waiting.node, waiting.record = child, child.record
                run.delivery.complete(waiting)
        elif child.record.awaited:
            self.wake(parent)

    def now_awaited(self, child_id: str) -> None:
        """An async child is awaited from now on: its waits show on its parent (L33)."""
        node = self.traces.load(child_id)
        if node is None or node.record.awaited or node.ended:
            return
        node.record.awaited = True
        assert node.parent is not None
        node.parent.awaiting += 1
        node.parent.humans += node.human
        node.parent.ticking_children += node.ticking
        self.durability.touch(node)
        self.waiting.refresh(node.parent)

    def no_longer_awaited(self, child_id: str) -> None:
        """Nobody waits for an async child any more: it goes on as one that nobody has awaited yet (L14)."""
        node = self.traces.load(child_id)
        if node is None or not node.record.awaited or node.ended:
            return
        node.record.awaited = False
        assert node.parent is not None
        node.parent.awaiting -= 1
        node.parent.humans -= node.human
        node.parent.ticking_children -= node.ticking
        self.durability.touch(node)
        self.waiting.refresh(node.parent)

    def pause(self, node: Node, error: ErrorInfo, until: int | None = None) -> None:
        """Nothing is lost, aborted or compensated: the execution waits for mended code or a top-up; at `until` it tries again."""
        self.stop_run(node)
        record = node.record
        record.status = Status.PAUSED
        record.error = faults.encode_error(error)
        record.epoch += 1
        record.updated_at = self.clock.now()
        record.wake_at = until
        if until is not None:
            self.timers.expect(until)
        self.durability.touch(node)
        self.alert(node, error.code, error.message, error.details)
        self.waiting.refresh(node)
        node.queued = False
        self.waiting.release_slot(node)

    def resume(self, node: Node) -> None:
        """Drive a paused execution again."""
        node.record.status = Status.PENDING
        node.record.error = node.record.wake_at = None
        node.parked = True
        self.durability.touch(node)
        self.begin(node, self.definition_of(node))

    # -- retry --------------------------------------------------------------------------------------------------------

    def set_aside(self, node: Node, positions: Iterable[int]) -> None:
        """Records that the next attempt must make anew."""
        self.durability.flush()
        for position in positions:
            entry = self.store.journal_entry(node.record.n, node.record.generation, position)
            if entry is not None:
                self.durability.set_aside(entry)

    def set_aside_rejections(self, node: Node) -> None:
        """Recorded rejections are evaluated anew (L34)."""
        self.durability.flush()
        for entry in self.store.journal(node.record.n, node.record.generation):
            if entry.kind is EffectKind.REJECTED:
                self.durability.set_aside(entry)

    def set_aside_left(self, node: Node) -> None:
        """What was left when the attempt failed, since nothing came after it: nobody has heard of its end (L34).

        What was left earlier belongs to what the body did, a timeout say, and stays.
        """
        self.durability.flush()
        entries, children = self.store.journal(node.record.n, node.record.generation), self.store.children(node.record.n)
        heard = [entry.ended_at or 0 for entry in entries if not was_left(entry)]
        heard += [child.ended_at or 0 for child in children if child.answered not in (None, UNHEARD)]
        last = max(heard, default=0)
        for entry in entries:
            if not was_left(entry) or (entry.ended_at or 0) < last:
                continue
            if entry.completed == UNHEARD:  # it has its end, and that will be heard of now
                entry.completed = None
                self.durability.amend(entry)
            else:
                self.durability.set_aside(entry)
        for child in children:
            if child.answered == UNHEARD and (child.ended_at or 0) >= last:
                below = self.traces.nodes.get(child.id) or Node(child, node)
                below.record.answered = None
                self.durability.touch(below)

    # -- leases, fences -----------------------------------------------------------------------------------------------

    def _expired(self, node: Node) -> None:
        living = self.traces.load(node.id)  # another object, where the execution left memory in the meantime
        if living is not None and not living.ended and (living is node or not living.clock.left(self.clock.now())):
            self.endings.expire(living)

    def refused(self, run: Run) -> None:
        """A former driver tried to write: refused, counted, logged (L23)."""
        self.refusals += 1
        self.log.warning(
            "a write of %s at epoch %s was refused: the execution is at epoch %s",
            run.node.id,
            run.epoch,
            run.node.record.epoch,
        )

    def touch_lenders(self, node: Node) -> None:
        """Reservations changed along the path: write them with this event (L24)."""
        current: Node | None = node
        while current is not None:
            if current.record.estimate_tokens or current.record.estimate_cost:
                self.durability.touch(current)
            current = current.parent

    def _fenced(self, failure: StoreError) -> None:
        """Another process owns the store now: stop everything, write nothing."""
        self.log.error("%s", failure)
        for node in list(self.traces.nodes.values()):
            self.stop_run(node)
        self.sagas.close()
        self._dismiss(failure)

    def closed_meanwhile(self) -> MisuseError:
        """What they are told who wait while the app is closed."""
        return MisuseError("This Remit was closed meanwhile. Nothing is lost: open the store again, and ask again", code="wrong_state")

    def _dismiss(self, failure: RemitError) -> None:
        """Those outside who wait here learn that they wait in vain."""
        self.durability.fail(failure)
        self.outcomes.fail(failure)
        self.sagas.fail(failure)

    def start(self, definition: Definition, value: object, terms: RootTerms) -> tuple[ExecutionRecord, bool]:
        """Admit a root, or find the one that was started under its key; durable once `durability.barrier()` returns."""
        try:
            record, new = self.admission.root(definition, value, terms)
        except StoreError:
            raise
        except RemitError as error:
            self.audit.start_refused(definition.name, terms.tenant, terms.owner, error.code)
            raise
        if not new and not terms.held and is_held(record):
            self.release(record.id)
        return record, new

    def release(self, execution_id: str) -> None:
        """Let an execution begin that was admitted and held; any other goes on as it does."""
        node = self.traces.load(execution_id)
        if node is None:
            return
        if is_held(node.record) and not node.ended:
            note(node.record, {"held": None})
            self.durability.touch(node)
            self.begin(node, self.definition_of(node))
        self.traces.let_go(node)

    # -- recovery and closing -----------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Drive on what was being driven when the last owner ended; the rest waits in the store."""
        if boundaries.reach is not None:
            boundaries.reach("recovery.before")
        self.keeping.recover()
        for node in self._left_to_drive():
            if node.ended:
                continue
            self._recover_one(node)
            if boundaries.reach is not None:
                boundaries.reach("recovery.each")
            if node.run is None and not node.queued:
                self.traces.let_go(node)
        if boundaries.reach is not None:
            boundaries.reach("recovery.after")
        self.sagas.recover()
        self.schedules.recover()
        self.timers.expect_next()
        self.durability.flush()  # who reads finds what is driven again

    def _left_to_drive(self) -> Iterator[Node]:
        """What the store says is to be driven, oldest first: many are read before any is begun, for each reading is of what is written."""
        ids = iter(self.store.to_recover())
        while some := tuple(islice(ids, _READ_TOGETHER)):
            yield from [node for node in map(self.traces.load, some) if node is not None]

    def _recover_one(self, node: Node) -> None:
        record = node.record
        above: Node | None = node
        while above is not None:  # an ancestor that shows a wait of its own is not among those to recover
            if above.ticking:
                self.leases.watch(above)
            above = above.parent
        if record.status is Status.PAUSED:
            if record.error is not None and b'"code_changed"' in record.error and self.definition_of(node) is not None:
                self.resume(node)
        elif (record.status in (Status.ACTIVE, Status.PENDING) or is_at_work(record)) and record.wake_at is None:
            record.epoch += 1
            self.durability.touch(node)
            self.begin(node, self.definition_of(node))

    def take_up(self, definition: Definition) -> None:
        """Drive on what waited for code that is hosted from now on."""
        self.durability.flush()
        for node in self._left_to_drive():
            if node.record.process == definition.name and node.run is None and not node.queued and not node.ended:
                self._recover_one(node)
            if node.run is None and not node.queued:
                self.traces.let_go(node)
        self.timers.expect_next()
        self.durability.flush()

    async def close(self) -> None:
        """Make what was decided durable and leave the code of every execution; the next owner drives them on."""
        if self.closed:
            return
        self.closed = True
        if boundaries.reach is not None:
            boundaries.reach("close.before")
        self.durability.flush()
        running = [
            branch for node in list(self.traces.nodes.values()) if node.run is not None for branch in node.run.branches
        ]
        running += self.sagas.close()
        for node in list(self.traces.nodes.values()):
            self.stop_run(node)
        self._watchdog.close()
        self.timers.close()
        self.schedules.close()
        self.keeping.close()
        self.leases.close()
        current = asyncio.current_task()
        if running:
            await asyncio.wait(
                [task for task in running if task is not current] or [asyncio.ensure_future(asyncio.sleep(0))],
                timeout=1,
            )
        await self.driver.reaped()
        await self.workers.close()
        self.searches.close()
        await asyncio.sleep(0)  # the channels of killed processes close in the loop's next turn
        self.durability.flush()
        await asyncio.sleep(0)  # who was just told of an end reads it from the store yet
        self._dismiss(self.closed_meanwhile())
        self._make_tasks_as_before()
        self._collect_as_before()
        self.store.close()

"""The engine: one object per store that ties admission, runs, waiting, timers and durability together.

It acts on decisions and makes none: rules are in `kernel`, each concern has a room of its own here, and this one only wires
them and moves executions between them: begin → run → park → evict → wake → end.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from remit.engine import faults
from remit.engine.admission import Admission, RootTerms
from remit.engine.answer import Answer
from remit.engine.calls import answer_of
from remit.engine.clock import Clock
from remit.engine.definitions import Catalog, Definition
from remit.engine.elsewhere import locate
from remit.engine.durability import Durability
from remit.engine.endings import Endings
from remit.engine.leases import Leases
from remit.engine.metering import Metering
from remit.engine.node import Node
from remit.engine.local import LocalPort
from remit.engine.port import INSIDE_STEP, PORT, ContinueAs, Port
from remit.engine.remote import RemoteBody
from remit.engine.run import Run
from remit.engine.seam import SeamError, digest
from remit.engine.timers import Timers
from remit.engine.traces import Traces
from remit.engine.waiting import Waiting
from remit.engine.waits import Wait
from remit.engine.warm import Warm
from remit.engine.watchdog import LoopBlocked, Watchdog
from remit.engine.workers import Workers
from remit.errors import CallFailed, DefinitionError, ErrorClass, ErrorInfo, StoreError
from remit.kernel.preflight import Limits
from remit.kernel.states import TERMINAL, Status
from remit.store import boundaries
from remit.store.port import Store
from remit.store.records import AlertRecord, EffectKind, EventRecord, ExecutionRecord, JournalRecord

__all__ = ["Engine"]


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
        self.traces = Traces(self)
        self.waiting = Waiting(self)
        self.leases = Leases(clock, self.loop, self._expired)
        self.timers = Timers(self)
        self.admission = Admission(self)
        self.endings = Endings(self)
        self.metering = Metering(self)
        self.warm = Warm(self)
        self.workers = Workers()
        self.new_root_keys: dict[bytes, ExecutionRecord] = {}
        self.refusals = 0
        self._outcomes: dict[str, list[asyncio.Future[None]]] = {}
        self._next_n = store.next_n
        self._thread = threading.get_ident()
        self._factory = self.loop.get_task_factory()
        self.closed = False
        self.quarantined: set[Definition] = set()
        self._watchdog = Watchdog(self.loop, self._cut_off)
        self._reaping: set[asyncio.Task[None]] = set()
        self.loop.set_task_factory(self._new_task)

    # -- the loop -----------------------------------------------------------------------------------------------------

    def _new_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        """Make tasks as before; one that a body starts is a branch of its run."""
        task = self._factory(loop, coro, **options) if self._factory is not None else asyncio.Task(coro, loop=loop, **options)
        context = options.get("context")
        port = context.get(PORT) if context is not None else PORT.get()
        run: Run | None = getattr(port, "run", None)
        if run is not None and run.engine is self and INSIDE_STEP.get() is None and isinstance(task, asyncio.Task):
            run.adopt(task)
        return task

    def port_of(self, run: Run) -> Port:
        """What the body of that run asks for its effects."""
        return LocalPort(run)

    def status_of(self, execution_id: str) -> str:
        """The status of an execution as it stands in memory, else in the store."""
        node = self.traces.nodes.get(execution_id)
        record = node.record if node is not None else self.store.execution(execution_id)
        return str(record.status) if record is not None else "UNKNOWN"

    def on_loop(self) -> bool:
        """Whether this is the loop's thread."""
        return threading.get_ident() == self._thread

    def take_n(self) -> int:
        """The row number of the next execution."""
        self._next_n += 1
        return self._next_n - 1

    def ancestors(self, node: Node) -> tuple[str, ...]:
        """Names of the ancestors and the execution itself, root first."""
        return node.path

    def definition_of(self, node: Node) -> Definition | None:
        """The code hosted here that may drive the execution."""
        return self.catalog.to_continue(node.record.process, node.record.version)

    # -- begin, run, end ----------------------------------------------------------------------------------------------

    def begin(self, node: Node, definition: Definition | None) -> None:
        """Drive an execution from its start or its journal, now or when the trace has a slot for it."""
        if definition is None:
            self.log.warning("%s waits: no code for %s %s is hosted here", node.id, node.record.process, node.record.version)
        elif self.waiting.claim_slot(node):
            self._launch(node, definition)

    def proceed(self, node: Node) -> None:
        """The execution has been given a slot."""
        if node.run is not None:
            node.run.delivery.drain()
            return
        definition = self.definition_of(node)
        if definition is not None:
            self._launch(node, definition)

    def _launch(self, node: Node, definition: Definition) -> None:
        record = node.record
        run = Run(self, node, definition)
        node.run = run
        first = record.started_at is None
        if first:
            record.started_at = self.clock.now()
        else:
            self._load_history(run)
        record.wake_at = None
        self.durability.touch(node)
        run.begin()

    def _load_history(self, run: Run) -> None:
        """Give the run what its execution has recorded, with the records of living children as they are in memory."""
        self.durability.flush()
        record = run.node.record
        entries = self.store.journal(record.n, record.generation)
        wanted = (child for child in self.store.children(record.n) if child.generation == record.generation and child.key is not None)
        children = [self.current_record(child) for child in wanted]
        run.history.load(entries, children, self.store.next_position(record.n))
        orders = [entry.completed for entry in entries if entry.completed is not None]
        orders += [child.answered for child in children if child.answered is not None]
        run.delivery.expect(orders)

    def current_record(self, record: ExecutionRecord) -> ExecutionRecord:
        """The living record of an execution: a copy read earlier may be out of date."""
        node = self.traces.nodes.get(record.id)
        if node is not None:
            return node.record
        if record.ended_at is None:
            self.durability.flush()
            return self.store.execution(record.id) or record
        return record

    async def drive(self, run: Run) -> None:
        """Run the body to its end and record what came of it."""
        node, definition = run.node, run.definition
        try:
            if definition.isolation == "process" or definition in self.quarantined:
                await self._drive_elsewhere(run)
                return
            if definition.takes_input:
                value = await definition.body(definition.input.decode(node.record.input))
            else:
                value = await definition.body()
        except ContinueAs as fresh:
            if run.valid:
                self._continue_as(run, fresh.input)
            else:
                self.refused(run)
            return
        except LoopBlocked:
            return
        except asyncio.CancelledError:
            if not run.valid:
                return
            error = ErrorInfo(ErrorClass.DOMAIN, "cancelled", "The body was cancelled from inside", {}, node.id, node.record.attempt)
            self.endings.fail(node, error, None)
        except Exception as error:
            if run.valid:
                self._raised(run, error)
            elif not isinstance(error, StoreError):
                self.refused(run)
        else:
            if run.valid:
                self._returned(run, value)
            else:
                self.refused(run)

    def _cut_off(self, run: Run, where: str, step: str | None) -> None:
        """A body has blocked the loop: it goes on in a process of its own, by replay, or in a thread where none finds its code (L22).

        A step is not run again, since it may have had its effect: it has failed, and says how to mend it.
        """
        node = run.node
        if not run.valid or step is not None:
            return
        message = f"{run.definition.name} blocked the event loop in {where} and was cut off. Move the work into a sync @step, or use isolation=\"process\"."
        error = ErrorInfo(ErrorClass.DOMAIN, "blocked_event_loop", message, {"where": where}, node.id, node.record.attempt)
        self.durability.alert(AlertRecord(error.code, node.id, node.record.tenant, message, orjson.dumps(error.details), self.clock.now()))
        self.quarantined.add(run.definition)
        self.stop_run(node)
        node.record.epoch += 1
        self._launch(node, run.definition)

    async def _drive_elsewhere(self, run: Run) -> None:
        """Run the body in a process of its own, and record what that reports."""
        place = locate(run.definition.body, run.definition)
        if place is None and run.definition.isolation == "process":
            message = f"{run.definition.where} cannot be found by another process: define it at the top level of a module"
            raise DefinitionError(message)
        run.remote = RemoteBody(run, place)
        end = await run.remote.drive()
        if not run.valid:
            self.refused(run)
        elif "continue_as" in end:
            self._begin_afresh(run, end["continue_as"])
        elif "result" in end and not run.history.recorded:
            self.endings.complete(run.node, end["result"])
        elif "result" in end:
            run.code_changed(None)
        else:
            fault = {key: end[key] for key in ("child", "position") if end.get(key) is not None}
            self.endings.fail(run.node, end["error"], fault or None, child_failed=end.get("child_failed", False))

    def reap(self, task: asyncio.Task[None]) -> None:
        """Wait for a killed process beside everything else, so that none is left behind."""
        self._reaping.add(task)
        task.add_done_callback(self._reaping.discard)

    def _returned(self, run: Run, value: Any) -> None:
        node = run.node
        if run.history.recorded:
            run.code_changed(None)
            return
        unseen = next((answer for answer in run.unseen if not answer.seen), None)
        if unseen is not None and unseen.error is not None:
            self._child_failed(run, unseen.error, unseen.execution_id)
            return
        try:
            result = run.definition.result.encode(value)
            run.definition.result.decode(result)
        except SeamError as error:
            message = f"{run.definition.name} returned what its annotation does not allow: {error}"
            violation = ErrorInfo(ErrorClass.SYSTEM, "contract_violation", message, {"path": error.path}, node.id, node.record.attempt)
            self.endings.fail(node, violation, None)
            return
        except Exception as error:
            self._raised(run, error)
            return
        self.endings.complete(node, result)

    def _raised(self, run: Run, error: Exception) -> None:
        node = run.node
        cause = _handed_out(error)
        if isinstance(cause, CallFailed) and cause is error and cause.error is not None:
            self._child_failed(run, cause.error, cause.execution_id)
            return
        fault: dict[str, Any] | None = None
        if isinstance(cause, CallFailed):
            fault = {"child": cause.execution_id}
        elif cause is not None:
            fault = {"position": getattr(cause, "position", None)}
        info = faults.info_of(error, node.id, node.record.attempt, run.definition.classifier)
        self.endings.fail(node, info, fault)

    def _child_failed(self, run: Run, error: ErrorInfo, child_id: str | None) -> None:
        self.endings.fail(run.node, error, {"child": child_id} if child_id else None, child_failed=True)

    def _continue_as(self, run: Run, value: object) -> None:
        """A fresh history under the same id, root and ledger (L48)."""
        node = run.node
        try:
            payload = run.definition.input.accept(value)[0]
        except SeamError as error:
            info = ErrorInfo(ErrorClass.DOMAIN, "invalid_input", f"continue_as: {error}", {"path": error.path}, node.id, node.record.attempt)
            self.endings.fail(node, info, None)
            return
        self._begin_afresh(run, payload)

    def _begin_afresh(self, run: Run, payload: bytes) -> None:
        node, record = run.node, run.node.record
        self.metering.abandon(node)
        self.stop_run(node)
        record.generation += 1
        record.epoch += 1
        record.input, record.digest = payload, digest(payload)
        self.durability.touch(node)
        self._launch(node, run.definition)

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
        """Something the execution waits for has happened."""
        if node.run is None and not node.ended and node.record.status is not Status.PAUSED:
            self.begin(node, self.definition_of(node))

    def child_ended(self, parent: Node, child: Node) -> None:
        """Hand a child's end to the caller that waits for it."""
        run = parent.run
        if run is not None:
            waiting = run.children.pop(child.record.n, None)
            if waiting is not None:
                waiting.node = child
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

    def pause(self, node: Node, error: ErrorInfo) -> None:
        """Nothing is lost, aborted or compensated: the execution waits for mended code or a top-up."""
        self.stop_run(node)
        record = node.record
        record.status = Status.PAUSED
        record.error = faults.encode_error(error)
        record.epoch += 1
        record.updated_at = self.clock.now()
        self.durability.touch(node)
        self.durability.alert(AlertRecord(error.code, record.id, record.tenant, error.message, orjson.dumps(error.details, default=str), record.updated_at))
        self.waiting.refresh(node)
        node.queued = False
        self.waiting.release_slot(node)

    def resume(self, node: Node) -> None:
        """Drive a paused execution again."""
        node.record.status = Status.PENDING
        node.record.error = None
        node.parked = True
        self.durability.touch(node)
        self.begin(node, self.definition_of(node))

    def due(self, execution_id: str, position: int | None) -> None:
        """A durable timer has run out: a pause before a retry, or a wait."""
        node = self.traces.load(execution_id)
        if node is None or node.ended:
            return
        if position is None:
            node.record.wake_at = None
            self.durability.touch(node)
            self.wake(node)
            return
        entry = self.entry_of(node, position)
        if entry is not None and entry.ended_at is None:
            self._wait_is_over(node, entry)

    def _wait_is_over(self, node: Node, entry: JournalRecord) -> None:
        if entry.kind is EffectKind.SLEEP:
            self.settle(node, entry, b"null", None)
            return
        default = orjson.loads(entry.terms).get("on_timeout") if entry.terms else None
        if default is not None:
            self.settle(node, entry, default.encode(), None)
            return
        code = "ask_timeout" if entry.kind is EffectKind.ASK else "event_timeout"
        what = f"Nobody answered {entry.name!r}" if entry.kind is EffectKind.ASK else f"Event {entry.name!r} did not arrive"
        self.settle(node, entry, None, ErrorInfo(ErrorClass.DOMAIN, code, f"{what} in time", {"name": entry.name}, node.id, node.record.attempt))

    def entry_of(self, node: Node, position: int) -> JournalRecord | None:
        """A journal entry, as the run holds it where there is one."""
        if node.run is not None:
            wait = node.run.waits.get(position)
            if wait is not None:
                return wait.entry
            for record in node.run.history.recorded.values():
                if isinstance(record, JournalRecord) and record.position == position:
                    return record
        self.durability.flush()
        return self.store.journal_entry(node.record.n, node.record.generation, position)

    def settle(self, node: Node, entry: JournalRecord, result: bytes | None, error: ErrorInfo | None) -> None:
        """A wait has its end: record it and let the branch go on."""
        entry.result = result
        entry.error = faults.encode_error(error) if error is not None else None
        entry.ended_at = self.clock.now()
        self.durability.amend(entry)
        if entry.kind is EffectKind.ASK:
            node.asks -= 1
        if boundaries.reach is not None:
            boundaries.reach("wait.settled")
        wait: Wait | None = node.run.waits.pop(entry.position, None) if node.run is not None else None
        if wait is not None:
            wait.run.delivery.complete(wait)
        elif node.run is None:
            self.waiting.refresh(node)
            self.wake(node)

    def withdraw(self, run: Run, entry: JournalRecord) -> None:
        """A branch that waited was cancelled: nobody needs the answer any more."""
        entry.ended_at = self.clock.now()
        entry.error = faults.encode_error(ErrorInfo(ErrorClass.DOMAIN, "cancelled", "The branch that waited was cancelled", {}, run.node.id, run.node.record.attempt))
        self.durability.amend(entry)
        if entry.kind is EffectKind.ASK:
            run.node.asks -= 1

    # -- events -------------------------------------------------------------------------------------------------------

    def take_early_event(self, node: Node, entry: JournalRecord) -> None:
        """An event that came before it was waited for is taken now (L50)."""
        self.durability.flush()
        event = self.store.untaken_event(node.id, entry.name)
        if event is not None:
            event.taken_by = entry.position
            self.durability.event(event)
            entry.result, entry.ended_at = event.payload, self.clock.now()

    def send(self, node: Node, name: str, payload: bytes, dedupe: str | None) -> bool:
        """Deliver an event to the oldest wait for it, or keep it; False where its deduplication key was seen before."""
        self.durability.flush()
        if dedupe is not None and self.store.has_event(node.id, name, dedupe):
            return False
        event = EventRecord(node.id, name, payload, self.clock.now(), dedupe)
        entry = self._waiting_for(node, name)
        if entry is not None:
            event.taken_by = entry.position
        self.durability.event(event)
        if entry is not None:
            self.settle(node, entry, payload, None)
        self.durability.flush()
        return True

    def _waiting_for(self, node: Node, name: str) -> JournalRecord | None:
        durable = self.store.journal(node.record.n, node.record.generation)
        positions = [entry.position for entry in durable if entry.kind is EffectKind.EVENT and entry.name == name and entry.ended_at is None]
        entry = self.entry_of(node, positions[0]) if positions else None
        return entry if entry is not None and entry.ended_at is None else None

    # -- retry --------------------------------------------------------------------------------------------------------

    def set_aside(self, node: Node, position: int | None) -> None:
        """A record that the next attempt must make anew."""
        if position is None:
            return
        self.durability.flush()
        entry = self.store.journal_entry(node.record.n, node.record.generation, position)
        if entry is not None:
            self.durability.set_aside(entry)

    def set_aside_rejections(self, node: Node) -> None:
        """Recorded rejections are evaluated anew (L34)."""
        self.durability.flush()
        for entry in self.store.journal(node.record.n, node.record.generation):
            if entry.kind is EffectKind.REJECTED:
                self.durability.set_aside(entry)

    # -- leases, fences -----------------------------------------------------------------------------------------------

    def _expired(self, node: Node) -> None:
        if not node.ended:
            self.endings.expire(node)

    def refused(self, run: Run) -> None:
        """A former driver tried to write: refused, counted, logged (L23)."""
        self.refusals += 1
        self.log.warning("a write of %s at epoch %s was refused: the execution is at epoch %s", run.node.id, run.epoch, run.node.record.epoch)

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
        for waiters in self._outcomes.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_exception(failure)
        self._outcomes.clear()

    # -- the outside --------------------------------------------------------------------------------------------------

    def start(self, definition: Definition, value: object, terms: RootTerms) -> tuple[ExecutionRecord, bool]:
        """Admit a root; durable once `durability.barrier()` returns."""
        return self.admission.root(definition, value, terms)

    def announce(self, node: Node) -> None:
        """Tell outside waiters of an end once it is durable."""
        waiters = self._outcomes.pop(node.id, None)
        if waiters:
            self.durability.when_durable(lambda: _release(waiters))

    async def ended(self, execution_id: str) -> ExecutionRecord | None:
        """The record of an execution once it has ended, durably; None for an unknown id."""
        while True:
            record = self.store.execution(execution_id)
            node = self.traces.nodes.get(execution_id)
            if record is None and node is None:
                return None
            if record is not None and record.status in TERMINAL and (node is None or node.ended):
                return record
            if node is not None and node.ended:
                await self.durability.barrier()
                continue
            if node is None:
                await self.durability.barrier()
                record = self.store.execution(execution_id)
                if record is not None and record.status in TERMINAL:
                    return record
            waiter: asyncio.Future[None] = self.loop.create_future()
            self._outcomes.setdefault(execution_id, []).append(waiter)
            await waiter

    def answer_of(self, record: ExecutionRecord) -> Answer:
        """The outcome of an ended execution, typed where its code is hosted here."""
        definition = self.catalog.to_continue(record.process, record.version)
        return answer_of(record, definition.result if definition else None)

    # -- recovery and closing -----------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Drive on what was being driven when the last owner ended; the rest waits in the store."""
        if boundaries.reach is not None:
            boundaries.reach("recovery.before")
        for execution_id in self.store.to_recover():
            node = self.traces.load(execution_id)
            if node is None or node.ended:
                continue
            self._recover_one(node)
            if boundaries.reach is not None:
                boundaries.reach("recovery.each")
            if node.run is None and not node.queued:
                self.traces.let_go(node)
        if boundaries.reach is not None:
            boundaries.reach("recovery.after")
        following = self.store.next_due()
        if following is not None:
            self.timers.expect(following)

    def _recover_one(self, node: Node) -> None:
        record = node.record
        if node.ticking:
            self.leases.watch(node)
        if record.status is Status.PAUSED:
            if record.error is not None and b'"code_changed"' in record.error and self.definition_of(node) is not None:
                self.resume(node)
        elif record.status in (Status.ACTIVE, Status.PENDING) and record.wake_at is None:
            record.epoch += 1
            self.durability.touch(node)
            self.begin(node, self.definition_of(node))

    async def close(self, settle: Callable[[], Awaitable[None]] | None = None) -> None:
        """Make what was decided durable and leave the code of every execution; the next owner drives them on."""
        if self.closed:
            return
        self.closed = True
        if boundaries.reach is not None:
            boundaries.reach("close.before")
        if settle is not None:
            await settle()
        self.durability.flush()
        running = [branch for node in list(self.traces.nodes.values()) if node.run is not None for branch in node.run.branches]
        for node in list(self.traces.nodes.values()):
            self.stop_run(node)
        self._watchdog.close()
        self.timers.close()
        self.leases.close()
        current = asyncio.current_task()
        if running:
            await asyncio.wait([task for task in running if task is not current] or [asyncio.ensure_future(asyncio.sleep(0))], timeout=1)
        if self._reaping:
            await asyncio.wait(self._reaping, timeout=5)
        self.durability.flush()
        self.loop.set_task_factory(self._factory)
        self.store.close()


def _release(waiters: list[asyncio.Future[None]]) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_result(None)


def _handed_out(error: BaseException) -> BaseException | None:
    """The exception the engine handed to the body that this one is, or was raised from."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, CallFailed) or hasattr(current, "position"):
            return current
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return None

"""One drive of one execution: its body, its branches, and what they wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, NoReturn

from remit.engine.body.delivery import Completion, Delivery
from remit.engine.body.history import History, effect_of
from remit.engine.body.port import INSIDE_STEP, PORT
from remit.engine.body.quiet import waits
from remit.errors import ErrorClass, ErrorInfo
from remit.kernel.preflight import Standing
from remit.store.records import UNHEARD, ExecutionRecord, JournalRecord

if TYPE_CHECKING:
    from remit.engine.answer import Answer
    from remit.engine.apart.remote import RemoteBody
    from remit.engine.calls import Call
    from remit.engine.definitions import Definition
    from remit.engine.engine import Engine
    from remit.engine.node import Node
    from remit.engine.waits import Wait

__all__ = ["RECHECK_S", "Run"]

RECHECK_S = 0.05


class Run:
    """A body under way. Once `stopped`, whatever its branches still try is refused and never resumes (L23)."""

    __slots__ = (
        "_check",
        "_held",
        "_kept",
        "_standing",
        "branches",
        "calls",
        "children",
        "context",
        "definition",
        "delivery",
        "engine",
        "epoch",
        "failed_lately",
        "history",
        "loop",
        "node",
        "pending",
        "pulse",
        "remote",
        "started",
        "stopped",
        "task",
        "unseen",
        "waits",
    )

    def __init__(self, engine: Engine, node: Node, definition: Definition) -> None:
        self.engine = engine
        self.node = node
        self.definition = definition
        self.epoch = node.record.epoch
        self.loop = engine.loop
        self.history = History(node.record.tenant or "", node.id, node.record.generation)
        self.delivery = Delivery(self)
        self.branches: dict[asyncio.Task[Any], Coroutine[Any, Any, Any] | None] = {}
        """Its living branches, the body's own among them, each with what is to be closed when it ends."""
        self.context: Context | None = None
        self.pending: dict[asyncio.Future[Any], bool] = {}
        self.calls: dict[bytes, Call] = {}
        self.children: dict[int, Call] = {}
        self.started: dict[str, Call] = {}
        self.waits: dict[int, Wait] = {}
        self.unseen: list[Answer] = []
        self.failed_lately: list[tuple[str | int, ErrorClass]] = []
        """The failures the body has heard of since it last did anything: children by id, steps by position."""
        self.stopped = False
        self.pulse = 0
        """Counts effects and branches: what still counts on is at work with the engine, however long it takes."""
        self.remote: RemoteBody | None = None
        self.task: asyncio.Task[None] | None = None
        self._held: list[tuple[str, asyncio.Future[None]]] = []
        self._check: asyncio.TimerHandle | None = None
        self._standing: Standing | None = None
        self._kept: dict[asyncio.Task[Any], int] = {}
        """Branches that were cancelled while they were told what they had heard before, and how often they had been by then."""

    # -- life ---------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the body as a task of its own, in a context that carries the run."""
        self.context = context = copy_context()
        context.run(PORT.set, self.engine.port_of(self))
        if INSIDE_STEP.get() is not None:
            context.run(INSIDE_STEP.set, None)
        self.task = asyncio.Task(self.engine.driver.drive(self), loop=self.loop, context=context, name=self.node.id)
        self.branches[self.task] = None

    def adopt(self, task: asyncio.Task[Any], work: Coroutine[Any, Any, Any] | None = None) -> None:
        """A branch the body has started; `work` would stay open if the branch were cancelled before it begins."""
        self.pulse += 1
        self.branches[task] = work
        task.add_done_callback(self._branch_ended, context=self.context)

    def _branch_ended(self, task: asyncio.Task[Any]) -> None:
        work = self.branches.pop(task, None)
        if work is not None:
            work.close()
        if not self.stopped:
            self.progressed()

    def stop(self) -> None:
        """Leave the body: its branches are cancelled, and nothing they do from here on counts."""
        self.stopped = True
        if self._check is not None:
            self._check.cancel()
        current = asyncio.current_task(self.loop)
        for branch in self.branches:
            branch._log_destroy_pending = False  # type: ignore[attr-defined]  # a branch may wait for ever by design
            if branch is not current:
                branch.cancel()

    def over(self) -> None:
        """The body has been left: let go of what refers back to the run, so that its memory is free at once."""
        if self.stopped:
            if self.task is not None:
                self.branches.pop(self.task, None)  # the others leave as they end
            self.task = self.context = None
            self.waits.clear()
            self.children.clear()
            self.calls.clear()
            self.started.clear()
            self.delivery.close()

    def restart(self) -> None:
        """Leave the body, and let it go on by replay."""
        self.engine.stop_run(self.node)
        self.node.record.epoch += 1
        self.engine.launch(self.node, self.definition)

    # -- what branches ask --------------------------------------------------------------------------------------------

    @property
    def standing(self) -> Standing:
        """Where it stands as a caller; most executions call nothing."""
        if self._standing is None:
            node = self.node
            path = node.path
            self._standing = Standing(node.record.tenant or "", node.record.region, path, len(path) - 1, node.account)
        return self._standing

    @property
    def single(self) -> bool:
        """Whether one branch runs alone."""
        return len(self.branches) == 1

    @property
    def valid(self) -> bool:
        """Whether what this run does still counts (L23)."""
        return not self.stopped and self.epoch == self.node.record.epoch

    def take_slot(self) -> bool:
        """Whether the execution may run on now."""
        return self.engine.waiting.claim_slot(self.node)

    def may_act(self) -> bool:
        """Whether an effect may begin; False once the run is over, and then nothing resumes."""
        self.pulse += 1
        if self.failed_lately:
            self.failed_lately.clear()
        if self.stopped or self.epoch != self.node.record.epoch:
            self.engine.refused(self)
            return False
        return True

    def lately(self, error: ErrorInfo) -> list[str | int]:
        """What else a retry after that error makes anew: one for a TRANSIENT error repeats nothing that was not (L18)."""
        transient = error.error_class is ErrorClass.TRANSIENT
        return [what for what, how in self.failed_lately if not transient or how is ErrorClass.TRANSIENT]

    async def never(self) -> NoReturn:
        """Wait for ever; only cancellation ends it."""
        while True:
            await self.loop.create_future()

    async def given_up(self) -> NoReturn:
        """A wait that its branch gave up, and gives up again by what did it then: a timeout of the body's own, say (L11).

        One that was up while the branch was being told what it had heard before counts now.
        """
        self.progressed()
        task = asyncio.current_task(self.loop)
        kept = self._kept.pop(task, None) if task is not None else None
        if task is not None and kept is not None and task.cancelling() >= kept:
            raise asyncio.CancelledError
        await self.never()

    async def hear(self, future: asyncio.Future[None]) -> None:
        """Wait for what the branch has heard of before: a timeout of the body's own, which runs anew, does not come before it (L11)."""
        while not future.done() and not self.stopped:
            kept = asyncio.shield(future)
            self.pending[kept] = False
            try:
                await kept
            except asyncio.CancelledError:
                task = asyncio.current_task(self.loop)
                assert task is not None
                self._kept[task] = task.cancelling()
            finally:
                del self.pending[kept]

    async def wait(self, future: asyncio.Future[None], *, fresh: bool, told: bool = False) -> None:
        """Wait for something the engine will bring; `fresh`: it was not in the recorded history; `told`: the branch heard of it then."""
        self.pending[future] = fresh
        try:
            if self.single and not self.delivery.live:
                if self.owes_history and not fresh:
                    self.code_changed(None)
                self.engine.waiting.park(self.node)
                self.engine.warm.parked(self)
            else:
                self.progressed()
            if told:
                await self.hear(future)
            await future
        except asyncio.CancelledError:
            self._left_waiting()
            raise
        finally:
            del self.pending[future]
        if not self.valid:
            await self.never()

    def unheard(self, completion: Completion) -> None:
        """It came in the very turn in which its branch gave up: replay must not hand it over."""
        self.delivery.withdraw(completion)
        completion.place(UNHEARD)

    def _left_waiting(self) -> None:
        """A branch gave up its wait by itself, after a timeout of its own say: nothing woke the body, and it runs all the same."""
        if self.valid and self.node.parked:
            self.take_slot()
            self.progressed()

    # -- replay -------------------------------------------------------------------------------------------------------

    def claim(self, key: bytes) -> JournalRecord | ExecutionRecord | None:
        """What history has recorded under the key."""
        record = self.history.claim(key)
        if record is not None and self._held:
            self._release_held()
        return record

    @property
    def owes_history(self) -> bool:
        """Whether the code must still come to what was recorded; after a retry, which sets records aside, it need not."""
        return bool(self.history.recorded) and self.node.record.attempt == 1

    async def go_live(self, target: str, actual: dict[str, Any]) -> None:
        """A fresh effect may run, unless records of the same target are still unclaimed: then those come first (L11).

        A single branch that owes history has come to something new too early: whatever its target, the code has changed.
        """
        while target in self.history.unclaimed_targets or (self.single and self.owes_history):
            if self.single:
                self.code_changed(actual)
                await self.never()
            future: asyncio.Future[None] = self.loop.create_future()
            self._held.append((target, future))
            self.progressed()
            await self.wait(future, fresh=False)

    def _release_held(self) -> None:
        waiting, self._held = self._held, []
        for target, future in waiting:
            if target in self.history.unclaimed_targets:
                self._held.append((target, future))
            elif not future.done():
                future.set_result(None)

    def code_changed(self, actual: dict[str, Any] | None) -> None:
        """Pause the execution: the code does not do what its history recorded; both are shown (L11)."""
        target = actual["target"] if actual else None
        unclaimed = sorted(self.history.recorded.values(), key=lambda record: (_name(record) != target, _begun(record)))
        recorded = [_describe(record) for record in unclaimed[:5]]
        what = f"the code now does {actual['effect']}" if actual else "the code no longer does that"
        message = f"History of {self.node.id} recorded {recorded[0]['effect'] if recorded else 'an effect'}; {what}"
        details = {"recorded": recorded, "actual": actual, "unclaimed": len(self.history.recorded)}
        self.engine.pause(
            self.node,
            ErrorInfo(ErrorClass.SYSTEM, "code_changed", message, details, self.node.id, self.node.record.attempt),
        )

    # -- quiescence ---------------------------------------------------------------------------------------------------

    def progressed(self) -> None:
        """Something moved; look again, a little later, whether every branch waits."""
        if self._check is None and not self.stopped and self.pending:
            self._check = self.loop.call_later(max(0.002, len(self.branches) * 1e-5), self._look)

    def _look(self) -> None:
        self._check = None
        if self.stopped or not self.pending or self.node.queued:
            return
        if self._quiet():
            stuck = not self.delivery.live and (self._held or self.history.recorded or self.delivery.owing)
            if stuck and sum(self.pending.values()) <= self.delivery.held_back:
                self.code_changed(None)
            elif not self.delivery.owing:
                self.engine.waiting.park(self.node)
                self.engine.warm.parked(self)
        elif not self.node.parked:
            self._check = self.loop.call_later(RECHECK_S, self._look)

    def _quiet(self) -> bool:
        """Whether every branch waits for the engine or for another branch."""
        return all(self._waits(branch) for branch in self.branches)

    def _waits(self, branch: asyncio.Task[Any]) -> bool:
        if self.remote is not None and branch is self.task:
            return self.remote.waiting
        return waits(branch, self.pending, self.branches)


def _describe(record: JournalRecord | ExecutionRecord) -> dict[str, Any]:
    if isinstance(record, ExecutionRecord):
        return effect_of("call", record.process, record.input)
    return effect_of(record.kind, record.name, record.params or b"")


def _name(record: JournalRecord | ExecutionRecord) -> str:
    return record.process if isinstance(record, ExecutionRecord) else record.name


def _begun(record: JournalRecord | ExecutionRecord) -> int:
    return record.created_at if isinstance(record, ExecutionRecord) else record.started_at

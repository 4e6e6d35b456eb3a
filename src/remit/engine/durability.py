"""Write behind, barrier before effects: what was decided gathers here and is committed once per turn of the loop.

Decisions change records in memory and mark them here. A commit runs on the event loop between callbacks, so whatever one
callback decided is written together or not at all (L8). An execution about to do something the world can see awaits
`barrier()` (L46); nothing else waits. A commit that fails keeps its batch and is tried again: nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sized
from itertools import takewhile
from operator import add

from remit.engine.node import Node
from remit.errors import RemitError, StoreError
from remit.kernel.audit import Entry
from remit.kernel.states import Status
from remit.store import boundaries
from remit.store.port import Batch, Store
from remit.store.records import (
    AlertRecord,
    BudgetRecord,
    Command,
    DeclarationRecord,
    EvaluationRecord,
    EventRecord,
    JournalRecord,
    LedgerRecord,
    MessageRecord,
    PolicyRecord,
    RequirementRecord,
    ScheduleRecord,
    UsageKey,
    VersionRecord,
    WebhookRecord,
)

__all__ = ["Durability"]

_LONGEST_DELAY_S = 0.01
_STARTS_DELAY_S = 0.25
_RETRY_DELAY_S = 0.25
_log = logging.getLogger("remit.durability")


class Durability:
    """The batch under way, and those who wait for it."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop, on_fenced: Callable[[StoreError], None]) -> None:
        self._store = store
        self._loop = loop
        self._on_fenced = on_fenced
        self._batch = Batch()
        self._touched: dict[int, Node] = {}
        self._status_only: dict[int, Node] = {}
        self._begun: dict[int, tuple[float, Node]] = {}
        # Callbacks about to run, where the loop shows them: with none, nobody would join a commit by waiting for one.
        self._ready: Sized = getattr(loop, "_ready", (None,))
        self._waiting: list[asyncio.Future[None]] = []
        self._released: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._begun_timer: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        self._dirty_since: float | None = None
        self.commits = 0
        self.failure: StoreError | None = None
        self.fenced = False

    def create(self, node: Node) -> None:
        """The execution is new."""
        self._batch.created[node.record.n] = node.record
        self._touched[node.record.n] = node
        self._soon_or_later()

    def touch(self, node: Node) -> None:
        """Something of the execution's record has changed."""
        self._touched[node.record.n] = node
        self._begun.pop(node.record.n, None)
        self._soon_or_later()

    def touch_status(self, node: Node) -> None:
        """Status or clock may have changed; written only if the durable ones are others by the time of the commit (L33)."""
        self._status_only[node.record.n] = node
        self._soon_or_later()

    def unclaim(self, node: Node) -> None:
        """The caller of the execution makes the call anew, and does not find this one."""
        node.record.key = None
        self._batch.unclaimed.append(node.record.n)
        self.touch(node)

    def begin(self, node: Node) -> None:
        """The execution runs for the first time. If it is durable as one in the queue, that is written with what comes next of it, or a little later.

        Nothing depends on it, because whoever recovers an execution looks for what it has recorded; and of thousands in a
        queue (L15), most have ended before.
        """
        n = node.record.n
        if node.durable_status is not Status.PENDING or n in self._touched:
            self.touch(node)
            return
        self._status_only.pop(n, None)
        self._begun[n] = self._loop.time(), node
        if self._begun_timer is None:
            self._begun_timer = self._loop.call_later(_STARTS_DELAY_S, self._begun_long_ago)

    def _begun_long_ago(self) -> None:
        """Those that still run after the delay are to be seen running."""
        self._begun_timer = None
        before = self._loop.time() - _STARTS_DELAY_S
        for _, node in list(takewhile(lambda begun: begun[0] <= before, self._begun.values())):
            self.touch(node)
        for since, _ in self._begun.values():
            self._begun_timer = self._loop.call_at(since + _STARTS_DELAY_S, self._begun_long_ago)
            break

    def enter(self, entry: JournalRecord) -> None:
        """The journal entry is new."""
        self._batch.new_journal[id(entry)] = entry
        self._soon_or_later()

    def amend(self, entry: JournalRecord) -> None:
        """The journal entry has changed."""
        if id(entry) not in self._batch.new_journal:
            self._batch.journal[id(entry)] = entry
            self._soon_or_later()

    def set_aside(self, entry: JournalRecord) -> None:
        """A retry does not want the durable entry to be replayed; it stays as evidence."""
        self._batch.set_aside.append(entry)
        self._soon_or_later()

    def event(self, event: EventRecord) -> None:
        """An event was sent or taken."""
        self._batch.events.append(event)
        self._soon_or_later()

    def alert(self, alert: AlertRecord) -> None:
        """An operator should see something."""
        self._batch.alerts.append(alert)
        self._soon_or_later()

    def acknowledge(self, n: int, by: str | None, at: int) -> None:
        """An alert has been seen to."""
        self._batch.acknowledged.append((at, by, n))
        self._soon_or_later()

    def audit(self, entry: Entry) -> None:
        """The audit log has an entry more, in the commit of what it tells of (L49)."""
        self._batch.audit.append(entry)
        self._soon_or_later()

    def audit_salt(self, tenant: str, salt: bytes) -> None:
        """Digests of a tenant's payloads in the audit log are keyed with this from now on."""
        self._batch.audit_salts[tenant] = salt
        self._soon_or_later()

    def last_audited(self, chain: str) -> Entry | None:
        """The last entry of a chain that is not durable yet."""
        return next((entry for entry in reversed(self._batch.audit) if entry.chain == chain), None)

    def schedule(self, tenant: str, name: str, schedule: ScheduleRecord | None) -> None:
        """The schedule is new or has changed; None: it is removed."""
        self._batch.schedules[tenant, name] = schedule
        self._soon_or_later()

    def version(self, version: VersionRecord) -> None:
        """The published version is new or has changed."""
        self._batch.versions[version.process, version.version] = version
        self._soon_or_later()

    def declaration(self, declaration: DeclarationRecord) -> None:
        """A caller has declared what it works with."""
        self._batch.declarations.append(declaration)
        self._soon_or_later()

    def policy(self, policy: PolicyRecord) -> None:
        """A version of a policy was applied or withdrawn."""
        self._batch.policies.append(policy)
        self._soon_or_later()

    def rate(self, key: tuple[str, str], bucket: tuple[int, int] | None) -> None:
        """More of a rate is used up: of which policy, counted for what; until when, in which unit. None: nothing is any more."""
        self._batch.rates[key] = bucket
        self._soon_or_later()

    def evaluation(self, evaluation: EvaluationRecord) -> None:
        """A version was evaluated."""
        self._batch.evaluations.append(evaluation)
        self._soon_or_later()

    def requirement(self, requirement: RequirementRecord) -> None:
        """Evaluations of a process must show something else from now on."""
        self._batch.requirements.append(requirement)
        self._soon_or_later()

    def budget(self, place: tuple[str, str, str], budget: BudgetRecord | None) -> None:
        """The budget of a department, with a tenant, for a period, is new or has changed; None: it is removed."""
        self._batch.budgets[place] = budget
        self._soon_or_later()

    def ledger(self, ledger: LedgerRecord) -> None:
        """More was spent under a department's budget: what the record says when the commit comes is written."""
        self._batch.ledgers[id(ledger)] = ledger
        self._soon_or_later()

    def usage(self, key: UsageKey, counts: tuple[int, ...]) -> None:
        """So much was used; it is added up in the commit that holds what used it."""
        before = self._batch.usage.get(key)
        self._batch.usage[key] = counts if before is None else tuple(map(add, before, counts))
        self._soon_or_later()

    def webhook(self, webhook_id: str, webhook: WebhookRecord | None) -> None:
        """The webhook is new; None: it is removed."""
        self._batch.webhooks[webhook_id] = webhook
        self._soon_or_later()

    def message(self, message: MessageRecord) -> None:
        """A message is to be delivered, or was, or was not."""
        self._batch.messages[message.id] = message
        self._soon_or_later()

    def reply(self, command: Command) -> None:
        """A command has its reply; it is seen together with what it did."""
        self._batch.replies.append(command)
        self._soon_or_later()

    @property
    def clean(self) -> bool:
        """Whether everything decided is durable."""
        return not (self._begun or self._owing)

    @property
    def _owing(self) -> bool:
        """Whether something that an effect may depend on is not durable yet."""
        return bool(self._touched or self._status_only or self._batch)

    def concerns(self, n: int) -> bool:
        """Whether anything that is not durable yet may be of that execution's journal or of its children."""
        begun = (node for _, node in self._begun.values())
        touched = (*self._touched.values(), *self._status_only.values(), *begun)
        return bool(self._batch) or any(node.record.parent_n == n for node in touched)

    async def barrier(self) -> None:
        """Return once everything decided so far is durable (L46); raises `StoreError` where the store was taken over."""
        if self.fenced and self.failure is not None:
            raise self.failure
        if not self._owing:
            return
        if not self._ready and not self._waiting and self.failure is None and not self.fenced:
            self._commit()
            if not self._owing:
                return
            if self.fenced and self.failure is not None:  # by this very commit: nobody would wake who waits now
                raise self.failure
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(future)
        if self._soon is None and self.failure is None:
            self._soon = self._loop.call_soon(self._commit)
        await future

    async def settled(self) -> None:
        """Return in an instant at which everything decided is durable: reads of the store tell all there is to know."""
        self.flush()
        while not self.clean:
            await self.barrier()
            self.flush()

    def when_durable(self, release: Callable[[], None]) -> None:
        """Call back once everything decided so far is durable."""
        if not self._owing:
            release()
            return
        self._released.append(release)
        if self._soon is None and self.failure is None:
            self._soon = self._loop.call_soon(self._commit)

    def _soon_or_later(self) -> None:
        """Commit within the longest delay. The timer is not cancelled by a commit: it looks again when it fires."""
        if self._dirty_since is None:
            self._dirty_since = self._loop.time()
            if self._timer is None:
                self._timer = self._loop.call_later(_LONGEST_DELAY_S, self._overdue)

    def _overdue(self) -> None:
        self._timer = None
        if self._dirty_since is None:
            return
        left = self._dirty_since + _LONGEST_DELAY_S - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._overdue)
        elif self._soon is None:
            # Not here: what the callbacks that are about to run decide goes with it, as does who waits for them.
            self._soon = self._loop.call_soon(self._commit)

    def flush(self) -> None:
        """Commit all that was decided, and let those go on who waited for it."""
        for n, (_, node) in self._begun.items():
            self._touched[n] = node
        self._begun.clear()
        self._commit()

    def _commit(self) -> None:
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        if self.fenced:
            return
        batch = self._gathered()
        if batch:
            try:
                self._store.commit(batch)
            except StoreError as failure:
                self._failed(failure)
                return
            self.commits += 1
        for node in (*self._touched.values(), *self._status_only.values()):
            node.durable_status, node.durable_ticking = node.record.status, node.ticking
        self._batch, self._touched, self._status_only = Batch(), {}, {}
        self._dirty_since = None
        if self.failure is not None:
            _log.warning("the store can be written again; everything held back is durable now")
            self.failure = None
        self._release()

    def _gathered(self) -> Batch:
        batch = self._batch
        for n, node in self._touched.items():
            node.sync()
            if n not in batch.created:
                batch.changed[n] = node.record
        for n, node in self._status_only.items():
            stale = node.record.status is not node.durable_status or node.ticking is not node.durable_ticking
            if stale and n not in self._touched:
                node.sync()
                batch.changed[n] = node.record
        return batch

    def _release(self) -> None:
        waiting, self._waiting = self._waiting, []
        released, self._released = self._released, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        for release in released:
            release()
        if boundaries.reach is not None:
            boundaries.reach("commit.released")

    def _failed(self, failure: StoreError) -> None:
        """Keep the batch and try again; only a lost ownership ends it (L23)."""
        if failure.code == "fenced":
            self.fenced = True
            self.failure = failure
            self.fail(failure)
            self._on_fenced(failure)
            return
        if self.failure is None:
            _log.error("%s It is tried again every %s s; nothing acknowledged is lost.", failure, _RETRY_DELAY_S)
        self.failure = failure
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(_RETRY_DELAY_S, self._overdue)

    def fail(self, failure: RemitError) -> None:
        """Nobody who waits here for what was decided will learn that it is durable."""
        for future in self._waiting:
            if not future.done():
                future.set_exception(failure)
        self._waiting = []

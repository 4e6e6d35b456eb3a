"""An execution in memory: its record, its place in the tree, its clocks and counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from remit.kernel.budget import Account
from remit.kernel.department_budgets import Folio
from remit.kernel.lease import TtlClock
from remit.kernel.states import TERMINAL, Status
from remit.kernel.usage import Usage, decimal_string
from remit.store.records import ExecutionRecord, JournalRecord

if TYPE_CHECKING:
    from remit.engine.body.run import Run
    from remit.engine.governing.governance import Under
    from remit.engine.metering import Hold

__all__ = ["Node", "Trace"]


class Trace:
    """What all executions of one root share: counts, slots and the queue for them (L15)."""

    __slots__ = ("active", "attempts", "descendants", "queue", "root")

    def __init__(self, root: Node, descendants: int = 0, attempts: int = 1) -> None:
        self.root = root
        self.descendants = descendants
        self.attempts = attempts
        self.active = 0
        self.queue: deque[Node] = deque()


class Node:
    """One execution, held while it is driven, warm, or an ancestor of one that is."""

    __slots__ = (
        "_account",
        "asks",
        "at_work",
        "awaiting",
        "clock",
        "durable_status",
        "durable_ticking",
        "entrusted",
        "folios",
        "holds",
        "human",
        "humans",
        "last_ordinal",
        "live_children",
        "open_children",
        "parent",
        "parked",
        "queued",
        "record",
        "restored",
        "run",
        "slot",
        "subtree",
        "ticking",
        "ticking_children",
        "trace",
        "under",
    )

    def __init__(self, record: ExecutionRecord, parent: Node | None, trace: Trace | None = None) -> None:
        self.record = record
        self.parent = parent
        self.trace: Trace = trace or (parent.trace if parent else Trace(self))
        self._account: Account | None = None
        self.folios: Sequence[Folio] = ()
        """Its accounts under the budgets of departments: its own and its ancestors' (L45)."""
        self.clock = TtlClock(record.ttl_ms, record.ttl_used_ms, record.ttl_since)
        self.run: Run | None = None
        self.subtree: tuple[int, ...] = (0, 0, 0, 0)
        self.durable_status: Status | None = None
        self.durable_ticking = False
        self.entrusted: set[int] | None = None
        """Once effects were left open here, for a later attempt to charge: the positions of those that are charged."""
        self.holds: dict[int, tuple[JournalRecord, Hold]] = {}
        self.last_ordinal = 0
        self.live_children = 0
        self.open_children = 0
        self.awaiting = 0
        self.humans = 0
        self.asks = 0
        self.at_work = 0
        """How many steps are under way that it waits for as PENDING_ASYNC."""
        self.ticking_children = 0
        self.ticking = False
        self.human = False
        self.restored = False
        """Whether it was read from the store: something may be recorded of it, whatever its row says."""
        self.parked = False
        self.queued = False
        self.slot = False
        self.under: Under | None = None
        """The policies it is under, as they were when it was last asked."""

    @property
    def id(self) -> str:
        """The execution's id."""
        return self.record.id

    @property
    def path(self) -> tuple[str, ...]:
        """The names of the processes from the root's to its own."""
        return (*self.parent.path, self.record.process) if self.parent else (self.record.process,)

    @property
    def account(self) -> Account:
        """Its share in the trace's ledger, opened when something is asked of it: most executions reserve and use nothing."""
        if self._account is None:
            above = self.parent.account if self.parent else None
            self._account = Account(above, self.record.limit_tokens, self.record.limit_cost)
        return self._account

    @property
    def has_reserved(self) -> bool:
        """Whether it was admitted with a reservation, or has one."""
        if self._account is None:
            return False
        tokens, cost = self._account.tokens, self._account.cost
        return bool(tokens.estimate or cost.estimate or tokens.unused or cost.unused)

    @property
    def ended(self) -> bool:
        """Whether it has its terminal status."""
        return self.record.status in TERMINAL

    def sync(self) -> None:
        """Bring the record up to what clock and ledger say, before it is written."""
        record, clock = self.record, self.clock
        record.ttl_ms, record.ttl_used_ms, record.ttl_since = clock.ttl, clock.used, clock.since
        if self._account is not None:
            record.reserved_tokens, record.reserved_cost = self._account.tokens.unused, self._account.cost.unused
        for _, hold in self.holds.values():
            # Open effects' reservations count as the execution's own, so that a restored ledger holds them too (L26).
            record.reserved_tokens += hold.account.tokens.unused
            record.reserved_cost += hold.account.cost.unused

    def usage(self) -> Usage:
        """What the execution and everything below it used."""
        tokens, input_tokens, output_tokens, cost = self.subtree
        return Usage(tokens, input_tokens, output_tokens, decimal_string(cost))

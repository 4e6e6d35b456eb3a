"""The executions in memory: found by id, loaded with their ancestors, let go when nothing below them lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remit.engine.node import Node
from remit.engine.terms import terms_of
from remit.kernel.states import TERMINAL, Status
from remit.kernel.trace import ordinal_of, parent_of
from remit.store.records import ExecutionRecord

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Traces"]

_HUMAN = (Status.WAITING_HUMAN_INPUT, Status.WAITING_CHILD_HUMAN_INPUT)


class Traces:
    """Nodes by id. A node stays while it is driven or warm, or while something below it does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.nodes: dict[str, Node] = {}

    def admit(self, record: ExecutionRecord, parent: Node | None) -> Node:
        """A node for a new execution, counted in its trace and its parent."""
        node = Node(record, parent)
        if parent is not None:
            node.trace.descendants += 1
            node.trace.attempts += 1
            parent.live_children += 1
            parent.open_children += 1
            parent.awaiting += record.awaited
        self.nodes[record.id] = node
        return node

    def load(self, execution_id: str) -> Node | None:
        """The node of an execution, read with its ancestors where it is not in memory; None for an unknown id."""
        node = self.nodes.get(execution_id)
        if node is not None:
            return node
        self._engine.durability.flush()
        record = self._engine.store.execution(execution_id)
        return self._restore(record) if record is not None else None

    def _restore(self, record: ExecutionRecord) -> Node:
        parent_id = parent_of(record.id)
        parent = self.load(parent_id) if parent_id else None
        node = Node(record, parent)
        if parent is None:
            node.trace.descendants, node.trace.attempts = self._engine.store.trace_counts(record.id)
        else:
            parent.live_children += 1
        node.durable_status = record.status
        node.parked = node.restored = True
        self._restore_ledger(node)
        if self._engine.books is not None:
            self._engine.books.attach(node)
        self._restore_family(node)
        self.nodes[record.id] = node
        return node

    def _restore_ledger(self, node: Node) -> None:
        store, record = self._engine.store, node.record
        below = store.usage_below(record.id)
        node.subtree = (below.tokens, below.input_tokens, below.output_tokens, below.cost)
        held_tokens, held_cost = store.reserved_below(record.id)
        for pool, spent, held, unused, estimate in (
            (node.account.tokens, below.tokens, held_tokens, record.reserved_tokens, record.estimate_tokens),
            (node.account.cost, below.cost, held_cost, record.reserved_cost, record.estimate_cost),
        ):
            pool.spent, pool.held, pool.unused, pool.estimate = spent, held, unused, estimate
            pool.settled = record.status in TERMINAL
        if record.terms is not None:
            node.account.owe(terms_of(record).get("lent", ()))
        node.entrusted = set() if record.reserved_tokens or record.reserved_cost else None

    def _restore_family(self, node: Node) -> None:
        """Count the children that still run; those are not in memory either, so their rows are up to date."""
        for child_id, status, awaited, is_open, ticking in self._engine.store.family(node.record.n):
            node.last_ordinal = max(node.last_ordinal, ordinal_of(child_id))
            if is_open:
                node.open_children += 1
                if awaited:
                    node.awaiting += 1
                    node.humans += status in _HUMAN
                    node.ticking_children += ticking
        node.asks = self._engine.store.count_open_asks(node.record.n, node.record.generation)
        node.human = node.record.status in _HUMAN
        node.ticking = node.durable_ticking = node.clock.since is not None

    def keep(self, node: Node) -> None:
        """Hold on to a node, as a child in memory does, until `no_longer_keep`."""
        node.live_children += 1

    def no_longer_keep(self, node: Node) -> None:
        """Let it go once nothing else needs it."""
        node.live_children -= 1
        self.let_go(node)

    def let_go(self, node: Node) -> None:
        """Drop a node that nothing needs any more, and ancestors that were kept for it alone."""
        current: Node | None = node
        while current is not None and current.live_children == 0 and current.run is None and not current.queued:
            if self.nodes.get(current.id) is not current:
                return
            del self.nodes[current.id]
            if current.parent is None:
                del current.trace.root  # which refers back to it: its memory is free at once
                self._engine.audit.forget(current.id)
            current = current.parent
            if current is not None:
                current.live_children -= 1

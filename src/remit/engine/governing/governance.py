"""What the policies in force have to say of a call, a result, a tool (L43). Where none is in force there is no such object.

Whom a policy selects is worked out once for each process and tenant, what several demand together once for each set of them,
and what does not depend on the input once for each caller and callee: a call looks it up. Nothing here waits, and nothing is
taken before everything else has let the call pass (L7).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from remit.engine.definitions import Definition, in_range
from remit.engine.governing.rates import Counted, Rates, counted_of
from remit.engine.governing.ruled import Caller, Ruled
from remit.engine.terms import terms_of
from remit.kernel.lease import DEFAULT_TTL_MS
from remit.kernel.policies import Policy, Subject
from remit.kernel.retry import Retry

if TYPE_CHECKING:
    from remit.engine.engine import Engine
    from remit.engine.node import Node
    from remit.store.records import ExecutionRecord

__all__ = ["Governance", "Placed", "Under", "Wanted", "subject_of"]

_REMEMBERED_MAX = 10_000


def subject_of(record: ExecutionRecord) -> Subject:
    """An execution as selectors see it."""
    tags = terms_of(record).get("tags", ()) if record.terms is not None else ()
    return Subject(record.process, record.version, tuple(tags), record.department, record.tenant)


class Wanted(NamedTuple):
    """What a call asks for that ceilings bound; None leaves it to the callee, or without limit."""

    ttl_ms: int | None
    tokens: int | None
    cost: int | None
    retry: Retry | None


class Under:
    """What executions that were admitted alike are under, and what each process that they call would be."""

    __slots__ = ("calls", "governance", "ruled")

    def __init__(self, governance: Governance, ruled: Ruled) -> None:
        self.governance = governance
        self.ruled = ruled
        self.calls: dict[Definition, Placed] = {}


class Placed:
    """One caller's calls of one process: what is the same for all of them, whatever their inputs."""

    __slots__ = ("_granted", "caller", "definition", "denial", "granted_unasked", "rates", "ruled", "subject", "under")

    def __init__(self, under: Under, definition: Definition, caller: Caller, subject: Subject, rates: tuple[Counted, ...]) -> None:
        self.under = under
        self.ruled = under.ruled
        self.definition = definition
        self.caller = caller
        self.subject = subject
        self.rates = rates
        self.denial = under.ruled.against(definition, subject, caller)
        self._granted: dict[Wanted, Wanted] = {}
        self.granted_unasked = self._narrowed(Wanted(None, None, None, None))
        """What is granted to a call that asks for nothing of its own, as most do."""

    def granted(self, wanted: Wanted) -> Wanted:
        """What is left of that: no more of anything than policies grant."""
        granted = self._granted.get(wanted)
        if granted is None:
            if len(self._granted) >= _REMEMBERED_MAX:
                self._granted.clear()
            granted = self._granted[wanted] = self._narrowed(wanted)
        return granted

    def _narrowed(self, wanted: Wanted) -> Wanted:
        regime, definition = self.ruled.regime, self.definition
        ttl_ms = wanted.ttl_ms
        if "ttl_ms" in regime.ceilings:
            ttl_ms = regime.least("ttl_ms", ttl_ms or definition.ttl_ms or DEFAULT_TTL_MS)
        retry, attempts = wanted.retry or definition.retry, regime.ceilings.get("attempts")
        if attempts is None or retry.attempts <= attempts.value:
            retry_left = wanted.retry
        else:
            retry_left = replace(retry, attempts=attempts.value)
        return Wanted(ttl_ms, regime.least("tokens", wanted.tokens), regime.least("cost", wanted.cost), retry_left)


class Governance:
    """The policies in force on one engine; another object takes its place when they change."""

    counts: ClassVar[bool] = True
    """Whether calls count for rates."""

    def __init__(self, engine: Engine, policies: tuple[Policy, ...]) -> None:
        self.policies = policies
        self.rates: Rates = engine.rates
        self.now: Callable[[], int] = engine.clock.now
        self._ruled: dict[frozenset[Policy], Ruled] = {}
        self._selected: dict[Subject, frozenset[Policy]] = {}
        self._placed: dict[tuple[Ruled, Definition, Caller], Placed] = {}
        self._nothing = self._of(frozenset())

    # -- who is under what --------------------------------------------------------------------------------------------

    def over(self, node: Node) -> Ruled:
        """What an execution is under: its own policies, and those of all its ancestors."""
        under = node.under
        return under.ruled if under is not None and under.governance is self else self._under(node).ruled

    def called(self, caller: Node, definition: Definition) -> Placed:
        """What an execution of that process is under, called from there."""
        under = caller.under
        if under is None or under.governance is not self:
            under = self._under(caller)
        placed = under.calls.get(definition)
        if placed is None:
            if len(under.calls) >= _REMEMBERED_MAX:
                under.calls.clear()
            placed = under.calls[definition] = self._place(under.ruled, definition, Caller.of(caller))
        return placed

    def started(self, definition: Definition, caller: Caller) -> Placed:
        """What a root of that process is under, started on whose behalf."""
        return self._place(self._nothing, definition, caller)

    def _under(self, node: Node) -> Under:
        """What an execution is under, worked out and noted on its node until policies change."""
        above = self.over(node.parent) if node.parent is not None else self._nothing
        ruled = self._of(above.policies | self._selecting(subject_of(node.record)))
        node.under = under = Under(self, ruled)
        return under

    def _place(self, above: Ruled, definition: Definition, caller: Caller) -> Placed:
        wanted = (above, definition, caller)
        placed = self._placed.get(wanted)
        if placed is None:
            if len(self._placed) >= _REMEMBERED_MAX:
                self._placed.clear()
            subject = Subject(definition.name, definition.version, definition.tags, definition.department, caller.tenant)
            ruled = self._of(above.policies | self._selecting(subject))
            rates = counted_of(ruled.regime, subject) if self.counts else ()
            placed = self._placed[wanted] = Placed(Under(self, ruled), definition, caller, subject, rates)
        return placed

    def _selecting(self, subject: Subject) -> frozenset[Policy]:
        found = self._selected.get(subject)
        if found is None:
            if len(self._selected) >= _REMEMBERED_MAX:
                self._selected.clear()
            found = frozenset(each for each in self.policies if each.selector.why(subject, in_range) is not None)
            self._selected[subject] = found
        return found

    def _of(self, policies: frozenset[Policy]) -> Ruled:
        ruled = self._ruled.get(policies)
        if ruled is None:
            ruled = self._ruled[policies] = Ruled(policies)
        return ruled

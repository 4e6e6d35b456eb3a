"""What the policies in force have to say of a call, a result, a tool (L43). Where none is in force there is no such object.

Whom a policy selects is worked out once for each process and tenant, and what several demand together once for each set of
them: a call looks it up. Nothing here waits, and nothing is taken before everything else has let the call pass (L7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from remit.engine.definitions import Definition, in_range
from remit.engine.governing.rates import Counted, Rates, counted_of
from remit.engine.governing.ruled import Ruled
from remit.engine.terms import terms_of
from remit.kernel.policies import Policy, Subject

if TYPE_CHECKING:
    from remit.engine.engine import Engine
    from remit.engine.node import Node
    from remit.store.records import ExecutionRecord

__all__ = ["Governance", "Placed", "subject_of"]

_REMEMBERED_MAX = 10_000


def subject_of(record: ExecutionRecord) -> Subject:
    """An execution as selectors see it."""
    tags = terms_of(record).get("tags", ()) if record.terms is not None else ()
    return Subject(record.process, record.version, tuple(tags), record.department, record.tenant)


class Placed(NamedTuple):
    """An execution that is about to be: what it is under, how selectors see it, and the rates that it counts for."""

    ruled: Ruled
    subject: Subject
    rates: tuple[Counted, ...]


class Governance:
    """The policies in force on one engine; another object takes its place when they change."""

    def __init__(self, engine: Engine, policies: tuple[Policy, ...]) -> None:
        self.policies = policies
        self.rates: Rates = engine.rates
        self.now: Callable[[], int] = engine.clock.now
        self._ruled: dict[frozenset[Policy], Ruled] = {}
        self._selected: dict[Subject, frozenset[Policy]] = {}
        self._called: dict[tuple[Ruled, Definition, str | None], Placed] = {}
        self._nothing = self._of(frozenset())

    # -- who is under what --------------------------------------------------------------------------------------------

    def over(self, node: Node) -> Ruled:
        """What an execution is under: its own policies, and those of all its ancestors."""
        held = node.ruled
        if held is not None and held[0] is self:
            return held[1]
        above = self.over(node.parent) if node.parent is not None else self._nothing
        ruled = self._of(above.policies | self._selecting(subject_of(node.record)))
        node.ruled = (self, ruled)
        return ruled

    def over_call(self, caller: Node | None, definition: Definition, tenant: str | None) -> Placed:
        """What an execution of that process is under, called from there or started as a root."""
        above = self.over(caller) if caller is not None else self._nothing
        wanted = (above, definition, tenant)
        found = self._called.get(wanted)
        if found is None:
            if len(self._called) >= _REMEMBERED_MAX:
                self._called.clear()
            subject = Subject(definition.name, definition.version, definition.tags, definition.department, tenant)
            ruled = self._of(above.policies | self._selecting(subject))
            found = self._called[wanted] = Placed(ruled, subject, counted_of(ruled.regime, subject))
        return found

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

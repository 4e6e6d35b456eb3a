"""What holds for a version that runs beside the world, as it would for a live call: policies and departments (L43, L45).

Both are those in force when the rehearsal began. Rates are neither asked nor taken: what is replayed happens nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from remit.engine.definitions import Definition, denied
from remit.engine.governing.ahead import ahead_of_call
from remit.engine.governing.governance import Governance, subject_of
from remit.engine.governing.judgement import judge_call
from remit.engine.values.seam import Seam
from remit.engine.versions.routes import Routes
from remit.kernel.policies import Policy, Subject
from remit.store.records import ExecutionRecord

if TYPE_CHECKING:
    from remit.engine.body.run import Run
    from remit.engine.engine import Engine
    from remit.errors import ErrorInfo

__all__ = ["Beside", "Rules"]


class _Governance(Governance):
    """The policies for what stands below `above`, the executions that called what is rehearsed, root first."""

    counts = False

    def __init__(self, engine: Engine, policies: tuple[Policy, ...], above: Iterable[Subject]) -> None:
        super().__init__(engine, policies)
        self._nothing = self._of(frozenset().union(*(self._selecting(each) for each in above)))


class Rules:
    """What is in force in the store that an evaluation is for."""

    def __init__(self, policies: Iterable[Policy] = (), published: Routes | None = None) -> None:
        self.policies = tuple(sorted(policies, key=lambda each: each.label))
        self.published = published or Routes((), ())

    def closed_to(self, caller: str, its: str | None, target: str, version: str, code: Definition | None) -> ErrorInfo | None:
        """Why a process of that department may not call the target: as it was published, else as its code says (L45)."""
        whose = self.published.releases.get((target, version)) or code
        return None if whose is None else denied(caller, its, target, whose.department, whose.callers)


class Beside:
    """The rules of one rehearsal."""

    def __init__(self, engine: Engine, rules: Rules) -> None:
        self._engine = engine
        self._rules = rules
        self._governances: dict[Sequence[Subject], _Governance] = {}

    def governance(self, above: tuple[Subject, ...]) -> Governance | None:
        """The policies for a case that was called from there; None where none is in force."""
        if not self._rules.policies:
            return None
        found = self._governances.get(above)
        if found is None:
            found = self._governances[above] = _Governance(self._engine, self._rules.policies, above)
        return found

    def publishes(self, name: str) -> bool:
        """Whether versions of that process were published: then they say who may call them."""
        return self._rules.published.knows(name)

    async def refusal(
        self, run: Run, found: Definition | None, recorded: ExecutionRecord, payload: bytes
    ) -> ErrorInfo | None:
        """Why a call that was made then would not be made now, by that caller and with that input.

        The callee is the version that was called; of a case that names none, the one found today.
        """
        node, caller, (target, version) = run.node, run.definition, (recorded.process, recorded.version)
        code = next((each for each in self._engine.catalog.hosted(target) if each.version == version), None)
        its = self._rules.published.department_of(caller)
        closed = self._rules.closed_to(caller.name, its, target, version, code)
        governance = self._engine.governance
        if closed is not None or governance is None:
            return closed
        callee = code or (found if not version else None) or _as_recorded(caller, recorded)
        await ahead_of_call(run, callee, payload)
        denial = judge_call(governance, governance.called(node, callee), payload).denial
        return None if denial is None else denial.error(node.id, node.path)


def _as_recorded(caller: Definition, recorded: ExecutionRecord) -> Definition:
    """A callee whose code is not here, as its record tells of it. Whether it ran in a process of its own that does not tell."""
    subject = subject_of(recorded)
    anything: Seam[Any] = Seam(Any, where=f"{recorded.process}, input")
    return replace(
        caller,
        name=recorded.process,
        version=subject.version or "0.0.0",
        department=subject.department,
        tags=subject.tags,
        input=anything,
        isolation="process",
    )

"""Publishing, promoting, rolling out and taking back versions; every gate is here and not in the code it lets through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from remit.authoring.process import split_reference
from remit.control.auditing.refusals import on_record
from remit.control.releases.gate import Gate
from remit.control.releases.published import VersionView, VersionViews, unpublished, version_view
from remit.engine.definitions import in_range
from remit.engine.engine import Engine
from remit.engine.values.texts import optional_text
from remit.engine.versions.routes import release_of
from remit.engine.versions.routing import FAILURES
from remit.errors import InvalidInput, MisuseError
from remit.kernel.contract.comparison import Kind, Role, compare
from remit.kernel.registry import (
    SHARES,
    WINDOW,
    Act,
    Release,
    Rollout,
    State,
    after,
    closing_path,
    stranded,
    to_migrate,
)
from remit.kernel.states import Status
from remit.store.port import Reader
from remit.store.records import DeclarationRecord, ExecutionFilter, VersionRecord

__all__ = ["Registry", "To"]

ROLES: tuple[Role, ...] = ("input", "result")

To = float | Iterable[str] | None
"""Whom a version is for: all (None), a share of traces above 0 and at most 1, or callers by name."""


class Registry:
    """What is done to published versions on one engine. Each act is durable when it returns; a refused one has changed nothing."""

    def __init__(self, engine: Engine, gate: Gate) -> None:
        self._engine = engine
        self._routing = engine.routing
        self.gate = gate

    # -- publish ------------------------------------------------------------------------------------------------------

    @on_record
    async def publish(self, publications: list[dict[str, Any]], by: str | None = None) -> VersionViews:
        """Publish versions, all or none; one that was published before with the same content is left as it is.

        Raises MisuseError `version_exists` for other content, `declared_cycle` for calls that lead back to the caller (L5).
        """
        optional_text(by, "by")
        now = self._engine.clock.now()
        new = [record for each in publications if (record := self._to_publish(each, now, by)) is not None]
        self._refuse_cycles(new)
        for record in new:
            self._note("published", record, by, {"digest": record.digest.hex()})
        self._routing.put(*new)
        await self._engine.durability.barrier()
        return [self._view(self._known(each["process"], each["version"])) for each in publications]

    def _to_publish(self, given: dict[str, Any], now: int, by: str | None) -> VersionRecord | None:
        name, version, digest = given["process"], given["version"], bytes.fromhex(given["digest"])
        known = self._routing.version(name, version)
        if known is None:
            contract = orjson.dumps(given["contract"])
            return VersionRecord(name, version, digest, contract, str(State.PUBLISHED), now, by, now, by)
        if known.digest == digest:
            return None
        raise MisuseError(
            f"{name} {version} was published with other content, and a version never changes: give this one a higher version",
            code="version_exists",
            process=name,
            version=version,
            published=known.digest.hex(),
            given=digest.hex(),
        )

    def _refuse_cycles(self, new: list[VersionRecord]) -> None:
        calls: dict[str, set[str]] = {}
        recursive: set[str] = set()
        for record in (*self._routing.versions(), *new):
            contract = orjson.loads(record.contract)
            if record.state != State.RETIRED:
                calls.setdefault(record.process, set()).update(name for name, _ in contract["calls"])
                recursive |= {record.process} if contract["recursion"] else set()
        for record in new:
            path = closing_path(record.process, calls)
            if path is not None and not recursive.intersection(path):
                raise MisuseError(
                    f"{record.process} {record.version} closes a cycle of declared calls: {' → '.join(path)}."
                    " Take a call out of one of them, or declare recursion= on it.",
                    code="declared_cycle",
                    process=record.process,
                    version=record.version,
                    path=path,
                )

    # -- who gets it --------------------------------------------------------------------------------------------------

    @on_record
    async def promote(self, reference: str, to: To = None, by: str | None = None) -> VersionView:
        """Let all callers get a version, or some callers or a share of traces first (L41, L42).

        Raises MisuseError `callers_to_migrate` (with an alert) where callers have to declare first, `contract_breaks` with
        findings, `evaluation_required`, `wrong_state`, `unknown_version`.
        """
        record = self._find(reference)
        state = self._after(Act.PROMOTE if to is None else Act.ROLL_OUT, record)
        rollout = self._rollout(record, to)
        if record.state == State.PUBLISHED:
            await self._pass_gate(record)
            beside = self._routing.beside(record)
            await self.gate.check(record, beside.version if beside is not None else None)
        self._begin_to_watch(record, only_some=to is not None)
        record.rollout = orjson.dumps({"callers": rollout.callers, "stages": rollout.stages})
        told = {} if to is None else {"callers": [name for name, _ in rollout.callers], "stages": rollout.stages}
        self._note("promoted" if to is None else "rolled_out", record, by, told)
        return await self._set(record, state, by)

    def _rollout(self, record: VersionRecord, to: To) -> Rollout:
        so_far, now = release_of(record).rollout or Rollout(), self._engine.clock.now()
        if to is None:
            return so_far._replace(stages=(*so_far.stages, (now, SHARES)))
        if self._routing.beside(record) is None:
            raise MisuseError(
                f"No other version of {record.process!r} is promoted: whoever does not get {record.version} would get none."
                " Promote it for all callers.",
                code="wrong_state",
            )
        if isinstance(to, bool | str) or not isinstance(to, int | float | Iterable):
            raise InvalidInput(f"to={to!r}: give a share such as 0.1, or a list of callers' names")
        if isinstance(to, int | float):
            if not 0 < to <= 1:
                raise InvalidInput(f"to={to!r}: a share of traces is above 0 and at most 1")
            return so_far._replace(stages=(*so_far.stages, (now, max(1, round(to * SHARES)))))
        names = list(to)
        if not names or not all(isinstance(each, str) and each for each in names):
            raise InvalidInput(f"to={to!r}: name the callers: to=['order']")
        return so_far._replace(callers=tuple((dict.fromkeys(names, now) | dict(so_far.callers)).items()))

    def _begin_to_watch(self, record: VersionRecord, *, only_some: bool) -> None:
        """A version that some or all get from now on counts from nothing; one that is widened goes on counting (L42)."""
        if record.rollout is not None:
            return
        under_way = self._routing.watched.get(record.process)
        if only_some and under_way is not None and under_way.state == State.PUBLISHED:
            raise MisuseError(
                f"{record.process} {under_way.version} is being rolled out: promote it or roll it back first",
                code="wrong_state",
            )
        old = self._routing.beside(record)
        for each in (record, old):
            if each is not None:
                each.violations, each.recent = 0, ""
        if old is not None:  # the more get the new one, the fewer call it from now on: it is judged by what it did, too
            old.recent = last_ends(self._engine.store, old.process, old.version)
        self._routing.put(*(each for each in (record, old) if each is not None))

    @on_record
    async def rollback(self, reference: str, by: str | None = None) -> VersionView:
        """Take a version back at once: new calls go to others, what runs ends as it began (L42)."""
        record = self._find(reference)
        self._after(Act.ROLL_BACK, record)
        if record.state == State.PUBLISHED and record.rollout is None:
            raise MisuseError(
                f"{record.process} {record.version} is neither promoted nor rolled out", code="wrong_state"
            )
        self._refuse_stranding(record)
        self._routing.roll_back(record, "an operator asked for it", by=by)
        await self._engine.durability.barrier()
        return self._view(record)

    @on_record
    async def deprecate(self, reference: str, by: str | None = None) -> VersionView:
        """Let callers get a version only where their range has no promoted one."""
        record = self._find(reference)
        state = self._after(Act.DEPRECATE, record)
        self._note("deprecated", record, by, {})
        return await self._set(record, state, by)

    @on_record
    async def retire(self, reference: str, by: str | None = None) -> VersionView:
        """Let nobody get a version again; raises MisuseError `callers_to_migrate` where callers would be left with none."""
        record = self._find(reference)
        state = self._after(Act.RETIRE, record)
        self._refuse_stranding(record)
        record.rollout = None
        self._note("retired", record, by, {})
        return await self._set(record, state, by)

    # -- callers ------------------------------------------------------------------------------------------------------

    @on_record
    async def declare(self, caller: str, with_: str, by: str | None = None) -> None:
        """Record that a caller's version works with versions of what it calls: `declare("order@1.1", with_="inventory@3")`.

        Raises MisuseError `unknown_version`, `undeclared_call`; InvalidInput where no versions are named.
        """
        record = self._find(caller)
        target, versions = split_reference(with_, where="declare")
        optional_text(by, "by")
        if versions is None:
            raise InvalidInput(f"with_={with_!r}: say which versions it works with: {target}@3")
        if not release_of(record).ranges_for(target):
            raise MisuseError(
                f"{record.process} {record.version} declares no call of {target!r}",
                code="undeclared_call",
                target=target,
            )
        now = self._engine.clock.now()
        self._note("declared", record, by, {"with": f"{target}@{versions}"})
        self._routing.declare(DeclarationRecord(record.process, record.version, target, versions, now, by))
        await self._engine.durability.barrier()

    # -- gates --------------------------------------------------------------------------------------------------------

    async def _pass_gate(self, record: VersionRecord) -> None:
        routes = self._routing.routes
        candidate = routes.releases[record.process, record.version]
        findings = self._findings(candidate)
        if any(each["kind"] == Kind.BREAKS for each in findings):
            raise MisuseError(
                f"{record.process} {record.version} would break callers of its major: {_told(findings)}."
                " Mend it, or publish it as a new major.",
                code="contract_breaks",
                findings=findings,
            )
        unknown = any(each["kind"] == Kind.UNKNOWN for each in findings)
        missing = to_migrate(candidate, list(routes.releases.values()), routes.declarations, in_range, unknown=unknown)
        if not missing:
            return
        doubt = f" Whether it breaks them cannot be told: {_told(findings)}." if unknown else ""
        how = f"Callers that have not declared that they work with it: {{}}.{doubt} {self._how(missing, candidate)}"
        error = self._to_migrate(record, missing, how, findings)
        self._routing.alert(error.code, error.message, error.details)
        await self._engine.durability.barrier()
        raise error

    def _findings(self, candidate: Release) -> list[dict[str, str | None]]:
        """What changes since the version before it in the same major, in input and result (L41)."""
        others = self._routing.routes.versions_of(candidate.process)
        before = [each for each in others if each.live and each.major == candidate.major]
        last = next((each for each in before if each.order < candidate.order), None)
        if last is None:
            return []
        old, new = (orjson.loads(self._known(each.process, each.version).contract) for each in (last, candidate))
        return [{"part": part, **each.as_dict()} for part in ROLES for each in compare(old[part], new[part], part)]

    def _how(self, missing: list[Release], candidate: Release) -> str:
        first = missing[0]
        return (
            f"For each: `remit declare {first.process}@{first.version} --with {candidate.process}@{candidate.major}`."
        )

    def _refuse_stranding(self, record: VersionRecord) -> None:
        routes = self._routing.routes
        leaving = routes.releases[record.process, record.version]
        left = stranded(leaving, list(routes.releases.values()), routes.declarations, in_range) if leaving.live else []
        if left:
            how = "No other version would be left for {}. Promote another one in their range first."
            raise self._to_migrate(record, left, how, [])

    def _to_migrate(
        self, record: VersionRecord, callers: list[Release], how: str, findings: list[dict[str, str | None]]
    ) -> MisuseError:
        names = ", ".join(f"{each.process}@{each.version}" for each in callers)
        return MisuseError(
            f"{record.process} {record.version} is held back. {how.format(names)}",
            code="callers_to_migrate",
            process=record.process,
            version=record.version,
            callers=[self._told_of(each, record.process) for each in callers],
            findings=findings,
        )

    def _told_of(self, caller: Release, target: str) -> dict[str, Any]:
        known = self._known(caller.process, caller.version)
        return {
            "caller": caller.process,
            "version": caller.version,
            "ranges": caller.ranges_for(target),
            "department": orjson.loads(known.contract)["department"],
            "owner": known.published_by,
        }

    # -- the audit log ------------------------------------------------------------------------------------------------

    def _note(self, kind: str, record: VersionRecord, by: str | None, details: dict[str, Any]) -> None:
        """An act is on the chain of what is no tenant's, in one commit with what it does (L49)."""
        optional_text(by, "by")
        self._engine.audit.control(None, kind, by, {"process": record.process, "version": record.version} | details)

    # -- records ------------------------------------------------------------------------------------------------------

    def _view(self, record: VersionRecord) -> VersionView:
        return version_view(record, self._routing.routes)

    def _known(self, process: str, version: str) -> VersionRecord:
        found = self._routing.version(process, version)
        assert found is not None
        return found

    def _find(self, reference: str) -> VersionRecord:
        """The version that 'order@1.1.0' names, or the highest that 'order@1.1' does."""
        name, wanted = split_reference(reference, where="registry")
        if wanted is None:
            raise InvalidInput(f"{reference!r} names no version: write {name}@1.0.0")
        exact = self._routing.version(name, wanted)
        if exact is not None:
            return exact
        records = [each for each in self._routing.versions(name) if in_range(each.version, wanted)]
        if not records:
            raise unpublished(reference, self._routing.versions())
        return max(records, key=lambda each: (each.state != State.RETIRED, release_of(each).order))

    def _after(self, act: Act, record: VersionRecord) -> State:
        state = after(act, State(record.state))
        if state is None:
            raise MisuseError(
                f"{record.process} {record.version} is {record.state}: {act} is not for it (`remit versions {record.process}`)",
                code="wrong_state",
                state=record.state,
            )
        return state

    async def _set(self, record: VersionRecord, state: State, by: str | None) -> VersionView:
        optional_text(by, "by")
        record.state, record.changed_at, record.changed_by = str(state), self._engine.clock.now(), by
        self._routing.put(record)
        await self._engine.durability.barrier()
        return self._view(record)


def last_ends(reader: Reader, process: str, version: str) -> str:
    """How the last calls of a version ended, oldest first: 'x' for a failure, else '.'."""
    ended = frozenset(map(str, (Status.COMPLETED, *FAILURES)))
    page = reader.listing(ExecutionFilter(ended, process, limit=10 * WINDOW))
    ends = [each.status in FAILURES for each in page if each.version == version][:WINDOW]
    return "".join("x" if failed else "." for failed in reversed(ends))


def _told(findings: list[dict[str, str | None]]) -> str:
    """The first findings that are no mere additions, each with its place."""
    found = [each for each in findings if each["kind"] != Kind.COMPATIBLE]
    said = [f"{each['part']} {each['pointer'] or '/'}: {each['what']}; {each['why']}" for each in found[:3]]
    return " | ".join(said) + (f" (and {len(found) - 3} more)" if len(found) > 3 else "")

"""The registry as an open engine holds it: read once, changed in one event with what follows, watched during rollouts (L42)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from remit.engine.definitions import in_range
from remit.engine.values.seam import Seam, SeamError
from remit.engine.versions.routes import Routes
from remit.errors import ErrorInfo
from remit.kernel.registry import State, Tally, newest, on_trial, stranded, verdict
from remit.kernel.states import Status
from remit.store.records import AlertRecord, DeclarationRecord, ExecutionRecord, VersionRecord

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["FAILURES", "Routing"]

FAILURES = frozenset({Status.FAILED, Status.FAILED_CHILD_WORKFLOW, Status.TIMED_OUT})
"""The ends that count against a version."""


class Routing:
    """Published versions and declarations of one store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._versions = {(each.process, each.version): each for each in engine.store.versions()}
        self._declared = engine.store.declarations()
        self.watched: dict[str, VersionRecord] = {}
        """Of each process the version that is being rolled out, else the one promoted last until it has been called 50 times."""
        self._rebuild()

    def _rebuild(self) -> None:
        records = self._versions.values()
        self._engine.catalog.route_by(Routes(records, self._declared) if records else None)
        self._watch()

    def _watch(self) -> None:
        names = {each.process for each in self._versions.values()}
        found = {name: newest(self.routes.versions_of(name)) for name in names}
        chosen = {name: self._versions[name, each.version] for name, each in found.items() if each is not None}
        self.watched = {
            name: each
            for name, each in chosen.items()
            if each.state == State.PUBLISHED or (on_trial(_tally(each)) and self.beside(each) is not None)
        }

    @property
    def routes(self) -> Routes:
        """What calls go by; empty where nothing was published."""
        return self._engine.catalog.routes or Routes((), ())

    def version(self, process: str, version: str) -> VersionRecord | None:
        """A published version."""
        return self._versions.get((process, version))

    def versions(self, process: str | None = None) -> list[VersionRecord]:
        """The published versions of a process, or of all."""
        return [each for each in self._versions.values() if process in (None, each.process)]

    def put(self, *records: VersionRecord) -> None:
        """Versions are new or have changed; calls go by it from now on."""
        for record in records:
            self._versions[record.process, record.version] = record
            self._engine.durability.version(record)
        self._rebuild()

    def declare(self, record: DeclarationRecord) -> None:
        """A caller has declared what it works with."""
        same = [each for each in self._declared if _said(each) == _said(record)]
        if not same:
            self._declared.append(record)
            self._engine.durability.declaration(record)
            self._rebuild()

    def alert(self, code: str, message: str, details: dict[str, Any]) -> None:
        """Tell operators of something about a version."""
        payload = orjson.dumps(details)
        subject = f"{details.get('process')} {details.get('version')}"
        now = self._engine.clock.now()
        self._engine.durability.alert(AlertRecord(code, None, None, message, payload, now, subject=subject))
        self._engine.outbox.tell(code, message, details)

    # -- rollouts are watched -----------------------------------------------------------------------------------------

    def beside(self, record: VersionRecord) -> VersionRecord | None:
        """The version that callers get who do not get this one."""
        found = self.routes.versions_of(record.process)
        live = next((each for each in found if each.live and each.version != record.version), None)
        return None if live is None else self._versions[live.process, live.version]

    def ended(self, record: ExecutionRecord, error: ErrorInfo | None) -> None:
        """An execution of a process that has a version under way has ended."""
        failed = record.status in FAILURES
        if failed or record.status is Status.COMPLETED:
            broke = error is not None and error.code == "contract_violation" and error.origin in (None, record.id)
            self._count(record, failed=failed, violated=broke)

    def told(self, record: ExecutionRecord, result: Seam[Any] | None) -> None:
        """A caller has a result: one that it cannot use breaks the contract it was called under."""
        if record.status is Status.COMPLETED and record.result is not None and result is not None:
            try:
                result.decode(record.result)
            except SeamError:
                self._count(record, failed=None, violated=True)

    def _count(self, ended: ExecutionRecord, *, failed: bool | None, violated: bool) -> None:
        new = self.watched[ended.process]
        old = self.beside(new)
        counted = next((each for each in (new, old) if each is not None and each.version == ended.version), None)
        if counted is None:
            return
        tally = Tally(counted.violations, counted.recent)
        tally = (
            replace(tally, violations=tally.violations + violated)
            if failed is None
            else tally.counting(failed=failed, violated=violated)
        )
        counted.violations, counted.recent = tally.violations, tally.recent
        self._engine.durability.version(counted)
        why = verdict(_tally(new), _tally(old) if old is not None else Tally())
        if why is not None:
            self._take_back(new, why)
        elif new.state == State.PROMOTED and not on_trial(_tally(new)):
            self._watch()

    def _take_back(self, record: VersionRecord, why: str) -> None:
        """Roll a version back, unless callers would be left with none: then operators hear of it (L42)."""
        releases = self.routes.releases
        leaving = releases[record.process, record.version]
        left = stranded(leaving, list(releases.values()), self.routes.declarations, in_range) if leaving.live else []
        if not left:
            self.roll_back(record, why, by=None)
            return
        self._watch()
        callers = [f"{each.process}@{each.version}" for each in left]
        details = {
            "process": record.process,
            "version": record.version,
            "why": why,
            "callers": callers,
            "owner": record.published_by,
        }
        message = (
            f"{record.process} {record.version} stays, though: {why}. No other version would be left for"
            f" {', '.join(callers)}: promote one in their range, then `remit rollback {record.process}@{record.version}`"
        )
        self.alert("not_rolled_back", message, details)

    def roll_back(self, record: VersionRecord, why: str, *, by: str | None) -> None:
        """Take a version back at once: whoever is called from now on is another; what runs ends as it began (L40, L42)."""
        record.state, record.rollout = State.PUBLISHED, None
        record.changed_at, record.changed_by = self._engine.clock.now(), by
        self.put(record)
        owner = record.published_by
        details = {"process": record.process, "version": record.version, "why": why, "by": by, "owner": owner}
        self._engine.audit.control(None, "rolled_back", by, details)
        self.alert("rolled_back", f"{record.process} {record.version} was rolled back: {why}", details)


def _tally(record: VersionRecord) -> Tally:
    return Tally(record.violations, record.recent)


def _said(record: DeclarationRecord) -> tuple[str, str, str, str]:
    return record.caller, record.caller_version, record.target, record.versions

"""The policies of a store as an open engine holds them: read once, changed in one event, compiled to what calls meet (L43)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from remit.engine.governing.governance import Governance
from remit.kernel.policies import Policy, policy_of
from remit.store.records import AlertRecord, PolicyRecord

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Policies", "policy_from"]


def policy_from(record: PolicyRecord) -> Policy:
    """The policy that a record keeps."""
    return policy_of(orjson.loads(record.content))


class Policies:
    """Which versions are in force. Each change counts for every call from then on, in traces that run too."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._records = {(each.name, each.version): each for each in engine.store.policies()}
        self._enforce()

    def _enforce(self) -> None:
        in_force = [policy_from(each) for each in self._records.values() if each.in_force]
        in_force.sort(key=lambda each: each.label)
        self._engine.governance = Governance(self._engine, tuple(in_force)) if in_force else None

    def version(self, name: str, version: str) -> PolicyRecord | None:
        """A version that was applied at some time."""
        return self._records.get((name, version))

    def current(self, name: str) -> PolicyRecord | None:
        """The version of a policy that is in force."""
        return next((each for each in self._records.values() if each.name == name and each.in_force), None)

    def names(self) -> list[str]:
        """The policies that are in force."""
        return sorted({each.name for each in self._records.values() if each.in_force})

    def apply(self, record: PolicyRecord) -> None:
        """Put a version in force, in the place of the one before it; one that cannot be read changes nothing."""
        policy_from(record)
        before = self.current(record.name)
        if before is not None and before.version != record.version:
            self._put(replace(before, ended_at=record.applied_at, ended_by=record.applied_by))
        self._put(record)
        self._enforce()
        instead = f" in place of {before.version}" if before is not None and before.version != record.version else ""
        self._tell("policy_applied", record, f"is in force{instead}", record.applied_by)

    def remove(self, record: PolicyRecord, by: str | None) -> PolicyRecord:
        """Withdraw the version that is in force; it stays on record."""
        ended = replace(record, ended_at=self._engine.clock.now(), ended_by=by)
        self._put(ended)
        self._enforce()
        self._tell("policy_removed", record, "was withdrawn", by)
        return ended

    def _put(self, record: PolicyRecord) -> None:
        self._records[record.name, record.version] = record
        self._engine.durability.policy(record)

    def _tell(self, code: str, record: PolicyRecord, what: str, by: str | None) -> None:
        details = orjson.dumps({"policy": record.name, "version": record.version, "by": by})
        message = f"Policy {record.name} {record.version} {what}"
        about = {"policy": record.name, "version": record.version, "digest": record.digest.hex()}
        self._engine.audit.control(None, code, by, about)
        now, subject = self._engine.clock.now(), f"policy {record.name} {record.version}"
        self._engine.durability.alert(AlertRecord(code, None, None, message, details, now, subject=subject))

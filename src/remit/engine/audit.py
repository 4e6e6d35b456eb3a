"""The audit log as an open engine writes it: each entry in the commit of what it tells of, after the last one of its chain (L49).

Entries hold digests of payloads (BLAKE2b, 16 bytes, of the canonical JSON, keyed with a salt of the tenant's) and never payloads. A chain's head stays in
memory while its trace does; a trace that comes back reads it from the store.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

import orjson

from remit.engine.values.seam import digest, trimmed
from remit.errors import ErrorClass, ErrorInfo
from remit.kernel.audit import Entry, Head, beginning_of, chain_of, control_chain, hash_of
from remit.kernel.states import Status
from remit.kernel.usage import decimal_string
from remit.store.records import EffectKind, ExecutionRecord, JournalRecord

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Audit"]

_NAME_MOST = 200
_SALT_BYTES = 32
_AUDITED = frozenset({EffectKind.TOOL, EffectKind.MODEL})
_ENDINGS = {Status.TIMED_OUT: "expired", Status.CANCELLED: "cancelled"}


class Audit:
    """Adds entries. Nothing here waits, and nothing is read but the head of a chain that is not in memory."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._beginning = Head(0, beginning_of(engine.store.audit_id()))
        self._heads: dict[str, Head] = {}
        self._salts: dict[str, bytes] = {}

    # -- chains -------------------------------------------------------------------------------------------------------

    def entry(self, execution_id: str, kind: str, details: dict[str, Any], actor: str | None = None) -> None:
        """Something has happened in or to an execution; `actor` is who did it, None for Remit itself."""
        self._add(chain_of(execution_id), self._engine.clock.now(), kind, execution_id, actor, details)

    def control(self, tenant: str | None, kind: str, actor: str | None, details: dict[str, Any]) -> None:
        """Something was done outside of executions, for a tenant or for none."""
        self._add(control_chain(tenant), self._engine.clock.now(), kind, "", actor, details)

    def _add(self, chain: str, at: int, kind: str, execution: str, actor: str | None, details: dict[str, Any]) -> None:
        head = self._heads.get(chain) or self._head_of(chain)
        seq, who, told = head.seq + 1, actor or "", _json(details)
        sealed = hash_of(head.hash, chain, seq, at, kind, execution, who, told)
        self._heads[chain] = Head(seq, sealed)
        self._engine.durability.audit(Entry(chain, seq, at, kind, execution, who, told, sealed))

    def _head_of(self, chain: str) -> Head:
        """The head of a chain that is not in memory: a trace may have left it before its entries were durable."""
        pending = self._engine.durability.last_audited(chain)
        if pending is not None:
            return Head(pending.seq, pending.hash)
        return self._engine.store.audit_head(chain) or self._beginning

    def begin(self, root_id: str) -> None:
        """A new root's chain has no entry yet; that need not be read."""
        self._heads[root_id] = self._beginning

    def forget(self, root_id: str) -> None:
        """The trace leaves memory."""
        self._heads.pop(root_id, None)

    # -- digests ------------------------------------------------------------------------------------------------------

    def mark(self, tenant: str | None, of: bytes) -> str:
        """The digest of a payload under its tenant's salt: once an erasure has destroyed that, no guess can be checked (L53)."""
        salt = self._salts.get(tenant or "") or self._salt_of(tenant or "")
        return blake2b(of, digest_size=16, key=salt).hexdigest()

    def _salt_of(self, tenant: str) -> bytes:
        salt = self._engine.store.audit_salt(tenant)
        if salt is None:
            salt = token_bytes(_SALT_BYTES)
            self._engine.durability.audit_salt(tenant, salt)
        self._salts[tenant] = salt
        return salt

    def forget_salt(self, tenant: str) -> None:
        """It was destroyed."""
        self._salts.pop(tenant, None)

    def _tenant_of(self, execution_id: str) -> str | None:
        node = self._engine.traces.nodes.get(execution_id)
        record = node.record if node is not None else self._engine.store.execution(execution_id)
        return record.tenant if record is not None else None

    # -- executions ---------------------------------------------------------------------------------------------------

    def admitted(self, record: ExecutionRecord) -> None:
        """An execution is new. Whose it is stands in its root's entry, and is inherited (L44)."""
        details: dict[str, Any] = {
            "process": record.process,
            "version": record.version,
            "input": self.mark(record.tenant, record.digest),
        }
        if not record.awaited:
            details["async"] = True
        if record.parent_n == 0:
            self.begin(record.id)
            details |= {"tenant": record.tenant, "region": record.region} | _limits(record)
        # The owner of a child is its root's, who had no hand in it: the caller's code called.
        actor = record.owner if record.parent_n == 0 else None
        self._add(chain_of(record.id), record.created_at, "admitted", record.id, actor, details)

    def start_refused(self, target: str, tenant: str | None, owner: str | None, code: str) -> None:
        """A root was refused: it has no chain, so its tenant's tells of it."""
        self.control(tenant, "refused", owner, {"act": "start", "what": target[:_NAME_MOST], "code": code})

    def ended(self, record: ExecutionRecord, error: ErrorInfo | None) -> None:
        """An execution has ended. One that a caller has asked for and that did what it should says so in its caller's result."""
        if error is None:
            if record.parent_n == 0:
                self.entry(record.id, "completed", {"result": self.mark(record.tenant, digest(record.result or b"null"))})
            return
        aborted = error.error_class is ErrorClass.SYSTEM  # with all above it that awaited it (L20)
        kind = "aborted" if aborted else _ENDINGS.get(record.status, "failed")
        details = {"code": error.code, "class": str(error.error_class), "origin": error.origin}
        self.entry(record.id, kind, details | {"attempt": record.attempt})

    def retried(self, record: ExecutionRecord, error: ErrorInfo) -> None:
        """An attempt has failed and the next one is to come."""
        self.entry(record.id, "retried", {"attempt": record.attempt, "code": error.code})

    def rejected(self, record: ExecutionRecord, target: str, payload: bytes, error: ErrorInfo) -> None:
        """A call was refused before anything was created."""
        details = {"target": target, "code": error.code, "input": self.mark(record.tenant, digest(payload))}
        self.entry(record.id, "rejected", details)

    # -- tools and models ---------------------------------------------------------------------------------------------

    def called(self, execution_id: str, entry: JournalRecord) -> None:
        """A tool or model is about to be called: this is durable before it is (L46), whatever becomes of the call."""
        if entry.kind in _AUDITED:
            params = self.mark(self._tenant_of(execution_id), digest(entry.params or b"null"))
            details = {"name": entry.name, "params": params}
            self.entry(execution_id, f"{entry.kind}.called", details | _which(entry))

    def refused(self, execution_id: str, entry: JournalRecord) -> None:
        """A tool or model was not called: a policy forbids it, or there is nothing left to pay for it."""
        if entry.kind in _AUDITED:
            params = self.mark(self._tenant_of(execution_id), digest(entry.params or b"null"))
            details = {"name": entry.name, "params": params} | _which(entry)
            code = orjson.loads(entry.error or b"{}")["code"]
            self.entry(execution_id, f"{entry.kind}.refused", details | {"code": code})

    def returned(self, execution_id: str, entry: JournalRecord) -> None:
        """A tool or model has answered, or failed, or was left; a call without such an entry ended with its process."""
        if entry.kind in _AUDITED:
            details: dict[str, Any] = {"name": entry.name} | _which(entry)
            if entry.error is not None:
                details["error"] = orjson.loads(entry.error)["code"]
            else:
                details["result"] = self.mark(self._tenant_of(execution_id), digest(entry.result or b"null"))
            if entry.tokens or entry.cost:
                details["usage"] = {"tokens": entry.tokens, "cost": decimal_string(entry.cost)}
            self.entry(execution_id, f"{entry.kind}.returned", details)


def _json(details: dict[str, Any]) -> bytes:
    try:
        return trimmed(orjson.dumps(details))
    except TypeError:  # half a character, in the code of an author's error say
        return json.dumps(details, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _which(entry: JournalRecord) -> dict[str, int]:
    """Which entry of the execution's journal it is."""
    return {"generation": entry.generation, "position": entry.position, "attempt": entry.attempt}


def _limits(record: ExecutionRecord) -> dict[str, Any]:
    cost = decimal_string(record.limit_cost) if record.limit_cost is not None else None
    limits = {"limit_tokens": record.limit_tokens, "limit_cost": cost}
    return {name: limit for name, limit in limits.items() if limit is not None}

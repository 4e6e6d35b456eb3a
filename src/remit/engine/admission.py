"""Admission: record, ordinal, TTL, reservation and the parent's journal entry of the call, decided as one event (L8)."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import randbits
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from remit.engine.body.history import CallIdentity
from remit.engine.definitions import Definition
from remit.engine.governing.governance import Wanted
from remit.engine.governing.judgement import Judged, judge_call
from remit.engine.governing.ruled import Caller
from remit.engine.node import Node
from remit.engine.request import CallRequest
from remit.engine.terms import note
from remit.engine.values.seam import SeamError, digest, trimmed
from remit.errors import InvalidInput, MisuseError
from remit.kernel.department_budgets import Folio
from remit.kernel.lease import DEFAULT_TTL_MS, ROOT_TTL_MS, granted_ttl
from remit.kernel.preflight import Rejection
from remit.kernel.retry import Retry
from remit.kernel.states import Status
from remit.kernel.trace import child_id, root_id, root_key
from remit.kernel.usage import NOTHING, Amount, Budget
from remit.store import boundaries
from remit.store.records import AlertRecord, ExecutionRecord, Tombstone

if TYPE_CHECKING:
    from remit.engine.engine import Engine

__all__ = ["Admission", "Admitted", "RootTerms"]


class RootTerms:
    """What a root is started with."""

    __slots__ = ("budget", "caller", "depth", "held", "key", "owner", "region", "retry", "saga", "tenant", "ttl_ms")

    def __init__(
        self,
        key: str | None,
        tenant: str | None,
        owner: str | None,
        region: str | None,
        budget: Budget | None,
        ttl_ms: int | None,
        retry: Retry | None,
        *,
        saga: bool = False,
        held: bool = False,
        caller: str | None = None,
        depth: int = 0,
    ) -> None:
        self.caller = caller
        """The process that a version which is evaluated was called by, and how deep it stood: for rules that ask (L43)."""
        self.depth = depth
        self.saga = saga
        """Compensate what it did when it fails, whether its process says so or not (L37)."""
        self.held = held
        """Admit it, and begin when an operator lets it go."""
        self.key = key
        self.tenant = tenant
        self.owner = owner
        self.region = region
        self.budget = budget
        self.ttl_ms = ttl_ms
        self.retry = retry


class Admitted(NamedTuple):
    """A call that passed pre-flight; its identity is that of the input as it was given, `payload` what crosses of it."""

    definition: Definition
    request: CallRequest
    estimate: Amount
    payload: bytes
    identity: CallIdentity
    judged: Judged | None
    folios: Sequence[Folio] = ()
    """What it draws on beside its root's budget."""


class Admission:
    """Creates executions. Nothing here waits: what it decides is one event in the batch."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def child(self, parent: Node, call: Admitted, position: int, *, awaited: bool) -> Node:
        """Admit a call that passed pre-flight."""
        engine, above = self._engine, parent.record
        definition, request, estimate = call.definition, call.request, call.estimate
        if call.judged is not None:
            call.judged.take()
        now = engine.clock.now()
        parent.last_ordinal += 1
        wanted_ms = request.ttl_ms or definition.ttl_ms or DEFAULT_TTL_MS
        record = ExecutionRecord(
            n=engine.take_n(),
            id=child_id(above.id, parent.last_ordinal),
            parent_n=above.n,
            process=definition.name,
            version=definition.version,
            status=Status.PENDING,
            created_at=now,
            ttl_ms=granted_ttl(wanted_ms, parent.clock.left(now) if awaited else None),
            digest=call.identity.digest,
            input=call.payload,
            key=call.identity.key,
            label=request.key,
            occurrence=call.identity.occurrence,
            position=position,
            department=definition.department,
            tenant=above.tenant,
            owner=above.owner,
            region=above.region,
            awaited=awaited,
            detached=request.detached,
            generation=above.generation,
            updated_at=now,
            estimate_tokens=estimate.tokens,
            estimate_cost=estimate.cost,
            limit_tokens=request.limit_tokens,
            limit_cost=request.limit_cost,
            terms=_terms(request.retry, saga=definition.saga, tags=definition.tags, judged=call.judged),
        )
        node = engine.traces.admit(record, parent)
        if call.judged is not None:
            node.under = call.judged.placed.under
        self._reserve(node, estimate, call.folios)
        self._admitted(node, definition)
        return node

    def _reserve(self, node: Node, estimate: Amount, folios: Sequence[Folio]) -> None:
        """Take what the call may use out of the root's budget, and out of those of departments (L25, L45)."""
        if estimate.tokens or estimate.cost:
            node.account.reserve(estimate)
            lent = node.account.lent()
            if lent:
                note(node.record, {"lent": lent})
            self._engine.touch_lenders(node)
        if self._engine.books is not None:
            self._engine.books.admit(node, folios, estimate)

    def root(self, definition: Definition, value: object, terms: RootTerms) -> tuple[ExecutionRecord, bool]:
        """Admit a root, or find the one started under the same key; the flag says whether it is new (L7).

        Raises InvalidInput, and MisuseError `idempotency_conflict` for a key used with another input.
        """
        engine = self._engine
        try:
            payload = definition.input.accept(value)
        except SeamError as error:
            raise InvalidInput(
                f"Process {definition.name!r} cannot take this input: {error}", path=error.path
            ) from None
        input_digest = digest(payload)
        key = root_key(terms.tenant or "", terms.key) if terms.key is not None else None
        if key is not None:
            known = self._known(key)
            if known is not None:
                if known.digest != input_digest or known.process != definition.name:
                    how = " with another input" if known.process == definition.name else f", not {definition.name!r}"
                    raise MisuseError(
                        f"Key {terms.key!r} was used to start {known.process!r}{how}: {known.id}. Use another key for other work.",
                        code="idempotency_conflict",
                        execution_id=known.id,
                    )
                return known, False
            gone = engine.store.buried(key)
            if gone is not None:
                raise _buried(gone, terms.key)
        now = engine.clock.now()
        folios = () if engine.books is None else engine.books.of_root(definition.department, terms.tenant, now)
        granted = self._granted(definition, payload, terms)
        record = ExecutionRecord(
            n=engine.take_n(),
            id=root_id(now, randbits(48)),
            parent_n=0,
            process=definition.name,
            version=definition.version,
            status=Status.PENDING,
            created_at=now,
            ttl_ms=granted.ttl_ms,
            digest=input_digest,
            input=granted.payload,
            key=key,
            label=terms.key,
            department=definition.department,
            tenant=terms.tenant,
            owner=terms.owner,
            region=terms.region,
            updated_at=now,
            limit_tokens=granted.tokens,
            limit_cost=granted.cost,
            terms=granted.terms,
        )
        node = engine.traces.admit(record, None)
        self._reserve(node, NOTHING, folios)
        if key is not None:
            engine.new_root_keys[key] = record
        self._admitted(node, definition)
        return record, True

    def _admitted(self, node: Node, definition: Definition) -> None:
        """Record and audit entry are one event; the execution begins."""
        engine = self._engine
        engine.durability.create(node)
        engine.audit.admitted(node.record)
        if boundaries.reach is not None:
            boundaries.reach("admission.decided")
        engine.begin(node, definition)

    def _granted(self, definition: Definition, payload: bytes, terms: RootTerms) -> _Granted:
        """What a root gets of what it is started with; raises MisuseError `policy_denied`, and nothing is remembered (L7)."""
        governance, budget = self._engine.governance, terms.budget
        tokens, cost = (budget.tokens, budget.cost_micros) if budget is not None else (None, None)
        ttl_ms = terms.ttl_ms or definition.ttl_ms or ROOT_TTL_MS
        saga = terms.saga or definition.saga
        if governance is None:
            kept = _terms(terms.retry, budget, saga=saga, held=terms.held, tags=definition.tags)
            return _Granted(payload, ttl_ms, tokens, cost, kept)
        caller = Caller(terms.tenant, terms.owner, terms.region, terms.caller, terms.depth)
        judged = judge_call(governance, governance.started(definition, caller), payload)
        if judged.denial is not None:
            raise self._refused(judged.denial, definition, terms)
        judged.take()
        granted = judged.placed.granted(Wanted(ttl_ms, tokens, cost, terms.retry))
        kept = _terms(granted.retry, budget, saga=saga, held=terms.held, tags=definition.tags, judged=judged)
        return _Granted(judged.payload, granted.ttl_ms or ttl_ms, granted.tokens, granted.cost, kept)

    def _refused(self, denial: Rejection, definition: Definition, terms: RootTerms) -> MisuseError:
        """A start that a policy forbids: operators are told, and there is no execution to tell them of."""
        engine = self._engine
        error = denial.error("", ())
        details = {**error.details, "target": definition.name}
        engine.durability.alert(
            AlertRecord(
                error.code, None, terms.tenant, error.message, orjson.dumps(details), engine.clock.now(), subject=f"start of {definition.name}"
            )
        )
        return MisuseError(error.message, code=error.code, details=details)

    def _known(self, key: bytes) -> ExecutionRecord | None:
        """The root of that key, durable or still in the batch."""
        engine = self._engine
        if engine.durability.clean:
            engine.new_root_keys.clear()
        return engine.new_root_keys.get(key) or engine.store.by_root_key(key)


class _Granted(NamedTuple):
    payload: bytes
    ttl_ms: int
    tokens: int | None
    cost: int | None
    terms: bytes | None


def _buried(gone: Tombstone, key: str | None) -> MisuseError:
    """The key is a deleted root's: what it did is done, and starting it again would do it twice (L53)."""
    return MisuseError(
        f"Key {key!r} was used to start {gone.process!r}: {gone.id}, which retention has deleted since, its outcome with it."
        " Use another key for other work.",
        code="execution_deleted",
        execution_id=gone.id,
    )


def _terms(
    retry: Retry | None,
    budget: Budget | None = None,
    *,
    saga: bool = False,
    held: bool = False,
    tags: tuple[str, ...] = (),
    judged: Judged | None = None,
) -> bytes | None:
    """What the record keeps beside its columns; None where there is nothing."""
    terms: dict[str, Any] = judged.terms() if judged is not None else {}
    if tags:
        terms["tags"] = tags
    if retry is not None:
        terms["retry"] = [retry.attempts, retry.first, retry.longest, retry.retry_on_timeout]
    if budget is not None and budget.on_exhausted == "suspend":
        terms["on_exhausted"] = "suspend"
    if saga:
        terms["saga"] = True
    if held:
        terms["held"] = True
    return trimmed(orjson.dumps(terms, default=lambda value: value.total_seconds())) if terms else None

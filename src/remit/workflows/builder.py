"""`WorkflowBuilder`: workflows created first and started later, as code written for the workflow format does it."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from remit.authoring.outcome import Outcome
from remit.engine.admission import RootTerms
from remit.engine.engine import Engine
from remit.engine.governing.ahead import ahead_of_start
from remit.engine.node import Node
from remit.engine.terms import has_saga, is_held, note
from remit.engine.values.plain_json import loads
from remit.engine.values.texts import optional_ms, optional_text
from remit.errors import InvalidInput, MisuseError
from remit.kernel.durations import Duration
from remit.kernel.retry import Retry
from remit.kernel.states import TERMINAL, Status, shown
from remit.kernel.usage import Budget
from remit.store.records import ExecutionRecord
from remit.workflows.running.fold import folded

__all__ = ["Acting", "WorkflowBuilder", "WorkflowHandle"]

_MOVING = frozenset({Status.PENDING, Status.ACTIVE, Status.PENDING_ASYNC, Status.PENDING_SUB_WORKFLOW})
_LOOK_S = 0.02


class Acting(Protocol):
    """What is needed of an app: `Remit` has it."""

    @property
    def engine(self) -> Engine:
        """Its engine, while it is open."""

    async def answer(self, execution_id: str, value: Any, ask: str | None = None) -> None:
        """Answer an open ask."""

    async def cancel(self, execution_id: str) -> bool:
        """Cancel an execution."""

    async def outcome(self, execution_id: str, timeout: Duration | None = None) -> Outcome[Any]:
        """Wait for an execution's end."""


class WorkflowBuilder:
    """Creates workflows of an open app, and finds those that were created before.

    With `tenant`, all that it creates is that tenant's, and what is another's is as good as not there (L44).
    """

    def __init__(self, app: Acting, tenant: str | None = None) -> None:
        self._app = app
        self._tenant = optional_text(tenant, "tenant")

    async def create_workflow(
        self,
        workflow_type: str,
        initial_data: Any = None,
        owner_id: str | None = None,
        data_region: str | None = None,
        idempotency_key: str | None = None,
        *,
        tenant: str | None = None,
        budget: Budget | None = None,
        ttl: Duration | None = None,
        retry: Retry | None = None,
    ) -> WorkflowHandle:
        """Admit a workflow that stays PENDING until `start()`; durable when this returns.

        The same key with the same data gives the same workflow (L9). Raises InvalidInput for data that the workflow does not
        take, MisuseError `unknown_process` and `idempotency_conflict`, and `cross_tenant` for another tenant than the builder's.
        """
        if self._tenant is not None and tenant not in (None, self._tenant):
            raise MisuseError(f"This builder is for tenant {self._tenant!r}: drop tenant=", code="cross_tenant")
        tenant = tenant or self._tenant
        engine = self._app.engine
        definition = engine.catalog.newest(workflow_type) if isinstance(workflow_type, str) else None
        if definition is None:
            there = ", ".join(engine.catalog.names()) or "none"
            raise MisuseError(
                f"No workflow {workflow_type!r} is hosted here; there are: {there}."
                " Pass its file or its directory in Remit(..., processes=[...]).",
                code="unknown_process",
            )
        ttl_ms = optional_ms(ttl, "ttl")
        named = {"idempotency_key": idempotency_key, "tenant": tenant, "owner_id": owner_id, "data_region": data_region}
        for name, text in named.items():
            optional_text(text, name)
        for name, value, kind in (("budget", budget, Budget), ("retry", retry, Retry)):
            if value is not None and not isinstance(value, kind):
                raise InvalidInput(f"{name}={value!r}: give a {kind.__name__}(...)")
        terms = RootTerms(idempotency_key, tenant, owner_id, data_region, budget, ttl_ms, retry, held=True)
        state: object = {} if initial_data is None else initial_data
        await ahead_of_start(engine, definition, state, terms)
        record, _ = engine.start(definition, state, terms)
        await engine.durability.barrier()
        return WorkflowHandle(self._app, record.id, self._tenant)

    async def load_workflow(self, workflow_id: str) -> WorkflowHandle:
        """A handle on a workflow that was created before; raises MisuseError `unknown_execution`."""
        handle = WorkflowHandle(self._app, workflow_id, self._tenant)
        handle._record()
        return handle


class WorkflowHandle:
    """One workflow: created, started, answered, looked at."""

    def __init__(self, app: Acting, workflow_id: str, tenant: str | None = None) -> None:
        self._app = app
        self._tenant = tenant
        self.id = workflow_id

    @property
    def workflow_type(self) -> str:
        """The type it was created with."""
        return self._record().process

    @property
    def workflow_version(self) -> str:
        """The version of its definition."""
        return self._record().version

    @property
    def status(self) -> str:
        """The status that is durable now; FAILED_ROLLED_BACK once its compensations are done (L32)."""
        record = self._record()
        return shown(record.status, record.compensation)

    @property
    def state(self) -> Any:
        """Its state as its model, told by what is durable now and a copy of its own; None for a process written in Python."""
        state = folded(self._app.engine, self.id)
        return state.typed() if state is not None else None

    @property
    def saga_mode_enabled(self) -> bool:
        """Whether what it did is compensated when it fails (L37)."""
        with self._living() as node:
            return has_saga(node.record)

    def enable_saga_mode(self) -> Any:
        """Compensate what it did when it fails, whether its file says so or not; may be awaited, and need not be.

        Raises MisuseError `wrong_state` once it has started.
        """
        with self._living() as node:
            if not is_held(node.record):
                raise MisuseError(
                    f"{self.id} has started: call enable_saga_mode() before start(), or write saga_enabled: true in its file",
                    code="wrong_state",
                    execution_id=self.id,
                )
            note(node.record, {"saga": True})
            self._app.engine.durability.touch(node)
        return _Done()

    async def start(self) -> WorkflowHandle:
        """Let it begin; durable when this returns. A workflow that has started already goes on as it does."""
        self._record()
        self._app.engine.release(self.id)
        await self._app.engine.durability.barrier()
        return self

    async def next_step(
        self, user_input: Mapping[str, Any] | None = None, *, timeout: Duration | None = None
    ) -> tuple[dict[str, Any], None]:
        """Start it, or answer what it waits for, and return once it has ended or waits for a person again.

        Steps go on by themselves, so this is a step for its user, not for the workflow. The dict is its result where it
        completed, else empty. Raises MisuseError `wrong_state` once it has ended, InvalidInput for an answer that does not
        fit, TimeoutError where it is still busy after `timeout`, and then it goes on.
        """
        record = self._record()
        status = record.status
        if status in TERMINAL:
            raise MisuseError(f"{self.id} has ended ({self.status})", code="wrong_state", execution_id=self.id)
        limit_ms = optional_ms(timeout, "timeout")
        if is_held(record):
            await self.start()
        elif status in {Status.WAITING_HUMAN_INPUT, Status.WAITING_CHILD_HUMAN_INPUT}:
            await self._app.answer(self.id, dict(user_input or {}))
        elif user_input:
            raise MisuseError(f"{self.id} is {status} and waits for no input", code="wrong_state", execution_id=self.id)
        async with asyncio.timeout(limit_ms / 1_000 if limit_ms is not None else None):
            record = await self._at_rest()
        result = loads(record.result) if record.result is not None else {}
        return result if isinstance(result, dict) else {"result": result}, None

    async def _at_rest(self) -> ExecutionRecord:
        await self._app.engine.durability.barrier()
        while (record := self._record()).status in _MOVING:  # noqa: ASYNC110  # rest is seen in the store, nobody tells
            await asyncio.sleep(_LOOK_S)
        return record

    async def outcome(self, timeout: Duration | None = None) -> Outcome[Any]:
        """Wait for its durable end; raises TimeoutError after `timeout`, and it goes on."""
        self._record()
        return await self._app.outcome(self.id, timeout)

    async def cancel(self) -> bool:
        """Cancel it; False where it had ended."""
        self._record()
        return await self._app.cancel(self.id)

    def _record(self) -> ExecutionRecord:
        """Its durable row."""
        store = self._app.engine.store
        own = self._tenant is None or store.is_of_tenant(self.id, self._tenant)
        record = store.execution(self.id) if own else None
        if record is None:
            raise MisuseError(
                f"There is no workflow {self.id!r}: list those there are with WorkflowStore(app).list_workflows()",
                code="unknown_execution",
                execution_id=self.id,
            )
        return record

    @contextmanager
    def _living(self) -> Iterator[Node]:
        """It as it is in memory, which may be ahead of its row."""
        self._record()
        node = self._app.engine.traces.load(self.id)
        assert node is not None
        yield node
        self._app.engine.traces.let_go(node)

    def __repr__(self) -> str:
        return f"<Workflow {self.id}>"


class _Done:
    """Something done already: who awaits it waits for nothing."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()

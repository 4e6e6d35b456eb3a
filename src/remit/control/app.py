"""`Remit`: one store, one engine, the processes hosted here, and all that is done with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from threading import get_ident
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack, cast, overload

from remit.authoring.outcome import Outcome
from remit.authoring.process import Process, ProcessRef, split_reference
from remit.control import schedules as _schedules
from remit.control.auditing.reading import Reading
from remit.control.billing.attribution import Attribution
from remit.control.hosting import Hosted, Hosting, OperatorsList
from remit.control.inbox import Inbox
from remit.control.keeping import Keeping
from remit.control.logs import carry_trace_context
from remit.control.operations import Operations
from remit.control.policies.applying import Governed, PolicyDesk
from remit.control.queries import Queries, unknown
from remit.control.releases.gate import Gate
from remit.control.releases.registry import Registry
from remit.control.releases.versions import Versions
from remit.control.releases.webhooks import Webhooks, WebhookView, WebhookViews, webhook_views
from remit.control.schedules import ScheduleTerms, ScheduleView, ScheduleViews
from remit.control.tenants import Tenant
from remit.control.views import Record
from remit.engine.admission import RootTerms
from remit.engine.apart.elsewhere import importing_main
from remit.engine.definitions import Definition
from remit.engine.engine import Engine
from remit.engine.governing.ahead import ahead_of_start
from remit.engine.time.clock import Clock, SystemClock
from remit.engine.time.schedules import Holder
from remit.engine.values.texts import optional_ms, optional_text, ttl_of
from remit.errors import DefinitionError, InvalidInput, MisuseError
from remit.kernel.durations import Duration
from remit.kernel.preflight import Limits
from remit.kernel.retry import Retry
from remit.kernel.usage import Budget
from remit.store.keyring import Keyring
from remit.store.sqlite import SqliteStore

__all__ = ["Execution", "Remit", "run"]

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")


class Execution(Generic[T]):
    """A started root."""

    __slots__ = ("_app", "id", "new")

    def __init__(self, app: Remit, execution_id: str, *, new: bool) -> None:
        self._app = app
        self.id = execution_id
        self.new = new
        """False where the start found the execution that was started under the same key before."""

    async def outcome(self, timeout: Duration | None = None) -> Outcome[T]:
        """Wait for the durable end; raises TimeoutError after `timeout`, and the execution goes on."""
        return cast("Outcome[T]", await self._app.outcome(self.id, timeout))

    async def compensated(self, timeout: Duration | None = None) -> Record:
        """Wait until it has ended and all that it did is undone, where it is to be; see `Remit.compensated`."""
        return await self._app.compensated(self.id, timeout)

    async def record(self) -> Record:
        """The execution as it is recorded now."""
        return await self._app.get(self.id)

    async def cancel(self) -> bool:
        """Cancel it; False where it had ended."""
        return await self._app.cancel(self.id)

    def __repr__(self) -> str:
        return f"<Execution {self.id}>"


class Remit(Reading, Versions, Attribution, Governed, Keeping):
    """Runs processes on a store: `async with Remit("sqlite:///orders.db", processes=[order]) as app`.

    `processes` lists processes, modules that hold them, and paths of YAML workflows or of directories of them; import paths
    in workflows lead below their own directory, or below the packages that `workflow_imports` lists. HTTP steps of workflows
    reach public hosts and those that `http_hosts` lists ('localhost:8080', '*.erp.example'); of `{{secrets.NAME}}` and
    `{{env.NAME}}` they know what `secrets` holds and `env` names, and neither is recorded. `resources` is handed
    to bodies and steps as `current().resources`. `limits` are the operator's. With `encryption`, payloads are sealed at
    rest. Raises DefinitionError; opening raises StoreOwned where another process drives the store, StoreError where it
    cannot be used.
    """

    def __init__(
        self,
        store: str,
        *,
        processes: Iterable[Hosted] = (),
        workflow_imports: Iterable[str] = (),
        http_hosts: Iterable[str] = (),
        secrets: Mapping[str, str] | None = None,
        env: Iterable[str] = (),
        resources: Any = None,
        limits: Limits | None = None,
        encryption: Keyring | None = None,
    ) -> None:
        _refuse_other(store, str, "store", "sqlite:///FILE or :memory: as text")
        _refuse_other(limits, Limits | None, "limits", "Limits(max_depth=...)")
        _refuse_other(encryption, Keyring | None, "encryption", "Keyring(FILE)")
        self._url = store
        self._keyring = encryption
        imports = workflow_imports if isinstance(workflow_imports, str) else tuple(workflow_imports)
        self._how_hosted = (imports, OperatorsList(http_hosts, secrets, env))
        self._hosting = Hosting(processes, *self._how_hosted)
        self._hosted_since = []
        self._catalog = self._hosting.catalog()
        self._resources = resources
        self._limits = limits or Limits()
        self._engine: Engine | None = None
        self._thread = 0
        self._queries: Queries | None = None
        self._registry = None
        self._desk = None
        self._operations: Operations | None = None
        self._webhooks: Webhooks | None = None
        self._inbox: Inbox | None = None

    async def __aenter__(self) -> Self:
        if self._engine is not None:
            raise MisuseError("This Remit is open already: use one `async with` for each", code="wrong_state")
        if importing_main():
            raise MisuseError(
                'A helper process imports this script and would run it again: keep its start under `if __name__ == "__main__":`',
                code="wrong_state",
            )
        store = SqliteStore(self._url, SystemClock().now, self._keyring)
        self._thread = get_ident()
        self._engine = Engine(store, self._catalog, self._limits, self._clock(), self._resources)
        self._queries = Queries(store)
        self._operations = Operations(self._engine)
        self._registry = Registry(self._engine, Gate(self._engine, self._digest_of))
        self._desk = PolicyDesk(self._engine)
        self._webhooks = Webhooks(self._engine)
        self._inbox = Inbox(self._engine, self._operations, self._registry, self._desk, self._webhooks)
        carry_trace_context()
        try:
            self._catalog.forget()
            for hosting in (self._hosting, *self._hosted_since):
                hosting.remember(store, self._catalog, self._engine.clock.now())
            self._equip(self._engine)
            self._engine.recover()
            self._webhooks.open()
            self._inbox.open()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._engine is not None and self._inbox is not None:
            self._inbox.close()
            self._hooks().close()
            await self._engine.close()
        self._engine = self._queries = self._operations = self._registry = self._desk = self._inbox = None

    def _clock(self) -> Clock:
        """The time that executions live in; the testing kit has one of its own."""
        return SystemClock()

    def _equip(self, engine: Engine) -> None:
        """What the testing kit does to an engine before anything is driven."""

    @property
    def engine(self) -> Engine:
        """The engine; raises MisuseError where the app is not open, or open in another thread."""
        if self._engine is None:
            raise MisuseError("This Remit is not open: use `async with Remit(...) as app:`", code="wrong_state")
        if self._thread != get_ident():
            raise MisuseError(
                "This Remit is open in another thread: call it there, with `asyncio.run_coroutine_threadsafe(..., loop)`",
                code="wrong_state",
            )
        return self._engine

    def _reads(self) -> Queries:
        _ = self.engine
        assert self._queries is not None
        return self._queries

    def _acts(self) -> Operations:
        _ = self.engine
        assert self._operations is not None
        return self._operations

    @overload
    async def start(
        self,
        target: Process[In, Out] | ProcessRef[In, Out],
        input: In,
        *,
        key: str | None = ...,
        tenant: str | None = ...,
        owner: str | None = ...,
        region: str | None = ...,
        budget: Budget | None = ...,
        ttl: Duration | None = ...,
        retry: Retry | None = ...,
    ) -> Execution[Out]: ...
    @overload
    async def start(
        self,
        target: Process[None, Out] | ProcessRef[None, Out],
        *,
        key: str | None = ...,
        tenant: str | None = ...,
        owner: str | None = ...,
        region: str | None = ...,
        budget: Budget | None = ...,
        ttl: Duration | None = ...,
        retry: Retry | None = ...,
    ) -> Execution[Out]: ...
    @overload
    async def start(
        self,
        target: str,
        input: Any = ...,
        *,
        key: str | None = ...,
        tenant: str | None = ...,
        owner: str | None = ...,
        region: str | None = ...,
        budget: Budget | None = ...,
        ttl: Duration | None = ...,
        retry: Retry | None = ...,
    ) -> Execution[Any]: ...
    async def start(
        self,
        target: Any,
        input: Any = None,
        *,
        key: str | None = None,
        tenant: str | None = None,
        owner: str | None = None,
        region: str | None = None,
        budget: Budget | None = None,
        ttl: Duration | None = None,
        retry: Retry | None = None,
    ) -> Execution[Any]:
        """Start a root; when this returns it is durable. The same key with the same input gives the same execution (L9).

        Raises InvalidInput, MisuseError `unknown_process` and `idempotency_conflict`; a refused start has changed nothing.
        """
        engine = self.engine
        ttl_ms = ttl_of(ttl)
        for name, text in (("key", key), ("tenant", tenant), ("owner", owner), ("region", region)):
            optional_text(text, name)
        if budget is not None and not isinstance(budget, Budget):
            raise InvalidInput(f"budget={budget!r}: give a Budget(tokens=..., cost=...)")
        if retry is not None and not isinstance(retry, Retry):
            raise InvalidInput(f"retry={retry!r}: give a Retry(attempts=...)")
        try:
            definition = self._definition(target)
        except MisuseError as error:
            engine.audit.start_refused(str(target), tenant, owner, error.code)
            raise
        terms = RootTerms(key, tenant, owner, region, budget, ttl_ms, retry)
        await ahead_of_start(engine, definition, input, terms)
        record, new = engine.start(definition, input, terms)
        await engine.durability.barrier()
        return Execution(self, record.id, new=new)

    def for_tenant(self, tenant: str) -> Tenant:
        """This app as one tenant sees it: the ids, keys, schedules, alerts and costs of others are not there (L44)."""
        return Tenant(self, tenant)

    def _definition(self, target: Any) -> Definition:
        if isinstance(target, Process):
            name, versions = target.name, target.version
        elif isinstance(target, ProcessRef):
            name, versions = target.name, target.versions or "*"
        elif isinstance(target, str):
            name, wanted = split_reference(target, where="start")
            versions = wanted or "*"
        else:
            raise InvalidInput(f"{target!r} is no process: pass a process, its name, or a ProcessRef")
        found = self._catalog.newest(name, versions)
        routes = self._catalog.routes
        if found is None and routes is not None and routes.knows(name):
            there = routes.listing(name, self._catalog.hosted(name))
            raise MisuseError(
                f"No version of {name!r} in {versions} is promoted and hosted here; there are: {there}",
                code="no_matching_version",
                target=name,
            )
        if found is None:
            there = ", ".join(self._catalog.names()) or "none"
            raise MisuseError(
                f"No process {name!r} ({versions}) is registered here; there are: {there}. Pass it in Remit(..., processes=[...]).",
                code="unknown_process",
            )
        return found

    async def outcome(self, execution_id: str, timeout: Duration | None = None) -> Outcome[Any]:
        """Wait for the durable end of any execution; raises TimeoutError, MisuseError `unknown_execution`."""
        engine = self.engine
        async with _within(timeout, f"{execution_id} has not ended", "it goes on, and its outcome can be asked for again"):
            record = await engine.outcomes.ended(execution_id)
        if record is None:
            self._reads().record(execution_id)  # it says more of one that was deleted
            raise unknown(execution_id)
        engine.keeping.refuse_erased(record)
        return Outcome(engine.outcomes.answer_of(record))

    async def compensated(self, execution_id: str, timeout: Duration | None = None) -> Record:
        """Wait until an execution has ended and its rollback, where it has one, is over; its `compensation` says how (L37).

        Raises TimeoutError, and the rollback goes on; MisuseError `unknown_execution`.
        """
        engine = self.engine
        async with _within(timeout, f"{execution_id} has not ended, or is being rolled back", "that goes on"):
            await engine.outcomes.ended(execution_id)
            await engine.sagas.over(execution_id)
        return await self.get(execution_id)

    async def answer(self, execution_id: str, value: Any, ask: str | None = None, *, by: str | None = None) -> None:
        """Answer an open ask at an execution or below it, `by` whom; see `Operations.answer` for what is refused."""
        await self._acts().answer(execution_id, value, ask, by)

    async def send(
        self, execution_id: str, event: str, payload: Any = None, dedupe: str | None = None, *, by: str | None = None
    ) -> bool:
        """Send an event to an execution; False where `dedupe` was seen before (L50)."""
        return await self._acts().send(execution_id, event, payload, dedupe, by)

    async def cancel(self, execution_id: str, *, by: str | None = None) -> bool:
        """Cancel an execution and what is below it; False where it had ended (L35)."""
        return await self._acts().cancel(execution_id, by=by)

    async def retry(self, execution_id: str, from_step: str | None = None, *, by: str | None = None) -> None:
        """Try a failed chain again, or let a paused execution go on (L34)."""
        await self._acts().retry(execution_id, from_step, by)

    async def top_up(self, root_id: str, budget: Budget, *, by: str | None = None) -> None:
        """Raise a root's limits (L26)."""
        await self._acts().top_up(root_id, budget, by)

    async def schedule(
        self,
        name: str,
        cron: str,
        target: Any,
        input: Any = None,
        *,
        tenant: str | None = None,
        owner: str | None = None,
        region: str | None = None,
        **terms: Unpack[ScheduleTerms],
    ) -> ScheduleView:
        """Set up a schedule, or replace the tenant's one of that name; `terms` as for `remit.durable.schedule` (L54).

        Raises InvalidInput for a bad name, expression, zone or input, MisuseError `unknown_process`.
        """
        holder = Holder(tenant, owner, region, None)
        return await _schedules.set_up(self.engine, self._definition, name, cron, target, input, holder, **terms)

    async def add_webhook(
        self,
        url: str,
        *,
        owner: str | None = None,
        private: bool = False,
        secret: str | None = None,
        by: str | None = None,
    ) -> WebhookView:
        """Let a URL hear of refused promotions and of versions that are taken back; see `Webhooks.add`."""
        return await self._hooks().add(url, owner=owner, private=private, secret=secret, by=by)

    async def webhooks(self) -> WebhookViews:
        """All webhooks, the oldest first, without their secrets."""
        return webhook_views(self.engine.store)

    async def remove_webhook(self, webhook_id: str, *, by: str | None = None) -> bool:
        """Remove a webhook with what was still to be delivered there; False where there is none."""
        return await self._hooks().remove(webhook_id, by)

    def _hooks(self) -> Webhooks:
        _ = self.engine
        assert self._webhooks is not None
        return self._webhooks

    async def schedules(self, tenant: str | None = None) -> ScheduleViews:
        """A tenant's schedules, or all, by name."""
        return _schedules.schedule_views(self.engine.store, tenant)

    async def unschedule(self, name: str, tenant: str | None = None) -> bool:
        """Remove a schedule; False where there is none. What it has started goes on."""
        return await _schedules.remove(self.engine, name, tenant)


def _refuse_other(value: object, kind: Any, name: str, how: str) -> None:
    if not isinstance(value, kind):
        raise DefinitionError(f"Remit({name}={value!r}): give {how}")


@asynccontextmanager
async def _within(timeout: Duration | None, problem: str, rest: str) -> AsyncIterator[None]:
    """Raise a TimeoutError that says what has not come about in time, and what becomes of it."""
    limit_ms = optional_ms(timeout, "timeout")
    limit = limit_ms / 1_000 if limit_ms is not None else None
    try:
        async with asyncio.timeout(limit):
            yield
    except TimeoutError:
        raise TimeoutError(f"{problem} within {limit} s; {rest}") from None


@overload
def run(target: Process[In, Out], input: In, **options: Any) -> Outcome[Out]: ...
@overload
def run(target: Process[None, Out], **options: Any) -> Outcome[Out]: ...
def run(
    target: Process[Any, Any],
    input: Any = None,
    *,
    store: str = ":memory:",
    processes: Iterable[Hosted] = (),
    workflow_imports: Iterable[str] = (),
    resources: Any = None,
    limits: Limits | None = None,
    timeout: Duration | None = None,
    **terms: Any,
) -> Outcome[Any]:
    """Run a process to its end from synchronous code; `terms` are those of `Remit.start` (key, tenant, budget, …)."""

    async def once() -> Outcome[Any]:
        async with Remit(
            store,
            processes=[target, *processes],
            workflow_imports=workflow_imports,
            resources=resources,
            limits=limits,
        ) as app:
            execution = await app.start(target, input, **terms)
            outcome = await execution.outcome(timeout)
            await app.engine.sagas.at_rest()  # nobody else would undo what is to be undone: the store may end with this
            return outcome

    return _blocking(once())


def _blocking(coroutine: Coroutine[Any, Any, T]) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    coroutine.close()
    raise MisuseError(
        "remit.run() is for synchronous code; inside a running event loop use `async with Remit(...) as app` and `await app.start(...)`",
        code="wrong_state",
    )

"""`Tenant`: an app as one tenant sees it. What is another's answers as what does not exist, by the same way (L44)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

from remit.authoring.outcome import Outcome
from remit.authoring.process import Process, ProcessRef
from remit.control.auditing.audit import AuditViews
from remit.control.auditing.refusals import shown
from remit.control.billing.costs import By, CostViews
from remit.control.policies.views import PolicyExplanation
from remit.control.queries import Page, only_own
from remit.control.schedules import ScheduleTerms, ScheduleView, ScheduleViews
from remit.control.views import Alerts, Entries, Record
from remit.engine.values.texts import short_text
from remit.errors import MisuseError
from remit.kernel.durations import Duration
from remit.kernel.retry import Retry
from remit.kernel.usage import Budget

if TYPE_CHECKING:
    from remit.control.app import Execution, Remit

__all__ = ["Tenant"]

In = TypeVar("In")
Out = TypeVar("Out")


class Tenant:
    """One tenant's part of an open app: its executions, keys, schedules, alerts and costs, and no others.

    Each method is that of `Remit`; an id of another tenant's raises the MisuseError `unknown_execution` of an unknown one.
    """

    def __init__(self, app: Remit, name: str) -> None:
        self._app = app
        self.name = short_text(name, "tenant")

    def __repr__(self) -> str:
        return f"<Tenant {self.name}>"

    def _own(self, execution_id: str) -> str:
        try:
            only_own(self._app.engine.store, self.name, execution_id)
        except MisuseError as error:
            told = {"act": "ask", "what": shown(execution_id), "code": error.code}
            self._app.engine.audit.control(self.name, "refused", None, told)
            raise
        return execution_id

    @overload
    async def start(
        self,
        target: Process[In, Out] | ProcessRef[In, Out],
        input: In = ...,
        *,
        key: str | None = ...,
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
        owner: str | None = ...,
        region: str | None = ...,
        budget: Budget | None = ...,
        ttl: Duration | None = ...,
        retry: Retry | None = ...,
    ) -> Execution[Any]: ...
    async def start(self, target: Any, input: Any = None, **terms: Any) -> Execution[Any]:
        """Start a root of this tenant; its keys are its own."""
        return await self._app.start(target, input, **{**terms, "tenant": self.name})

    async def outcome(self, execution_id: str, timeout: Duration | None = None) -> Outcome[Any]:
        """Wait for the durable end of an execution."""
        return await self._app.outcome(self._own(execution_id), timeout)

    async def compensated(self, execution_id: str, timeout: Duration | None = None) -> Record:
        """Wait until an execution has ended and its rollback, where it has one, is over (L37)."""
        return await self._app.compensated(self._own(execution_id), timeout)

    async def get(self, execution_id: str, *, by: str | None = None) -> Record:
        """One execution."""
        return await self._app.get(self._own(execution_id), by=by)

    async def list(
        self,
        *,
        status: str | Iterable[str] | None = None,
        process: str | None = None,
        parent: str | None = None,
        root: str | None = None,
        owner: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
        by: str | None = None,
    ) -> Page:
        """Executions, newest first."""
        return await self._app.list(
            status=status,
            process=process,
            parent=parent,
            root=root,
            tenant=self.name,
            owner=owner,
            since=since,
            limit=limit,
            cursor=cursor,
            by=by,
        )

    async def tree(self, execution_id: str, *, by: str | None = None) -> Record:
        """The whole trace as a tree, from any of its executions (L1)."""
        return await self._app.tree(self._own(execution_id), by=by)

    async def journal(self, execution_id: str, *, by: str | None = None) -> Entries:
        """What an execution has recorded, in order."""
        return await self._app.journal(self._own(execution_id), by=by)

    async def lineage(self, root_id: str, *, by: str | None = None) -> Entries:
        """Every tool and model call of a trace (L29)."""
        return await self._app.lineage(self._own(root_id), by=by)

    async def explain_policy(self, execution_id: str) -> PolicyExplanation:
        """Which policies an execution was admitted under and why (L43)."""
        return await self._app.explain_policy(self._own(execution_id))

    async def alerts(
        self,
        *,
        code: str | None = None,
        execution_id: str | None = None,
        since: datetime | None = None,
        acknowledged: bool | None = None,
        limit: int = 100,
        by: str | None = None,
    ) -> Alerts:
        """Alerts about what is this tenant's, newest first."""
        return await self._app.alerts(
            code=code,
            execution_id=execution_id,
            tenant=self.name,
            since=since,
            acknowledged=acknowledged,
            limit=limit,
            by=by,
        )

    async def audit(
        self,
        *,
        execution_id: str | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        limit: int = 1_000,
    ) -> AuditViews:
        """The audit log of one of its traces, or of what was done for it outside of executions, oldest first (L49)."""
        chain = {"tenant": self.name} if execution_id is None else {"execution_id": self._own(execution_id)}
        return await self._app.audit(**chain, kind=kind, since=since, limit=limit)

    async def answer(self, execution_id: str, value: Any, ask: str | None = None, *, by: str | None = None) -> None:
        """Answer an open ask at an execution or below it, `by` whom."""
        await self._app.answer(self._own(execution_id), value, ask, by=by)

    async def send(
        self, execution_id: str, event: str, payload: Any = None, dedupe: str | None = None, *, by: str | None = None
    ) -> bool:
        """Send an event to an execution; False where `dedupe` was seen before (L50)."""
        return await self._app.send(self._own(execution_id), event, payload, dedupe, by=by)

    async def cancel(self, execution_id: str, *, by: str | None = None) -> bool:
        """Cancel an execution and what is below it; False where it had ended (L35)."""
        return await self._app.cancel(self._own(execution_id), by=by)

    async def retry(self, execution_id: str, from_step: str | None = None, *, by: str | None = None) -> None:
        """Try a failed chain again, or let a paused execution go on (L34)."""
        await self._app.retry(self._own(execution_id), from_step, by=by)

    async def top_up(self, root_id: str, budget: Budget, *, by: str | None = None) -> None:
        """Raise a root's limits (L26)."""
        await self._app.top_up(self._own(root_id), budget, by=by)

    async def schedule(
        self,
        name: str,
        cron: str,
        target: Any,
        input: Any = None,
        *,
        owner: str | None = None,
        region: str | None = None,
        **terms: Unpack[ScheduleTerms],
    ) -> ScheduleView:
        """Set up a schedule, or replace this tenant's one of that name (L54)."""
        return await self._app.schedule(
            name, cron, target, input, tenant=self.name, owner=owner, region=region, **terms
        )

    async def schedules(self) -> ScheduleViews:
        """This tenant's schedules, by name."""
        return await self._app.schedules(self.name)

    async def unschedule(self, name: str) -> bool:
        """Remove a schedule; False where there is none."""
        return await self._app.unschedule(name, self.name)

    async def costs(
        self, by: By = "department", *, since: date | None = None, until: date | None = None
    ) -> CostViews:
        """What this tenant's executions used (L31)."""
        return await self._app.costs(by, since=since, until=until, tenant=self.name)

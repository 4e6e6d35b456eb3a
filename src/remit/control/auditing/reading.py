"""What an app reads for others: whoever names the reader has the reading in the audit log, before it gets what was read (L49)."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from remit.control.auditing.audit import AuditViews, audit_views
from remit.control.auditing.refusals import on_record
from remit.control.queries import Page, Queries
from remit.control.views import Alerts, Entries, Record
from remit.engine.engine import Engine
from remit.engine.values.texts import optional_text

__all__ = ["Reading"]

T = TypeVar("T")


class Reading(ABC):
    """The part of `Remit` that shows what was recorded, payloads among it.

    `by` says for whom: it is in the audit log then, durably, before anything is shown. Without it the program reads for
    itself; what it may do with payloads that it has handled is its own business. A refused reading is in the log always.
    """

    _engine: Engine | None

    @property
    @abstractmethod
    def engine(self) -> Engine:
        """The engine; raises MisuseError where the app is not open."""

    @abstractmethod
    def _reads(self) -> Queries:
        """Views over the open store."""

    @on_record
    async def get(self, execution_id: str, *, by: str | None = None) -> Record:
        """One execution; raises MisuseError `unknown_execution`."""
        return await self._shown("get", execution_id, by, self._reads().get)

    @on_record
    async def tree(self, execution_id: str, *, by: str | None = None) -> Record:
        """The whole trace as a tree, from any of its executions (L1)."""
        return await self._shown("tree", execution_id, by, self._reads().tree)

    @on_record
    async def journal(self, execution_id: str, *, by: str | None = None) -> Entries:
        """What an execution has recorded, in order."""
        return await self._shown("journal", execution_id, by, self._reads().journal)

    @on_record
    async def lineage(self, root_id: str, *, by: str | None = None) -> Entries:
        """Every tool and model call of a trace (L29)."""
        return await self._shown("lineage", root_id, by, self._reads().lineage)

    async def _shown(self, what: str, execution_id: str, by: str | None, read: Callable[[str], T]) -> T:
        found = read(execution_id)
        if by is not None:
            self.engine.audit.entry(execution_id, "read", {"what": what}, optional_text(by, "by"))
            await self.engine.durability.barrier()
        return found

    async def list(
        self,
        *,
        status: str | Iterable[str] | None = None,
        process: str | None = None,
        parent: str | None = None,
        root: str | None = None,
        tenant: str | None = None,
        owner: str | None = None,
        since: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
        by: str | None = None,
    ) -> Page:
        """Executions, newest first; `cursor` continues an earlier page. `status` may be several, or 'OPEN'."""
        page = self._reads().list(
            status=status,
            process=process,
            parent=parent,
            root=root,
            tenant=tenant,
            owner=owner,
            since=since,
            limit=limit,
            cursor=cursor,
        )
        await self._listed("list", [(each.tenant, each.execution_id) for each in page], by)
        return page

    async def alerts(
        self,
        *,
        code: str | None = None,
        execution_id: str | None = None,
        tenant: str | None = None,
        since: datetime | None = None,
        acknowledged: bool | None = None,
        limit: int = 100,
        by: str | None = None,
    ) -> Alerts:
        """Alerts, newest first; one that was told again within an hour is one, with a count (L49)."""
        found = self._reads().alerts(
            code=code, execution_id=execution_id, tenant=tenant, since=since, acknowledged=acknowledged, limit=limit
        )
        await self._listed("alerts", [(each.tenant, each.id) for each in found], by)
        return found

    async def _listed(self, what: str, shown: Sequence[tuple[str | None, str | int]], by: str | None) -> None:
        """One entry for each tenant of whom something was shown: how much, the newest and the oldest of it."""
        if optional_text(by, "by") is None:
            return
        of_tenant: dict[str | None, builtins.list[str | int]] = {}
        for tenant, which in shown:
            of_tenant.setdefault(tenant, []).append(which)
        for tenant, each in of_tenant.items():
            details = {"what": what, "shown": len(each), "newest": each[0], "oldest": each[-1]}
            self.engine.audit.control(tenant, "read", by, details)
        await self.engine.durability.barrier()

    async def audit(
        self,
        *,
        execution_id: str | None = None,
        tenant: str | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        limit: int = 1_000,
    ) -> AuditViews:
        """The audit log, oldest first: of a trace, of what was done outside of executions for a tenant ('' for none), or all."""
        await self.engine.durability.barrier()
        return audit_views(self.engine.store, execution_id, tenant, kind, since, limit)

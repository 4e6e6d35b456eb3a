"""`WorkflowStore`: executions as the dicts that code written for the workflow format lists and loads (L33)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol

from remit.engine.engine import Engine
from remit.errors import MisuseError
from remit.workflows.running.fold import folded_beside

__all__ = ["Listing", "WorkflowStore"]

_ROLLED_BACK = "FAILED_ROLLED_BACK"
_ENDED_WITH_ROLLBACK = ("FAILED", "FAILED_CHILD_WORKFLOW")
_FILTERS = ("parent_workflow_id", "root_workflow_id", "workflow_type", "status", "owner_id", "tenant", "since")
_MOST = 10_000


class Listing(Protocol):
    """What is needed of an app: `Remit` has it."""

    @property
    def engine(self) -> Engine:
        """Its engine, while it is open."""

    async def get(self, execution_id: str) -> Any:
        """The record of an execution."""

    async def list(self, **narrowed: Any) -> Any:
        """A page of records, newest first."""

    def for_tenant(self, tenant: str) -> Any:
        """The app as one tenant sees it."""


class WorkflowStore:
    """Executions of an open app as dicts, workflows and processes alike.

    Times are naive and in UTC, so that `datetime.utcnow() - workflow["updated_at"]` works. `updated_at` moves with the
    status and the step, never by itself. With `tenant`, those of others are as good as not there (L44).
    """

    def __init__(self, app: Listing, tenant: str | None = None) -> None:
        self._app = app
        self._tenant = tenant
        self._reads = app if tenant is None else app.for_tenant(tenant)

    async def load_workflow(self, workflow_id: str) -> dict[str, Any]:
        """One execution with its `state` (None for a process written in Python); raises MisuseError `unknown_execution`."""
        loaded = _as_dict(await self._reads.get(workflow_id))
        state = await folded_beside(self._app.engine, workflow_id)
        loaded["state"] = state.plain() if state is not None else None
        return loaded

    async def list_workflows(
        self,
        *,
        parent_workflow_id: str | None = None,
        status: str | Iterable[str] | None = None,
        limit: int = 100,
        offset: int = 0,
        **more: Any,
    ) -> list[dict[str, Any]]:
        """Executions, newest first; those of one parent in the order in which it called them.

        `more` are `workflow_type`, `root_workflow_id`, `owner_id`, `tenant` and `since` (a datetime). Raises MisuseError for
        any other, and for a status that is none.
        """
        unknown = next((name for name in more if name not in _FILTERS), None)
        if unknown is not None:
            raise _no_filter(unknown)
        for name, number, least in (("limit", limit, 1), ("offset", offset, 0)):
            if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= _MOST:
                raise MisuseError(
                    f"{name}={number!r}: give a whole number from {least} to {_MOST}", code="invalid_input"
                )
        narrowed = {
            "parent": parent_workflow_id,
            "root": more.get("root_workflow_id"),
            "process": more.get("workflow_type"),
            "owner": more.get("owner_id"),
            "since": more.get("since"),
        }
        if self._tenant is None:
            narrowed["tenant"] = more.get("tenant")
        elif more.get("tenant") not in (None, self._tenant):
            return []
        if parent_workflow_id is not None:
            found = await self._found(narrowed, status, _MOST)
            return [_as_dict(each) for each in reversed(found)][offset : offset + limit]
        found = await self._found(narrowed, status, offset + limit)
        return [_as_dict(each) for each in found[offset:]]

    async def _found(self, narrowed: dict[str, Any], status: str | Iterable[str] | None, most: int) -> list[Any]:
        """Records, newest first, as many as are wanted at most; what shows as rolled back is recorded as failed (L32)."""
        if status is not None and not isinstance(status, str | Iterable):
            raise MisuseError(f"status={status!r}: give the name of one, or several", code="invalid_input")
        shown = [status] if isinstance(status, str) else list(status) if status is not None else None
        recorded = None
        if shown is not None:
            plain = [each for each in shown if each != _ROLLED_BACK]
            recorded = [*plain, *_ENDED_WITH_ROLLBACK] if len(plain) < len(shown) else plain
        found: list[Any] = []
        cursor: str | None = None
        while len(found) < most:
            page = await self._reads.list(**narrowed, status=recorded, limit=min(1_000, most), cursor=cursor)
            found += [each for each in page if shown is None or each.shown_status in shown or shown == ["OPEN"]]
            cursor = page.cursor
            if cursor is None:
                break
        return found[:most]


def _no_filter(name: str) -> MisuseError:
    known = (*_FILTERS, "limit", "offset")
    close = [each for each in known if name in each] or difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}"
    return MisuseError(f"list_workflows has no filter {name!r}; {hint}", code="invalid_input")


def _as_dict(record: Any) -> dict[str, Any]:
    return {
        "id": record.execution_id,
        "workflow_type": record.process,
        "workflow_version": record.version,
        "status": record.shown_status,
        "compensation": str(record.compensation),
        "current_step": record.current_step,
        "parent_workflow_id": record.parent_execution_id,
        "root_workflow_id": record.root_execution_id,
        "depth": record.depth,
        "attempt": record.attempt,
        "owner_id": record.owner,
        "data_region": record.region,
        "tenant": record.tenant,
        "department": record.department,
        "idempotency_key": record.key,
        "initial_data": record.input,
        "result": record.result,
        "error": asdict(record.error) if record.error is not None else None,
        "waiting_on": list(record.waiting_on.first),
        "created_at": _naive(record.created_at),
        "started_at": _naive(record.started_at),
        "updated_at": _naive(record.updated_at),
        "ended_at": _naive(record.ended_at),
    }


def _naive(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)

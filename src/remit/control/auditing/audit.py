"""The audit log as people read it (L49)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from remit.control.queries import limit_of, since_of
from remit.control.views import moment
from remit.engine.values.texts import optional_text, short_text
from remit.errors import MisuseError
from remit.kernel.audit import Entry, chain_of, control_chain
from remit.kernel.trace import is_execution_id
from remit.store.port import Reader

__all__ = ["AuditView", "AuditViews", "audit_views", "chain_named"]


@dataclass(frozen=True, slots=True)
class AuditView:
    """One entry: what was done, when, in or to which execution, by whom (None: Remit itself), and digests of what it was about.

    `chain` is the root's id, or 'tenant:' and the tenant's name; `seq` counts from 1 in it. `details` is a text and `at` None where
    somebody has made the row's unreadable.
    """

    chain: str
    seq: int
    at: datetime | None
    kind: str
    execution_id: str | None
    actor: str | None
    details: Any
    hash: str


AuditViews = list[AuditView]


def audit_views(
    reader: Reader,
    execution_id: str | None,
    tenant: str | None,
    kind: str | None,
    since: datetime | None,
    limit: int,
) -> AuditViews:
    """Entries of one chain or of all, oldest first; raises MisuseError for what cannot be asked so."""
    chain = chain_named(execution_id, tenant)
    optional_text(kind, "kind")
    rows = reader.audit_listing(chain, kind, since_of(since) or 0, limit_of(limit))
    return [_view(row) for row in rows]


def chain_named(execution_id: str | None, tenant: str | None) -> str | None:
    """The chain of a trace or of a tenant ('' for none); None where neither is named."""
    if execution_id is not None and tenant is not None:
        raise MisuseError("Name an execution or a tenant: each has a chain of its own", code="invalid_input")
    if execution_id is not None:
        if not is_execution_id(execution_id):
            raise MisuseError(f"{execution_id!r} is no execution's id", code="invalid_input")
        return chain_of(execution_id)
    if tenant is not None:
        return control_chain(tenant and short_text(tenant, "tenant"))
    return None


def _view(row: Entry) -> AuditView:
    try:
        details = orjson.loads(row.details)
    except orjson.JSONDecodeError:
        details = row.details.decode("utf-8", "replace")
    execution, who = row.execution or None, row.actor or None
    return AuditView(row.chain, row.seq, _moment(row.at), row.kind, execution, who, details, row.hash.hex())


def _moment(at: int) -> datetime | None:
    try:
        return moment(at)
    except (OverflowError, ValueError):  # no such time: the row was edited
        return None

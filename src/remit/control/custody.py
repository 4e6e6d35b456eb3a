"""What operators do about what is kept: erase a tenant, set how long trees are kept, acknowledge alerts, change keys (L49, L53)."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from remit.control.auditing.refusals import on_record
from remit.control.views import AlertView, alert_view, moment
from remit.engine.engine import Engine
from remit.engine.keeping import Swept
from remit.engine.values.texts import optional_ms, optional_text, short_text
from remit.errors import InvalidInput, MisuseError, StoreError
from remit.kernel.durations import Duration
from remit.kernel.states import OPEN
from remit.store.keyring import KeyInfo
from remit.store.port import Reader
from remit.store.records import ExecutionFilter, ExecutionRecord, RetentionRecord

__all__ = ["Custody", "ErasureView", "KeyView", "RetentionView", "key_views", "retention_views"]

_SHOWN = 10
_IDS_END = 1 << 63
ROLLBACK_S = 5.0
"""How long an erasure waits for the rollbacks that its cancelling has begun."""


@dataclass(frozen=True, slots=True)
class ErasureView:
    """An erasure that is done: of how many executions, and how many keys were destroyed."""

    tenant: str
    executions: int
    keys: int
    cancelled: int
    asked_at: datetime
    done_at: datetime


@dataclass(frozen=True, slots=True)
class RetentionView:
    """How long a tenant's trees are kept after their end, in milliseconds (None: for ever); the tenant None: all others'."""

    tenant: str | None
    keep_ms: int | None
    set_at: datetime
    set_by: str | None


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key of a tenant (None: for payloads of no tenant), without the key itself."""

    id: str
    tenant: str | None
    made_at: datetime
    destroyed_at: datetime | None


class Custody:
    """Commands on one engine. Each is durable and audited when it returns; a refused one has changed nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- erasure ------------------------------------------------------------------------------------------------------

    @on_record
    async def erase(self, tenant: str, *, cancel_open: bool = False, by: str | None = None) -> ErasureView:
        """Erase what a tenant's executions have worked on; see `Remit.erase`."""
        engine = self._engine
        short_text(tenant, "tenant")
        optional_text(by, "by")
        await engine.durability.settled()
        cancelled = await self._end_open(tenant, cancel_open=cancel_open)
        self._audit(tenant, "erasure_begun", by, {"cancelled": cancelled})
        before = len([each for each in self._keys(tenant) if each.destroyed_at is None])
        erasure = await engine.keeping.erase(tenant, by)
        after = len([each for each in self._keys(tenant) if each.destroyed_at is None])
        done = ErasureView(
            tenant, erasure.executions, before - after, cancelled, _at(erasure.asked_at), _at(erasure.done_at)
        )
        details = {"executions": done.executions, "keys": done.keys, "cancelled": cancelled}
        self._audit(tenant, "tenant_erased", by, details)
        await engine.durability.barrier()
        return done

    async def _end_open(self, tenant: str, *, cancel_open: bool) -> int:
        """Make sure that nothing of the tenant is open; returns how many executions were cancelled for it."""
        engine = self._engine
        found, schedules = self._open_of(tenant), engine.store.schedules(tenant)
        if (found or schedules) and not cancel_open:
            told = ", ".join(each.id for each in found[:_SHOWN])
            raise MisuseError(
                f"{len(found)} executions and {len(schedules)} schedules of tenant {tenant!r} are open ({told or 'schedules only'}):"
                " let them end, or cancel them with cancel_open=True or --cancel-open",
                code="open_executions",
                executions=[each.id for each in found[:_SHOWN]],
                count=len(found),
                schedules=[each.name for each in schedules[:_SHOWN]],
            )
        for schedule in schedules:
            engine.durability.schedule(schedule.tenant, schedule.name, None)
        cancelled = 0
        while found := [each for each in self._open_of(tenant) if each.status in OPEN]:
            for each in found:
                cancelled += engine.endings.cancel(each.id, "its tenant is erased")
            await engine.durability.settled()
        undoing = await self._rolled_back(tenant)
        if undoing:
            raise MisuseError(
                f"{len(undoing)} executions of tenant {tenant!r} are being rolled back, which needs their payloads"
                f" ({', '.join(each.id for each in undoing[:_SHOWN])}): erase again once that is over",
                code="open_executions",
                executions=[each.id for each in undoing[:_SHOWN]],
                count=len(undoing),
            )
        return cancelled

    async def _rolled_back(self, tenant: str) -> list[ExecutionRecord]:
        """What is still being rolled back after a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ROLLBACK_S):
                for each in self._open_of(tenant):
                    await self._engine.sagas.over(each.id)
        return self._open_of(tenant)

    def _open_of(self, tenant: str) -> list[ExecutionRecord]:
        """What has not ended, or is being rolled back."""
        store = self._engine.store
        is_open = store.listing(ExecutionFilter(status=frozenset(map(str, OPEN)), tenant=tenant, limit=10_000))
        undoing = [store.execution(each) for each in store.rolling_back()]
        return is_open + [each for each in undoing if each is not None and each.tenant == tenant and each not in is_open]

    # -- retention ----------------------------------------------------------------------------------------------------

    @on_record
    async def set_retention(
        self, tenant: str | None = None, keep: Duration | None = None, *, default: bool = False, by: str | None = None
    ) -> None:
        """Set how long trees are kept after their end; see `Remit.set_retention`."""
        engine = self._engine
        optional_text(tenant, "tenant")
        optional_text(by, "by")
        keep_ms = optional_ms(keep, "keep")
        if keep_ms is not None and keep_ms <= 0:
            raise InvalidInput(f"keep={keep!r}: give a time such as '90d', or None for ever")
        if default and (tenant is None or keep is not None):
            raise InvalidInput("default=True takes a tenant's own time away: name the tenant, and no time")
        self._audit(tenant, "retention_set", by, {"keep_ms": "default" if default else keep_ms})
        await engine.durability.settled()
        record = RetentionRecord(tenant or "", keep_ms, engine.clock.now(), by)
        engine.store.set_retention(record.tenant if default else record)
        engine.keeping.expect()

    async def sweep(self, *, by: str | None = None) -> Swept:
        """Delete at once what is kept no longer."""
        swept = await self._engine.keeping.sweep()
        self._audit(None, "retention_swept", by, asdict(swept))
        await self._engine.durability.barrier()
        return swept

    # -- alerts, keys -------------------------------------------------------------------------------------------------

    @on_record
    async def acknowledge(self, alert_id: int, *, by: str | None = None) -> AlertView:
        """Say that somebody has seen to an alert; see `Remit.acknowledge`."""
        engine = self._engine
        optional_text(by, "by")
        await engine.durability.settled()
        if isinstance(alert_id, bool) or not isinstance(alert_id, int):
            raise InvalidInput(f"alert_id={alert_id!r}: give the number of an alert")
        known = engine.store.alert(alert_id) if 0 < alert_id < _IDS_END else None
        if known is None:
            raise MisuseError(f"There is no alert {alert_id}: `remit alerts` lists them", code="unknown_alert")
        self._audit(known.tenant, "alert_acknowledged", by, {"alert": alert_id, "code": known.code})
        engine.durability.acknowledge(alert_id, by, engine.clock.now())
        await engine.durability.settled()
        found = engine.store.alert(alert_id)
        assert found is not None
        return alert_view(found)

    @on_record
    async def rotate_keys(self, tenant: str | None = None, *, by: str | None = None) -> KeyView:
        """Give a tenant a new key; see `Remit.rotate_keys`."""
        optional_text(tenant, "tenant")
        optional_text(by, "by")
        keyring = self._engine.store.keyring
        if keyring is None:
            raise StoreError("This store is not encrypted: there is no key to change", code="keyring_unusable")
        await self._engine.durability.settled()
        made = keyring.rotate(tenant or "")
        self._audit(tenant, "key_rotated", by, {"key": made.id})
        await self._engine.durability.barrier()
        return _key_view(made)

    def _keys(self, tenant: str) -> list[KeyInfo]:
        keyring = self._engine.store.keyring
        return keyring.keys(tenant) if keyring is not None else []

    def _audit(self, tenant: str | None, kind: str, actor: str | None, details: dict[str, Any]) -> None:
        """The one place from which custody tells the audit chain of the tenant what was done."""
        self._engine.audit.control(tenant, kind, actor, details)


def retention_views(reader: Reader) -> list[RetentionView]:
    """How long trees are kept, the default first."""
    return [
        RetentionView(each.tenant or None, each.keep_ms, _at(each.set_at), each.set_by) for each in reader.retention()
    ]


def key_views(keys: list[KeyInfo]) -> list[KeyView]:
    """Keys as people see them."""
    return [_key_view(each) for each in keys]


def _key_view(key: KeyInfo) -> KeyView:
    return KeyView(key.id, key.tenant or None, _at(key.made_at), moment(key.destroyed_at))


def _at(milliseconds: int | None) -> datetime:
    found = moment(milliseconds)
    assert found is not None
    return found



"""What an open engine deletes by and by, and erases to the end, whoever began it (L53).

A sweep is many small transactions between which everything else goes on; what one has begun the next owner can end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextvars import Context
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from remit.errors import MisuseError, StoreError
from remit.kernel.lease import CLAIM_RENEWAL_MS
from remit.store import boundaries
from remit.store.codec import ERASED
from remit.store.records import ErasureRecord, ExecutionRecord

if TYPE_CHECKING:
    from remit.engine.engine import Engine
    from remit.engine.time.clock import Timer

__all__ = ["Keeping", "Swept"]

FIRST_LOOK_MS, LOOK_EVERY_MS = 60_000, 3_600_000
_SLICE_S, _PAUSE_S = 0.002, 0.02
"""How long a transaction deletes, and how long calls have the loop to themselves in between."""
_PAGE = 100
_AT_ONCE = 4
"""Trees that are looked through before a transaction: each is read from end to end."""
_COMMANDS_KEPT_MS = 86_400_000
_ERASE_ROWS = 200
_READERS_S = 30
_log = logging.getLogger("remit.engine")


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has deleted."""

    roots: int = 0
    executions: int = 0
    alerts: int = 0


class Keeping:
    """Retention and erasure of one store."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._timer: Timer | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self.erasing: dict[str, int] = {}
        """Tenants of whom something is being erased, with how many erasures."""

    # -- opening and closing ------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """End what was broken off. Keys go first, before anything new can be sealed with one that is to be destroyed."""
        for erasure in self._engine.store.erasures():
            self._destroy_keys(erasure)
            self._begin(self._resume(erasure))
        self.expect()

    def expect(self, delay_ms: int = FIRST_LOOK_MS) -> None:
        """Sweep in a while, where anything is kept for a time only."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if any(each.keep_ms is not None for each in self._engine.store.retention()):
            self._timer = self._engine.clock.call_later(delay_ms, self._look)

    def _look(self) -> None:
        self._timer = None
        self._begin(self._sweep_quietly())

    def _begin(self, work: object) -> None:
        # In a context of its own: a timer's is that of whoever armed it, perhaps of a body, whose branch this is not.
        task: asyncio.Task[object] = asyncio.Task(work, loop=self._engine.loop, context=Context())  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Stop; the next owner goes on."""
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()

    # -- retention ----------------------------------------------------------------------------------------------------

    async def _sweep_quietly(self) -> None:
        try:
            swept = await self.sweep()
            if swept.roots:
                self._engine.audit.control(None, "retention_swept", None, asdict(swept))
        except StoreError as error:
            _log.warning("a sweep was broken off, the next one goes on: %s", error)
        self.expect(LOOK_EVERY_MS)

    async def sweep(self) -> Swept:
        """Delete what is kept no longer; returns what was deleted."""
        engine, swept = self._engine, Swept()
        doomed = self._doomed()
        batch: list[str] = []
        while True:
            await engine.durability.settled()
            while len(batch) < _AT_ONCE and (root := next(doomed, None)) is not None:
                batch.append(root)
            still = [root for root in batch if root not in engine.traces.nodes]
            roots, executions = engine.store.delete_roots(still, engine.clock.now(), _SLICE_S)
            batch = still[roots:]
            swept = replace(swept, roots=swept.roots + roots, executions=swept.executions + executions)
            if not (batch or roots or executions):
                break
            await asyncio.sleep(_PAUSE_S)
        return replace(swept, alerts=await self._sweep_beside())

    def _policies(self) -> Iterator[tuple[list[str | None], int]]:
        """Tenants, and before when their trees must have ended to be deleted."""
        store, now = self._engine.store, self._engine.clock.now()
        own = {each.tenant: each for each in store.retention()}
        rest = own.pop("", None)
        for each in own.values():
            if each.keep_ms is not None:
                yield [each.tenant], now - each.keep_ms
        if rest is not None and rest.keep_ms is not None:
            yield [tenant for tenant in store.tenants() if tenant not in own], now - rest.keep_ms

    def _doomed(self) -> Iterator[str]:
        """Roots to delete, oldest first; read in pages as they are wanted."""
        store = self._engine.store
        for tenants, before in self._policies():
            for tenant in tenants:
                after = (0, 0)
                while page := store.roots_ended(tenant, before, after, _PAGE):
                    after = page[-1][1:]
                    yield from (root for root, *_ in page if store.is_over(root, before))

    async def _sweep_beside(self) -> int:
        """Alerts, and commands that were carried out long ago."""
        store, alerts, some = self._engine.store, 0, True
        long_ago = int(time.time() * 1_000) - _COMMANDS_KEPT_MS
        while some:
            deleted = sum(store.delete_alerts(tenants, before, _PAGE) for tenants, before in self._policies())
            alerts += deleted
            some = bool(deleted + store.delete_commands(long_ago, _PAGE))
            await asyncio.sleep(_PAUSE_S)
        return alerts

    # -- erasure ------------------------------------------------------------------------------------------------------

    def refuse_erased(self, record: ExecutionRecord) -> None:
        """Raise MisuseError `erased` for an execution whose payloads are gone, or about to go."""
        if record.input == ERASED or (self.erasing and record.tenant in self.erasing):
            raise MisuseError(
                f"What {record.id} worked on was erased: it ended as {record.status}, and that is all there is to know",
                code="erased",
                execution_id=record.id,
            )

    async def erase(self, tenant: str, by: str | None) -> ErasureRecord:
        """Erase what the tenant's executions have worked on so far; all of them have ended. Raises StoreError, and goes on at
        the next opening then.
        """
        engine = self._engine
        await engine.durability.settled()
        erasure = engine.store.ask_erasure(tenant, engine.clock.now(), by)
        if boundaries.reach is not None:
            boundaries.reach("erasure.decided")
        self._destroy_keys(erasure)
        await self._finish(erasure)
        return erasure

    def _destroy_keys(self, erasure: ErasureRecord) -> None:
        keyring = self._engine.store.keyring
        if keyring is not None:
            keyring.destroy(erasure.tenant, erasure.until_key)
        if boundaries.reach is not None:
            boundaries.reach("erasure.keyless")

    async def _resume(self, erasure: ErasureRecord) -> None:
        try:
            await self._finish(erasure)
        except StoreError as error:
            _log.warning("the erasure of %s was broken off, it goes on when the store is opened next: %s", erasure.tenant, error)

    async def _finish(self, erasure: ErasureRecord) -> None:
        store, tenant = self._engine.store, erasure.tenant
        self._engine.new_root_keys.clear()
        self.erasing[tenant] = self.erasing.get(tenant, 0) + 1
        try:
            renewed = time.monotonic()
            while store.erase_some(erasure, _ERASE_ROWS):
                if boundaries.reach is not None:
                    boundaries.reach("erasure.each")
                if time.monotonic() - renewed > CLAIM_RENEWAL_MS / 1_000:
                    store.renew()
                    renewed = time.monotonic()
                await asyncio.sleep(0)
            await self._engine.durability.settled()
            store.erase_beside(erasure)
            self._engine.audit.forget_salt(tenant)
            await self._scrub()
            erasure.done_at = self._engine.clock.now()
            store.end_erasure(erasure)
        finally:
            left = self.erasing.pop(tenant) - 1
            if left:
                self.erasing[tenant] = left

    async def _scrub(self) -> None:
        """Rewrite the file; whoever reads it in another process is waited for."""
        store, until = self._engine.store, time.monotonic() + _READERS_S
        while True:
            await self._engine.durability.settled()
            done = store.scrub()
            store.renew()
            if done:
                return
            if time.monotonic() >= until:
                raise StoreError(
                    f"Another program has read the store for {_READERS_S} s, and what was erased may still lie in its log: "
                    "end that program and erase again",
                    code="store_unusable",
                    transient=True,
                )
            await asyncio.sleep(0.1)

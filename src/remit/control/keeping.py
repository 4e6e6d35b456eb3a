"""What an app does about what is kept: erase, retain, acknowledge, change keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from builtins import list as list_of

from remit.control.custody import Custody, ErasureView, KeyView, RetentionView, key_views, retention_views
from remit.control.views import AlertView
from remit.engine.engine import Engine
from remit.engine.keeping import Swept
from remit.kernel.durations import Duration

__all__ = ["Keeping"]


class Keeping(ABC):
    """The part of `Remit` that deals with what is kept and for how long."""

    @property
    @abstractmethod
    def engine(self) -> Engine:
        """The engine; raises MisuseError where the app is not open."""

    async def erase(self, tenant: str, *, cancel_open: bool = False, by: str | None = None) -> ErasureView:
        """Destroy a tenant's keys, and leave no copy of what its executions worked on in store, log or later backups (L53).

        Ids, statuses, times and usage stay. Raises MisuseError `open_executions` where some are open, or, with
        `cancel_open`, where some are being rolled back; StoreError where another program is in the way: it is decided then,
        and goes on when the store is opened next.
        """
        return await Custody(self.engine).erase(tenant, cancel_open=cancel_open, by=by)

    async def set_retention(
        self, tenant: str | None = None, keep: Duration | None = None, *, default: bool = False, by: str | None = None
    ) -> None:
        """Keep a tenant's trees for so long after their end ('90d'; None: for ever); without a tenant: all others' (L53).

        `default=True` takes a tenant's own time away. Sweeps run by themselves while an app is open.
        """
        await Custody(self.engine).set_retention(tenant, keep, default=default, by=by)

    async def retention(self) -> list_of[RetentionView]:
        """How long trees are kept, the default (tenant None) first; for ever where nothing is said."""
        return retention_views(self.engine.store)

    async def sweep(self, *, by: str | None = None) -> Swept:
        """Delete at once what is kept no longer: how many roots, executions and alerts there were."""
        return await Custody(self.engine).sweep(by=by)

    async def acknowledge(self, alert_id: int, *, by: str | None = None) -> AlertView:
        """Say that somebody has seen to an alert: it is counted no further, and what happens again is told anew (L49).

        The first one who did stays. Raises MisuseError `unknown_alert`.
        """
        return await Custody(self.engine).acknowledge(alert_id, by=by)

    async def rotate_keys(self, tenant: str | None = None, *, by: str | None = None) -> KeyView:
        """Seal what a tenant's executions work on from now on with a new key; older payloads stay readable.

        Raises StoreError `keyring_unusable` where the store is not encrypted.
        """
        return await Custody(self.engine).rotate_keys(tenant, by=by)

    async def keys(self, tenant: str | None = None) -> list_of[KeyView]:
        """The keys of a tenant, or all, oldest first, without the keys themselves."""
        keyring = self.engine.store.keyring
        return key_views(keyring.keys(tenant)) if keyring is not None else []

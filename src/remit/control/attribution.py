"""What an app says and lets through by whom work belongs to: tenants, departments, and what they used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date

from remit.control.costs import By, CostViews, cost_views
from remit.engine.engine import Engine

__all__ = ["Attribution"]


class Attribution(ABC):
    """The part of `Remit` that deals with whom work belongs to."""

    @property
    @abstractmethod
    def engine(self) -> Engine:
        """The engine; raises MisuseError where the app is not open."""

    async def costs(
        self,
        by: By = "department",
        *,
        since: date | None = None,
        until: date | None = None,
        tenant: str | None = None,
    ) -> CostViews:
        """What was used by department, tenant, process, version or model, own and caused, by name (L31).

        From the day `since` on, up to and without the day `until`, both in UTC. What was used stays known when the
        executions are gone. Raises InvalidInput.
        """
        return cost_views(self.engine.store, by, since, until, tenant)

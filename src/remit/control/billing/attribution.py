"""What an app says and lets through by whom work belongs to: tenants, departments, and what they used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date

from remit.control.billing.costs import By, CostViews, cost_views
from remit.control.billing.departments import (
    DepartmentBudgets,
    DepartmentBudgetView,
    DepartmentBudgetViews,
    PeriodName,
    budget_views,
)
from remit.engine.engine import Engine
from remit.errors import InvalidInput
from remit.kernel.usage import Budget

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

    async def set_department_budget(
        self,
        department: str,
        budget: Budget,
        *,
        period: PeriodName = "month",
        zone: str = "UTC",
        tenant: str | None = None,
        by: str | None = None,
    ) -> DepartmentBudgetView:
        """Limit what a department's executions and all below them may use in a day, a week or a month, beside the roots' (L45).

        With `tenant`, its work for that tenant alone. A budget counts from when it is set; one that replaces another goes on
        with what was spent in the period, and what was paused for want of it goes on. Raises InvalidInput.
        """
        if not isinstance(budget, Budget):
            raise InvalidInput(f"budget={budget!r:.50}: give a Budget(tokens=..., cost=...)")
        given = (budget.tokens, budget.cost, budget.on_exhausted, period, zone, tenant, by)
        return await DepartmentBudgets(self.engine).set(department, *given)

    async def department_budgets(
        self, department: str | None = None, *, tenant: str | None = None
    ) -> DepartmentBudgetViews:
        """Budgets of departments with what is spent, reserved and left in the period that is now."""
        return budget_views(self.engine.store, self.engine.clock.now(), department, tenant)

    async def remove_department_budget(
        self, department: str, *, period: PeriodName = "month", tenant: str | None = None, by: str | None = None
    ) -> bool:
        """Remove a budget; False where there is none. What was spent under it stays known, should it be set again."""
        return await DepartmentBudgets(self.engine).remove(department, period, tenant, by)

"""Budgets of departments as operators handle them: set, shown with what is spent and reserved, removed (L45)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from remit.control.views import moment
from remit.engine.departments import budgets_read, set_budget
from remit.engine.engine import Engine
from remit.engine.values.plain_json import dumps
from remit.engine.values.texts import optional_text, short_text
from remit.errors import InvalidInput
from remit.kernel.department_budgets import Book, BookKey
from remit.kernel.departments import Period, problem_of_zone
from remit.kernel.usage import Budget, decimal_string
from remit.store.port import Reader
from remit.store.records import AlertRecord, BudgetRecord

__all__ = ["DepartmentBudgetView", "DepartmentBudgetViews", "DepartmentBudgets", "PeriodName", "budget_views"]

PeriodName = Literal["day", "week", "month"]


@dataclass(frozen=True, slots=True)
class DepartmentBudgetView:
    """A department's budget in the period that is now: `begins` and `ends` are moments, costs are decimal strings in dollars.

    `tenant` None: for all tenants together. A limit of None is none. What is left may be below zero, where usage that was
    reported afterwards went beyond.
    """

    department: str
    tenant: str | None
    period: str
    zone: str
    begins: datetime | None
    ends: datetime | None
    limit_tokens: int | None
    limit_cost: str | None
    on_exhausted: str
    spent_tokens: int
    spent_cost: str
    reserved_tokens: int
    reserved_cost: str
    left_tokens: int | None
    left_cost: str | None


DepartmentBudgetViews = list[DepartmentBudgetView]


def budget_views(
    reader: Reader, now_ms: int, department: str | None = None, tenant: str | None = None
) -> DepartmentBudgetViews:
    """The budgets of a department, or of all, with those of one tenant, or with all: as durable rows tell them."""
    optional_text(department, "department")
    optional_text(tenant, "tenant")
    books = budgets_read(reader)
    return [
        _view(book, now_ms)
        for book in (books.all() if books is not None else ())
        if department in (None, book.key.department) and tenant in (None, book.key.tenant)
    ]


def _view(book: Book, now_ms: int) -> DepartmentBudgetView:
    span, account = book.folio(now_ms).span, book.folio(now_ms).account
    left = account.cost.headroom()
    return DepartmentBudgetView(
        department=book.key.department,
        tenant=book.key.tenant or None,
        period=str(book.key.period),
        zone=book.zone,
        begins=moment(span.begins),
        ends=moment(span.ends),
        limit_tokens=book.limit_tokens,
        limit_cost=decimal_string(book.limit_cost) if book.limit_cost is not None else None,
        on_exhausted="suspend" if book.suspends else "fail",
        spent_tokens=account.tokens.spent,
        spent_cost=decimal_string(account.cost.spent),
        reserved_tokens=account.tokens.held,
        reserved_cost=decimal_string(account.cost.held),
        left_tokens=account.tokens.headroom(),
        left_cost=decimal_string(left) if left is not None else None,
    )


class DepartmentBudgets:
    """What is done to budgets on one engine. Each act is durable when it returns; a refused one has changed nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def set(
        self,
        department: str,
        tokens: int | None,
        cost: str | None,
        on_exhausted: Literal["fail", "suspend"] = "fail",
        period: str = "month",
        zone: str = "UTC",
        tenant: str | None = None,
        by: str | None = None,
    ) -> DepartmentBudgetView:
        """Set a budget, or replace the one of that department, tenant and period; raises InvalidInput.

        It counts from now on; one that replaces another goes on with what was spent in its period.
        """
        place = _place(department, period, tenant)
        optional_text(by, "by")
        problem = problem_of_zone(zone) if isinstance(zone, str) else f"zone={zone!r:.50}: give an IANA time zone"
        if problem is not None:
            raise InvalidInput(problem)
        try:
            budget = Budget(tokens, cost, on_exhausted)
        except ValueError as error:
            raise InvalidInput(str(error)) from None
        if budget.tokens is None and budget.cost is None:
            raise InvalidInput(f"A budget of department {department!r} limits tokens, cost or both")
        now = self._engine.clock.now()
        record = BudgetRecord(*place, zone, budget.tokens, budget.cost_micros, budget.on_exhausted, now, by)
        self._tell(place, {"tokens": budget.tokens, "cost": budget.cost, "zone": zone, "by": by}, "set")
        await set_budget(self._engine, place, record)
        shown = budget_views(self._engine.store, now, department)
        return next(each for each in shown if (each.tenant or "", each.period) == (place.tenant, place.period))

    async def remove(
        self, department: str, period: str = "month", tenant: str | None = None, by: str | None = None
    ) -> bool:
        """Remove a budget; False where there is none."""
        place = _place(department, period, tenant)
        optional_text(by, "by")
        await self._engine.durability.settled()
        there = any(
            (each.department, each.tenant, each.period) == place for each in self._engine.store.department_budgets()
        )
        if there:
            self._tell(place, {"by": by}, "removed")
            await set_budget(self._engine, place, None)
        return there

    def _tell(self, place: BookKey, details: dict[str, Any], what: str) -> None:
        told = {"department": place.department, "period": str(place.period), **details}
        self._engine.audit.control(place.tenant or None, f"department_budget_{what}", told.pop("by"), told)
        message = f"The budget of department {place.department!r} for the {place.period} was {what}"
        self._engine.durability.alert(
            AlertRecord(
                f"department_budget_{what}", None, place.tenant or None, message,
                dumps({**told, "by": details["by"]}), self._engine.clock.now(),
            )
        )  # fmt: skip


def _place(department: str, period: str, tenant: str | None) -> BookKey:
    short_text(department, "department")
    if period not in get_args(PeriodName):
        raise InvalidInput(f"period={period!r:.50}: give one of {', '.join(get_args(PeriodName))}")
    return BookKey(department, optional_text(tenant, "tenant") or "", Period(period))

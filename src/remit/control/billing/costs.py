"""What was used, by whom and on whose behalf, so that a unit's bill can be drawn up both ways (L31)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Literal, get_args

from remit.engine.values.texts import optional_text
from remit.errors import InvalidInput
from remit.kernel.usage import Usage
from remit.store.port import Reader
from remit.store.records import UsageTotals

__all__ = ["By", "CostView", "CostViews", "cost_views"]

By = Literal["department", "tenant", "process", "version", "model"]
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class CostView:
    """One department, tenant, process, version ('order@1.0.0') or model; None for what belongs to none.

    `own` is what its executions used themselves; `caused` what was used in traces that its roots began, whoever used it.
    Both add up to the same. Of a model or a tenant the two are one.
    """

    name: str | None
    own: Usage
    caused: Usage


CostViews = list[CostView]


def cost_views(
    reader: Reader, by: By = "department", since: date | None = None, until: date | None = None, tenant: str | None = None
) -> CostViews:
    """Who used what from the day `since` on, up to and without the day `until` (both in UTC), by name.

    Raises InvalidInput for another `by`, and for a datetime that is not the beginning of a day in UTC.
    """
    if by not in get_args(By):
        raise InvalidInput(f"by={by!r:.50}: give one of {', '.join(get_args(By))}")
    days = _day(since, "since"), _day(until, "until")
    narrowed = (*days, optional_text(tenant, "tenant"))
    own, caused = (reader.usage_by(by, *narrowed, caused=each) for each in (False, True))
    nothing = UsageTotals()
    return [
        CostView(name or None, own.get(name, nothing).usage(), caused.get(name, nothing).usage())
        for name in sorted(own.keys() | caused.keys())
    ]


def _day(moment: date | None, what: str) -> int | None:
    if moment is None:
        return None
    if isinstance(moment, datetime) and (moment.tzinfo is None or moment.astimezone(UTC).time() != time()):
        raise InvalidInput(f"{what}={moment.isoformat()}: usage is kept by days in UTC; give a date")
    if not isinstance(moment, date):
        raise InvalidInput(f"{what}={moment!r:.50}: give a date")
    there = moment.astimezone(UTC) if isinstance(moment, datetime) else moment
    return there.toordinal() - _EPOCH

"""CRON_SCHEDULE: from now on a workflow is started again and again, whatever becomes of this one (L54)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remit.authoring.schedules import schedule
from remit.workflows.format.model import CronScheduleStep
from remit.workflows.running.flow import Ended, Flow, Frame
from remit.workflows.running.reckoning import Filled

__all__ = ["ScheduleUnit"]


@dataclass(slots=True)
class ScheduleUnit:
    """A schedule that is set up, or replaced, once."""

    spec: CronScheduleStep
    name: Filled
    initial_data: Filled

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:  # noqa: ARG002  # as every unit
        """Register it; the result has its name and when it fires first."""
        spec, stated = self.spec, self.spec.model_fields_set
        name = str(self.name.value(flow, frame))
        first = await schedule(
            name,
            spec.cron_expression,
            spec.target_workflow_type,
            self.initial_data.value(flow, frame),
            timezone=spec.timezone,
            overlap=spec.overlap,
            catch_up=spec.catch_up,
            on_skipped=spec.on_skipped if "on_skipped" in stated else None,
            on_repeated=spec.on_repeated if "on_repeated" in stated else None,
        )
        result: dict[str, Any] = {"schedule_name": name, "first_at": None if first is None else first.isoformat()}
        return Ended(flow.merge(result))

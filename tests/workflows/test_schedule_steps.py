"""CRON_SCHEDULE steps: a workflow file sets up what starts a workflow again and again (L54)."""

from __future__ import annotations

from pathlib import Path

import pytest

from remit import Remit
from remit.workflows.load import load
from tests.laws.hand_clock import HandClock, by_hand
from tests.laws.scene import open_store, until

PLAN = """
workflow_type: Plan
steps:
  - name: Schedule_Weekly_Report
    type: CRON_SCHEDULE
    schedule_name: "weekly_report_{{state.user_id}}"
    cron_expression: "0 9 * * MON"
    timezone: Europe/Berlin
    target_workflow_type: GenerateReport
    overlap: queue
    initial_data_template:
      user_id: "{{state.user_id}}"
      report_type: weekly_summary
  - name: Wait
    type: WAIT
    event: go
"""
REPORT = """
workflow_type: GenerateReport
result: {for: state.user_id, type: state.report_type}
steps:
  - {name: Rest, type: WAIT, duration: 0}
"""
NIGHTLY = """
workflow_type: Nightly
steps:
  - name: Again
    type: CRON_SCHEDULE
    schedule_name: nightly
    cron_expression: "@daily"
    target_workflow_type: Nightly
"""


def _files(directory: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (directory / f"{name}.yaml").write_text(text)
    return directory


async def test_L54_L44_a_step_registers_a_schedule_for_its_own_tenant_and_each_firing_runs_the_workflow(tmp_path):
    clock, store = HandClock("2026-03-21T12:00+01:00"), open_store(tmp_path)
    files = _files(tmp_path, plan=PLAN, report=REPORT)
    async with by_hand(clock, store, processes=[files]) as app:
        root = await app.start("Plan", {"user_id": "u7"}, tenant="acme", owner="sales", region="eu")
        (view,) = await until(lambda: app.schedules("acme"))
        assert (view.name, view.overlap, view.catch_up_ms) == ("weekly_report_u7", "queue", 3_600_000)
        await clock.to("2026-03-31T00:00+02:00")
        fired = list(reversed(await app.list(process="GenerateReport")))
    assert [record.key for record in fired] == [
        "schedule:weekly_report_u7:2026-03-23T08:00:00Z",
        "schedule:weekly_report_u7:2026-03-30T07:00:00Z",
    ]
    for record in fired:
        assert (record.tenant, record.owner, record.region) == ("acme", "sales", "eu")
        assert record.result == {"for": "u7", "type": "weekly_summary"}
    async with by_hand(clock, store, processes=[files]) as app:
        await app.unschedule("weekly_report_u7", "acme")
        await app.send(root.id, "go")
        value = (await app.outcome(root.id, 5)).unwrap()
        assert (value["schedule_name"], await app.schedules()) == ("weekly_report_u7", [])


async def test_L54_a_workflow_may_schedule_itself(tmp_path):
    clock = HandClock("2026-11-21T12:00+00:00")
    assert load([_files(tmp_path, nightly=NIGHTLY)]).findings == ()
    async with by_hand(clock, processes=[tmp_path / "nightly.yaml"]) as app:
        await (await app.start("Nightly", {})).outcome(5)
        await clock.to("2026-11-23T12:00+00:00")
        assert len(await app.list(status="COMPLETED")) == 3
        assert len(await app.schedules()) == 1


@pytest.mark.parametrize(
    ("good", "bad", "told"),
    [
        ("0 9 * * MON", "0 9 * * FUNDAY", "bad day-of-week"),
        ("Europe/Berlin", "Europe/Berlinn", "did you mean 'Europe/Berlin'"),
        ("weekly_report_{{state.user_id}}", " weekly ", "is no name of a schedule"),
        ("overlap: queue", "overlap: cancel", "overlap"),
        ("target_workflow_type: GenerateReport", "target_workflow_type: GenerateReprot", "GenerateReport"),
    ],
)
def test_L54_L38_a_bad_schedule_is_told_at_its_place_before_anything_runs(tmp_path, good, bad, told):
    files = _files(tmp_path, plan=PLAN.replace(good, bad), report=REPORT)
    (finding,) = load([files]).findings
    assert told in f"{finding.message} {finding.suggestion}"
    line = (tmp_path / "plan.yaml").read_text().splitlines()[finding.position.line - 1]
    assert bad.strip() in line


async def test_L54_a_name_that_a_state_spoils_fails_the_step_and_registers_nothing(tmp_path):
    async with Remit(":memory:", processes=[_files(tmp_path, plan=PLAN, report=REPORT)]) as app:
        outcome = await (await app.start("Plan", {"user_id": "a\nb"})).outcome(5)
        assert outcome.error is not None
        assert (outcome.error.code, await app.schedules()) == ("invalid_input", [])

"""Schedules fire in a zone's wall time, each firing as an idempotent start, whoever registered them and whatever crashes (L54)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from remit import (
    Budget,
    DefinitionError,
    DomainError,
    InvalidInput,
    MisuseError,
    ProcessRef,
    Remit,
    ask,
    call_process,
    process,
    step,
)
from remit.durable import schedule, sleep
from remit.testing import TestApp, VirtualClock, boundaries
from remit.testing.faults import Exited, Killed, child_argv, run_until_killed
from tests.laws.hand_clock import HandClock, by_hand
from tests.laws.scene import look_at, open_store, until, wait_until

_PROJECT = Path(__file__).parents[2]
NOON = "2026-11-21T12:00:00+00:00"


@process("report", version="1.2.0")
async def report(user: str) -> str:
    return f"report for {user}"


@process("slow")
async def slow(_: None) -> str:
    return await ask(str, name="go", prompt="Go?")


@process("plan", calls=[report, "slow"])
async def plan(cron: str) -> str:
    first = await schedule("weekly", cron, report, "ada", timezone="Europe/Berlin")
    return first.isoformat() if first else "never"


async def _keys(app: Remit, process_name: str = "report") -> list[str]:
    return sorted(str(record.key) for record in await app.list(process=process_name))


# --------------------------------------------------------------------------------------------------- firing, by the wall


DAYS = [
    ("Europe/Berlin", "2026-03-28T12:00+01:00", "2026-03-31T00:00+02:00", ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
    ("Europe/Berlin", "2026-10-24T12:00+02:00", "2026-10-27T00:00+01:00", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
    ("America/New_York", "2026-03-07T12:00-05:00", "2026-03-10T00:00-04:00", ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]),
    ("America/New_York", "2026-10-31T12:00-04:00", "2026-11-03T00:00-05:00", ["2026-11-01T07:30:00Z", "2026-11-02T07:30:00Z"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "start", "end", "fired"), DAYS)
async def test_L54_each_firing_is_a_root_on_both_days_on_which_clocks_jump(zone, start, end, fired):
    clock = HandClock(start)
    async with by_hand(clock, processes=[report]) as app:
        await app.schedule("nightly", "30 2 * * *", report, "ada", timezone=zone)
        await clock.to(end)
        assert await _keys(app) == [f"schedule:nightly:{at}" for at in fired]
        (view,) = await app.schedules()
        assert (view.fired, view.missed, view.skipped, view.failed) == (2, 0, 0, 0)
        assert {record.result for record in await app.list()} == {"report for ada"}


@pytest.mark.parametrize(
    ("rule", "fired"),
    [
        ("first", ["2026-10-25T00:30:00Z"]),
        ("second", ["2026-10-25T01:30:00Z"]),
        ("both", ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]),
    ],
)
async def test_L54_the_rule_for_a_repeated_hour_is_the_schedule_s_own(rule, fired):
    clock = HandClock("2026-10-24T12:00+02:00")
    async with by_hand(clock, processes=[report]) as app:
        await app.schedule("nightly", "30 2 * * *", report, "ada", timezone="Europe/Berlin", on_repeated=rule)
        await clock.to("2026-10-25T12:00+01:00")
        assert await _keys(app) == [f"schedule:nightly:{at}" for at in fired]


async def test_L54_a_skipped_hour_may_be_left_out():
    clock = HandClock("2026-03-28T12:00+01:00")
    async with by_hand(clock, processes=[report]) as app:
        await app.schedule("nightly", "30 2 * * *", report, "ada", timezone="Europe/Berlin", on_skipped="skip")
        await clock.to("2026-03-30T12:00+02:00")
        assert await _keys(app) == ["schedule:nightly:2026-03-30T00:30:00Z"]


async def test_L54_a_schedule_fires_by_the_real_clock_too():
    async with Remit(":memory:", processes=[report]) as app:
        await app.schedule("often", "* * * * * *", report, "ada")
        await until(lambda: app.list(status="COMPLETED"))
        assert await app.unschedule("often")


async def test_L54_a_month_of_firings_passes_by_the_testing_kit_s_clock():
    async with TestApp([report], clock=VirtualClock("2026-03-15T12:00:00+01:00")) as app:
        await app.schedule("nightly", "30 2 * * *", report, "ada", timezone="Europe/Berlin")
        await app.clock.advance("30d")
        assert len(await app.list(status="COMPLETED")) == 30


# ------------------------------------------------------------------------------------------------- who registers, for whom


async def test_L54_L44_an_execution_s_schedule_inherits_tenant_owner_and_region():
    clock = HandClock(NOON)
    async with by_hand(clock, processes=[plan, report, slow]) as app:
        planned = await app.start(plan, "0 9 * * MON", tenant="acme", owner="sales", region="eu")
        assert (await planned.outcome(5)).unwrap() == "2026-11-23T08:00:00+00:00"
        await clock.to("2026-11-24T00:00+00:00")
        (fired,) = await app.list(process="report")
        assert (fired.tenant, fired.owner, fired.region) == ("acme", "sales", "eu")
        assert (fired.key, fired.parent_execution_id) == ("schedule:weekly:2026-11-23T08:00:00Z", None)
        (view,) = await app.schedules("acme")
        assert (view.registered_by, view.versions, view.last_execution_id) == (planned.id, "^1.2.0", fired.execution_id)
        assert await app.schedules("globex") == []


async def test_L54_a_schedule_is_in_the_journal_and_replay_does_not_register_it_again(tmp_path):
    @process("planner", calls=["report"])
    async def planner(_: None) -> str:
        await schedule("weekly", "0 9 * * MON", "report", "ada")
        return await ask(str, name="go", prompt="Go?")

    store = open_store(tmp_path)
    async with Remit(store, processes=[planner, report]) as app:
        root = (await app.start(planner)).id
        await wait_until(app, root, "WAITING_HUMAN_INPUT")
        assert await app.unschedule("weekly")
    async with Remit(store, processes=[planner, report]) as app:
        await app.answer(root, "yes")
        assert (await app.outcome(root, 5)).unwrap() == "yes"
        assert await app.schedules() == []
        entry = next(entry for entry in await app.journal(root) if entry.kind == "schedule")
        assert (entry.name, entry.params["expression"], entry.params["input"]) == ("weekly", "0 9 * * MON", "ada")


async def test_L54_L6_an_execution_may_schedule_only_what_it_may_call():
    @process("loose")
    async def loose(_: None) -> str:
        try:
            await schedule("weekly", "0 9 * * MON", report, "ada")
        except DomainError as error:
            return error.code
        return "scheduled"

    async with Remit(":memory:", processes=[loose, report]) as app:
        assert (await (await app.start(loose)).outcome(5)).unwrap() == "undeclared_call"
        assert await app.schedules() == []


async def test_L54_a_body_in_a_process_of_its_own_schedules_as_well(tmp_path):
    async with Remit(open_store(tmp_path), processes=[isolated_plan, report]) as app:
        first = (await (await app.start(isolated_plan, "ada", tenant="acme")).outcome(20)).unwrap()
        (view,) = await app.schedules("acme")
        assert (view.input, view.overlap, first) == ("ada", "queue", view.next_at.isoformat() if view.next_at else None)


@process("isolated_plan", calls=["report@^1"], isolation="process")
async def isolated_plan(user: str) -> str:
    first = await schedule("daily", "@daily", "report", user, overlap="queue", on_repeated="first")
    return first.isoformat() if first else "never"


async def test_L54_a_schedule_of_the_same_name_replaces_it_and_the_same_schedule_changes_nothing():
    clock = HandClock(NOON)
    async with by_hand(clock, processes=[report]) as app:
        first = await app.schedule("daily", "0 13 * * *", report, "ada")
        assert await app.schedule("daily", "0 13 * * *", report, "ada") == first
        await clock.to("2026-11-21T13:30+00:00")
        second = await app.schedule("daily", "0 14 * * *", report, "bob")
        assert (second.created_at, second.fired, second.input) == (first.created_at, 1, "bob")
        await clock.to("2026-11-22T00:00+00:00")
        assert await _keys(app) == ["schedule:daily:2026-11-21T13:00:00Z", "schedule:daily:2026-11-21T14:00:00Z"]
        assert len(await app.schedules()) == 1


async def test_L54_L44_tenants_have_schedules_of_the_same_name_and_neither_removes_the_other_s():
    clock = HandClock(NOON)
    async with by_hand(clock, processes=[report]) as app:
        await app.schedule("daily", "0 13 * * *", report, "ada", tenant="acme")
        await app.schedule("daily", "0 13 * * *", report, "bob", tenant="globex")
        assert not await app.unschedule("daily")
        assert await app.unschedule("daily", "acme")
        assert not await app.unschedule("daily", "acme")
        await clock.to("2026-11-21T14:00+00:00")
        assert [(each.tenant, each.result) for each in await app.list()] == [("globex", "report for bob")]


async def test_L54_each_firing_has_the_schedule_s_budget():
    clock = HandClock(NOON)
    async with by_hand(clock, processes=[report]) as app:
        view = await app.schedule("daily", "0 13 * * *", report, "ada", budget=Budget(tokens=5, cost="0.10"))
        assert view.budget == {"tokens": 5, "cost": "0.10"}
        await clock.to("2026-11-21T14:00+00:00")
        (fired,) = await app.list()
        assert (fired.budget["tokens"], fired.budget["cost"]) == (5, "0.10")


# ----------------------------------------------------------------------------------------------------------------- overlap


async def _hours(app: Remit, clock: HandClock, overlap: str) -> None:
    await app.schedule("hourly", "0 * * * *", slow, None, overlap=overlap)
    await clock.to("2026-11-21T15:30+00:00")


async def test_L54_overlap_skip_leaves_out_firings_while_one_runs():
    clock = HandClock(NOON)
    async with by_hand(clock, processes=[slow]) as app:
        await _hours(app, clock, "skip")
        (running,) = await app.list()
        assert (await app.schedules())[0].skipped == 2
        await app.answer(running.execution_id, "go")
        await clock.to("2026-11-21T16:30+00:00")
        assert await _keys(app, "slow") == [f"schedule:hourly:2026-11-21T{hour}:00:00Z" for hour in (13, 16)]


async def test_L54_overlap_allow_starts_each():
    clock = HandClock(NOON)
    async with by_hand(clock, processes=[slow]) as app:
        await _hours(app, clock, "allow")
        assert len(await app.list(status="WAITING_HUMAN_INPUT")) == 3


async def test_L54_overlap_queue_starts_one_after_another_in_order():
    clock = HandClock(NOON)
    async with by_hand(clock, processes=[slow]) as app:
        await _hours(app, clock, "queue")
        for hour, waiting in ((13, 2), (14, 1), (15, 0)):
            (running,) = await until(lambda: app.list(status="WAITING_HUMAN_INPUT"))
            assert running.key == f"schedule:hourly:2026-11-21T{hour}:00:00Z"
            assert (await app.schedules())[0].waiting == waiting
            await app.answer(running.execution_id, "go")
            await app.outcome(running.execution_id, 5)
        assert (await app.schedules())[0].fired == 3


async def test_L54_what_queues_outlives_its_process(tmp_path):
    clock, store = HandClock(NOON), open_store(tmp_path)
    async with by_hand(clock, store, processes=[slow]) as app:
        await _hours(app, clock, "queue")
        (running,) = await app.list()
    async with by_hand(clock, store, processes=[slow]) as app:
        await app.answer(running.execution_id, "go")
        (second,) = await until(lambda: app.list(status="WAITING_HUMAN_INPUT"))
        assert second.key == "schedule:hourly:2026-11-21T14:00:00Z"


async def test_L54_a_queue_has_an_end_and_what_comes_too_late_for_it_is_told(monkeypatch):
    monkeypatch.setattr("remit.engine.time.schedules._QUEUE_MAX", 1)
    clock = HandClock(NOON)
    async with by_hand(clock, processes=[slow]) as app:
        await _hours(app, clock, "queue")
        (view,) = await app.schedules()
        assert (view.waiting, view.missed) == (1, 1)
        (alert,) = await app.alerts(code="schedule_missed")
        assert "2026-11-21T15:00:00Z" in alert.message


# ------------------------------------------------------------------------------------------------------------- downtime


@pytest.mark.parametrize(
    ("catch_up", "hours", "missed"),
    [("1h", [15], 1), ("90m", [14, 15], 1), ("1d", [13, 14, 15], 0), (0, [], 1), (timedelta(hours=3), [13, 14, 15], 0)],
)
async def test_L54_the_catch_up_window_decides_what_is_fired_after_downtime(tmp_path, catch_up, hours, missed):
    clock, store = HandClock(NOON), open_store(tmp_path)
    async with by_hand(clock, store, processes=[report]) as app:
        await app.schedule("hourly", "0 * * * *", report, "ada", overlap="allow", catch_up=catch_up)
    await clock.to("2026-11-21T15:20+00:00")
    async with by_hand(clock, store, processes=[report]) as app:
        await clock.to("2026-11-21T15:21+00:00")
        assert await _keys(app) == [f"schedule:hourly:2026-11-21T{hour}:00:00Z" for hour in hours]
        (view,) = await app.schedules()
        assert (view.missed, view.next_at.hour if view.next_at else None) == (missed, 16)
        alerts = await app.alerts(code="schedule_missed")
        assert len(alerts) == missed
        assert all(alert.details["from"] == "2026-11-21T13:00:00Z" for alert in alerts)


async def test_L54_a_schedule_waits_for_a_process_that_hosts_its_target(tmp_path):
    clock, store = HandClock(NOON), open_store(tmp_path)
    async with by_hand(clock, store, processes=[report]) as app:
        await app.schedule("hourly", "0 * * * *", report, "ada")
    await clock.to("2026-11-21T13:10+00:00")
    async with by_hand(clock, store, processes=[slow]) as app:
        await clock.to("2026-11-21T13:20+00:00")
        assert (await app.list(), (await app.schedules())[0].missed) == ([], 0)
    async with by_hand(clock, store, processes=[report]) as app:
        await clock.to("2026-11-21T13:21+00:00")
        assert await _keys(app) == ["schedule:hourly:2026-11-21T13:00:00Z"]


async def test_L54_a_firing_that_cannot_start_is_told_and_the_schedule_goes_on(tmp_path):
    @process("report", version="2.0.0")
    async def other(_: int) -> int:
        return 1

    @process("report", version="1.3.0")
    async def stricter(_: int) -> int:
        return 1

    clock, store = HandClock(NOON), open_store(tmp_path)
    async with by_hand(clock, store, processes=[report]) as app:
        await app.schedule("hourly", "0 * * * *", report, "ada")
    for hour, changed in (("13", other), ("14", stricter)):
        async with by_hand(clock, store, processes=[changed]) as app:
            await clock.to(f"2026-11-21T{hour}:10+00:00")
            alert = (await app.alerts(code="schedule_failed"))[0]
            assert f"{hour}:00:00Z could not be started" in alert.message
    async with by_hand(clock, store, processes=[report]) as app:
        await clock.to("2026-11-21T15:10+00:00")
        assert await _keys(app) == ["schedule:hourly:2026-11-21T15:00:00Z"]
        assert (await app.schedules())[0].failed == 2


async def test_L54_a_key_that_was_used_otherwise_is_told_and_nothing_is_started_twice():
    clock = HandClock(NOON)
    async with by_hand(clock, processes=[report]) as app:
        await app.start(report, "eve", key="schedule:hourly:2026-11-21T13:00:00Z")
        same = await app.start(report, "ada", key="schedule:hourly:2026-11-21T14:00:00Z")
        await app.schedule("hourly", "0 * * * *", report, "ada")
        await clock.to("2026-11-21T14:10+00:00")
        (view,) = await app.schedules()
        assert (view.failed, view.fired, view.last_execution_id, len(await app.list())) == (1, 0, same.id, 2)


async def test_L54_a_zone_that_this_machine_lacks_stops_the_schedule_with_an_alert(tmp_path, monkeypatch):
    clock, store = HandClock(NOON), open_store(tmp_path)
    async with by_hand(clock, store, processes=[report]) as app:
        await app.schedule("hourly", "0 * * * *", report, "ada", timezone="Europe/Berlin")
        monkeypatch.setattr("remit.kernel.schedules.problem_of", lambda *_: "no such zone")
        await clock.to("2026-11-21T14:10+00:00")
        (view,) = await app.schedules()
        assert (view.next_at, view.failed, await app.list()) == (None, 1, [])
        assert "no such zone" in (await app.alerts(code="schedule_failed"))[0].message


# --------------------------------------------------------------------------------------------------------------- crashes


async def _fire_once(directory: str, at: str) -> None:
    async with by_hand(HandClock(at), open_store(Path(directory)), processes=[report]) as app:
        if not await app.schedules():
            await app.schedule("daily", "0 13 * * *", report, "ada", catch_up="1d")
            return
        await asyncio.sleep(0.05)
        clock = app.engine.clock
        assert isinstance(clock, HandClock)
        await clock.to(at.replace("13:00:00", "13:00:01"))
        await until(lambda: app.list(status="COMPLETED"))


def fire_once(directory: str, at: str) -> None:
    """The victim: registers the schedule the first time, and fires it the second."""
    asyncio.run(_fire_once(directory, at))


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize(
    "boundary", ["admission.decided", "commit.before", "commit.written", "commit.after", "commit.released"]
)
async def test_L54_a_kill_between_firing_and_recording_starts_exactly_one(boundary, nth, tmp_path):
    await asyncio.to_thread(fire_once, str(tmp_path), NOON)
    argv = child_argv("tests.laws.test_schedules:fire_once", str(tmp_path), "2026-11-21T13:00:00+00:00")
    ending = await asyncio.to_thread(run_until_killed, argv, boundary, nth, cwd=_PROJECT)
    assert isinstance(ending, Killed) or (nth > 1 and isinstance(ending, Exited) and ending.code == 0), ending
    assert boundary in boundaries()
    clock = HandClock("2026-11-21T13:05:00+00:00")
    async with by_hand(clock, open_store(tmp_path), processes=[report]) as app:
        await clock.to("2026-11-21T13:06:00+00:00")
        await until(lambda: app.list(status="COMPLETED"))
        assert await _keys(app) == ["schedule:daily:2026-11-21T13:00:00Z"]
        (view,) = await app.schedules()
        assert (view.fired, view.missed, view.next_at.day if view.next_at else None) == (1, 0, 22)
    assert look_at(tmp_path, "SELECT count(*) FROM executions") == [(1,)]


async def test_L54_L8_a_root_and_its_schedule_s_step_are_one_event(tmp_path):
    """Whatever another program reads, as many roots as the schedule says it has fired."""
    clock = HandClock(NOON)
    async with by_hand(clock, open_store(tmp_path), processes=[report]) as app:
        await app.schedule("often", "* * * * *", report, "ada", overlap="allow")
        for minute in range(1, 6):
            await clock.to(f"2026-11-21T12:{minute:02d}:30+00:00")
            assert look_at(tmp_path, "SELECT (SELECT count(*) FROM executions) - fired FROM schedules") == [(0,)]


# -------------------------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ({"name": ""}, "is no name of a schedule"),
        ({"name": 5}, "is no name of a schedule"),
        ({"cron": "61 * * * *"}, "bad minute"),
        ({"timezone": "Europe/Berlinn"}, "did you mean 'Europe/Berlin'"),
        ({"overlap": "sometimes"}, "none of skip, queue, allow"),
        ({"on_skipped": "later"}, "none of run_after, skip"),
        ({"on_repeated": "thrice"}, "none of first, second, both"),
        ({"catch_up": "soon"}, "is no duration"),
        ({"budget": 5}, "give a Budget"),
        ({"target": 5}, "is no process"),
        ({"input": 5}, "cannot take this input"),
        ({"tenant": ""}, "tenant"),
    ],
)
async def test_L54_L48_a_bad_schedule_is_refused_with_its_remedy_and_changes_nothing(mistake, told):
    good = {"name": "daily", "cron": "0 13 * * *", "target": report, "input": "ada"}
    async with Remit(":memory:", processes=[report]) as app:
        with pytest.raises(InvalidInput, match=told):
            await app.schedule(**{**good, **mistake})
        assert await app.schedules() == []


async def test_L54_a_target_that_nobody_hosts_is_refused():
    async with Remit(":memory:", processes=[report]) as app:
        for target in ("reprot", ProcessRef[str, str]("report@^2")):
            with pytest.raises(MisuseError) as refused:
                await app.schedule("daily", "@daily", target, "ada")
            assert refused.value.code == "unknown_process"
        with pytest.raises(DefinitionError, match="no process reference"):
            await app.schedule("daily", "@daily", "5", "ada")


async def test_L54_L52_a_schedule_is_an_effect_of_bodies():
    with pytest.raises(MisuseError) as outside:
        await schedule("daily", "@daily", report, "ada")
    assert outside.value.code == "outside_execution"

    @step
    async def inside() -> None:
        await schedule("daily", "@daily", report, "ada")

    @process("tries", calls=[report])
    async def tries(_: None) -> None:
        await inside()

    async with Remit(":memory:", processes=[tries, report]) as app:
        outcome = await (await app.start(tries)).outcome(5)
        assert outcome.error is not None
        assert outcome.error.code == "effect_inside_step"


async def test_L54_a_bad_schedule_in_a_body_is_a_failure_like_any_other_and_is_replayed_as_such():
    @process("careless", calls=["report"])
    async def careless(_: None) -> str:
        caught = []
        for value in (5, "ada"):
            try:
                await schedule("daily", "@daily", "report", value)
            except DomainError as error:
                caught.append(error.code)
            await sleep(0.01)
        return ",".join(caught)

    async with Remit(":memory:", processes=[careless, report]) as app:
        assert (await (await app.start(careless)).outcome(5)).unwrap() == "invalid_input"
        assert [view.input for view in await app.schedules()] == ["ada"]


async def test_L54_a_schedule_is_no_child_and_its_firings_outlive_who_registered_it():
    @process("parent", calls=["plan"])
    async def parent(_: None) -> str:
        return str((await call_process("plan", "0 13 * * *")).unwrap())

    clock = HandClock(NOON)
    async with by_hand(clock, processes=[parent, plan, report, slow]) as app:
        root = await app.start(parent)
        await root.outcome(5)
        await clock.to("2026-11-22T13:00+00:00")
        (fired,) = await app.list(process="report")
        assert (fired.depth, fired.root_execution_id) == (0, fired.execution_id)
        assert [child.process for child in (await app.tree(root.id)).children] == ["plan"]

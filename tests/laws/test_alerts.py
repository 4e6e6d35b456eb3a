"""Alerts: codes that are explained, told once and counted, acknowledged by somebody (L16, L49)."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import remit
from remit import DomainError, InvalidInput, MisuseError, Remit, call_process, process
from remit.errors import CODES
from remit.testing import TestApp
from tests.laws.scene import look_at, open_store

LITERAL = re.compile(r"""alert\(\s*(?:\w+(?:\.\w+)*,\s*)?["'](\w+)["']""")


@process("asks_too_much", calls=["elsewhere", "nowhere"])
async def asks_too_much(times: int) -> int:
    for _ in range(times):
        assert not (await call_process("elsewhere", 1)).ok
    assert not (await call_process("nowhere", 1)).ok
    return times


@process("breaks")
async def breaks(n: int) -> int:
    raise DomainError("out_of_luck", n=n)


def test_L16_every_alert_of_remits_own_has_a_code_in_the_table() -> None:
    root = Path(remit.__file__).parent
    found = {code for path in root.rglob("*.py") for code in LITERAL.findall(path.read_text("utf-8"))}
    assert {"usage_rejected", "topped_up", "rolled_back", "blocked_event_loop", "compensation_failed"} <= found
    assert found - set(CODES) == set()


async def test_L49_the_same_about_the_same_is_told_once_and_counted() -> None:
    async with TestApp([asks_too_much]) as app:
        await app.run(asks_too_much, 5)
        first = {alert.subject.partition(" ")[2]: alert for alert in await app.alerts(code="unknown_process")}
        assert {name: alert.count for name, alert in first.items()} == {"elsewhere": 5, "nowhere": 1}
        await app.clock.advance("1m")
        await app.run(asks_too_much, 1)
        assert len(await app.alerts(code="unknown_process")) == 4, "another execution is another subject"


async def test_L49_what_is_told_is_the_last_time_and_when_it_began() -> None:
    async with TestApp([breaks]) as app:
        outcome = await app.run(breaks, 1)
        begun = app.clock.date()
        await app.clock.advance("50m")
        await app.retry(outcome.execution_id)
        await app.outcome(outcome.execution_id)
        await app.clock.advance("50m")
        await app.retry(outcome.execution_id)
        await app.outcome(outcome.execution_id)
        (alert,) = await app.alerts()
        assert (alert.code, alert.count, alert.execution_id) == ("out_of_luck", 3, outcome.execution_id)
        assert alert.last_at - alert.raised_at == timedelta(minutes=100)
        assert abs(alert.raised_at - begun) < timedelta(seconds=1)
        await app.clock.advance("61m")
        await app.retry(outcome.execution_id)
        await app.outcome(outcome.execution_id)
        assert [each.count for each in await app.alerts()] == [1, 3], "an hour later it is news again"


async def test_L49_an_acknowledged_alert_is_counted_no_further() -> None:
    async with TestApp([breaks]) as app:
        outcome = await app.run(breaks, 1, tenant="acme")
        (alert,) = await app.alerts(acknowledged=False)
        seen = await app.acknowledge(alert.id, by="ann")
        assert (seen.acknowledged_by, seen.acknowledged_at, seen.count) == ("ann", app.clock.date(), 1)
        await app.clock.advance("1m")
        assert (await app.acknowledge(alert.id, by="bob")) == seen, "whoever is first stays"
        await app.retry(outcome.execution_id)
        await app.outcome(outcome.execution_id)
        new, old = await app.alerts(tenant="acme")
        assert (old, new.count, new.acknowledged_at) == (seen, 1, None)
        assert [await app.alerts(acknowledged=each) for each in (True, False)] == [[old], [new]]
        assert await app.alerts(tenant="globex") == []


async def test_L49_an_alert_is_durable_with_its_acknowledgement(tmp_path: Path) -> None:
    async with Remit(open_store(tmp_path), processes=[breaks]) as app:
        await (await app.start(breaks, 1)).outcome(timeout=5)
        (alert,) = await app.alerts()
        await app.acknowledge(alert.id, by="ann")
        assert look_at(tmp_path, "SELECT code, acknowledged_by FROM alerts") == [("out_of_luck", "ann")]


@pytest.mark.parametrize("wrong", ["1", True, None, 1.5])
async def test_L48_an_impossible_alert_number_is_refused(wrong: Any) -> None:
    async with Remit(":memory:") as app:
        with pytest.raises(InvalidInput):
            await app.acknowledge(wrong)
        for number in (7, -1, 10**30):
            with pytest.raises(MisuseError) as unknown:
                await app.acknowledge(number)
            assert unknown.value.code == "unknown_alert"
        with pytest.raises(MisuseError):
            await app.alerts(acknowledged="yes")  # type: ignore[arg-type]

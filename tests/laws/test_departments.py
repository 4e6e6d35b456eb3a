"""Departments: who may call a process, decided before anything is taken, in the published contract too (L45)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from remit import Process, Remit, call_process, process
from remit.durable import schedule, wait_event
from remit.testing import TestApp
from remit.workflows.load import load
from tests.laws.scene import open_store, wait_until


class Wanted(BaseModel):
    sku: str
    count: int = 1


def inventory(version: str = "1.0.0", callers: list[str] | None = None, department: str | None = "warehouse") -> Any:
    """What only the warehouse and those it names may call."""

    @process("inventory", version=version, department=department, callers=callers)
    async def inventory(wanted: Wanted) -> int:
        return wanted.count

    return inventory


def asks(name: str, department: str | None, versions: str = "^1") -> Process[int, str]:
    """A process of a department that calls `inventory` once, and tells how that ended."""

    @process(name, department=department, calls=[f"inventory@{versions}"])
    async def body(count: int) -> str:
        outcome = await call_process("inventory", Wanted(sku="a", count=count))
        return outcome.status if outcome.error is None else outcome.error.code

    return body


async def ends(app: Remit, target: Process[int, str], count: int = 1) -> str:
    return (await (await app.start(target, count)).outcome(timeout=5)).unwrap()


async def test_L45_only_its_own_department_and_those_it_names_may_call() -> None:
    own, named, other, nobody = (
        asks("restock", "warehouse"), asks("order", "sales"), asks("refund", "returns"), asks("stray", None),
    )  # fmt: skip
    async with Remit(":memory:", processes=[inventory(callers=["sales"]), own, named, other, nobody]) as app:
        found = [await ends(app, each) for each in (own, named, other, nobody)]
        assert found == ["completed", "completed", "department_denied", "department_denied"]


async def test_L45_L7_a_denied_call_creates_nothing_and_says_who_may() -> None:
    refund = asks("refund", "returns")
    async with Remit(":memory:", processes=[inventory(callers=["sales"]), refund]) as app:
        root = await app.start(refund, 1)
        assert (await root.outcome(timeout=5)).unwrap() == "department_denied"
        (entry,) = await app.journal(root.id)
        assert (entry.kind, entry.error is not None and str(entry.error.error_class)) == ("rejected", "DOMAIN")
        (alert,) = await app.alerts(code="department_denied")
        assert alert.execution_id == root.id
        told = {name: alert.details[name] for name in ("check", "target", "department", "callers", "caller_department")}
        assert told == {
            "check": "department", "target": "inventory", "department": "warehouse",
            "callers": ["sales"], "caller_department": "returns",
        }  # fmt: skip
        assert "'inventory' may be called by warehouse and sales; 'refund' is of department 'returns'" in alert.message
        assert (await app.tree(root.id)).children == []


async def test_L45_an_operator_starts_a_root_of_any_department() -> None:
    async with Remit(":memory:", processes=[inventory(callers=[])]) as app:
        assert (await (await app.start("inventory", Wanted(sku="a"))).outcome(timeout=5)).unwrap() == 1


async def test_L45_what_was_published_decides_and_not_what_is_hosted() -> None:
    order = asks("order", "sales")
    closed, opened = inventory(callers=[]), inventory(callers=None)
    async with Remit(":memory:", processes=[opened, order]) as app:
        await app.publish(closed, asks("order", "sales"))
        for each in ("inventory@1.0.0", "order@1.0.0"):
            await app.promote(each)
        assert await ends(app, order) == "department_denied"


async def test_L45_a_caller_is_of_the_department_that_it_was_published_with() -> None:
    async with Remit(":memory:", processes=[inventory(callers=["sales"]), asks("order", "sales")]) as app:
        await app.publish(asks("order", "returns"))
        await app.promote("order@1.0.0")
        assert (await (await app.start("order", 1)).outcome(timeout=5)).unwrap() == "department_denied"


async def test_L45_the_highest_version_decides_and_no_lower_one_is_taken_instead() -> None:
    order = asks("order", "sales")
    hosted = [inventory("1.0.0"), inventory("1.1.0", callers=["returns"])]
    async with Remit(":memory:", processes=[*hosted, order]) as app:
        assert await ends(app, order) == "department_denied"
        await app.publish(*hosted)
        await app.promote("inventory@1.0.0")
        assert await ends(app, order, 2) == "completed"
        await app.promote("inventory@1.1.0")
        assert await ends(app, order, 3) == "department_denied"


async def test_L45_publishing_says_which_declared_calls_would_be_denied() -> None:
    async with Remit(":memory:") as app:
        await app.publish(inventory(callers=["sales"]))
        (view,) = await app.publish(asks("refund", "returns"))
        assert len(view.denied) == 1
        assert "'refund' is of department 'returns'" in view.denied[0]
        assert (await app.publish(asks("order", "sales")))[0].denied == []
        await app.publish(inventory("1.1.0", callers=["returns"]))  # now one version in its range may be called
        assert (await app.versions("refund"))[0].denied == []


async def test_L45_L11_a_call_that_was_made_stands_when_a_new_version_denies_it(tmp_path: Path) -> None:
    @process("patient", department="returns", calls=["inventory@^1"])
    async def patient(count: int) -> list[str]:
        before = await call_process("inventory", Wanted(sku="a", count=count))
        await wait_event("go")
        after = await call_process("inventory", Wanted(sku="b", count=count))
        return [each.status for each in (before, after)]

    async with Remit(open_store(tmp_path), processes=[inventory(), patient]) as app:
        root = await app.start(patient, 1)
        await wait_until(app, root.id, "WAITING_HUMAN_INPUT", "PENDING_ASYNC")
    async with Remit(open_store(tmp_path), processes=[inventory("1.1.0", callers=["sales"]), patient]) as app:
        await app.send(root.id, "go")
        assert (await app.outcome(root.id, timeout=5)).unwrap() == ["completed", "rejected"]


async def test_L45_L54_a_process_schedules_only_what_it_may_call_whenever_it_fires() -> None:
    @process("planner", department="returns", calls=["inventory@^1"])
    async def planner(name: str) -> str:
        await schedule(name, "* * * * *", "inventory", Wanted(sku="a"), overlap="allow")
        return "planned"

    async with Remit(":memory:", processes=[inventory(callers=["sales"]), planner]) as app:
        outcome = await (await app.start(planner, "stock")).outcome(timeout=5)
        assert outcome.error is not None
        assert outcome.error.code == "department_denied"
        assert await app.schedules() == []


async def test_L45_L54_a_schedule_fires_only_what_its_department_may_still_call() -> None:
    @process("planner", department="returns", calls=["inventory@^1"])
    async def planner(name: str) -> str:
        await schedule(name, "* * * * *", "inventory", Wanted(sku="a"), overlap="allow")
        return "planned"

    async with TestApp([inventory(), planner]) as app:
        assert (await app.run(planner, "stock")).ok
        app.host(inventory("1.1.0", callers=["sales"]))
        await app.clock.advance("5m")
        assert [each.process for each in await app.list()] == ["planner"]
        assert {each.code for each in await app.alerts()} == {"schedule_failed"}
        assert "'planner' is of department 'returns'" in (await app.alerts())[0].message


@pytest.mark.parametrize(("department", "code"), [("sales", None), ("returns", "department_denied")])
async def test_L45_remit_check_says_which_call_would_be_denied(tmp_path: Path, department: str, code: str | None) -> None:
    (tmp_path / "steps.py").write_text("def only(state, context):\n    return {'told': 'yes'}\n", "utf-8")
    (tmp_path / "outer.yaml").write_text(
        f"""
workflow_type: Outer
workflow_version: "1.0.0"
department: {department}
steps:
  - {{name: Inside, type: SUB_WORKFLOW, sub_workflow_type: Inner, input: {{}}}}
""",
        "utf-8",
    )
    (tmp_path / "inner.yaml").write_text(
        """
workflow_type: Inner
workflow_version: "1.0.0"
department: warehouse
callers: [sales]
steps:
  - {name: Only, type: STANDARD, function: steps.only}
""",
        "utf-8",
    )
    loaded = load([tmp_path])
    assert [each.code for each in loaded.errors] == ([code] if code else [])
    if code:
        assert "'Inner' may be called by warehouse and sales; 'Outer' is of department 'returns'" in str(loaded.errors[0])

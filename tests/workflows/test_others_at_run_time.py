"""What belongs to others stays out of reach while a workflow runs: owners, departments, executions (L44, L45)."""

from __future__ import annotations

from typing import Any

import pytest

from remit import Child, Remit, ask, process
from remit.workflows import StartSubWorkflowDirective
from tests.laws.scene import every, wait_until
from tests.workflows.making import compiled


def names_another(state: Any, **_inputs: Any) -> None:
    """A step function that starts a workflow for another owner."""
    raise StartSubWorkflowDirective("child", {}, owner_id="globex")


NAMES = {"function": names_another}
STEPS = {
    "STANDARD": NAMES,
    "ASYNC": {"type": "ASYNC", **NAMES},
    "DECISION": {"type": "DECISION", **NAMES, "routes": [{"default": "After"}]},
    "PARALLEL": {"type": "PARALLEL", "tasks": [{"name": "one", **NAMES}], "allow_partial_success": True},
    "PARALLEL, items": {"type": "PARALLEL", "iterate_over": "items", "task_function": names_another, "allow_partial_success": True},
    "LOOP": {"type": "LOOP", "mode": "WHILE", "while_condition": "True", "max_iterations": 2,
             "loop_body": [{"name": "Inside", **NAMES, "on_failure": "Inside"}]},
    "SUB_WORKFLOW": {"type": "SUB_WORKFLOW", "sub_workflow_type": "child", **NAMES},
    "AWAIT": {"type": "AWAIT", "child": "After", **NAMES},
    "FIRE_AND_FORGET": {"type": "FIRE_AND_FORGET", "target_workflow_type": "child", **NAMES},
    "CRON_SCHEDULE": {"type": "CRON_SCHEDULE", "schedule_name": "nightly", "cron_expression": "@daily",
                      "target_workflow_type": "child", **NAMES},
    "HTTP": {"type": "HTTP", "http_config": {"url": "http://127.0.0.1:1/"}, **NAMES},
    "WAIT": {"type": "WAIT", "duration": 0, **NAMES},
    "JUMP": {"type": "JUMP", "target_step": "After", **NAMES},
}  # fmt: skip
CHILD = compiled("child", {"name": "Rest", "type": "WAIT", "duration": 0})
AFTER = {"name": "After", "function": lambda state: {"after": True}}


@pytest.mark.parametrize("name", STEPS)
async def test_L44_a_directive_in_a_step_of_any_type_names_no_other_owner(name: str) -> None:
    flow = compiled("Flow", {"name": "Names", **STEPS[name], "on_failure": "After"}, AFTER, calls=["child"])
    async with Remit(":memory:", processes=[flow, CHILD]) as app:
        execution = await app.start(flow, {"items": [1]}, tenant="acme", owner="ann")
        outcome = await execution.outcome(timeout=5)
        assert outcome.error is not None
        assert (str(outcome.error.error_class), outcome.error.code) == ("SYSTEM", "cross_tenant")
        assert [alert.tenant for alert in await app.alerts(code="cross_tenant")] == ["acme"]
        assert (list(await every(app, execution.id)), await app.schedules()) == ([""], [])


CALLS = {
    "SUB_WORKFLOW": {"type": "SUB_WORKFLOW", "sub_workflow_type": "theirs"},
    "SUB_WORKFLOW, async": {"type": "SUB_WORKFLOW", "sub_workflow_type": "theirs", "mode": "async"},
    "PARALLEL": {"type": "PARALLEL", "tasks": [{"name": "one", "sub_workflow_type": "theirs"}]},
    "FIRE_AND_FORGET": {"type": "FIRE_AND_FORGET", "target_workflow_type": "theirs"},
    "CRON_SCHEDULE": {"type": "CRON_SCHEDULE", "schedule_name": "nightly", "cron_expression": "@daily",
                      "target_workflow_type": "theirs"},
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
async def test_L45_a_step_calls_only_what_its_department_may_and_on_failure_handles_the_refusal(name: str) -> None:
    theirs = compiled("theirs", {"name": "Rest", "type": "WAIT", "duration": 0}, department="warehouse", callers=["sales"])
    flow = compiled("Flow", {"name": "Call", **CALLS[name], "on_failure": "After"}, AFTER, department="returns", calls=["theirs"])
    async with Remit(":memory:", processes=[flow, theirs]) as app:
        execution = await app.start(flow, {})
        found = (await execution.outcome(timeout=5)).unwrap()
        assert found["step_failures"]["Call"]["code"] == "department_denied"
        assert (list(await every(app, execution.id)), await app.schedules()) == ([""], [])


@pytest.mark.parametrize("act", ["outcome", "status", "cancel"])
async def test_L44_a_child_is_known_by_who_started_it_and_an_id_alone_leads_to_none(act: str) -> None:
    @process("asks")
    async def asks(_: None) -> str:
        return await ask(str, name="word")

    @process("curious")
    async def curious(other: str) -> str:
        return str(await getattr(Child[Any](other), act)())

    refused = []
    async with Remit(":memory:", processes=[asks, curious]) as app:
        theirs = await app.start(asks, tenant="globex")
        await wait_until(app, theirs.id, "WAITING_HUMAN_INPUT")
        for other in (theirs.id, "exec_" + "0" * 24):
            outcome = await (await app.start(curious, other, tenant="acme")).outcome(timeout=5)
            assert outcome.error is not None
            refused.append((outcome.error.code, outcome.error.message.replace(other, "ID")))
        assert (await app.get(theirs.id)).status == "WAITING_HUMAN_INPUT"
    assert refused[0] == refused[1]
    assert refused[0][0] == "unknown_execution"

"""Step functions in the forms that the pages of the other system show: they run as they stand there, imports apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from remit import Remit
from remit.workflows import (
    SagaWorkflowException,
    StartSubWorkflowDirective,
    StepContext,
    WorkflowBuilder,
    WorkflowJumpDirective,
    WorkflowPauseDirective,
)
from tests.laws.scene import wait_until
from tests.workflows.making import compiled, results


class MyState(BaseModel):
    amount: float = 0
    user_id: str = "u-1"
    devices: list[str] = []
    results: list[str] = []
    approved: bool | None = None
    approved_by: str | None = None
    transaction_id: str | None = None
    name: str | None = None


def plain(state: MyState, context: StepContext) -> dict:
    return {"form": context.step_name}


def any_state(state: BaseModel, context: StepContext) -> dict:
    return {"form": context.step_name, "id": bool(context.workflow_id)}


def swallowing(state: MyState, context: StepContext, **_) -> dict:
    return {"form": context.step_name}


def keywords(state: MyState, context: StepContext, **kwargs) -> dict:
    return {"form": context.step_name, "given": kwargs}


def bare(state, context):
    return {"form": context.step_name}


def greeting(state: MyState, context: StepContext, name: str = "World") -> dict:
    return {"form": context.step_name, "hello": name}


def with_device(state: MyState, context: StepContext, device_id: str = "", **_) -> dict:
    return {"form": context.step_name, "device": device_id}


def decorated(state, context: StepContext, *args, **kwargs):
    return {"form": context.step_name}


async def awaited(state: MyState, context: StepContext, **_) -> dict:
    return {"form": context.step_name}


@pytest.mark.parametrize("form", [plain, any_state, swallowing, keywords, bare, greeting, with_device, decorated, awaited])
@pytest.mark.parametrize("type_", ["STANDARD", "ASYNC", "DECISION"])
async def test_a_function_of_every_form_runs(form: Callable[..., Any], type_: str) -> None:
    flow = compiled("Flow", {"name": "Step", "type": type_, "function": form}, state=MyState)
    assert (await results(flow, {}))["form"] == "Step"


async def test_a_loop_that_begins_anew_on_its_first_pass() -> None:
    def summarise(state: MyState, context: StepContext, **_) -> dict:
        if context.loop_index == 0:
            state.results = []
        state.results = [*state.results, f"[{context.loop_index + 1}/{len(state.devices)}] {context.loop_item}"]
        return {"last_processed": context.loop_item}

    loop = {"name": "Each", "type": "LOOP", "mode": "ITERATE", "iterate_over": "state.devices", "item_var_name": "device",
            "max_iterations": 9, "loop_body": [{"name": "Summarise", "function": summarise}]}  # fmt: skip
    flow = compiled("Flow", loop, state=MyState, result={"results": "state.results"})
    assert await results(flow, {"devices": ["d-1", "d-2"], "results": ["old"]}) == {"results": ["[1/2] d-1", "[2/2] d-2"]}


@pytest.mark.parametrize(("amount", "reached"), [(20_000, "High_Value_Review"), (5, "Standard_Processing")])
async def test_a_decision_that_jumps_with_a_result(amount: int, reached: str) -> None:
    def decision_step(state: BaseModel, context: StepContext) -> dict:
        if state.amount > 10_000:
            raise WorkflowJumpDirective(target_step_name="High_Value_Review", result={"flagged_for_review": True})
        raise WorkflowJumpDirective(target_step_name="Standard_Processing", result={"auto_approved": True})

    def here(state: MyState, context: StepContext) -> dict:
        return {"reached": context.step_name}

    flow = compiled(
        "Flow",
        {"name": "Decide", "type": "DECISION", "function": decision_step},
        {"name": "High_Value_Review", "function": here, "next_step": "End"},
        {"name": "Standard_Processing", "function": here},
        {"name": "End", "type": "WAIT", "duration": 0},
        state=MyState,
    )
    found = await results(flow, {"amount": amount})
    assert (found["reached"], found.get("flagged_for_review", False)) == (reached, reached == "High_Value_Review")


async def test_an_approval_is_asked_for_and_goes_on_by_the_builder() -> None:
    def approval_step(state: BaseModel, context: StepContext) -> dict:
        raise WorkflowPauseDirective(result={"approved_by": "nobody yet"}, waiting_for="manager_approval")

    def process_approval(state: MyState, context: StepContext, **user_input) -> dict:
        if not user_input.get("approved"):
            raise WorkflowJumpDirective("Send_Rejection_Email")
        return {"approved_by": user_input["reviewer"]}

    def send_rejection(state: MyState, context: StepContext) -> dict:
        return {"rejected": True}

    flow = compiled(
        "Approval",
        {"name": "Request", "type": "HUMAN_IN_LOOP", "function": approval_step},
        {"name": "Process", "function": process_approval, "next_step": "End"},
        {"name": "Send_Rejection_Email", "function": send_rejection},
        {"name": "End", "type": "WAIT", "duration": 0},
        state=MyState,
    )
    for approved in (True, False):
        async with Remit(":memory:", processes=[flow]) as app:
            builder = WorkflowBuilder(app)
            workflow = await builder.create_workflow("Approval", {"amount": 7})
            await workflow.next_step(user_input={})
            assert (workflow.status, workflow.state.approved_by) == ("WAITING_HUMAN_INPUT", "nobody yet")
            workflow = await builder.load_workflow(workflow.id)
            result, directive = await workflow.next_step(user_input={"approved": approved, "reviewer": "manager@example.com"})
            assert (workflow.status, directive) == ("COMPLETED", None)
            assert (workflow.state.approved_by == "manager@example.com", result.get("rejected", False)) == (approved, not approved)


async def test_a_payment_that_fails_for_good_is_rolled_back_and_its_compensation_looks_at_the_state() -> None:
    refunded: list[Any] = []

    def charge(state: MyState, context: StepContext) -> dict:
        state.transaction_id = "t-1"
        return {"transaction_id": "t-1"}

    def refund_payment(state: BaseModel, context: StepContext) -> dict:
        if state.transaction_id:
            refunded.append(state.transaction_id)
            return {"refunded": True}
        return {"refund_skipped": "no transaction"}

    def ship(state: MyState, context: StepContext) -> dict:
        try:
            raise ConnectionError("no carrier")
        except ConnectionError as error:
            raise SagaWorkflowException(message=f"Shipping failed: {error}", original_exception=error)  # noqa: B904  # as it stands there

    flow = compiled("Order", {"name": "Charge", "function": charge, "compensate_function": refund_payment},
                    {"name": "Ship", "function": ship}, state=MyState)  # fmt: skip
    async with Remit(":memory:", processes=[flow]) as app:
        workflow = await WorkflowBuilder(app).create_workflow("Order", {})
        await workflow.enable_saga_mode()
        await workflow.next_step(user_input={})
        await wait_until(app, workflow.id, "FAILED")
        await app.compensated(workflow.id, timeout=5)
        assert (workflow.status, refunded) == ("FAILED_ROLLED_BACK", ["t-1"])


async def test_a_child_is_launched_by_keywords() -> None:
    def launch_kyc(state: BaseModel, context: StepContext) -> dict:
        raise StartSubWorkflowDirective(
            workflow_type="KYC_Verification", initial_data={"user_id": state.user_id}, data_region="eu-west-1"
        )

    def verify(state: Any, context: StepContext) -> dict:
        return {"risk_score": 7, "of": state.user_id}

    def process_kyc_results(state: BaseModel, context: StepContext) -> dict:
        return {"score": state.sub_workflow_results["KYC_Verification"]["risk_score"]}

    child = compiled("KYC_Verification", {"name": "Verify", "function": verify})
    flow = compiled("Parent", {"name": "Launch", "function": launch_kyc}, {"name": "Process", "function": process_kyc_results},
                    state=MyState, calls=["KYC_Verification"])  # fmt: skip
    assert (await results(flow, {}, child, region="eu-west-1"))["score"] == 7

"""Steps that call other workflows and processes: by directive, as SUB_WORKFLOW, started and awaited, or let go."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from remit import Budget, DomainError, Remit, SystemFailure, process
from remit.durable import sleep
from remit.workflows import StartSubWorkflowDirective, StepContext
from tests.laws.scene import every, wait_until
from tests.workflows.making import compiled, results, run


class Order(BaseModel):
    order_id: str = "o-1"
    amount: Decimal = Decimal("12.50")
    warehouse: str | None = None
    spawned_workflow_id: str | None = None


def starts(workflow_type: str, **more: Any) -> Any:
    """A step function that starts a child."""

    def start(state: Any) -> None:
        raise StartSubWorkflowDirective(workflow_type, {"order_id": "o-1"}, **more)

    return start


def look(state: Any, context: StepContext) -> dict[str, Any]:
    """What a step sees of the children before it."""
    return {"seen": dict(state.sub_workflow_results), "previous": context.previous_step_result}


LOOK = {"name": "Look", "function": look}
stock = compiled("Stock", {"name": "Reserve", "function": lambda state: {"allocated": True, "order": state.order_id}})
RESERVED = {"allocated": True, "order": "o-1"}


class Asked(BaseModel):
    order_id: str


class Priced(BaseModel):
    total: Decimal


@process("pricing", version="2.1.0")
async def pricing(asked: Asked) -> Priced:
    return Priced(total=Decimal("9.90"))


@process("refuses")
async def refuses(_: dict[str, Any]) -> None:
    raise DomainError("out_of_stock")


async def test_L36_the_result_of_a_child_is_found_by_the_step_and_by_its_type() -> None:
    order = compiled("Order", {"name": "Allocate", "function": starts("Stock")}, LOOK, state=Order, calls=["Stock"])
    found = await results(order, None, stock)
    assert found == {"seen": {"Allocate": RESERVED, "Stock": RESERVED}, "previous": RESERVED}


async def test_L36_asking_for_an_ambiguous_type_is_an_error_that_names_the_steps() -> None:
    asked: list[Any] = []

    def ask_all(state: Any) -> dict[str, Any]:
        found = state.sub_workflow_results
        for ask in (lambda: found["Stock"], lambda: found.get("Stock"), lambda: "Stock" in found):
            with pytest.raises(DomainError) as caught:
                ask()
            asked.append((caught.value.code, caught.value.details["steps"]))
        with pytest.raises(KeyError):
            found["Nothing"]
        return {"by_step": [found["First"], found["Second"], found.get("Nothing", "default")]}

    steps = [{"name": name, "function": starts("Stock")} for name in ("First", "Second")]
    order = compiled("Order", *steps, {"name": "Ask", "function": ask_all}, calls=["Stock"])
    assert await results(order, {}, stock) == {"by_step": [RESERVED, RESERVED, "default"]}
    assert asked == [("ambiguous_result", ["First", "Second"])] * 3
    for reads in (
        {"type": "DECISION", "routes": [{"condition": "state.sub_workflow_results.Stock.allocated", "target": "First"}]},
        {"type": "FIRE_AND_FORGET", "target_workflow_type": "Stock",
         "initial_data_template": {"was": "{{ state.sub_workflow_results.Stock.allocated }}"}},
    ):  # fmt: skip
        outcome = await run(compiled("Order", *steps, {"name": "Read", **reads}, calls=["Stock"]), {}, stock)
        assert outcome.error is not None
        assert outcome.error.code == "ambiguous_result"


async def test_L36_a_model_that_declares_the_results_itself_gets_them_too() -> None:
    class Declared(BaseModel):
        sub_workflow_results: dict[str, Any] = {}

    order = compiled("Order", {"name": "Allocate", "function": starts("Stock")}, LOOK, state=Declared, calls=["Stock"])
    assert (await results(order, None, stock))["seen"]["Stock"] == RESERVED


async def test_L36_output_maps_the_result_into_the_state_and_input_chooses_what_is_passed() -> None:
    step = {
        "name": "Price",
        "type": "SUB_WORKFLOW",
        "sub_workflow_type": "pricing",
        "version": "^2",
        "input": {"order_id": "state.order_id"},
        "output": {"amount": "result.total", "warehouse": "'of ' + state.order_id"},
    }
    order = compiled("Order", step, LOOK, state=Order, result={"amount": "state.amount", "warehouse": "state.warehouse"})
    assert await results(order, {}, pricing) == {"amount": "9.90", "warehouse": "of o-1"}


async def test_L40_a_version_that_is_not_there_rejects_the_call() -> None:
    step = {"name": "Price", "type": "SUB_WORKFLOW", "sub_workflow_type": "pricing", "version": "^3", "input": {}}
    outcome = await run(compiled("Order", step), {}, pricing)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("failed", "no_matching_version")


async def test_L6_a_workflow_calls_only_what_it_declares() -> None:
    order = compiled("Order", {"name": "Allocate", "function": starts("Stock")}, calls=["Pricing@^1"])
    async with Remit(":memory:", processes=[order, stock]) as app:
        execution = await app.start(order, {})
        outcome = await execution.outcome(timeout=5)
        assert outcome.error is not None
        assert outcome.error.code == "undeclared_call"
        assert (await execution.record()).status == "FAILED_CHILD_WORKFLOW"


async def test_L19_a_failure_of_the_child_is_handled_where_on_failure_says() -> None:
    seen: list[Any] = []

    def handle(state: Any, context: StepContext) -> dict[str, Any]:
        seen.append((state.step_failures["Allocate"], context.previous_step_result))
        return {"status": "backordered"}

    order = compiled(
        "Order",
        {"name": "Allocate", "function": starts("refuses"), "on_failure": {"target_step": "Handle"}},
        {"name": "Skipped", "function": lambda state: {"skipped": False}},
        {"name": "Handle", "function": handle},
        state=Order,
        calls=["refuses"],
    )
    failure = {"code": "out_of_stock", "message": "out_of_stock", "error_class": "DOMAIN"}
    assert await results(order, {}, refuses) == {"status": "backordered", "step_failures": {"Allocate": failure}}
    assert seen == [(failure, failure)]


async def test_L19_without_on_failure_the_parent_fails_with_its_child() -> None:
    order = compiled("Order", {"name": "Allocate", "function": starts("refuses")}, calls=["refuses"])
    async with Remit(":memory:", processes=[order, refuses]) as app:
        execution = await app.start(order, {})
        outcome = await execution.outcome(timeout=5)
        assert outcome.error is not None
        assert (outcome.error.code, outcome.error.origin) == ("out_of_stock", f"{execution.id}.1")
        assert (await execution.record()).status == "FAILED_CHILD_WORKFLOW"


async def test_L20_a_system_failure_is_never_handled() -> None:
    @process("broken")
    async def broken(_: dict[str, Any]) -> None:
        raise SystemFailure("the disk is on fire")

    step = {"name": "Call", "type": "SUB_WORKFLOW", "sub_workflow_type": "broken", "input": {}, "on_failure": "After"}
    order = compiled("Order", step, {"name": "After", "function": lambda state: {"handled": True}})
    outcome = await run(order, {}, broken)
    assert outcome.error is not None
    assert (outcome.status, outcome.error.code) == ("failed", "system_failure")


@pytest.mark.parametrize(
    ("named", "code"),
    [({"owner_id": "stores"}, "cross_tenant"), ({"data_region": "us"}, "region_violation")],
)
async def test_L44_another_owner_or_region_ends_the_chain_and_raises_an_alert(named: dict[str, str], code: str) -> None:
    child = compiled(
        "Child", {"name": "Call", "function": starts("Stock", **named), "on_failure": "After"},
        {"name": "After", "function": lambda state: {"handled": True}}, calls=["Stock"],
    )  # fmt: skip
    root = compiled("Root", {"name": "Call", "function": starts("Child"), "on_failure": "Call"}, calls=["Child"])
    async with Remit(":memory:", processes=[root, child, stock]) as app:
        execution = await app.start(root, {}, tenant="acme", owner="sales", region="eu")
        outcome = await execution.outcome(timeout=5)
        assert outcome.error is not None
        assert (outcome.error.error_class, outcome.error.code) == ("SYSTEM", code)
        assert [alert.code for alert in await app.alerts(code=code)] == [code]
        assert sorted(await every(app, execution.id)) == ["", ".1"]


@pytest.mark.parametrize("owner", ["sales", "acme", None])
async def test_L44_the_own_owner_tenant_and_region_are_accepted(owner: str | None) -> None:
    order = compiled("Order", {"name": "Call", "function": starts("Stock", owner_id=owner, data_region="eu")}, calls=["Stock"])
    async with Remit(":memory:", processes=[order, stock]) as app:
        execution = await app.start(order, {}, tenant="acme", owner="sales", region="eu")
        assert (await execution.outcome(timeout=5)).ok
        child = (await every(app, execution.id))[".1"]
        assert (child.tenant, child.owner, child.region) == ("acme", "sales", "eu")


async def test_L14_a_child_that_was_started_is_awaited_later() -> None:
    order = compiled(
        "Order",
        {"name": "Start", "type": "SUB_WORKFLOW", "sub_workflow_type": "pricing", "mode": "async",
         "input": {"order_id": "state.order_id"}},
        {"name": "Own", "function": lambda state: {"child": state.spawned_workflow_id}},
        {"name": "Await", "type": "AWAIT", "child": "Start", "output": {"amount": "result.total"}},
        {"name": "Status", "type": "AWAIT", "child": "Start", "want": "status", "output_key": "child_status"},
        LOOK,
        state=Order,
    )  # fmt: skip
    async with Remit(":memory:", processes=[order, pricing]) as app:
        execution = await app.start(order, {})
        found = (await execution.outcome(timeout=5)).unwrap()
    assert found["child"] == f"{execution.id}.1"
    assert (found["amount"], found["child_status"]) == ("9.90", "COMPLETED")
    assert found["seen"] == {"Start": {"total": "9.90"}, "pricing": {"total": "9.90"}}


async def test_an_await_without_a_start_is_a_failure() -> None:
    order = compiled(
        "Order",
        {"name": "Skip", "type": "JUMP", "target_step": "Await"},
        {"name": "Start", "type": "SUB_WORKFLOW", "sub_workflow_type": "pricing", "mode": "async", "input": {}},
        {"name": "Await", "type": "AWAIT", "child": "Start"},
    )
    outcome = await run(order, {}, pricing)
    assert outcome.error is not None
    assert outcome.error.code == "not_started"


async def test_L19_an_awaited_child_that_fails_is_handled_at_the_await() -> None:
    order = compiled(
        "Order",
        {"name": "Start", "type": "SUB_WORKFLOW", "sub_workflow_type": "refuses", "mode": "async", "input": {}},
        {"name": "Await", "type": "AWAIT", "child": "Start", "on_failure": "Handle"},
        {"name": "Handle", "function": lambda state: {"code": state.step_failures["Await"]["code"]}},
    )
    assert (await results(order, {}, refuses))["code"] == "out_of_stock"


async def test_what_is_fired_and_forgotten_goes_on_when_the_workflow_is_cancelled() -> None:
    @process("mail")
    async def mail(letter: dict[str, Any]) -> str:
        await sleep(0.2)
        return str(letter["to"])

    order = compiled(
        "Order",
        {"name": "Mail", "type": "FIRE_AND_FORGET", "target_workflow_type": "mail",
         "initial_data_template": {"to": "{{ state.order_id }}", "subject": "Order {{ state.order_id }}"}},
        {"name": "Wait", "type": "WAIT", "duration": "1h"},
        state=Order,
    )  # fmt: skip
    async with Remit(":memory:", processes=[order, mail]) as app:
        execution = await app.start(order, {})
        await wait_until(app, execution.id, "PENDING_ASYNC")
        await app.cancel(execution.id)
        assert (await app.outcome(f"{execution.id}.1", timeout=5)).unwrap() == "o-1"
        assert (await app.get(f"{execution.id}.1")).input == {"to": "o-1", "subject": "Order o-1"}


async def test_L22_a_child_that_takes_too_long_is_timed_out_and_the_step_says_what_then() -> None:
    @process("slow")
    async def slow(_: dict[str, Any]) -> None:
        import asyncio

        await asyncio.sleep(30)

    call = {"name": "Call", "type": "SUB_WORKFLOW", "sub_workflow_type": "slow", "input": {}, "timeout": 0.1}
    after = {"name": "After", "function": lambda state: {"seen": state.step_failures["Call"]["code"]}}
    handled = await results(compiled("Order", {**call, "on_timeout": "After"}, after), {}, slow)
    assert handled["seen"] == "lease_expired"
    valued = await results(compiled("Order", {**call, "on_timeout": {"value": {"status": "late"}}}), {}, slow)
    assert valued == {"status": "late"}
    outcome = await run(compiled("Order", call), {}, slow)
    assert outcome.error is not None
    assert outcome.error.code == "lease_expired"


async def test_L25_a_step_says_what_its_call_may_cost() -> None:
    call = {"name": "Call", "type": "SUB_WORKFLOW", "sub_workflow_type": "pricing", "input": {"order_id": "state.order_id"}}
    order = compiled("Order", {**call, "estimate": 500, "budget": {"cost": "0.10"}}, state=Order)
    async with Remit(":memory:", processes=[order, pricing]) as app:
        execution = await app.start(order, {}, budget=Budget(tokens=1_000))
        assert (await execution.outcome(timeout=5)).ok
        child = (await every(app, execution.id))[".1"]
        assert (child.budget["estimate_tokens"], child.budget["cost"]) == (500, "0.10")
        small = await app.start(order, {}, budget=Budget(tokens=100))
        outcome = await small.outcome(timeout=5)
        assert outcome.error is not None
        assert outcome.error.code == "budget_exceeded"


async def test_an_await_has_a_timeout_which_ends_the_child() -> None:
    @process("slow")
    async def slow(_: dict[str, Any]) -> None:
        await sleep("1h")

    order = compiled(
        "Order",
        {"name": "Start", "type": "SUB_WORKFLOW", "sub_workflow_type": "slow", "mode": "async", "input": {}},
        {"name": "Await", "type": "AWAIT", "child": "Start", "timeout": 0.1, "on_timeout": "Late"},
        {"name": "Late", "function": lambda state: {"code": state.step_failures["Await"]["code"]}},
    )
    async with Remit(":memory:", processes=[order, slow]) as app:
        execution = await app.start(order, {})
        assert (await execution.outcome(timeout=5)).unwrap()["code"] == "step_timeout"
        assert (await app.get(f"{execution.id}.1")).status == "CANCELLED"


async def test_the_function_of_a_step_that_calls_runs_before_the_call() -> None:
    def prepare(state: Order) -> dict[str, Any]:
        return {"warehouse": f"for {state.order_id}"}

    call = {"name": "Call", "type": "SUB_WORKFLOW", "sub_workflow_type": "Stock", "function": prepare,
            "input": {"order_id": "state.warehouse"}}  # fmt: skip
    found = await results(compiled("Order", call, LOOK, state=Order), {}, stock)
    assert (found["warehouse"], found["seen"]["Stock"]["order"]) == ("for o-1", "for o-1")

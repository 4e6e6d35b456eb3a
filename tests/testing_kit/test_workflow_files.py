"""Workflow files under the kit: their steps, compensations and children are faked by name, and their time passes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from remit import DefinitionError, TransientError
from remit.testing import (
    HistoryMismatch,
    TestApp,
    assert_called,
    assert_not_called,
    assert_tree,
    export_history,
    hangs,
    in_turn,
    replay,
)
from remit.workflows import StartSubWorkflowDirective, StepContext, WorkflowJumpDirective
from tests.workflows.shops import write

ORDER = """
    workflow_type: Order
    saga_enabled: true
    initial_state_model: {type: object, properties: {order_id: {type: string}, total: {type: integer}, warehouse: {}, approved: {}}}
    steps:
      - {name: Price, function: steps.price, compensate_function: steps.forget, retry: {attempts: 3, first: 1h, max_delay: 2h}}
      - {name: Look_Up, function: steps.look_up}
      - {name: Cool_Off, type: WAIT, duration: 2d}
      - {name: Allocate, type: SUB_WORKFLOW, sub_workflow_type: Allocation, input: {order_id: state.order_id}, output: {warehouse: result.warehouse}}
      - {name: Approve, type: HUMAN_IN_LOOP, prompt: Ship?, schema: {type: object, properties: {approved: {type: boolean}}}}
      - {name: Ship, function: steps.ship}
"""
ALLOCATION = """
    workflow_type: Allocation
    initial_state_model: {type: object, properties: {order_id: {type: string}}}
    steps:
      - {name: Find, function: steps.find}
"""
STEPS = """
    from remit import tool

    def price(state, context):
        raise RuntimeError("the real price was asked for")

    def forget(state):
        raise RuntimeError("the real price was told to forget")

    @tool("stock", cost="0.01")
    async def look_up(state):
        raise RuntimeError("the real stock was looked up")

    async def find(state):
        return {"warehouse": "real"}

    def ship(state, context):
        raise RuntimeError("the real truck was sent")
"""
FAKES = {
    "steps": {"Price": {"total": 42}, "Ship": None},
    "tools": {"stock": {}},
    "answers": {"Approve": {"approved": True}},
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write(tmp_path / "shop", order__yaml=ORDER, allocation__yaml=ALLOCATION, steps__py=STEPS)


async def test_L36_steps_are_faked_by_the_names_that_the_file_gives_them(home) -> None:
    async with TestApp([home], **FAKES) as app:
        outcome = await app.run("Order", {"order_id": "A-1"})
        result = outcome.unwrap()
        assert (result["total"], outcome.usage.own.cost) == (42, "0.01")
        assert app.clock.elapsed == timedelta(days=2)
        tree = await app.tree(outcome.execution_id or "")
        assert_tree(tree, "Order COMPLETED $0.01\n  Allocation COMPLETED")
        assert_called(app.calls, "Price", times=1, having={"state": {"order_id": "A-1"}})
        assert [made.name for made in app.calls] == ["Price", "stock", "Allocation", "Find", "Ship"]
        assert [made.name for made in app.calls if not made.faked] == ["Allocation", "Find"]


async def test_L36_a_function_is_called_with_as_much_as_it_takes(home) -> None:
    seen = []

    def with_context(state, context: StepContext):
        seen.append((state.order_id, context.step_name))
        return {"total": 1}

    async def with_state(state):
        seen.append(state.total)
        state.total += 1

    fakes = {
        **FAKES,
        "steps": {"Price": with_context, "Ship": lambda: {"shipped": True}},
        "tools": {"stock": with_state},
    }
    async with TestApp([home], **fakes) as app:
        assert (await app.run("Order", {"order_id": "A-1"})).unwrap()["shipped"]
    assert seen == [("A-1", "Price"), 1]


async def test_L36_a_fake_may_raise_a_directive(home) -> None:
    steps = {
        "Price": WorkflowJumpDirective(target_step_name="Ship", result={"total": 7}),
        "Ship": StartSubWorkflowDirective("Allocation", {"order_id": "B-2"}),
    }
    async with TestApp([home], steps=steps) as app:
        outcome = await app.run("Order", {"order_id": "A-1"})
        assert_tree(await app.tree(outcome.execution_id or ""), "Order COMPLETED\n  Allocation COMPLETED")
        assert_not_called(app.calls, "stock")


async def test_L18_a_step_s_own_retry_passes_in_the_clock_s_time(home) -> None:
    fakes = {
        **FAKES,
        "steps": {"Price": in_turn(TransientError("down"), TransientError("down"), {"total": 1}), "Ship": {}},
    }
    async with TestApp([home], **fakes) as app:
        assert (await app.run("Order", {"order_id": "A-1"})).ok
        assert_called(app.calls, "Price", times=3)


async def test_L36_a_result_that_breaks_the_state_s_model_fails_as_the_real_one_would(home) -> None:
    async with TestApp([home], steps={"Price": {"total": "much"}}) as app:
        outcome = await app.run("Order", {"order_id": "A-1"})
        assert outcome.error is not None
        assert outcome.error.code in {"contract_violation", "invalid_state"}


async def test_L37_compensations_of_workflow_steps_are_faked_by_their_functions_names(home) -> None:
    undone = []

    def forgets(result, **_):
        undone.append(result)

    fakes = {**FAKES, "steps": {"Price": {"total": 42}, "Ship": LookupError("no truck")}}
    async with TestApp([home], compensations={"forget": forgets}, **fakes) as app:
        execution = await app.start("Order", {"order_id": "A-1"})
        assert (await execution.compensated()).shown_status == "FAILED_ROLLED_BACK"
    assert [each["result"] for each in undone] == [{"total": 42}]


async def test_a_child_workflow_is_faked_by_its_type(home) -> None:
    for child, warehouse in (({"warehouse": "fake"}, "fake"), (hangs, None)):
        async with TestApp([home], children={"Allocation": child}, **FAKES) as app:
            outcome = await app.run("Order", {"order_id": "A-1"})
            tree = await app.tree(outcome.execution_id or "")
            assert (outcome.ok, tree.children[0].status) == ((True, "COMPLETED") if warehouse else (False, "TIMED_OUT"))


@pytest.mark.parametrize(
    ("fakes", "told"),
    [
        ({"steps": {"Pirce": {}}}, "did you mean 'Price'"),
        ({"steps": {"stock": {}}}, "it is a tool"),
        ({"compensations": {"forgot": {}}}, "did you mean 'forget'"),
        ({"children": {"Alocation": {}}}, "did you mean 'Allocation'"),
    ],
    ids=str,
)
def test_misspelt_names_are_refused(home, fakes, told) -> None:
    with pytest.raises(DefinitionError, match=told):
        TestApp([home], **fakes)


async def test_L11_a_workflow_file_that_changed_is_found_by_replay(home, tmp_path) -> None:
    async with TestApp([home], **FAKES) as app:
        outcome = await app.run("Order", {"order_id": "A-1"})
        history = await export_history(app, outcome.execution_id or "")
    again = await replay(history, [home])
    assert [(each.process, each.status, each.goes_on_with) for each in again] == [
        ("Order", "COMPLETED", ()),
        ("Allocation", "COMPLETED", ()),
    ]
    changed = ORDER.replace("name: Look_Up, function: steps.look_up", "name: Looked_Up, function: steps.find")
    other = write(tmp_path / "changed", order__yaml=changed, allocation__yaml=ALLOCATION, steps__py=STEPS)
    with pytest.raises(HistoryMismatch, match=r"recorded: tool stock(.|\n)*actual:   step Looked_Up"):
        await replay(history, [other])

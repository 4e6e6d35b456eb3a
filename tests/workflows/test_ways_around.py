"""Directives in the body of a loop, and what files try to get around: the types of children, cycles and sizes (L6, L36, L48)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from remit import Budget, Remit, Usage, model, process
from remit.workflows import StartSubWorkflowDirective, WorkflowJumpDirective
from remit.workflows.load import load
from tests.workflows.making import compiled, run


async def test_L36_directives_in_a_loop_start_a_child_for_each_item_and_jump_out_of_it() -> None:
    def call(state: Any, context: Any) -> None:
        raise StartSubWorkflowDirective("Child", {"n": context.loop_item})

    def leave(state: Any, context: Any) -> None:
        if context.loop_item == 2:
            raise WorkflowJumpDirective("After")

    def double(state: Any) -> dict[str, Any]:
        return {"doubled": state.n * 2}

    def after(state: Any) -> dict[str, Any]:
        return {"last": state.sub_workflow_results["Call"]["doubled"]}

    child = compiled("Child", {"name": "Double", "function": double})
    body = [{"name": "Call", "function": call}, {"name": "Leave", "function": leave}]
    loop = {"name": "Each", "type": "LOOP", "mode": "ITERATE", "iterate_over": "state.items", "max_iterations": 9, "loop_body": body}
    parent = compiled("Parent", loop, {"name": "After", "function": after}, calls=["Child"])
    outcome = await run(parent, {"items": [1, 2, 3]}, child)
    assert outcome.unwrap()["last"] == 4


@pytest.mark.parametrize(
    "call",
    ["sub_workflow_type: '{{ state.kind }}'", "sub_workflow_type: {a: b}", "sub_workflow_type: [Self]"],
)
def test_L6_a_child_s_type_is_written_out_and_never_worked_out(tmp_path: Path, call: str) -> None:
    (tmp_path / "self.yaml").write_text(
        f"workflow_type: Self\nsteps:\n  - name: Again\n    type: SUB_WORKFLOW\n    {call}\n"
    )
    assert load([tmp_path]).errors


def test_L6_an_anchor_hides_no_cycle(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        "workflow_type: &me One\nsteps:\n  - name: Again\n    type: SUB_WORKFLOW\n    sub_workflow_type: *me\n"
    )
    assert "cycle_detected" in {each.code for each in load([tmp_path]).errors}


def test_L48_anchors_that_multiply_are_given_up_at_their_full_size(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (tmp_path / "laughs.yaml").write_text("workflow_type: Laughs\n" + "\n".join(lines) + "\nsteps: []\n")
    assert [each.code for each in load([tmp_path / "laughs.yaml"]).errors] == ["yaml_too_large"]


async def test_L48_more_items_than_a_step_takes_are_refused_before_anything_is_done() -> None:
    ran: list[int] = []

    async def each(state: Any, item: int) -> None:
        ran.append(item)

    step = {"name": "Each", "type": "PARALLEL", "iterate_over": "items", "task_function": each, "batch_size": 1}
    outcome = await run(compiled("Flow", {**step, "allow_partial_success": True}), {"items": list(range(5_001))})
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.details["limit"], outcome.error.details["current"]) == ("limit_exceeded", 5_000, 5_001)
    assert ran == []


@model("thinker", max_input_tokens=5, max_tokens=5)
async def think() -> tuple[str, Usage]:
    return "so", Usage(input_tokens=5, output_tokens=5)


@process("thinks", estimate=10)
async def thinks(_: dict[str, Any]) -> None:
    await think()


GENEROUS = {"sub_workflow_type": "thinks", "input": {}, "estimate": 0, "budget": 1_000_000}
BEYOND = {
    "one after the other": [{"name": f"Call_{at}", "type": "SUB_WORKFLOW", **GENEROUS, "on_failure": f"Call_{at + 1}"} for at in range(6)],
    "side by side": [{"name": "Call", "type": "PARALLEL", "allow_partial_success": True,
                      "tasks": [{"name": f"task_{at}", **GENEROUS} for at in range(6)]}],
    "in a loop": [{"name": "Call", "type": "LOOP", "mode": "WHILE", "while_condition": "True", "max_iterations": 6,
                   "loop_body": [{"name": "Inside", "type": "SUB_WORKFLOW", **GENEROUS, "on_failure": "Next"},
                                 {"name": "Next", "type": "WAIT", "duration": 0}]}],
    "without waiting": [{"name": f"Fire_{at}", "type": "FIRE_AND_FORGET", "target_workflow_type": "thinks", "estimate": 0}
                        for at in range(6)] + [{"name": "Call_6", "type": "WAIT", "duration": 0.3}],
}  # fmt: skip


@pytest.mark.parametrize("way", BEYOND)
async def test_L24_no_budget_or_estimate_of_a_step_gets_past_the_limit_of_the_root(way: str) -> None:
    end = {"name": "Call_6" if way == "one after the other" else "End", "type": "WAIT", "duration": 0}
    flow = compiled("Flow", *BEYOND[way], end)
    async with Remit(":memory:", processes=[flow, thinks]) as app:
        execution = await app.start(flow, {}, budget=Budget(tokens=30))
        await execution.outcome(timeout=5)
        tree = await app.tree(execution.id)
    spent = [child.usage.own.tokens for child in tree.children]
    assert (sum(spent), tree.usage.subtree.tokens) == (30, 30)
    assert {child.error.code for child in tree.children if child.error is not None} <= {"budget_exhausted"}

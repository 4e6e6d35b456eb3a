"""Directives in the body of a loop, and what files try to get around: the types of children, cycles and sizes (L6, L36, L48)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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

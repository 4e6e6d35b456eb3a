"""What the documents advise, `remit check` says: no cycles, not too deep, not too small, not the whole state (L5, L38)."""

from __future__ import annotations

from pathlib import Path

import pytest

from remit import Remit
from remit.workflows import WorkflowInvalid
from remit.workflows.load import Loaded, load
from tests.workflows.seed_scene import write

ADVICE = {"cycle_detected", "deep_nesting", "small_child", "whole_state"}


def checked(directory: Path, functions: str, **workflows: str) -> Loaded:
    """The workflows and what is said of them."""
    return load([write(directory, functions, **workflows)])


def advice(found: Loaded) -> list[str]:
    """The codes of the findings that this file is about."""
    return [each.code for each in found.findings if each.code in ADVICE]


def calling(name: str, below: str | None) -> str:
    """A workflow of three steps, the middle one a call."""
    call = f"type: SUB_WORKFLOW, sub_workflow_type: {below}" if below else "function: steps.noted"
    noted = "function: steps.noted"
    return f"workflow_type: {name}\nsteps:\n  - {{name: A, {noted}}}\n  - {{name: B, {call}}}\n  - {{name: C, {noted}}}\n"


def test_L5_a_cycle_is_refused_when_it_is_loaded_naming_the_workflow_and_the_path(tmp_path: Path) -> None:
    cyclic = {"a": calling("A", "B"), "b": calling("B", "C"), "c": calling("C", "A")}
    found = checked(tmp_path, "", **cyclic)
    [cycle] = found.errors
    assert (cycle.code, Path(cycle.position.file).name, cycle.position.line) == ("cycle_detected", "c.yaml", 4)
    assert "A -> B -> C -> A" in cycle.message
    assert cycle.message.startswith("Step 'B' calls 'A'")
    with pytest.raises(WorkflowInvalid, match="A -> B -> C -> A"):
        Remit(":memory:", processes=[tmp_path])
    (tmp_path / "c.yaml").write_text(calling("C", None))
    assert advice(load([tmp_path])) == []


@pytest.mark.parametrize(("levels", "expected"), [(2, []), (3, []), (4, ["deep_nesting"]), (5, ["deep_nesting"])])
def test_L3_more_than_three_levels_are_warned_about(tmp_path: Path, levels: int, expected: list[str]) -> None:
    names = [f"Level{number}" for number in range(levels + 1)]
    files = {name: calling(name, below) for name, below in zip(names, [*names[1:], None], strict=True)}
    found = checked(tmp_path, "", **files)
    assert (advice(found), found.errors) == (expected, ())
    assert all(f"nest {levels} levels deep" in each.message for each in found.warnings if each.code == "deep_nesting")


@pytest.mark.parametrize(("steps", "expected"), [(1, ["small_child"]), (2, ["small_child"]), (3, []), (10, [])])
def test_L38_a_child_of_one_or_two_steps_is_warned_about(tmp_path: Path, steps: int, expected: list[str]) -> None:
    child = "workflow_type: Child\nsteps:\n" + "".join(f"  - {{name: S{n}, function: steps.noted}}\n" for n in range(steps))
    assert advice(checked(tmp_path, "", parent=calling("Parent", "Child"), child=child)) == expected


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        ("state.dict()", ["whole_state"]),
        ("state.model_dump()", ["whole_state"]),
        ("{'order_id': state.order_id, 'items': state.items}", []),
    ],
)
def test_L38_passing_the_whole_state_in_code_is_warned_about(tmp_path: Path, passed: str, expected: list[str]) -> None:
    functions = f"""
        def allocate(state, context):
            raise StartSubWorkflowDirective(workflow_type="Child", initial_data={passed})
        """
    parent = calling("Parent", None).replace("name: B, function: steps.noted", "name: B, function: steps.allocate")
    assert advice(checked(tmp_path, functions, parent=parent, child=calling("Child", None))) == expected


@pytest.mark.parametrize(
    ("passed", "expected"), [("'{{ state }}'", ["whole_state"]), ("{order: state.order_id}", [])], ids=["whole", "part"]
)
def test_L38_passing_the_whole_state_in_a_map_is_warned_about(tmp_path: Path, passed: str, expected: list[str]) -> None:
    parent = calling("Parent", "Child").replace("sub_workflow_type: Child", f"sub_workflow_type: Child, input: {passed}")
    assert advice(checked(tmp_path, "", parent=parent, child=calling("Child", None))) == expected

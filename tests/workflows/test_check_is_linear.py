"""What a check takes grows with the file and no faster, whatever the file gets wrong (L48).

Counted in calls and not in seconds, so that a busy machine changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from remit.workflows.format.findings import did_you_mean, sparingly
from remit.workflows.load import Loaded, load

FUNCTION = "function: steps.one"


def _each(step: str) -> Callable[[int], str]:
    """A file of so many steps; `I` stands for a step's number, `N` for the next one's."""

    def text(count: int) -> str:
        steps = (f"  - {{{step.replace('I', str(at)).replace('N', str((at + 1) % count))}}}" for at in range(count))
        return "\n".join(["workflow_type: Hostile", "steps:", *steps, ""])

    return text


def _fields(count: int) -> str:
    known = ", ".join(f"field_{at}: {{}}" for at in range(count))
    head = f"initial_state_model: {{properties: {{{known}}}, additionalProperties: false}}\n"
    return head + _each("name: S_I, type: WAIT, duration: '{{ state.feeld_I }}'")(count)


def _listed(what: str, of: str) -> Callable[[int], str]:
    def text(count: int) -> str:
        each = ", ".join(of.replace("I", str(at)) for at in range(count))
        return f"workflow_type: Hostile\nsteps:\n  - {{name: A, type: DECISION, {FUNCTION}, {what}: [{each}]}}\n"

    return text


FILES: dict[str, Callable[[int], str]] = {
    "nothing wrong": _each(f"name: S_I, {FUNCTION}"),
    "unknown targets": _each(f"name: Step_I, {FUNCTION}, next_step: Stepp_I"),
    "unknown targets of failures": _each(f"name: Step_I, {FUNCTION}, on_failure: Stepp_I"),
    "unknown functions": _each("name: S_I, function: steps.on_I"),
    "unknown keys": _each(f"name: S_I, {FUNCTION}, functon: a, nextstep: b, descripton: c"),
    "unknown fields": _fields,
    "unknown workflows": _each("name: S_I, type: SUB_WORKFLOW, sub_workflow_type: Child_I"),
    "unknown types": _each("name: S_I, type: STANDART"),
    "unknown children": _each("name: S_I, type: AWAIT, child: T_I"),
    "unknown dependencies": _listed("dependencies", "T_I"),
    "unknown routes": _listed("routes", "{condition: state.a > I, target: T_I}"),
    "bad expressions": _each("name: S_I, type: WAIT, duration: '{{ sttae.a }}'"),
    "one name": _each(f"name: S, {FUNCTION}"),
    "a round": _each("name: S_I, type: DECISION, routes: [{condition: state.a > I, target: S_0}, {default: S_N}]"),
    "filled fields": _each("name: S_I, type: HUMAN_IN_LOOP, output_key: out_I, prompt: '{{ state.out_N }}'"),
}


def _calls(what: Callable[[], Loaded]) -> int:
    """How many calls it makes, those into C included."""
    count = 0

    def counted(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(counted)
    try:
        what()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", FILES)
def test_L48_what_a_check_takes_grows_with_the_file_and_no_faster(name: str, tmp_path: Path) -> None:
    taken = []
    for count in (60, 240):
        directory = tmp_path / str(count)
        directory.mkdir()
        (directory / "steps.py").write_text("def one(state):\n    return {}\n")
        (directory / "hostile.yaml").write_text(FILES[name](count))
        load([directory])
        taken.append(_calls(lambda directory=directory: load([directory])))  # type: ignore[misc]
    assert taken[1] < 6 * taken[0], f"four times the file takes {taken[1] / taken[0]:.1f} times the calls"


def test_L48_the_first_of_many_wrong_names_get_a_suggestion_and_all_are_told(tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text("def one(state):\n    return {}\n")
    (tmp_path / "hostile.yaml").write_text(FILES["unknown targets"](500))
    found = [each for each in load([tmp_path]).findings if each.code == "unknown_step"]
    assert len(found) == 500
    assert found[0].suggestion == "Step_0"
    assert 20 <= sum(each.suggestion is not None for each in found) < 500


def test_the_closest_of_many_names_is_found_wherever_the_slip_is() -> None:
    known = [f"Step_{number}" for number in range(900)] + ["Refund", "Ask_Manager"]
    for slip, meant in (("Refnud", "Refund"), ("efund", "Refund"), ("AskManager", "Ask_Manager"), ("Stepp_899", "Step_899")):
        assert did_you_mean(slip, known) == meant
    with sparingly():
        for _ in range(20):
            assert did_you_mean("Refnud", known) == "Refund"

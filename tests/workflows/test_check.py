"""The check of workflow files: each finding of the committed files, to the line and column, and nothing else."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

import pytest

from remit.errors import CODES
from remit.workflows.format.finding_codes import FINDING_CODES
from remit.workflows.format.findings import Finding
from remit.workflows.load import Loaded, load
from tests.house.sources import modules
from tests.workflows.expectations import BAD, GOOD, cases, expected, told


def write(directory: Path, **files: str) -> Path:
    """Files of a directory: `order="…"` becomes order.yaml, `steps_py` steps.py."""
    for name, text in files.items():
        ending = "steps.py" if name == "steps_py" else f"{name}.yaml"
        (directory / ending).write_text(textwrap.dedent(text))
    return directory


def found(loaded: Loaded, code: str) -> list[Finding]:
    return [each for each in loaded.findings if each.code == code]


@pytest.mark.parametrize("case", cases(BAD), ids=lambda case: case.name)
def test_a_bad_file_has_exactly_the_findings_that_it_announces(case: Path) -> None:
    assert sorted(map(told, load([case]).findings)) == expected(case)


@pytest.mark.parametrize("case", cases(GOOD), ids=lambda case: case.name)
def test_a_good_file_has_none(case: Path) -> None:
    loaded = load([case])
    assert loaded.findings == ()
    assert loaded.files != ()


@pytest.mark.parametrize("case", cases(BAD), ids=lambda case: case.name)
def test_findings_are_sorted_and_each_shows_the_text_that_it_is_about(case: Path) -> None:
    findings = load([case]).findings
    assert [each.position for each in findings] == sorted(each.position for each in findings)
    for each in findings:
        lines = Path(each.position.file).read_text().split("\n")
        assert 1 <= each.position.column <= len(lines[each.position.line - 1]) + 1
        assert not each.message.endswith(".")
        assert str(each).startswith(f"{each.position}: {each.severity}: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "1:1: error: There is nothing in this file: a workflow has a `workflow_type`, and `steps`"),
        ("# later\n", "1:1: error: There is nothing in this file"),
        ("workflow_type: W\nsteps:\n\t- name: A\n", "3:1: error: This is no YAML: .*: indent with spaces"),
    ],
)
def test_a_file_that_holds_nothing_or_tabs_is_told_what_to_write(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "w.yaml").write_text(text)
    [finding] = load([tmp_path / "w.yaml"]).findings
    assert re.search(told, str(finding))


def _codes() -> set[str]:
    """The codes that the source of the check names."""
    source = "\n".join(each.text for each in modules() if each.name.startswith("remit.workflows."))
    named = r'(?:report|warn|add|_error|Finding|SourceError)\(\s*(?:event,\s*)?"([a-z0-9_]+)"'
    return set(re.findall(named, source)) | {"cross_tenant", "region_violation", "unbounded_loop", "invalid_value"}


def test_every_code_of_a_finding_has_a_file_that_shows_it() -> None:
    """What the check can say is shown by a committed file, or by a test of the reader's own bounds."""
    shown = {line.split()[2] for case in cases(BAD) for line in expected(case)}
    here = Path(__file__)
    elsewhere = here.with_name("test_source.py").read_text() + here.with_name("test_load.py").read_text()
    assert {code for code in _codes() - shown if f'"{code}"' not in elsewhere} == set()


def test_every_code_of_a_finding_is_explained_and_no_other() -> None:
    assert _codes() - CODES.keys() == FINDING_CODES.keys()
    for entry in FINDING_CODES.values():
        assert entry.meaning.endswith(".")
        assert entry.mend.endswith(".")


def test_nothing_of_a_workflow_is_imported() -> None:
    """Every Python file beside the committed workflows fails when it is imported."""
    before = set(sys.modules)
    load([*cases(BAD), *cases(GOOD)])
    assert [
        name for name in set(sys.modules) - before if not name.startswith(("jsonschema", "referencing", "rpds", "attr"))
    ] == []


def test_L5_a_cycle_through_files_and_functions_is_told_with_its_whole_path() -> None:
    one, itself = found(load([BAD / "cycle"]), "cycle_detected")
    assert "Allocation -> Selection -> Order -> Allocation" in one.message
    assert "Selection -> Selection" in itself.message


def test_L6_without_calls_a_workflow_may_call_those_of_its_own_directory(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    caller = """
        workflow_type: Caller
        steps:
          - {name: Call, type: SUB_WORKFLOW, sub_workflow_type: Callee}
        """
    callee = """
        workflow_type: Callee
        steps: [{name: A, type: HUMAN_IN_LOOP}, {name: B, type: HUMAN_IN_LOOP}, {name: C, type: HUMAN_IN_LOOP}]
        """
    write(tmp_path / "here", caller=caller)
    write(tmp_path / "there", callee=callee)
    (finding,) = load([tmp_path / "here", tmp_path / "there"]).findings
    assert (finding.code, finding.text) == ("undeclared_call", "Callee")
    write(tmp_path / "here", callee=callee)
    assert load([tmp_path / "here"]).findings == ()


def test_L6_a_declared_process_is_looked_for_where_it_is_known_which_there_are(tmp_path: Path) -> None:
    caller = """
        workflow_type: Caller
        calls: ["Payment@^2", "tools.*"]
        steps:
          - {name: Pay, type: SUB_WORKFLOW, sub_workflow_type: Payment}
          - {name: Scan, type: SUB_WORKFLOW, sub_workflow_type: tools.scan}
        """
    write(tmp_path, caller=caller)
    assert load([tmp_path]).findings == ()
    assert load([tmp_path], processes={"Payment": "2.3.0", "tools.scan": "1.0.0"}).findings == ()
    assert [each.code for each in load([tmp_path], processes={"Payment": "1.0.0", "tools.scan": "1.0.0"}).findings] == [
        "no_matching_version"
    ]
    missing = load([tmp_path], processes={"Payments": "2.0.0"})
    assert {(each.code, each.suggestion) for each in missing.findings} == {
        ("unknown_process", "Payments"),
        ("unknown_process", None),
    }


def test_a_workflow_has_no_name_that_a_process_has_too(tmp_path: Path) -> None:
    write(tmp_path, a="{workflow_type: Order, steps: [{name: A, type: HUMAN_IN_LOOP}]}")
    (finding,) = load([tmp_path], processes={"Order": "1.0.0"}).findings
    assert finding.code == "duplicate_workflow"
    assert load([tmp_path], processes={"Order": "2.0.0"}).findings == ()


def test_a_child_in_a_file_that_was_not_given_is_hinted_at(tmp_path: Path) -> None:
    write(
        tmp_path,
        order="{workflow_type: Order, steps: [{name: Call, type: SUB_WORKFLOW, sub_workflow_type: SendNotifications}]}",
        send_notifications_workflow="{workflow_type: SendNotifications, steps: [{name: A, type: HUMAN_IN_LOOP}]}",
    )
    (finding,) = load([tmp_path / "order.yaml"]).findings
    assert finding.code == "unknown_process"
    assert "send_notifications_workflow.yaml" in finding.message


def test_L38_an_expression_is_refused_at_the_very_character() -> None:
    findings = found(load([BAD / "expressions.yaml"]), "bad_expression")
    lines = (BAD / "expressions.yaml").read_text().split("\n")
    pointed = [
        lines[each.position.line - 1][each.position.column - 1 :].split()[0]
        for each in findings
        if each.position.line > 4
    ]
    assert pointed == [
        "sate.country",
        "''Neill''",
        "__class__",
        "**",
        "kilos",
        '}}"',
        "results.price",
        "id!",
        "stat.x",
        "parcel.weight",
    ]


def test_L44_a_step_that_names_tenant_owner_or_region_is_refused_and_data_is_not() -> None:
    findings = load([BAD / "tenancy.yaml"]).findings
    assert [(each.code, each.text) for each in findings if each.code != "unknown_process"] == [
        ("cross_tenant", "tenant"),
        ("cross_tenant", "owner_id"),
        ("region_violation", "Region"),
        ("region_violation", "data_region"),
    ]


def test_a_function_that_jumps_where_its_source_does_not_say_makes_no_step_unreachable(tmp_path: Path) -> None:
    order = """
        workflow_type: Order
        steps:
          - {name: Steer, function: steps.steer}
          - {name: Leave, type: JUMP, target_step: End}
          - {name: Hidden, function: steps.idle}
          - {name: End, function: steps.idle}
        """
    code = """
        from remit.workflows import WorkflowJumpDirective
        def steer(state, context): raise WorkflowJumpDirective(%s)
        def idle(state, context): return {}
        """
    write(tmp_path, order=order, steps_py=code % "state.where")
    assert load([tmp_path]).findings == ()
    write(tmp_path, steps_py=code % "'Hidden' if state.x else 'End'")
    assert load([tmp_path]).findings == ()
    write(tmp_path, steps_py=code % "'End'")
    assert [(each.code, each.text) for each in load([tmp_path]).findings] == [("unreachable_step", "Hidden")]


def test_the_largest_workflow_is_checked_within_its_time(tmp_path: Path) -> None:
    """1,000 steps, each with a function, a dependency and a map."""
    steps = "".join(
        f"  - name: Step_{n}\n    type: DECISION\n    function: steps.book\n    dependencies: [Step_{max(n - 1, 0)}]\n"
        f"    routes:\n      - condition: state.n == {n}\n        target: Step_{min(n + 1, 999)}\n"
        for n in range(1_000)
    )
    write(tmp_path, steps_py="def book(state, context): return {}\n")
    (tmp_path / "long.yaml").write_text("workflow_type: Long\nsteps:\n" + steps)
    codes = {each.code for each in load([tmp_path]).findings}
    assert codes == {"missing_default", "dependency_order"}


@pytest.mark.parametrize("condition", ["1/0 > 1", "'a' * 3 == 1", "1 in 2", "'x' | round > 0"])
def test_L38_a_constant_condition_that_cannot_be_worked_out_does_not_stop_the_check(
    tmp_path: Path, condition: str
) -> None:
    write(
        tmp_path,
        decided=f"""
            workflow_type: Decided
            steps:
              - name: Look
                type: DECISION
                routes:
                  - condition: "{condition}"
                    target: Last
                  - default: Last
              - name: Last
                function: steps.last
        """,
        steps_py="def last(state): return {}",
    )
    assert not load([tmp_path]).errors

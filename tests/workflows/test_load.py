"""Files, directories and registries are loaded as a whole; what cannot be read says so and does not hide the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from remit.errors import DefinitionError
from remit.workflows import WorkflowInvalid
from remit.workflows.format.source import BYTES_MAX
from remit.workflows.load import load
from tests.workflows.expectations import BAD, GOOD

ONE = "workflow_type: One\nsteps: [{name: A, type: HUMAN_IN_LOOP}]\n"
TWO = "workflow_type: Two\nsteps: [{name: A, type: HUMAN_IN_LOOP}]\n"


def test_a_directory_is_loaded_as_a_whole() -> None:
    loaded = load([GOOD / "orders"])
    assert [each.name for each in loaded.files] == [
        "InventoryAllocation",
        "OrderProcessing",
        "PaymentProcessing",
        "PricingCalculation",
        "ShippingArrangement",
    ]
    assert {each.directory for each in loaded.files} == {GOOD / "orders"}


def test_a_registry_says_what_is_loaded_and_which_state_it_has() -> None:
    loaded = load([GOOD / "loan"])
    assert {each.name: each.workflow.initial_state_model for each in loaded.files} == {
        "LoanApplication": "state_models.LoanState",
        "KYC": "loan.state_models.KYCState",
    }
    same = load([GOOD / "loan" / "workflow_registry.yaml"])
    assert [each.path for each in same.files] == [each.path for each in loaded.files]


def test_a_file_that_is_named_twice_is_loaded_once(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    loaded = load([tmp_path / "one.yaml", tmp_path, tmp_path / ".." / tmp_path.name / "one.yaml"])
    assert len(loaded.files) == 1
    assert loaded.findings == ()


def test_what_is_no_workflow_is_passed_over_in_a_directory_and_not_where_it_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    (tmp_path / "compose.yml").write_text("services: {queue: {}}\n")
    (tmp_path / "notes.txt").write_text("workflow_type: none\n")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "two.yaml").write_text(TWO)
    assert [each.name for each in load([tmp_path]).files] == ["One"]
    assert load([tmp_path]).findings == ()
    assert {each.code for each in load([tmp_path / "compose.yml"]).errors} == {"missing_field"}


def test_other_yaml_in_a_directory_does_no_harm_whatever_it_holds(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    (tmp_path / "stack.yaml").write_text("Resources:\n  Queue: !Ref Other\n")
    (tmp_path / "pods.yaml").write_text("kind: Pod\n---\nkind: Pod\n")
    (tmp_path / "large.yaml").write_bytes(b"#" * (BYTES_MAX + 10))
    (tmp_path / "latin.yml").write_bytes(b"name: \xfc\n")
    assert load([tmp_path]).findings == ()
    (tmp_path / "broken.yaml").write_text("workflow_type: Two\nsteps: 'never closed\n")
    assert [(each.code, each.position.line) for each in load([tmp_path]).findings] == [("yaml_syntax", 2)]


def test_beside_a_registry_only_what_it_lists_must_be_sound(tmp_path: Path) -> None:
    (tmp_path / "workflow_registry.yaml").write_text("workflows: [{type: One, config_file: one.yaml}]\n")
    (tmp_path / "one.yaml").write_text(ONE)
    (tmp_path / "broken.yaml").write_text("workflow_type: Two\nsteps: [\n")
    loaded = load([tmp_path])
    assert [each.name for each in loaded.files] == ["One"]
    assert [each.code for each in loaded.findings] == ["unlisted_file"]
    (tmp_path / "one.yaml").write_text("workflow_type: [")
    assert [each.code for each in load([tmp_path]).errors] == ["yaml_syntax"]


def test_versions_of_one_workflow_stand_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    (tmp_path / "one_2.yaml").write_text(ONE + "workflow_version: 2.0.0\n")
    loaded = load([tmp_path])
    assert [each.workflow.workflow_version for each in loaded.files] == ["1.0.0", "2.0.0"]
    assert loaded.findings == ()


def test_an_app_that_opens_is_told_every_finding_at_once() -> None:
    loaded = load([BAD / "targets.yaml", BAD / "loops.yaml", BAD / "decisions.yaml"])
    with pytest.raises(WorkflowInvalid) as refused:
        loaded.require()
    error = refused.value
    assert isinstance(error, DefinitionError)
    assert error.code == "bad_definition"
    assert error.findings == loaded.findings
    assert [each["line"] for each in error.details["findings"]] == [each.position.line for each in loaded.errors]
    for each in loaded.errors:
        assert str(each) in str(error)
    assert load([GOOD / "orders"]).require() == load([GOOD / "orders"]).files


def test_warnings_alone_do_not_keep_a_workflow_from_running() -> None:
    loaded = load([BAD / "meanings.yaml"])
    assert len(loaded.warnings) == len(loaded.findings) > 0
    assert [each.name for each in loaded.require()] == ["Meaning"]


def test_a_step_that_cannot_be_read_does_not_hide_what_is_wrong_with_the_others(tmp_path: Path) -> None:
    (tmp_path / "mixed.yaml").write_text(
        "workflow_type: Mixed\nworkflow_version: none\nsteps:\n"
        "  - {name: Broken, type: LOOP}\n"
        "  - {name: Jump, type: JUMP, target_step: Brokn}\n"
        "  - {name: Also, type: HTTP}\n"
        "  - {name: Back, type: JUMP, target_step: Also}\n"
    )
    assert [(each.code, each.position.line) for each in load([tmp_path]).findings] == [
        ("invalid_value", 2),
        ("missing_field", 4),
        ("missing_field", 4),
        ("unbounded_loop", 4),
        ("unknown_step", 5),
        ("missing_field", 6),
    ]


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (b"workflow_type: One\nname: \xff\n", "not_utf8", (2, 1)),
        (b"#" * (BYTES_MAX + 1), "yaml_too_large", (1, 1)),
        (b"#" + "é".encode() * BYTES_MAX, "yaml_too_large", (1, 1)),
        ("workflow_type: One\n".encode("utf-16"), "not_utf8", (1, 1)),
        (b"", "invalid_value", (1, 1)),
        (b"[]", "invalid_value", (1, 1)),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_place(
    tmp_path: Path, content: bytes, code: str, place: tuple[int, int]
) -> None:
    (tmp_path / "one.yaml").write_bytes(content)
    (finding,) = load([tmp_path / "one.yaml"]).findings
    assert (finding.code, finding.severity) == (code, "error")
    assert (finding.position.line, finding.position.column) == place


def test_a_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    text = "workflow_type: One\r\nsteps:\r\n  - name: A\r\n    type: JUMP\r\n    target_step: B\r\n"
    (tmp_path / "one.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (finding,) = load([tmp_path]).findings
    assert (finding.code, finding.position.line, finding.position.column) == ("unknown_step", 5, 18)


def test_what_is_not_there_is_said_with_what_is_close(tmp_path: Path) -> None:
    (tmp_path / "order_processing.yaml").write_text(ONE)
    (finding,) = load([tmp_path / "order_procesing.yaml"]).findings
    assert (finding.code, finding.suggestion) == ("missing_file", "order_processing.yaml")
    (finding,) = load([tmp_path / "nowhere" / "x.yaml"]).findings
    assert (finding.code, finding.suggestion) == ("missing_file", None)


def test_a_directory_without_workflows_is_said_to_have_none(tmp_path: Path) -> None:
    assert [each.code for each in load([tmp_path]).findings] == ["no_workflow"]
    (tmp_path / "compose.yml").write_text("services: {}\n")
    assert [each.code for each in load([tmp_path]).findings] == ["no_workflow"]


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").symlink_to(tmp_path / "one.yaml")
    (tmp_path / "two.yaml").write_text(TWO)
    os.mkfifo(tmp_path / "pipe.yaml")
    loaded = load([tmp_path])
    assert [each.name for each in loaded.files] == ["Two"]
    (finding,) = load([tmp_path / "pipe.yaml"]).findings
    assert finding.code == "unreadable_file"


def test_findings_are_data_for_programs() -> None:
    first = load([BAD / "targets.yaml"]).findings[0]
    assert first.as_dict() == {
        "code": "unknown_step",
        "severity": "error",
        "message": "Step 'Decide' goes on at 'Aprove' (a route), but there is no such step",
        "file": str(BAD / "targets.yaml"),
        "line": 7,
        "column": 17,
        "text": "Aprove",
        "suggestion": "Approve",
    }

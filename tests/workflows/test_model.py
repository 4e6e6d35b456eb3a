"""The model of a workflow file: names, aliases and kinds of value, and the JSON Schema that is drawn from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import AliasChoices, ValidationError

from remit import Budget
from remit.kernel.retry import Retry
from remit.workflows.format.fields import Section
from remit.workflows.format.model import STEP_TYPES, RegistryEntry, Workflow, walk
from remit.workflows.format.published import SECTIONS, json_schema
from remit.workflows.format.source import SourceError, parse
from remit.workflows.load import load
from tests.house.sources import ROOT
from tests.workflows.expectations import BAD, GOOD, cases

# Findings that a schema cannot make: they are about names, order and what stands in texts.
FORM = {
    "missing_field",
    "missing_function",
    "invalid_value",
    "unknown_key",
    "unknown_step_type",
    "unsupported_step_type",
    "cross_tenant",
    "region_violation",
}
SAID_IN_WORDS = {"details.yaml", "schema_references.yaml", "answers.yaml"}


def step(**fields: Any) -> Any:
    return Workflow.model_validate({"workflow_type": "W", "steps": [{"name": "S", **fields}]}).steps[0]


def refusal(**fields: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        step(**fields)
    return str(refused.value)


def test_a_step_without_a_type_is_standard() -> None:
    assert step(function="steps.book").type == "STANDARD"


@pytest.mark.parametrize("name", STEP_TYPES)
def test_every_type_of_step_is_shown_by_a_committed_file(name: str) -> None:
    (loaded,) = load([GOOD / "every_step.yaml"]).files
    assert name in {each.type for _, each in walk(loaded.workflow.steps)}


@pytest.mark.parametrize(
    ("written", "version"),
    [
        ("1.2.3", "1.2.3"),
        ("1.0", "1.0.0"),
        ("2", "2.0.0"),
        (3, "3.0.0"),
        ("1.0.0rc3", "1.0.0-rc3"),
        ("1.0.0-beta.1", "1.0.0-beta.1"),
        ("1.2.3+build.7", "1.2.3+build.7"),
        ("01.2", "1.2.0"),
    ],
)
def test_a_version_becomes_a_semantic_one(written: Any, version: str) -> None:
    workflow = Workflow.model_validate(
        {"workflow_type": "W", "workflow_version": written, "steps": [{"name": "S", "function": "a.b"}]}
    )
    assert workflow.workflow_version == version


@pytest.mark.parametrize("written", ["one", "", "1.x", "v1", "1.2.3.4", "1..2", True, None, [1]])
def test_what_is_no_version_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        Workflow.model_validate(
            {"workflow_type": "W", "workflow_version": written, "steps": [{"name": "S", "function": "a.b"}]}
        )


def test_a_version_without_quotes_is_taken_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(
        "{workflow_type: W, workflow_version: 1.10, steps: [{name: A, type: HUMAN_IN_LOOP}]}"
    )
    assert load([tmp_path]).files[0].workflow.workflow_version == "1.10.0"


@pytest.mark.parametrize(
    ("fields", "field", "value"),
    [
        ({"next": "T"}, "next_step", "T"),
        ({"timeout_seconds": 5}, "timeout", 5),
        ({"timeout": "2d"}, "timeout", "2d"),
        ({"function": "a.b:c"}, "function", "a.b.c"),
        ({"automate_next": "yes"}, "automate_next", True),
        ({"automate_next": "off"}, "automate_next", False),
        ({"required_input": ["a", {"b": "float"}]}, "required_input", ["a", {"b": "float"}]),
    ],
)
def test_other_names_and_spellings_are_read(fields: dict[str, Any], field: str, value: Any) -> None:
    assert getattr(step(**{"function": "steps.book", **fields}), field) == value


def test_a_retry_is_a_rule_or_a_number() -> None:
    assert step(function="a.b", retry=5).retry.policy() == Retry(5)
    rule = {"max_attempts": 4, "delay_seconds": 2, "max_delay": "1m", "retry_on_timeout": True}
    assert step(function="a.b", retry=rule).retry.policy() == Retry(4, 2, "1m", retry_on_timeout=True)


def test_an_estimate_is_tokens_or_both() -> None:
    call = {"type": "SUB_WORKFLOW", "sub_workflow_type": "C"}
    assert step(**call, estimate=5).estimate.budget() == Budget(tokens=5)
    assert step(**call, budget={"tokens": 1, "cost": 0.5}).budget.budget() == Budget(tokens=1, cost="0.50")


def test_where_to_go_on_may_be_said_in_short() -> None:
    assert step(function="a.b", on_failure="T").on_failure.target_step == "T"
    assert step(type="HUMAN_IN_LOOP", on_timeout="T").on_timeout.target_step == "T"
    answer = step(type="HUMAN_IN_LOOP", on_timeout={"value": None}).on_timeout
    assert (answer.has_value, answer.value) == (True, None)


@pytest.mark.parametrize(
    ("route", "goal"),
    [
        ({"condition": "True", "target": "T"}, "T"),
        ({"condition": "True", "next_step": "T"}, "T"),
        ({"condition": "True", "next": "T"}, "T"),
        ({"default": "T"}, "T"),
    ],
)
def test_a_route_leads_to_its_goal(route: dict[str, str], goal: str) -> None:
    assert step(type="DECISION", routes=[route]).routes[0].goal == goal


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"function": "a.b", "timeout": True}, "no duration"),
        ({"function": "a.b", "timeout": "soon"}, "no duration"),
        ({"function": "steps"}, "no import path"),
        ({"function": "a.b; import os"}, "no import path"),
        ({"function": "a.b", "retry": True}, "valid dictionary"),
        ({"function": "a.b", "automate_next": "perhaps"}, "valid boolean"),
        ({"function": "a.b", "dependencies": [1]}, "valid string"),
        ({"type": "DECISION", "routes": [{"condition": "True"}]}, "a route needs"),
        ({"type": "DECISION", "routes": [{"default": "A", "target": "B"}]}, "a route is either"),
        ({"type": "PARALLEL"}, "a PARALLEL step has"),
        ({"type": "PARALLEL", "iterate_over": "a"}, "go together"),
        ({"type": "PARALLEL", "tasks": [{"name": "t", "function": "a.b", "sub_workflow_type": "C"}]}, "a task has either"),
        ({"type": "WAIT", "duration": 1, "key": "k"}, "belongs to `event`"),
        ({"type": "WAIT"}, "one of `duration`, `until` and `event`"),
        ({"type": "LOOP", "mode": "ITERATE", "while_condition": "a", "max_iterations": 1, "loop_body": [{"name": "B", "function": "a.b"}]}, "a loop with mode"),
        ({"type": "SUB_WORKFLOW", "sub_workflow_type": "C", "estimate": {"cost": "-1"}}, "no cost"),
        ({"function": "a.b", "dynamic_injection": {}}, "either `rules`, or `condition` and `steps`"),
        ({"function": "a.b", "dynamic_injection": {"condition": "True"}}, "either `rules`, or `condition` and `steps`"),
        ({"function": "a.b", "dynamic_injection": {"condition": "True", "steps": [{"name": "B", "function": "a.b"}],
                                                   "insert_after": "C"}}, "move it from 'S' to 'C'"),
        ({"type": "UNREADABLE"}, "does not match any of the expected tags"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(fields: dict[str, Any], told: str) -> None:
    assert told in refusal(**fields)


def test_a_workflow_cannot_be_changed_once_it_is_read() -> None:
    with pytest.raises(ValidationError):
        step(function="a.b").name = "other"


def test_walk_gives_every_step_with_its_place_outer_before_inner() -> None:
    (loaded,) = load([GOOD / "loan" / "loan.yaml"]).files
    places = {each.name: loc for loc, each in walk(loaded.workflow.steps)}
    assert places["Run_KYC_Workflow"] == ("steps", 3)
    inserted = ("steps", 4, "dynamic_injection", "rules", 0, "steps_to_insert", 1)
    assert places["Request_Human_Review"] == inserted
    assert list(places).index("Inject_Underwriting_Branch") < list(places).index("Run_Full_Underwriting")


# ------------------------------------------------------------------------------------------------- the published schema


def test_the_published_schema_is_drawn_from_the_model() -> None:
    """`remit check --schema > docs/workflow.schema.json` writes it anew."""
    assert json.loads((ROOT / "docs" / "workflow.schema.json").read_text()) == json_schema()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())


def _schema_errors(path: Path) -> list[str]:
    return [
        str(each.message) for each in Draft202012Validator(json_schema()).iter_errors(parse(path.read_text(), "f").data)
    ]


@pytest.mark.parametrize("path", sorted(GOOD.rglob("*.yaml")), ids=lambda path: path.name)
def test_a_file_without_findings_is_valid_by_the_schema(path: Path) -> None:
    if "workflows" not in parse(path.read_text(), "f").data:
        assert _schema_errors(path) == []


@pytest.mark.parametrize("path", [case for case in cases(BAD) if case.is_file()], ids=lambda path: path.name)
def test_the_schema_and_the_check_agree_on_the_form_of_a_file(path: Path) -> None:
    """A schema knows no order and reads no text, so that some of what the model says in words it lets through."""
    try:
        errors = _schema_errors(path)
    except SourceError:
        return
    form = {each.code for each in load([path]).findings} & FORM
    if errors or path.name not in SAID_IN_WORDS:
        assert bool(errors) == bool(form)


# ---------------------------------------------------------------------------------------------------------- the page


def _names(section: type[Section]) -> Iterator[str]:
    """Every name by which a field of a section goes."""
    for name, each in section.model_fields.items():
        alias = each.validation_alias
        yield from alias.choices if isinstance(alias, AliasChoices) else (alias or name,)


@pytest.mark.parametrize("section", [*SECTIONS, RegistryEntry], ids=lambda section: section.__name__)
def test_the_page_names_every_key(section: type[Section]) -> None:
    page = (ROOT / "docs" / "workflow-format.md").read_text()
    assert [name for name in map(str, _names(section)) if not re.search(rf"(?<![\w$]){re.escape(name)}\b", page)] == []


def test_the_page_has_a_row_for_every_type_of_step() -> None:
    page = (ROOT / "docs" / "workflow-format.md").read_text()
    assert re.findall(r"^\| ([A-Z_]+) \|", page, re.MULTILINE) == list(STEP_TYPES)

"""The published JSON Schema and the check say the same of a file's form, whatever is done to it."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from remit.workflows.format import schema
from remit.workflows.format.model import (
    STEP_TYPES,
    DynamicInjection,
    HttpConfig,
    InjectionRule,
    Route,
    Task,
    Workflow,
)
from remit.workflows.format.published import json_schema
from remit.workflows.format.source import parse
from tests.workflows.expectations import GOOD

VALIDATOR = Draft202012Validator(json_schema())
SECTIONS = (Workflow, Task, Route, HttpConfig, DynamicInjection, InjectionRule, *STEP_TYPES.values())
OTHER_NAMES = {
    "schema", "max_attempts", "function_path", "timeout_seconds", "next", "saga_mode", "initial_state_model_path", "delay",
    "$schema", "tenant", "owner_id", "delay_seconds", "target_step", "value",
}  # fmt: skip
KEYS = sorted({name for section in SECTIONS for name in section.model_fields} | OTHER_NAMES)
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3.5, 10**30, 1_001, "", "x", "state.items", "steps.book", "steps:book", "a:b:c", "1.0", "^1",
    "10m", "-1", "0", "abc", "item", "yes", "On", "sync", "SYNC", "While", "ITERATE", "Shallow", "Get", [], {}, ["x"], [1],
    {"a": 1}, {"target_step": "x"}, {"value": None}, {"default": "x"}, {"condition": "true", "target": "x"}, "a" * 201, "é",
    "é.x", " ", "0.10", "Infinity", {"attempts": 0}, {"attempts": 2, "max_attempts": 3}, "PREFER_OLD", "outcome", "steps.book\n",
    "W\n", "1.0.0-rc.1", "v1", "5ms\n", {"tokens": -1}, {"cost": "-1"}, "1s", "1.5h", "5", "PT1S", "STANDARD", "Asynch", "HTTP",
]  # fmt: skip


def _bases() -> list[dict[str, Any]]:
    found = [parse(path.read_text(), "f").data for path in sorted(GOOD.rglob("*.yaml"))]
    return [each for each in found if "steps" in each]


def _places(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from _places(value, (*at, key))


def _at(data: Any, place: tuple[Any, ...]) -> Any:
    for part in place:
        data = data[part]
    return data


def _mutate(data: dict[str, Any], draw: random.Random) -> None:
    place = draw.choice(list(_places(data)))
    parent, key, value = _at(data, place[:-1]), place[-1], copy.deepcopy(draw.choice(VALUES))
    match draw.randrange(4):
        case 0:
            parent[key] = value
        case 1:
            parent.pop(key)
        case 2 if isinstance(parent, dict):
            parent[draw.choice(KEYS)] = value
        case _ if isinstance(parent, dict):
            parent[draw.choice(KEYS)] = parent.pop(key)
        case _:
            parent.append(copy.deepcopy(parent[key]))


def _said_elsewhere(data: Any) -> bool:
    """Whether it holds what only one of the two can say: a name to compare, and a decision that decides nothing."""
    maps = [each for place in _places(data) if isinstance(each := _at(data, place), dict)]
    return any(
        each.get("insert_after") is not None or (each.get("type") == "DECISION" and not each.get("routes"))
        for each in maps
    )


@pytest.mark.parametrize("seed", range(20))
def test_an_error_or_unknown_key_of_the_check_is_one_of_the_schema_and_the_other_way_round(seed: int) -> None:
    draw = random.Random(seed)
    for base in _bases():
        data = copy.deepcopy(base)
        for _ in range(draw.choice((1, 1, 1, 2))):
            _mutate(data, draw)
        source = parse(json.dumps(data, ensure_ascii=False), "f")
        findings = schema.workflow(source)[1]
        refused = [f"{list(each.path)}: {each.message}" for each in VALIDATOR.iter_errors(source.data)]
        assert bool(findings) == bool(refused) or _said_elsewhere(source.data), (data, list(map(str, findings)), refused)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"type": "JUMP", "target_step": "S", "next": "S", "next_step": "S"}, "`next` says the same as `next_step`"),
        ({"function": "steps.a", "timeout": 1, "timeout_seconds": 2}, "`timeout_seconds` says the same as `timeout`"),
    ],
)
def test_two_names_for_one_key_are_told_as_what_they_are(step: dict[str, Any], told: str) -> None:
    [finding] = schema.workflow(parse(json.dumps({"workflow_type": "W", "steps": [{"name": "S", **step}]}), "f"))[1]
    assert told in finding.message
    assert (finding.severity, finding.suggestion) == ("error", None)


def test_a_file_may_say_where_its_schema_is_and_keep_parts_that_others_repeat() -> None:
    shared = {"retry": 3, "anything": [1]}
    data = {"$schema": "../workflow.schema.json", "x-shared": shared, "workflow_type": "W", "steps": [{"name": "S", "function": "steps.a"}]}
    assert schema.workflow(parse(json.dumps(data), "f"))[1] == []
    assert list(VALIDATOR.iter_errors(data)) == []

"""Mutated workflow files: whatever they say, the check ends in time with findings, and nothing of theirs is imported."""

from __future__ import annotations

import copy
import json
import os
import random
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remit.workflows.format.findings import Finding
from remit.workflows.format.model import STEP_TYPES, HttpConfig, Route, Task, Workflow
from remit.workflows.format.source import SourceError, parse
from remit.workflows.load import load
from tests.workflows.expectations import BAD, GOOD

LONG = os.environ.get("REMIT_LONG") == "1"
LONGEST_S = 0.1
KEYS = sorted(
    {name for section in (Workflow, Task, Route, HttpConfig, *STEP_TYPES.values()) for name in section.model_fields}
)
SAMPLES = sorted([*GOOD.glob("**/*.y*ml"), *BAD.glob("**/*.y*ml")])
FRAGMENTS = [
    "!!python/object/apply:os.system [id]", "!!python/name:os.system", "!!binary", "!!int", "!custom", "&a", "*a",
    "&a *a", "<<: *a", "<<:", "? ", "- ", ": ", "---", "...", "{", "}", "[", "]", "[[[[[[[[", "{{ state.x }}", "{{",
    "}}", "{{ state.__class__.__mro__ }}", "{{ ().__class__ }}", "{{ 9**9**9 }}", "state.a and", '"', "'", "\\",
    "\\x", "\\u0000", "#", "%YAML 1.1", "%TAG", "\t", "\r", "\x00", "\x85", "\u2028", "\ufeff", "𝄞", "é", "~", "null",
    ".nan", ".inf", "1e999", "99999999999999999999999999", "-1", "0o777", "0x", "true", "yes", "os.system",
    "subprocess.Popen", "steps.book", "steps.__builtins__", "..etc.passwd", "steps", "type: LOOP", "type: PARALLEL",
    "type: JUMP", "type: AWAIT", "type: SUB_WORKFLOW", "type: HTTP", "type: WASM", "type: []", "name:", "name: {}",
    "function: os.system", "tasks: []", "routes: {}", "loop_body: *a", "input: state", "calls: [x@]",
    "workflow_type:", "steps:", "steps: *a", 'initial_state_model: {$ref: "#"}',
    "initial_state_model: {type: [object]}", "on_failure: {target_step: [1]}", "dependencies: [1, {}]", "tenant: x",
    "workflows: [{type: a, config_file: ../../x}]",
]  # fmt: skip


def _cut(text: str, draw: random.Random) -> str:
    start = draw.randrange(len(text) + 1)
    return text[:start] + text[start + draw.choice((1, 3, 20, 400)) :]


def _insert(text: str, draw: random.Random) -> str:
    at = draw.randrange(len(text) + 1)
    return text[:at] + draw.choice(FRAGMENTS) + draw.choice(("", "", " ", "\n")) + text[at:]


def _replace_value(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    at = draw.randrange(len(lines))
    key, colon, _ = lines[at].partition(": ")
    lines[at] = f"{key}{colon}{draw.choice(FRAGMENTS)}"
    return "\n".join(lines)


def _swap_lines(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def _repeat(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    start = draw.randrange(len(lines))
    part = lines[start : start + draw.randrange(1, 8)]
    return "\n".join(lines[:start] + part * draw.randrange(2, 4) + lines[start:])


def _shift(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    start = draw.randrange(len(lines))
    by = draw.choice((-2, -1, 1, 2, 4))
    for at in range(start, min(start + draw.randrange(1, 10), len(lines))):
        lines[at] = " " * by + lines[at] if by > 0 else lines[at].removeprefix(" " * -by)
    return "\n".join(lines)


def _change_character(text: str, draw: random.Random) -> str:
    at = draw.randrange(len(text) + 1)
    return text[:at] + chr(draw.choice((draw.randrange(128), draw.randrange(0xD800)))) + text[at + 1 :]


def _mutate_data(text: str, draw: random.Random) -> str:
    """Change what a file says instead of how it is written: values, keys and whole parts change places."""
    try:
        data = parse(text, "f").data
    except SourceError:
        return text
    for _ in range(draw.randrange(1, 6)):
        places = list(_places(data))
        if not places:
            break
        holder, key = draw.choice(places)
        other, there = draw.choice(places)
        taken = copy.deepcopy(other[there])
        act = draw.randrange(5)
        if act == 0:
            holder[key] = taken
        elif act == 1:
            holder[key] = draw.choice((None, True, 0, -1.5, "", [], {}, [None], {"a": 1}, *FRAGMENTS))
        elif act == 2:
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw.choice(KEYS)] = taken
        else:
            holder.insert(key, taken)
    return json.dumps(data, ensure_ascii=False, indent=draw.choice((None, 1)))


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a structure as what holds it and the key there."""
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in parts:
        yield data, key
        yield from _places(value)


MUTATIONS: tuple[Callable[[str, random.Random], str], ...] = (
    _cut, _insert, _replace_value, _swap_lines, _repeat, _shift, _change_character,
    _mutate_data,
)  # fmt: skip


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the committed files, so that a mutated file stands beside the Python that it names."""
    copy = tmp_path_factory.mktemp("ground")
    shutil.copytree(GOOD, copy / "good")
    shutil.copytree(BAD, copy / "bad")
    load([*copy.glob("good/*"), *copy.glob("bad/*")])  # whatever the check itself imports late
    return copy


def _placed(ground: Path, sample: Path, *, alone: bool) -> Path:
    """Where a mutated file is written: beside the sample, or in its stead, so that it is loaded with its directory."""
    half, root = ("good", GOOD) if sample.is_relative_to(GOOD) else ("bad", BAD)
    inside = ground / half / sample.relative_to(root)
    return inside.with_name("mutated.yaml") if alone or inside.parent.name == half else inside


def _timed(path: Path) -> tuple[Finding, ...]:
    """The findings about a file, or about its directory; in time for each file, and with nothing imported."""
    alone = path.name == "mutated.yaml"
    limit_s = LONGEST_S * (1 if alone else len(list(path.parent.glob("*.y*ml"))))
    what = path if alone else path.parent
    before = set(sys.modules)
    findings, took_s = checked(what)
    if took_s > limit_s:  # the collector's turn may fall into one run, not into two
        findings, took_s = checked(what)
    assert took_s <= limit_s, f"{took_s:.3f} s"
    assert set(sys.modules) == before
    return findings


def checked(path: Path) -> tuple[tuple[Finding, ...], float]:
    """The findings about a file and the processor time they took."""
    start = time.thread_time()
    findings = load([path]).findings
    return findings, time.thread_time() - start


@pytest.mark.timeout(0 if LONG else 120)
@settings(
    max_examples=100_000 if LONG else 400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**64 - 1), count=st.integers(1, 12))
def test_a_mutated_file_is_checked_in_time_and_nothing_is_imported(ground: Path, seed: int, count: int) -> None:
    draw = random.Random(seed)
    sample = draw.choice(SAMPLES)
    text = sample.read_text()
    if draw.random() < 0.5:
        text = _mutate_data(text, draw)
    else:
        for _ in range(count):
            text = draw.choice(MUTATIONS)(text, draw)
    path = _placed(ground, sample, alone=draw.random() < 0.6)
    before_text = path.read_text() if path.exists() else None
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        findings = _timed(path)
    finally:
        if before_text is not None:
            path.write_text(before_text)
    lines = len(re.findall(r"[\r\n\x85\u2028\u2029]", text)) + 1
    for each in findings:
        assert each.message
        assert each.position.column >= 1
        assert each.position.line <= lines or each.position.file != str(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "{a: " * 50_000,
        "- " * 100_000,
        "a: " + "'" * 200_001,
        '"' + "\\" * 200_000,
        "&a " * 60_000,
        "? " * 100_000,
        "a:\n" * 80_000,
        "!" * 200_000,
        "%" * 200_000,
        "a" * 250_000 + ": 1",
        "workflow_type: A\nsteps: [" + "{name: a}, " * 20_000 + "]",
        "workflow_type: A\nsteps:\n" + "  - name: a\n" * 9_000,
        "workflow_type: A\nsteps:\n"
        + "".join(f"  - {{name: s{n}, type: JUMP, target_step: s{n + 1}}}\n" for n in range(1_000)),
        "workflow_type: A\nsteps:\n"
        + "".join(f"{' ' * (2 + 2 * n)}- {{name: s{n}, type: LOOP}}\n" for n in range(100)),
    ],
    ids=lambda text: text[:12],
)
def test_the_largest_files_end_within_the_time_that_their_size_explains(tmp_path: Path, text: str) -> None:
    """What is as large as a file may be is given up at a bound, or takes about a second for each 50 KB."""
    path = tmp_path / "large.yaml"
    path.write_text(text)
    findings, took_s = checked(path)
    assert findings
    assert took_s < 5


@pytest.mark.parametrize("length", [20_001, 100_000, 200_000])
@pytest.mark.parametrize(
    "text",
    [
        "  - name: a\n    function: {a}",
        "  - name: a\n    function: steps.f\n    description: {a }",
        "  - name: {a}\n    type: WAIT",
        "  - name: a\n    type: DECISION\n    routes: [{condition: {a+}1, target: a}]",
        '  - name: a\n    type: DECISION\n    routes: [{condition: "{a+}1", target: a}]',
        "  - name: a\n    type: SUB_WORKFLOW\n    sub_workflow_type: {B}",
        "  - name: a\n    function: {a.}a",
    ],
    ids=lambda text: text.replace("\n    ", " ").strip(),
)
def test_L48_a_text_without_end_is_given_up_in_time_and_at_its_place(tmp_path: Path, text: str, length: int) -> None:
    filled = re.sub(r"\{([^{}:]{1,2})\}", lambda found: found[1] * (length // len(found[1]) + 1), text)
    path = tmp_path / "long.yaml"
    path.write_text(f"workflow_type: A\nsteps:\n{filled}\n")
    checked(path)
    findings, took_s = checked(path)
    assert [each.code for each in findings] == ["yaml_too_large"]
    assert findings[0].position.line >= 3
    assert "at most 20,000 are read" in findings[0].message
    assert took_s < LONGEST_S


def test_L48_texts_below_the_bound_that_yaml_s_marks_divide_are_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text("workflow_type: A\nsteps:\n  - {name: a, type: WAIT, description: \"" + "{{ state.a }} " * 1_500 + '"}\n')
    (finding,) = load([path]).findings
    assert (finding.code, finding.position.line) == ("yaml_too_large", 3)

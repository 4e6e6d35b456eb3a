"""Types hold: mypy --strict on the package, mypy and pyright on the typing tests in tests/typing.

A typing test is a plain file. `assert_type(...)` states what an expression is; a line that must be an error
ends in two comments, `type: ignore[code]` for mypy and `pyright: ignore[rule]` for pyright. An ignore that
nothing needs is an error itself, so both prove that the line is wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.sources import ROOT

TYPING = ROOT / "tests" / "typing"


def _mypy(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _check("mypy", "--config-file", str(ROOT / "pyproject.toml"), *arguments)


def _pyright(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _check("pyright", "--pythonpath", sys.executable, *arguments)


def _check(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", tool, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)


@pytest.mark.timeout(300)
def test_mypy_strict_passes_on_the_package_and_the_examples() -> None:
    ran = _mypy()
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("checker", [_mypy, _pyright])
def test_the_typing_tests_hold(checker) -> None:
    cases = sorted(str(path) for path in TYPING.glob("*.py"))
    assert cases != []
    ran = checker(*(cases if checker is _mypy else ["--project", str(ROOT)]))
    assert ran.returncode == 0, ran.stdout + ran.stderr


DOUBLE = "def double(n: int) -> int:\n    return 2 * n\n\n\n"
IGNORES = "  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]\n"
CASES = {
    "a right assertion": ('from typing import assert_type\nassert_type(int("1"), int)\n', 0),
    "a wrong assertion": ('from typing import assert_type\nassert_type(int("1"), str)\n', 1),
    "an error that is expected": (f"{DOUBLE}double('1'){IGNORES}", 0),
    "an expected error that does not occur": (f"{DOUBLE}double(1){IGNORES}", 1),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("text", "code"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("checker", [_mypy, _pyright])
def test_the_checkers_see(checker, text: str, code: int, tmp_path: Path) -> None:
    case = tmp_path / "case.py"
    case.write_text(text)
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pyright"]
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(rules | {"include": ["."]}))
    ran = checker(*([str(case)] if checker is _mypy else ["--project", str(tmp_path)]))
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert ("case.py:" in ran.stdout) is bool(code)

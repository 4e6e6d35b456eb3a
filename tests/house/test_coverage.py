"""The kernel's own tests take every branch of the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.sources import ROOT


def _coverage(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COVERAGE_FILE": str(data), "REMIT_LONG": ""}
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.timeout(300)
def test_the_kernel_s_tests_take_every_branch(tmp_path: Path) -> None:
    data = tmp_path / "coverage"
    ran = _coverage(data, "run", "--branch", "-m", "pytest", "-p", "no:cacheprovider", "tests/kernel")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    report = _coverage(data, "report", "--include=src/remit/kernel/*", "--fail-under=100", "--precision=2")
    assert report.returncode == 0, report.stdout + report.stderr

"""A shell for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """`remit` in an empty directory."""
    opened = Shell(tmp_path)
    yield opened
    opened.close()

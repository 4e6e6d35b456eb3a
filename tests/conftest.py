"""What every test runs under: one async backend, one printed seed, loopback only, quick or long figures."""

from __future__ import annotations

import ipaddress
import os
import random
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from seedmap import documents

LONG = os.environ.get("REMIT_LONG") == "1"
SEED = int(os.environ.get("REMIT_SEED") or random.SystemRandom().randrange(2**32))

# A run in the background has it ignored, and would hand that down to the programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Without the documents that Remit was built from, their map is only checked against itself.
UNSEEN = [] if documents() else ["house/test_seed_documents.py", "workflows/test_seed_snippets*.py"]
collect_ignore_glob = UNSEEN

settings.register_profile("quick", deadline=None, max_examples=50, print_blob=True)
settings.register_profile("long", deadline=None, max_examples=5_000, print_blob=True)
settings.load_profile("long" if LONG else "quick")


def pytest_report_header() -> str:
    """The seed stands in the head of the run."""
    return f"seed: {SEED} (REMIT_SEED={SEED} repeats it), figures: {'long' if LONG else 'quick'}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What could not run here stands at the end."""
    if UNSEEN:
        where = "no documents in ../shared/seeds (REMIT_SEEDS names another directory)"
        terminalreporter.write_line(f"NOT RUN: {', '.join(UNSEEN)}: {where}", yellow=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """A failure of a seeded test is printed with its seed."""
    report = yield
    if report.failed and "seed" in getattr(item, "fixturenames", ()):
        report.sections.append(("Seed", f"REMIT_SEED={SEED} repeats this run"))
    return report


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Remit is built on asyncio."""
    return "asyncio"


@pytest.fixture
def seed() -> int:
    """The run's seed: whatever is drawn in a test is drawn from it."""
    return SEED


@pytest.fixture
def figure() -> Callable[[int, int], int]:
    """Pick a size: `figure(200, 10_000)` is 200 in `make test` and 10,000 in `make test-long`."""
    return lambda quick, long: long if LONG else quick


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse_other_hosts(event: str, args: tuple[Any, ...]) -> None:
    if (
        event in {"socket.connect", "socket.sendto"}
        and isinstance(args[1], tuple)
        and not _is_loopback(args[1][0])
    ):
        raise PermissionError(f"a test connects to {args[1]}; tests stay on the loopback interface")


sys.addaudithook(_refuse_other_hosts)

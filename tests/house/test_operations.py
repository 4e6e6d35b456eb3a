"""The tables of docs/operations.md say what the code does: limits, statuses, exit codes, verbs, codes of alerts."""

from __future__ import annotations

import inspect
import re

from remit import Limits, Remit, Retry
from remit.cli.output import Ending
from remit.cli.verbs import PANELS
from remit.engine.apart.pool import MAX_PROCESSES
from remit.engine.apart.workers import MAX_THREADS
from remit.engine.body.history import MAX_BYTES, MAX_ENTRIES
from remit.engine.ending.faults import MAX_ERROR_BYTES
from remit.engine.values.seam import MAX_VALUE_BYTES
from remit.engine.warm import WARM_LIMIT
from remit.errors import CODES
from remit.kernel.lease import CLAIM_MS, DEFAULT_TTL_MS, MAX_WAIT_MS, ROOT_TTL_MS
from remit.kernel.states import Status
from tests.house.sources import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
LIMITS = Limits()
DEFAULTS = {
    "depth of calls (`max_depth`)": f"{LIMITS.max_depth}",
    "times a process stands among its own ancestors (`max_recursion`)": f"{LIMITS.max_recursion}",
    "executions of a trace (`max_descendants`)": f"{LIMITS.max_descendants:,}",
    "attempts of a trace (`max_attempts`)": f"{LIMITS.max_attempts:,}",
    "executions that are ACTIVE at once (`max_active`)": f"{LIMITS.max_active:,}",
    "TTL of a child": f"{DEFAULT_TTL_MS // 60_000} minutes",
    "TTL of a root": f"{ROOT_TTL_MS // 3_600_000} hours",
    "attempts of an execution": f"{Retry().attempts}",
    "longest wait": f"{MAX_WAIT_MS // 86_400_000} days",
    "claim of an owner": f"{CLAIM_MS // 1_000} s",
    "one value": f"{MAX_VALUE_BYTES >> 20} MiB",
    "one error": f"{MAX_ERROR_BYTES >> 10} KiB",
    "one history": f"{MAX_ENTRIES:,} entries and {MAX_BYTES >> 20} MiB",
    "synchronous steps at once": f"{MAX_THREADS} threads",
    "isolated steps at once": f"{MAX_PROCESSES} processes",
    "parked executions kept warm": f"{WARM_LIMIT:,}",
}


def _rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def _named(cell: str) -> list[str]:
    return re.findall(r"`([a-z_-]+)`", cell)


def test_L48_the_limits_are_those_of_the_code() -> None:
    assert {row[0]: row[1] for row in _rows("Limits")} == DEFAULTS


def test_L32_every_status_has_its_row_in_order() -> None:
    assert [row[0] for row in _rows("Statuses")] == list(Status)


def test_the_exit_codes_are_those_of_the_command_line() -> None:
    assert [int(row[0]) for row in _rows("Exit codes and JSON")] == list(Ending)


def test_the_verbs_exist() -> None:
    verbs = {verb for panel in PANELS.values() for verb in panel}
    named = {verb for row in _rows("The verbs, by task") for verb in _named(row[1])}
    assert named - verbs == set()
    assert {verb for panel in ("Look", "Command", "Keep") for verb in PANELS[panel]} - named == set()


def test_L16_the_codes_of_alerts_exist() -> None:
    named = [code for row in _rows("Alerts") for code in _named(row[0])]
    assert len(named) == len(set(named))
    assert set(named) - set(CODES) == set()


def test_the_options_of_an_app_are_all_there() -> None:
    options = set(inspect.signature(Remit.__init__).parameters) - {"self", "store"}
    assert {name for row in _rows("An app") for name in _named(row[0])} == options

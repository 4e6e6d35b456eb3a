"""The benchmark's scripts run, and what they count (and do not time) holds at any size."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from bench.rows import ROWS, Row, barrier, sequential, table
from tests.house.sources import ROOT


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    report = tmp_path_factory.mktemp("bench") / "report.json"
    options = ["--quick", "--no-rivals", f"--python={sys.executable}", f"--json={report}"]
    command = [sys.executable, ROOT / "bench" / "run", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(report.read_text())


def answer(report: dict[str, Any], workload: str) -> dict[str, Any]:
    (only,) = report["answers"][workload]
    return only


def test_every_row_of_the_table_is_measured(quick):
    assert {row["group"] for row in quick["rows"]} == set(ROWS)
    assert all(row["verdict"] in {"", "ok", "MISS"} for row in quick["rows"])


def test_L46_a_sequential_child_with_one_step_takes_exactly_one_sync(quick):
    assert answer(quick, "remit sequential")["syncs_per_child"] == 1


def test_L8_a_child_with_n_steps_is_at_most_n_plus_2_rows_and_2_kb(quick):
    size = answer(quick, "remit size")
    assert 1 <= size["rows_per_child"] <= 3
    assert 0 < size["bytes_per_child"] <= 2048


def test_L47_no_recorded_step_runs_again_after_a_crash(quick):
    assert answer(quick, "remit replay")["steps_run_again"] == 0


def test_a_bar_that_is_missed_is_called_so():
    held = {"p50_ms": 1.0, "idle_p50_ms": 0.1, "bare_p99_ms": 1.0, "bare_p50_ms": 0.5}
    kept, missed = (barrier({"remit barrier": [held | {"p99_ms": p99}]})[0] for p99 in (5.0, 5.1))
    assert (kept.verdict, missed.verdict) == ("ok", "MISS")
    assert table([missed]).splitlines()[1].endswith("5.10 ms  <= 5 ms  MISS")


def test_a_ratio_is_the_median_of_the_rounds_ratios():
    remit = [{"ms_per_child": ms, "syncs_per_child": 1.0} for ms in (1.0, 10.0, 1.0)]
    dbos = [{"ms_per_child": ms} for ms in (12.0, 120.0, 9.0)]
    bare = [{"ms_per_commit": 0.2}] * 3
    answers = {"remit sequential": remit, "dbos sequential": dbos, "remit bare commits": bare}
    rows = {row.name.strip(): row for row in sequential(answers)}
    assert rows["DBOS"] == Row("  DBOS", "12.00 ms, 12.0 x Remit's", ">= 10 x", held=True)

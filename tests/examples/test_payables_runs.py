"""The payables as a program: killed and run again, watched, its report, its commands."""

from __future__ import annotations

import asyncio
import io
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from examples.payables import demo
from examples.payables.book import reading
from examples.payables.demo import Options, main, process_folder
from examples.payables.live import live_tree, tree_of
from tests.examples.payables_pain001_rules import findings
from tests.examples.payables_runs import (
    EXPECTED,
    PAID,
    mails,
    paid,
    sound,
    verdicts,
)
from tests.examples.payables_samples import INVOICES, sample


@pytest.fixture
def options(tmp_path) -> Options:
    return Options(INVOICES, f"sqlite:///{tmp_path / 'remit.db'}", tmp_path / "payments.xml")


def run_until(options: Options, stop) -> int:
    """Run the demo in a process of its own, and kill -9 it as soon as `stop()` says so; the exit code."""
    command = [sys.executable, "-m", "examples.payables", str(options.folder), "--store", options.store]
    process = subprocess.Popen(
        [*command, "--out", str(options.out)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"COLUMNS": "200"},
    )
    try:
        while process.poll() is None and not stop():
            time.sleep(0.002)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert b"Traceback" not in errors, errors.decode()
    return process.returncode


def booked(options: Options) -> int:
    """How many documents the book holds, as far as it is there."""
    path = options.out.parent / "book.db"
    if not path.exists():
        return 0
    with reading(path) as book:
        return int(book.execute("SELECT count(*) FROM bookings").fetchone()[0])


@pytest.mark.parametrize("bookings", [1, 2, 3, 4, 5])
def test_L11_killed_after_any_booking_it_finishes(options, bookings):
    assert run_until(options, lambda: booked(options) >= bookings) == -signal.SIGKILL
    assert booked(options) >= bookings
    rows, export = asyncio.run(process_folder(options))
    assert verdicts(rows) == EXPECTED
    assert paid(export) == PAID
    assert booked(options) == 5
    assert len(mails(options)) == 13
    assert sound(options)


def test_L47_killed_again_and_again_it_finishes(options):
    for delay in (0.35, 0.4, 0.45, 0.5, 0.55, 0.6):
        due = time.monotonic() + delay
        run_until(options, lambda due=due: time.monotonic() > due)
    assert run_until(options, lambda: False) == 0
    rows, export = asyncio.run(process_folder(options))
    assert verdicts(rows) == EXPECTED
    assert paid(export) == PAID
    assert booked(options) == 5


def test_the_demo_ends_with_a_table_and_the_command_that_answers(options, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    arguments = [str(options.folder), "--store", options.store, "--out", str(options.out)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    for file in EXPECTED:
        assert file in shown
    assert "pays 4,524.22 EUR in 3 transfers and 21,240.00 SEK in 1 transfer" in shown
    (command,) = [line.strip() for line in shown.splitlines() if " answer exec_" in line]
    assert command.endswith(f'\'{{"approved": true, "by": "your name"}}\' --store {options.store}')


def test_L46_the_command_that_the_demo_prints_releases_the_payment(options, capsys, monkeypatch):
    monkeypatch.setattr(demo, "_PATIENCE_S", 15.0)
    arguments = [str(options.folder), "--store", options.store, "--out", str(options.out)]
    assert main(arguments) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if " answer exec_" in line]
    answered = subprocess.run(shlex.split(line), capture_output=True, text=True, check=False)
    assert answered.returncode == 0, answered.stderr
    assert main(arguments) == 0
    assert "pays 29,844.22 EUR in 4 transfers and 21,240.00 SEK in 1 transfer" in capsys.readouterr().out


def test_a_released_file_is_set_aside_and_what_follows_is_in_a_new_one(options, capsys):
    arguments = [str(options.folder), "--store", options.store, "--out", str(options.out)]
    assert main([*arguments, "--release"]) == 0
    (released,) = options.out.parent.glob("payments.PAY-*.xml")
    assert not options.out.exists()
    assert findings(released.read_bytes(), datetime.now(UTC).date()) == []
    assert main(arguments) == 0
    assert not options.out.exists()
    assert "nothing is to be paid" in capsys.readouterr().out


async def test_a_watcher_sees_each_tree_grow_to_its_end(options):
    seen: dict[str, list[str]] = {}

    def watch(file, tree):
        console = Console(width=120, record=True, file=io.StringIO())
        console.print(tree_of(file, tree))
        seen.setdefault(file, []).append(console.export_text())

    await process_folder(options, watch)
    assert sorted(seen) == sorted(f"{name}.xml" for name in EXPECTED)
    last = seen["10-atelier-mercier.xml"][-1]
    assert "delegate_approval WAITING_HUMAN_INPUT" in last
    assert "waits for role:controller" in last
    assert "invoice COMPLETED" in seen["01-brightwater-paper.xml"][-1]
    assert "$0.0165" in seen["01-brightwater-paper.xml"][-1]


def test_the_tree_is_live_on_a_terminal_only():
    for is_terminal in (True, False):
        shown = io.StringIO()
        with live_tree(Console(file=shown, force_terminal=is_terminal, width=100)) as watch:
            asyncio.run(watch_one(watch))
        assert ("screening" in shown.getvalue()) is is_terminal


async def watch_one(watch):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "in").mkdir()
        (place / "in" / "one.xml").write_bytes(sample("01"))
        await process_folder(Options(place / "in", f"sqlite:///{place / 'remit.db'}", place / "out.xml"), watch)


@pytest.mark.parametrize("arguments", [["no/such/folder"], ["--colour"]])
def test_wrong_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_a_store_that_cannot_be_opened_is_told(options, tmp_path, capsys):
    (tmp_path / "remit.db").write_bytes(b"this is no database" * 100)
    assert main([str(options.folder), "--store", options.store, "--out", str(options.out)]) == 2
    assert "remit.db" in capsys.readouterr().err

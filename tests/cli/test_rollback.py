"""What the command line shows of a rollback, and how it is taken up again (L37)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.terminal import Shell

TRIPS = f"{Path(__file__).with_name('trips.py')}"


@pytest.fixture
def failed(shell: Shell) -> str:
    """The id of a trip that was rolled back."""
    return str(shell.json("run", f"{TRIPS}:trip", "--input", '"ann"', code=1)["execution_id"])


def test_L37_a_run_sees_the_rollback_through_and_shows_it(shell: Shell) -> None:
    shown = shell.run("run", f"{TRIPS}:trip", "--input", '"ann"', code=1).stdout
    assert "trip FAILED_ROLLED_BACK" in shown
    assert "no_rooms · undone: Reserve_Flight · nothing to undo: Reserve_Hotel" in " ".join(shown.split())


def test_L37_show_and_journal_list_each_compensation_with_what_it_undid_and_what_came_of_it(
    shell: Shell, failed
) -> None:
    record = shell.json("show", failed)
    assert record["compensation"] == "done"
    assert [(each["name"], each["step"], each["undoes"], each["status"]) for each in record["compensations"]] == [
        ("cancel_hotel", "Reserve_Hotel", 1, "skipped"),
        ("cancel_flight", "Reserve_Flight", 0, "done"),
    ]
    shown = shell.run("show", failed).stdout
    assert "skipped        Reserve_Hotel #1 by cancel_hotel: skipped, the step had failed (no_rooms)" in shown
    assert 'done           Reserve_Flight #0 by cancel_flight: "seat 12 of ann is free"' in shown
    journal = shell.run("journal", failed).stdout
    assert "undoes #1: skipped, the step had failed (no_rooms)" in journal
    assert 'undoes #0: "seat 12 of ann is free"' in journal
    assert [(entry["kind"], entry["undoes"]) for entry in shell.json("journal", failed)["entries"]] == [
        ("step", None),
        ("step", None),
        ("compensation", 1),
        ("compensation", 0),
    ]


def test_L37_a_rollback_whose_process_died_is_named_by_doctor_and_taken_up_by_the_next_run(shell: Shell) -> None:
    (shell.home / "hold").touch()
    running = shell.start("run", f"{TRIPS}:trip", "--input", '"ann"')
    shell.waits("FAILED")
    [trip] = shell.json("ps")["executions"]
    assert trip["compensation"] == "running"
    levels = {each["check"]: each for each in shell.json("doctor")["findings"]}
    assert levels["rollbacks"]["level"] == "note"
    running.kill()
    running.wait(10)
    told = shell.run("doctor", code=1).stdout
    assert f"rollbacks: {trip['execution_id']} failed, is not undone yet, and nobody drives the store" in told
    refused = shell.run("retry", trip["execution_id"], code=2)
    assert "is being rolled back" in refused.stderr
    (shell.home / "hold").unlink()
    resumed = shell.json("run", f"{TRIPS}:trip", "--resume", trip["execution_id"], code=1)
    assert resumed["error"]["code"] == "no_rooms"
    record = shell.json("show", trip["execution_id"])
    assert record["compensation"] == "done"
    assert [(each["status"], each["attempt"]) for each in record["compensations"]] == [("skipped", 1), ("done", 2)]
    assert {each["check"]: each["level"] for each in shell.json("doctor")["findings"]}["rollbacks"] == "ok"

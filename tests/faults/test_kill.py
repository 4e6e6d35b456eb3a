"""Killing a child at a boundary: exactly there, exactly then, and told apart from every other ending."""

from __future__ import annotations

import signal
import subprocess

import pytest

from remit.testing.faults import Exited, Killed, child_argv, kill, run_until_killed
from remit.testing.faults.kill import hook_from_environment
from tests.faults.ledger import recovered_entries

_VICTIM = """
from contextlib import closing
from pathlib import Path
import os, signal, time
from remit.testing.faults import kill
from tests.faults.ledger import open_ledger, post

def work(directory):
    with closing(open_ledger(Path(directory))) as ledger:
        for number in range(1, 6):
            reach("before")
            post(ledger, number)
            reach("after")
            print(number, flush=True)

def reach(boundary):
    if kill.reach is not None:
        kill.reach(boundary)

def sleep(directory):
    time.sleep(60)

def die(directory):
    os.kill(os.getpid(), signal.SIGKILL)

def fail(directory):
    raise SystemExit(3)
"""


@pytest.fixture
def victim(tmp_path):
    """Builds the command that calls one function of the victim's file on this test's directory."""
    script = tmp_path / "victim.py"
    script.write_text(_VICTIM)
    return lambda function: child_argv(f"{script}:{function}", str(tmp_path))


@pytest.mark.parametrize("nth", [1, 3, 5])
def test_L46_a_kill_after_a_commit_keeps_it_and_one_before_has_not_made_it(victim, nth, tmp_path):
    for boundary, kept in (("before", nth - 1), ("after", nth)):
        for file in tmp_path.glob("ledger*"):
            file.unlink()
        ending = run_until_killed(victim("work"), boundary, nth)
        assert isinstance(ending, Killed)
        assert (ending.boundary, ending.nth) == (boundary, nth)
        assert ending.stdout.split() == [str(number) for number in range(1, nth)]
        assert recovered_entries(tmp_path) == set(range(1, kept + 1))


def test_a_boundary_not_reached_often_enough_lets_the_child_end(victim):
    assert run_until_killed(victim("work"), "before", 6) == Exited(0, "1\n2\n3\n4\n5\n", "")
    assert isinstance(run_until_killed(victim("work"), "nowhere"), Exited)


def test_a_foreign_kill_and_a_failure_are_not_taken_for_ours(victim):
    assert run_until_killed(victim("die"), "before") == Exited(-signal.SIGKILL, "", "")
    assert run_until_killed(victim("fail"), "before") == Exited(3, "", "")


def test_a_child_that_hangs_is_ended(victim):
    with pytest.raises(subprocess.TimeoutExpired):
        run_until_killed(victim("sleep"), "before", timeout=1.5)


def test_a_module_function_can_be_the_victim():
    assert run_until_killed(child_argv("builtins:print", "one", "two"), "before") == Exited(0, "one two\n", "")
    assert isinstance(run_until_killed(child_argv("print"), "before"), Exited)


def test_the_hook_is_nothing_where_nobody_asked_for_a_kill():
    assert hook_from_environment({}) is None
    assert kill.reach is None


@pytest.mark.parametrize("wanted", [":1", "commit:", "commit:0", "commit:-1", "commit:x", "a:b:1"])
def test_L48_a_malformed_wish_says_how_to_write_it(wanted):
    with pytest.raises(ValueError, match="write <boundary>"):
        hook_from_environment({"REMIT_KILL_AT": wanted})

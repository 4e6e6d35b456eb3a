"""`remit run`: one JSON object, the exit codes, keys, what waits, interruption; each in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from tests.cli.terminal import SHOP, Shell, wait_for

ABC = '{"sku": "abc"}'


def test_completed_is_0_and_one_json_object_with_the_fields_of_an_outcome(shell: Shell) -> None:
    ran = shell.json("run", f"{SHOP}:order", "--input", ABC)
    assert set(ran) == {"status", "value", "error", "execution_id", "usage"}
    assert (ran["status"], ran["value"], ran["error"]) == ("completed", "warehouse 3", None)
    assert ran["usage"]["subtree"] == {"tokens": 1350, "input_tokens": 120, "output_tokens": 30, "cost": "0.01418"}
    assert ran["usage"]["own"]["tokens"] == 0


TALKS = """
import subprocess
from remit import process, step

@step(isolation="process")
def apart() -> int:
    print("a step apart", flush=True)
    return subprocess.run(["echo", "a program"]).returncode

@process(isolation="process")
async def talks() -> int:
    print("a body apart", flush=True)
    return await apart()
"""


def test_what_code_and_programs_apart_print_is_not_in_the_document(shell: Shell) -> None:
    (shell.home / "talk.py").write_text(TALKS)
    ran = shell.run("run", "talk.py:talks", "--json")
    assert json.loads(ran.stdout)["value"] == 0
    assert {"a body apart", "a step apart", "a program"} <= set(ran.stderr.splitlines())


def test_failed_is_1_with_the_error(shell: Shell) -> None:
    ran = shell.json("run", f"{SHOP}:order", "--input", '{"sku": "gone"}', code=1)
    assert (ran["status"], ran["value"], ran["error"]["code"]) == ("failed", None, "out_of_stock")
    assert ran["error"]["details"] == {"sku": "gone"}


def test_wrong_usage_and_a_bad_definition_are_2(shell: Shell) -> None:
    (shell.home / "broken.py").write_text("from remit import process\n\n@process\ndef late() -> int: ...\n")
    shell.run("run", code=2)
    assert "must be `async def`" in shell.run("run", "broken.py:late", code=2).stderr
    assert not (shell.home / "remit.db").exists()


def test_L7_rejected_is_3_and_creates_nothing(shell: Shell) -> None:
    ran = shell.json("run", f"{SHOP}:order", "--input", '{"quantity": "many"}', code=3)
    assert (ran["status"], ran["execution_id"], ran["error"]["code"]) == ("rejected", None, "invalid_input")
    assert shell.json("ps")["executions"] == []


def test_L22_timed_out_is_4(shell: Shell) -> None:
    ran = shell.json("run", f"{SHOP}:stubborn", code=4)
    assert (ran["status"], ran["error"]["code"]) == ("timed_out", "lease_expired")


def test_L35_cancelled_from_another_process_is_5(shell: Shell) -> None:
    running = shell.start("run", f"{SHOP}:sleeper", "--json")
    sleeper = shell.waits("PENDING_ASYNC")
    done = shell.json("cancel", sleeper)
    assert done["done"] is True
    assert str(running.pid) in done["by"]
    out, _ = running.communicate(timeout=20)
    assert (running.returncode, json.loads(out)["status"]) == (5, "cancelled")


def test_waiting_is_6_and_names_the_command_that_answers(shell: Shell) -> None:
    ran = shell.json("run", f"{SHOP}:ship", "--input", ABC, code=6)
    (wait,) = ran["waiting"]
    assert (ran["status"], wait["kind"], wait["to"]) == ("waiting", "ask", "role:warehouse-lead")
    assert wait["command"] == f"remit answer {ran['execution_id']}.1 '{{\"approved\":true}}'"
    shell.run("answer", wait["execution_id"], '{"approved":true}')
    resumed = shell.json("run", f"{SHOP}:ship", "--resume", ran["execution_id"])
    assert (resumed["status"], resumed["value"]) == ("completed", "shipped")


def test_L9_the_same_key_goes_on_with_the_same_execution(shell: Shell) -> None:
    first = shell.json("run", f"{SHOP}:ship", "--input", ABC, "--key", "k", code=6)
    shell.run("answer", first["execution_id"], '{"approved":false}')
    second = shell.json("run", f"{SHOP}:ship", "--input", ABC, "--key", "k")
    assert (second["execution_id"], second["value"]) == (first["execution_id"], "kept")
    other = shell.json("run", f"{SHOP}:ship", "--input", '{"sku": "other"}', "--key", "k", code=3)
    assert other["error"]["code"] == "idempotency_conflict"


def test_wait_stays_until_an_event_is_sent_from_another_process(shell: Shell) -> None:
    running = shell.start("run", f"{SHOP}:pay", "--wait", "--json")
    shell.run("send", shell.waits("PENDING_ASYNC"), "paid", '"in full"')
    out, _ = running.communicate(timeout=20)
    assert (running.returncode, json.loads(out)["value"]) == (0, "in full")


def test_L14_async_children_are_driven_to_their_end(shell: Shell) -> None:
    root = shell.json("run", f"{SHOP}:forgetful")["execution_id"]
    assert [child["status"] for child in shell.json("tree", root)["children"]] == ["COMPLETED"]


def test_what_a_body_prints_does_not_mix_with_the_json(shell: Shell) -> None:
    ran = shell.run("run", f"{SHOP}:chatty", "--json")
    assert json.loads(ran.stdout)["value"] == "said"
    assert "a body prints" in ran.stderr


def test_L26_a_suspended_run_waits_for_a_top_up(shell: Shell) -> None:
    ran = shell.json("run", f"{SHOP}:costly", "--budget-tokens", "100", "--on-exhausted", "suspend", code=6)
    (wait,) = ran["waiting"]
    assert (wait["kind"], wait["name"]) == ("paused", "budget_exhausted")
    assert wait["command"] == f"remit top-up {ran['execution_id']} --tokens 1000"
    shell.run("top-up", ran["execution_id"], "--tokens", "1000")
    assert shell.json("run", f"{SHOP}:costly", "--resume", ran["execution_id"])["status"] == "completed"


@pytest.mark.parametrize("process", ["sleeper", "threaded"])
def test_ctrl_c_leaves_the_execution_durable_and_says_how_to_go_on(shell: Shell, process: str) -> None:
    running = shell.start("run", f"{SHOP}:{process}")
    name = process.capitalize()
    wait_for(lambda: (shell.home / "remit.db").exists() and name in shell.run("ps").stdout)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=10)
    assert running.returncode == 130
    (left,) = shell.json("ps")["executions"]
    assert left["ended_at"] is None
    assert f"remit run {SHOP}:{process} --resume {left['execution_id']}" in told
    assert "Traceback" not in told


def test_a_store_that_another_process_drives_is_named_with_what_to_do(shell: Shell) -> None:
    running = shell.start("run", f"{SHOP}:sleeper")
    shell.waits("PENDING_ASYNC")
    error = shell.json("run", f"{SHOP}:order", "--input", ABC, code=2)["error"]
    assert error["code"] == "store_owned"
    assert f"process {running.pid} on" in error["message"]
    assert "another store with --store" in error["message"]
    assert len(shell.json("ps")["executions"]) == 1


def test_a_module_on_the_path_is_a_target_too(shell: Shell) -> None:
    (shell.home / "corner.py").write_text(
        "from remit import process\n\n@process('Corner')\nasync def turn() -> int:\n    return 4\n"
    )
    assert shell.json("run", "corner:turn")["value"] == 4
    assert shell.json("run", "corner:Corner")["value"] == 4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothere:order"], "TARGET is module:process, file.py:process or workflow.yaml"),
        (["nothere.py:order"], "There is no file nothere.py"),
        ([SHOP], "names no process"),
        ([f"{SHOP}:ordr"], "there are select_warehouse, allocate, order"),
        (["flow.yaml"], "name a workflow file, or a directory of them"),
        ([f"{SHOP}:order", "--input", '{"sku": x}'], "line 1, column 9"),
        ([f"{SHOP}:order", "--input", "@nofile"], "nofile cannot be read"),
        ([f"{SHOP}:order", "--budget-cost", "much"], "decimal string"),
        ([f"{SHOP}:order", "--store", "mysql://x"], "is no store Remit knows"),
        ([f"{SHOP}:order", "--resume", "exec_1", "--key", "k"], "drop --key"),
        ([f"{SHOP}:order", "--resume", "exec_1"], "There is no execution 'exec_1'"),
    ],
)
def test_L48_a_mistake_is_2_and_its_message_names_the_fix(shell: Shell, arguments: list[str], told: str) -> None:
    assert told in shell.run("run", *arguments, code=2).stderr
    assert told in shell.json("run", *arguments, code=2)["error"]["message"]


def test_an_exception_while_importing_is_shown_with_its_line(shell: Shell) -> None:
    (shell.home / "typo.py").write_text("import remit\n\nremit.proces\n")
    assert "typo.py:3" in shell.run("run", "typo.py:x", code=2).stderr
    (shell.home / "syntax.py").write_text("def (:\n")
    assert "syntax.py:1" in shell.run("run", "syntax.py:x", code=2).stderr


def _on_a_terminal(shell: Shell, *arguments: str, **more: str) -> str:
    """What a terminal of 80 columns is sent."""
    ours, theirs = pty.openpty()
    env = shell.env | {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"} | more
    command = [sys.executable, "-m", "remit.cli", *arguments]
    process = subprocess.Popen(command, cwd=shell.home, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # the terminal's other end is closed
        shown += b""
    assert process.wait(20) == 0
    return shown.decode()


def test_on_a_terminal_the_tree_is_live_and_coloured_and_plain_with_NO_COLOR(shell: Shell) -> None:
    shown = _on_a_terminal(shell, "run", f"{SHOP}:order", "--input", '{"sku": "slow"}')
    assert "InventoryAllocation ACTIVE" in shown.replace("\x1b[36m", "").replace("\x1b[0m", "").replace("\x1b[1m", "")
    assert "step pack" in shown
    assert "\x1b[32m" in shown
    plain = _on_a_terminal(shell, "run", f"{SHOP}:chatty", NO_COLOR="1")
    assert "\x1b[32m" not in plain
    assert "a body prints" in plain

"""`remit answer | send | cancel | retry | top-up`: through the owner's inbox, or here where nobody drives the store."""

from __future__ import annotations

import json

import apsw
import pytest

from remit.control.client import Client
from remit.errors import StoreError
from tests.cli.terminal import SHOP, Shell

ABC = '{"sku": "abc"}'
YES = '{"approved": true}'


def test_an_answer_reaches_the_process_that_drives_the_store(shell: Shell) -> None:
    running = shell.start("run", f"{SHOP}:ship", "--input", ABC, "--wait", "--json")
    asked = shell.waits("WAITING_HUMAN_INPUT")
    refused = shell.json("answer", asked, '{"approved": "perhaps"}', code=2)["error"]
    assert refused["code"] == "invalid_input"
    done = shell.json("answer", asked, YES)
    assert str(running.pid) in done["by"]
    out, _ = running.communicate(timeout=20)
    assert json.loads(out)["value"] == "shipped"


def test_L11_an_answer_that_nobody_hosts_code_for_is_kept_and_driven_on_later(shell: Shell) -> None:
    root = shell.json("run", f"{SHOP}:ship", "--input", ABC, code=6)["execution_id"]
    told = shell.run("answer", root, YES).stdout
    assert "Nobody drives this store: it is recorded" in told
    assert shell.run("tree", root, "--plain").stdout == "└─ Shipping (PENDING_SUB_WORKFLOW)\n  └─ Decision (PENDING)\n"
    assert shell.json("answer", root, YES, code=2)["error"]["code"] == "already_answered"
    assert shell.json("run", f"{SHOP}:ship", "--resume", root)["value"] == "shipped"


def test_an_answer_that_is_no_json_shows_where(shell: Shell) -> None:
    told = shell.run("answer", "exec_1", '{"approved": yes}', code=2).stderr
    assert "line 1, column 14" in told
    assert told.splitlines()[1:3] == ['  {"approved": yes}', "               ^"]
    assert "needs quotes" in shell.run("answer", "exec_1", "yes", code=2).stderr


def test_L50_an_event_is_delivered_once_per_dedupe(shell: Shell) -> None:
    root = shell.json("run", f"{SHOP}:pay", code=6)["execution_id"]
    assert shell.json("send", root, "paid", "1", "--dedupe", "a")["done"] is True
    assert shell.json("send", root, "paid", "2", "--dedupe", "a")["done"] is False
    assert shell.json("run", f"{SHOP}:pay", "--resume", root)["value"] == "1"


def test_L35_cancel_ends_the_tree_and_twice_changes_nothing(shell: Shell) -> None:
    root = shell.json("run", f"{SHOP}:ship", "--input", ABC, code=6)["execution_id"]
    assert shell.json("cancel", root) == {"done": True, "execution_id": root, "by": None}
    assert shell.run("tree", root, "--plain").stdout == "└─ Shipping (CANCELLED)\n  └─ Decision (CANCELLED)\n"
    assert "nothing changed" in shell.run("cancel", root).stdout
    assert shell.json("run", f"{SHOP}:ship", "--resume", root, code=5)["status"] == "cancelled"


def test_L34_retry_runs_a_failed_tree_again(shell: Shell) -> None:
    root = shell.json("run", f"{SHOP}:order", "--input", '{"sku": "gone"}', code=1)["execution_id"]
    shell.run("retry", root)
    assert shell.json("run", f"{SHOP}:order", "--resume", root, code=1)["status"] == "failed"
    record = shell.json("show", f"{root}.1")
    assert (record["attempt"], record["usage"]["own"]["tokens"]) == (2, 1200)
    done = shell.json("run", f"{SHOP}:chatty")["execution_id"]
    assert shell.json("retry", done, code=2)["error"]["code"] == "wrong_state"


def test_top_up_needs_a_limit_and_an_amount(shell: Shell) -> None:
    root = shell.json("run", f"{SHOP}:ship", "--input", ABC, "--budget-cost", "1", code=6)["execution_id"]
    shell.run("top-up", root, "--cost", "0.50")
    assert shell.json("show", root)["budget"]["cost"] == "1.50"
    assert "--tokens N, --cost X" in shell.run("top-up", root, code=2).stderr
    assert "whole number" in shell.run("top-up", root, "--tokens", "-5", code=2).stderr
    free = shell.json("run", f"{SHOP}:chatty")["execution_id"]
    assert shell.json("top-up", free, "--tokens", "5", code=2)["error"]["code"] == "wrong_state"


async def test_a_command_to_an_owner_that_does_not_reply_says_so(shell: Shell, tmp_path) -> None:
    """The lock of a living owner, a fresh sign of life, and nobody who looks into the inbox."""
    shell.run("migrate")
    owner = Client(f"sqlite:///{tmp_path / 'remit.db'}")
    blocked = shell.start("run", f"{SHOP}:sleeper")
    shell.waits("PENDING_ASYNC")
    blocked.send_signal(19)  # SIGSTOP
    with pytest.raises(StoreError, match="has not replied within 1 s") as caught:
        await owner.command("cancel", {"execution_id": "exec_1"}, 1.0)
    assert caught.value.code == "store_owned"
    connection = apsw.Connection(str(tmp_path / "remit.db"))
    assert connection.execute("SELECT count(*) FROM inbox WHERE reply IS NULL").get == 1

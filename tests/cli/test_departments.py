"""`remit budget` and `remit costs`: budgets of departments set, shown and removed; bills as table, CSV and JSON."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

from tests.cli.terminal import Shell

DEPARTMENTS = """
from remit import Usage, call_process, charge, process

@process("shelf", department="warehouse", estimate=600)
async def shelf(used: int) -> int:
    await charge(Usage(tokens=used, cost="0.25"))
    return used

@process("order", department="sales", calls=[shelf])
async def order(used: int) -> str:
    outcome = await call_process(shelf, used)
    return outcome.status if outcome.error is None else outcome.error.code

@process("sleeper", department="sales")
async def sleeper(seconds: int) -> int:
    from remit.durable import sleep
    await sleep(seconds)
    return seconds
"""


def place(shell: Shell) -> str:
    (shell.home / "shop.py").write_text(DEPARTMENTS, "utf-8")
    return "shop.py"


def test_L45_a_budget_is_set_shown_and_removed_where_nobody_drives_the_store(shell: Shell) -> None:
    shop = place(shell)
    shell.run("migrate")
    assert "No department has a budget" in shell.run("budget", "show").stdout
    done = shell.json("budget", "set", "warehouse", "--tokens", "1000", "--period", "day", "--by", "ann")
    assert (done["limit_tokens"], done["left_tokens"], done["period"], done["zone"]) == (1_000, 1_000, "day", "UTC")
    assert "is set" in shell.run("budget", "set", "warehouse", "--cost", "5.00", "--tenant", "acme").stdout
    assert shell.json("run", f"{shop}:order", "--input", "450")["value"] == "completed"
    assert shell.json("run", f"{shop}:order", "--input", "1", code=0)["value"] == "budget_exceeded"
    month, day = shell.json("budget", "show", "warehouse")["budgets"][::-1]
    assert (day["spent_tokens"], day["left_tokens"], month["tenant"], month["left_cost"]) == (450, 550, "acme", "5.00")
    table = shell.run("budget", "show").stdout
    assert "450 tokens" in table
    assert "$5.00" in table
    assert "is removed" in shell.run("budget", "remove", "warehouse", "--period", "day").stdout
    assert "has no budget for the day" in shell.run("budget", "remove", "warehouse", "--period", "day", code=1).stdout
    assert shell.json("budget", "remove", "warehouse", "--tenant", "acme")["done"] is True


def test_L45_what_is_no_budget_is_refused_with_what_would_be(shell: Shell) -> None:
    shell.run("migrate")
    assert "limits tokens, cost or both" in shell.run("budget", "set", "warehouse", code=2).stderr
    assert "IANA" in shell.run("budget", "set", "warehouse", "--tokens", "1", "--zone", "Mars", code=2).stderr


def test_L45_a_root_that_a_department_cannot_pay_for_is_rejected(shell: Shell) -> None:
    shop = place(shell)
    shell.run("migrate")
    shell.run("budget", "set", "sales", "--tokens", "0")
    ran = shell.json("run", f"{shop}:order", "--input", "1", code=3)
    assert (ran["status"], ran["error"]["code"]) == ("rejected", "budget_exceeded")


def test_L45_the_process_that_drives_the_store_sets_the_budget(shell: Shell) -> None:
    running = shell.start("run", f"{place(shell)}:sleeper", "--input", "30")
    shell.waits("PENDING_ASYNC")
    assert shell.json("budget", "set", "sales", "--tokens", "10")["left_tokens"] == 10
    assert shell.json("budget", "show")["budgets"][0]["department"] == "sales"
    assert running.poll() is None


def test_L31_bills_as_table_csv_and_json(shell: Shell) -> None:
    shop = place(shell)
    shell.run("migrate")
    assert "Nothing was used." in shell.run("costs").stdout
    for tenant in ("acme", "globex"):
        shell.json("run", f"{shop}:order", "--input", "450", "--tenant", tenant)
    told = shell.json("costs", "--by", "department", "--since", "1d")
    assert [(each["name"], each["own"]["tokens"], each["caused"]["tokens"]) for each in told["costs"]] == [
        ("sales", 0, 900),
        ("warehouse", 900, 0),
    ]
    rows = list(csv.reader(io.StringIO(shell.run("costs", "--by", "process", "--csv").stdout)))
    assert rows == [
        ["process", "own_tokens", "own_cost", "caused_tokens", "caused_cost"],
        ["order", "0", "0.00", "900", "0.50"],
        ["shelf", "900", "0.50", "0", "0.00"],
    ]
    table = shell.run("costs").stdout
    assert "together" in table
    assert "$0.50" in table
    assert [each["name"] for each in shell.json("costs", "--by", "tenant", "--tenant", "acme")["costs"]] == ["acme"]
    today = datetime.now(UTC).date().isoformat()
    assert shell.json("costs", "--until", today)["costs"] == []
    assert "write a day" in shell.run("costs", "--since", "yesterday", code=2).stderr


def test_L45_publish_says_which_declared_call_would_be_denied(shell: Shell) -> None:
    shop = place(shell)
    text = (shell.home / shop).read_text("utf-8").replace('"warehouse", estimate', '"warehouse", callers=[], estimate')
    (shell.home / shop).write_text(text, "utf-8")
    shell.run("migrate")
    assert "rejected" not in shell.run("publish", f"{shop}:shelf").stdout
    told = shell.run("publish", f"{shop}:order").stdout
    assert "As things stand a call of its would be rejected: 'shelf' may be called by warehouse" in told
    assert shell.json("versions", "order")["versions"][0]["denied"] != []

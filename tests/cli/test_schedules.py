"""`remit schedules`: what a store starts again and again, who removes it, and what doctor says of one that lags."""

from __future__ import annotations

import asyncio

import apsw

from remit import Remit
from tests.cli.shop import select_warehouse
from tests.cli.terminal import SHOP, Shell

ORDER = {"sku": "abc"}


async def _schedule(shell: Shell) -> None:
    async with Remit(f"sqlite:///{shell.home / 'remit.db'}", processes=[select_warehouse]) as app:
        await app.schedule("nightly", "30 2 * * *", select_warehouse, ORDER, timezone="Europe/Berlin")
        await app.schedule("nightly", "@hourly", select_warehouse, ORDER, tenant="acme")


def test_L54_schedules_are_listed_and_removed_where_nobody_drives_the_store(shell: Shell) -> None:
    shell.run("migrate")
    assert shell.run("schedules").stdout == "No schedule.\n"
    asyncio.run(_schedule(shell))
    rows = shell.json("schedules", "list")["schedules"]
    assert [(row["tenant"], row["cron"], row["fired"]) for row in rows] == [
        (None, "30 2 * * *", 0),
        ("acme", "@hourly", 0),
    ]
    table = shell.run("schedules").stdout
    assert "acme/nightly" in table
    assert "Europe/Berlin" in table
    assert [row["tenant"] for row in shell.json("schedules", "--tenant", "acme")["schedules"]] == ["acme"]
    assert "There is no schedule 'weekly'" in shell.run("schedules", "remove", "weekly", code=1).stdout
    assert "of tenant 'globex'" in shell.run("schedules", "remove", "nightly", "--tenant", "globex", code=1).stdout
    assert "is removed" in shell.run("schedules", "remove", "nightly").stdout
    assert shell.json("schedules", "remove", "nightly", "--tenant", "acme")["done"] is True
    assert shell.json("schedules") == {"schedules": []}
    assert "Say which" in shell.run("schedules", "remove", code=2).stderr


def test_L54_a_schedule_is_removed_by_the_process_that_drives_the_store(shell: Shell) -> None:
    shell.run("migrate")
    asyncio.run(_schedule(shell))
    running = shell.start("run", f"{SHOP}:sleeper")
    shell.waits("PENDING_ASYNC")
    done = shell.json("schedules", "remove", "nightly")
    assert (done["done"], done["schedule"]) == (True, "nightly")
    assert str(running.pid) in done["by"]


def test_L54_doctor_names_schedules_that_lag(shell: Shell) -> None:
    shell.run("migrate")
    asyncio.run(_schedule(shell))
    assert {"check": "schedules", "level": "ok", "message": "none lags"} in shell.json("doctor")["findings"]
    apsw.Connection(str(shell.home / "remit.db")).execute("UPDATE schedules SET next_at = 1 WHERE tenant = ''")
    (found,) = [each for each in shell.json("doctor", code=1)["findings"] if each["check"] == "schedules"]
    assert found["level"] == "problem"
    assert found["message"] == "nightly should have fired: nobody drives the store"

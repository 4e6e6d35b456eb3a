"""`remit publish`, `promote` and their like: by whoever drives the store, else right here; every gate says what to do."""

from __future__ import annotations

from tests.cli.terminal import SHOP, Shell

WAREHOUSE = "WarehouseSelection@1.0.0"


def test_L40_versions_are_published_and_promoted_where_nobody_drives_the_store(shell: Shell) -> None:
    shell.run("migrate")
    assert shell.run("versions").stdout == "No version is published.\n"
    published = shell.json("publish", f"{SHOP}:allocate", f"{SHOP}:select_warehouse", "--by", "ann")["published"]
    assert [(each["process"], each["state"], each["published_by"]) for each in published] == [
        ("InventoryAllocation", "published", "ann"),
        ("WarehouseSelection", "published", "ann"),
    ]
    assert published[0]["input"]["required"] == ["sku"]
    assert "is promoted" in shell.run("promote", WAREHOUSE).stdout
    (caller,) = shell.json("callers", "WarehouseSelection")["callers"]
    assert (caller["caller"], caller["ranges"], caller["active"]) == ("InventoryAllocation", ["^1.0.0"], False)
    assert "^1.0.0" in shell.run("callers", "WarehouseSelection").stdout
    assert "works with" in shell.run("declare", "InventoryAllocation@1", "--with", "WarehouseSelection@2").stdout
    assert shell.json("callers", "WarehouseSelection")["callers"][0]["declared"] == ["2"]
    assert "No published version declares calls" in shell.run("callers", "InventoryAllocation").stdout
    table = shell.run("versions").stdout
    assert "promoted" in table
    assert "WarehouseSelection@^1.0.0" in table
    assert shell.json("deprecate", WAREHOUSE)["state"] == "deprecated"
    assert shell.json("retire", WAREHOUSE)["state"] == "retired"
    assert "retired" in shell.run("promote", WAREHOUSE, code=2).stderr


def test_L42_a_rollout_names_callers_or_a_share(shell: Shell) -> None:
    shell.run("migrate")
    shell.json("publish", f"{SHOP}:select_warehouse")
    assert "Say for whom" in shell.run("rollout", WAREHOUSE, code=2).stderr
    assert "write 10% or 0.1" in shell.run("rollout", WAREHOUSE, "--share", "some", code=2).stderr
    assert "two rollouts" in shell.run("rollout", WAREHOUSE, "--share", "10%", "--to", "order", code=2).stderr
    assert "would get none" in shell.run("rollout", WAREHOUSE, "--share", "10%", code=2).stderr
    assert "neither promoted nor rolled out" in shell.run("rollback", WAREHOUSE, code=2).stderr


def test_L40_the_process_that_drives_the_store_publishes_and_promotes(shell: Shell) -> None:
    running = shell.start("run", f"{SHOP}:sleeper")
    shell.waits("PENDING_ASYNC")
    assert shell.json("publish", f"{SHOP}:select_warehouse")["published"][0]["state"] == "published"
    assert shell.json("promote", WAREHOUSE)["state"] == "promoted"
    assert "neither" not in shell.run("rollback", WAREHOUSE).stdout
    assert shell.json("versions", "WarehouseSelection")["versions"][0]["state"] == "published"
    assert "there are: WarehouseSelection" in shell.run("versions", "Else", code=2).stderr
    assert running.poll() is None


def test_L41_urls_that_hear_of_refused_promotions_are_kept_by_the_store(shell: Shell) -> None:
    shell.run("migrate")
    assert "There is no webhook" in shell.run("webhooks", "list").stdout
    added = shell.run("webhooks", "add", "http://127.0.0.1:9/hook", "--private", "--owner", "ann").stdout
    assert "shown this once" in added
    assert "whsec_" in added
    assert "--private" in shell.run("webhooks", "add", "https://127.0.0.1:9/hook", code=2).stderr
    (hook,) = shell.json("webhooks", "list")["webhooks"]
    assert (hook["owner"], hook["private"], hook["waiting"], hook["secret"]) == ("ann", True, 0, None)
    assert "127.0.0.1:9" in shell.run("webhooks", "list").stdout
    assert "is removed" in shell.run("webhooks", "remove", hook["id"]).stdout
    assert "There is no webhook" in shell.run("webhooks", "remove", hook["id"], code=2).stderr

"""`remit erase | retention | keys | alerts | ack`, on a store that nobody drives and on one that somebody does."""

from __future__ import annotations

from tests.cli.terminal import SHOP, Shell

CANARY = "canary-91c2"
ORDER = ("run", f"{SHOP}:order", "--input", f'{{"sku": "{CANARY}"}}', "--tenant", "acme")


def found(shell: Shell) -> list[str]:
    """The files in which the canary stands."""
    return sorted(each.name for each in shell.home.iterdir() if CANARY.encode() in each.read_bytes())


def test_L53_a_tenant_is_erased_after_saying_so(shell: Shell) -> None:
    root = shell.json(*ORDER)["execution_id"]
    assert found(shell) == ["remit.db"]
    assert "--yes" in shell.run("erase", "--tenant", "acme", code=2).stderr
    assert shell.json("show", root)["input"]["sku"] == CANARY
    done = shell.json("erase", "--tenant", "acme", "--yes", "--by", "ann")
    assert (done["tenant"], done["executions"], done["keys"]) == ("acme", 3, 0)
    assert found(shell) == []
    assert shell.json("show", root)["input"] == "[erased]"
    assert "[erased]" in shell.run("journal", root).stdout
    assert shell.json("retry", root, code=2)["error"]["code"] in {"erased", "wrong_state"}
    shell.run("tree", root)
    shell.run("lineage", root)
    shell.run("backup", "after.bak")
    assert found(shell) == []


def test_L53_erasing_goes_through_whoever_drives_the_store(shell: Shell) -> None:
    shell.json(*ORDER)
    shell.start("run", f"{SHOP}:pay", "--wait", "--tenant", "acme")
    asleep = shell.waits("PENDING_ASYNC")
    refused = shell.json("erase", "--tenant", "acme", "--yes", code=2)["error"]
    assert (refused["code"], refused["details"]["executions"]) == ("open_executions", [asleep])
    done = shell.json("erase", "--tenant", "acme", "--yes", "--cancel-open")
    # The driver ends with what it ran: where it was quicker than its erasure, this process has gone on with that.
    assert done["executions"] == 4
    assert shell.json("show", asleep)["status"] == "CANCELLED"
    assert found(shell) == []


def test_L53_a_store_is_encrypted_from_the_command_line(shell: Shell) -> None:
    shell.env |= {"REMIT_KEYS": "keys.db", "REMIT_KEK": "b" * 64}
    root = shell.json(*ORDER)["execution_id"]
    assert found(shell) == []
    assert shell.json("show", root)["input"]["sku"] == CANARY
    shell.env["REMIT_KEK"] = "c" * 64
    assert shell.json("show", root, code=2)["error"]["code"] == "keyring_unusable"
    shell.env["REMIT_KEK"] = "b" * 64
    del shell.env["REMIT_KEYS"]
    assert shell.json("show", root, code=2)["error"]["code"] == "keyring_unusable"
    assert "REMIT_KEYS" in shell.run("keys", "list", code=2).stderr
    given = ("--keys", "keys.db")
    assert shell.json(*given, "show", root)["input"]["sku"] == CANARY
    made = shell.json(*given, "keys", "rotate", "--tenant", "acme")
    keys = shell.json(*given, "keys", "list", "--tenant", "acme")["keys"]
    assert ([each["tenant"] for each in keys], keys[-1]["id"]) == (["acme", "acme"], made["id"])
    shell.json(*given, *ORDER)
    assert shell.json(*given, "erase", "--tenant", "acme", "--yes")["keys"] == 2
    assert all(each["destroyed_at"] for each in shell.json(*given, "keys", "list", "--tenant", "acme")["keys"])
    assert "destroyed" in shell.run(*given, "keys", "list").stdout
    shell.run(*given, "backup", "copy.bak")
    shell.run(*given, "doctor")


def test_L53_retention_is_set_shown_and_run(shell: Shell) -> None:
    root = shell.json(*ORDER, "--key", "one")["execution_id"]
    assert "for ever" in shell.run("retention", "show").stdout
    shell.run("retention", "set", "1h", "--by", "ann")
    shell.run("retention", "set", "1ms", "--tenant", "acme")
    assert [each["keep_ms"] for each in shell.json("retention", "show")["retention"]] == [3_600_000, 1]
    assert shell.json("retention", "run") == {"roots": 1, "executions": 3, "alerts": 0}
    for verb in ("show", "tree", "journal"):
        assert shell.json(verb, root, code=2)["error"]["code"] == "execution_deleted"
    again = shell.json(*ORDER, "--key", "one", code=3)
    assert (again["status"], again["error"]["code"]) == ("rejected", "execution_deleted")
    assert "as long as all others" in shell.run("retention", "set", "default", "--tenant", "acme").stdout
    assert "for ever" in shell.run("retention", "set", "forever").stdout
    assert [each["keep_ms"] for each in shell.json("retention", "show")["retention"]] == [None]
    assert shell.json("retention", "set", "soon", code=2)["error"]["code"] == "invalid_input"


def test_L49_alerts_are_listed_and_acknowledged(shell: Shell) -> None:
    root = shell.json("run", f"{SHOP}:stubborn", "--tenant", "acme", code=4)["execution_id"]
    (alert,) = shell.json("alerts", "--open", "--tenant", "acme")["alerts"]
    assert (alert["execution_id"], alert["count"], alert["acknowledged_at"]) == (root, 1, None)
    assert shell.json("alerts", "--code", alert["code"])["alerts"] == [alert]
    assert shell.json("alerts", "--tenant", "globex")["alerts"] == []
    assert alert["code"] in shell.run("alerts").stdout
    assert shell.json("ack", str(alert["id"]), "--by", "ann")["acknowledged_by"] == "ann"
    assert "seen by ann" in shell.run("ack", str(alert["id"]), "--by", "bob").stdout
    assert shell.run("alerts", "--open").stdout.strip() == "No alert."
    assert shell.json("ack", "99", code=2)["error"]["code"] == "unknown_alert"

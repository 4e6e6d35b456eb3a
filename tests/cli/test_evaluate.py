"""`remit evaluate` and `remit require`: with code of one's own, or by whoever drives the store."""

from __future__ import annotations

from pathlib import Path

from tests.cli.terminal import Shell

OFFERS = str(Path(__file__).parent / "offers.py")
CASES = "- {input: shoe, effects: [{tool: price.list, result: 4}], result: {total: 4}}\n"


def publish(shell: Shell) -> None:
    """All three versions, of which the first is current."""
    for each in ("offers", "offers_again", "offers_cheaper", "market", "open_market"):
        shell.json("publish", f"{OFFERS}:{each}")
    for each in ("offers@2.0.0", "market@1.0.0", "open-market@1.0.0"):
        shell.json("promote", each)


def test_L41_a_version_is_evaluated_with_code_that_is_named(shell: Shell) -> None:
    shell.run("migrate")
    publish(shell)
    shell.json("run", f"{OFFERS}:market", "--input", '"shoe"')
    (shell.home / "cases.yaml").write_text(CASES, "utf-8")
    told = shell.run("evaluate", "offers@2.1", "--recorded", "5", "--with", f"{OFFERS}:offers").stdout
    assert "offers 2.1.0, held against 2.0.0" in told
    assert "Passed: 2 of 2 cases passed, 0 tokens (now 0), 0.20 dollars (now 0.20)" in told
    told = shell.run("evaluate", "offers@2.2", "--recorded", "5", "--with", f"{OFFERS}:offers", code=1).stdout
    assert "result /total: expected 4, is 3" in told
    assert "Not passed: 0 of 2 cases passed" in told
    done = shell.json("evaluate", "offers@2.1", "--cases", "cases.yaml", "--with", f"{OFFERS}:offers", "--by", "ann")
    assert (done["passed"], done["evaluated_by"], done["results"][0]["candidate"]["cost"]) == (True, "ann", "0.10")
    lines = shell.run("evaluations", "offers").stdout.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["Passed", "Not passed", "Passed"]
    assert shell.json("evaluations", "offers")["evaluations"][0]["version"] == "2.1.0"
    assert "was evaluated" in shell.run("evaluations", "market").stdout
    assert "--with TARGET" in shell.run("evaluate", "offers@2.1", "--recorded", "5", code=2).stderr
    assert "give one of them" in shell.run("evaluate", "offers@2.1", code=2).stderr


def test_L41_what_is_required_is_shown_before_a_version_is_promoted(shell: Shell) -> None:
    shell.run("migrate")
    publish(shell)
    shell.json("run", f"{OFFERS}:market", "--input", '"shoe"')
    assert "Say what is required" in shell.run("require", "offers", code=2).stderr
    assert "write 10% or 0.1" in shell.run("require", "offers", "--recorded", "2", "--min-pass", "most", code=2).stderr
    told = shell.run("require", "offers", "--recorded", "2", "--min-pass", "100%", "--max-cost-increase", "0.1").stdout
    assert "after such an evaluation" in told
    refused = shell.run("promote", "offers@2.2.0", code=2).stderr
    assert "evaluation_required" in refused
    assert "Run: remit evaluate offers@2.2.0 --recorded 2" in refused
    for version, code in (("2.2.0", 1), ("2.1.0", 0)):
        shell.run("evaluate", f"offers@{version}", "--recorded", "2", "--with", f"{OFFERS}:offers", code=code)
    assert "0 of 2 cases passed" in shell.run("promote", "offers@2.2.0", code=2).stderr
    assert shell.json("promote", "offers@2.1.0")["state"] == "promoted"
    assert shell.json("require", "offers", "--nothing")["requires"] is None
    assert shell.json("promote", "offers@2.2.0")["state"] == "promoted"


def test_L41_the_process_that_drives_the_store_evaluates_with_its_own_code(shell: Shell) -> None:
    shell.run("migrate")
    publish(shell)
    running = shell.start("run", f"{OFFERS}:open_market", "--input", '"shoe"')
    shell.waits("PENDING_ASYNC")
    done = shell.json("evaluate", "offers@2.1.0", "--recorded", "10", "--expect", "result.total == current.total")
    assert (done["passed"], done["cases"]) == (True, 2)
    assert "Not passed" in shell.run("evaluate", "offers@2.2.0", "--recorded", "10", code=1).stdout
    assert running.poll() is None

"""`remit run workflow.yaml` with HTTP steps: what the operator lists on the command line is all that they reach and send."""

from __future__ import annotations

import asyncio
import json
import shlex
import threading
from collections.abc import Iterator

import pytest

from tests.cli.terminal import Shell
from tests.workflows.http_server import Server, answer, serving


@pytest.fixture
def server() -> Iterator[Server]:
    """A server in a thread of its own, since the shell is waited for here."""
    loop, here, stop = asyncio.new_event_loop(), [], asyncio.Event()
    ready = threading.Event()

    async def serve() -> None:
        async with serving(answer({"ok": True})) as opened:
            here.append(opened)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(5)
    yield here[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)
    loop.close()


def test_hosts_secrets_and_variables_are_listed_on_the_command_line(shell: Shell, server: Server) -> None:
    config = {"url": "{{env.ERP_URL}}/a", "headers": {"X-Key": "{{secrets.ERP_KEY}}"}}
    step = {"name": "Call", "type": "HTTP", "http_config": config, "includes": ["body"], "output_key": "erp"}
    (shell.home / "call.yaml").write_text(json.dumps({"workflow_type": "Call", "steps": [step]}))
    shell.env |= {"ERP_URL": server.url, "ERP_KEY": "erp-key-4711"}
    run = ("run", "call.yaml", "--input", "{}")
    listed = ("--env", "ERP_URL", "--secret", "ERP_KEY")
    assert "env.ERP_URL is not listed" in shell.json(*run, code=2)["error"]["message"]
    assert shell.json(*run, *listed, code=1)["error"]["code"] == "http_refused"
    assert shell.json(*run, *listed, "--http-host", server.host)["value"] == {"erp": {"body": {"ok": True}}}
    assert [taken.headers["x-key"] for taken in server.taken] == ["erp-key-4711"]
    assert "no environment variable" in shell.run(*run, "--secret", "NO_SUCH_KEY", code=2).stderr


def test_the_command_that_goes_on_can_be_pasted_and_names_secrets_without_what_they_hold(
    shell: Shell, server: Server
) -> None:
    config = {"url": "{{env.ERP_URL}}/a", "headers": {"X-Key": "{{secrets.ERP_KEY}}"}}
    steps = [
        {"name": "Approve", "type": "HUMAN_IN_LOOP"},
        {"name": "Call", "type": "HTTP", "http_config": config, "includes": ["body"], "output_key": "erp"},
    ]
    home = shell.home / "my flows"
    home.mkdir()
    (home / "call.yaml").write_text(json.dumps({"workflow_type": "Call", "steps": steps}))
    (shell.home / "beside.py").write_text(
        "from remit import process\n\n@process('Beside')\nasync def beside() -> None: ...\n"
    )
    shell.env |= {"ERP_URL": server.url, "ERP_KEY": "erp-key-4711"}
    listed = ("--env", "ERP_URL", "--secret", "ERP_KEY", "--http-host", server.host)
    beside = ("--with", "beside.py", "--allow", "json")
    first = shell.run("run", "my flows/call.yaml", "--input", "{}", *listed, *beside, code=6).stdout
    told = " ".join(first.split())
    assert "erp-key-4711" not in first
    command = shlex.split(told.split("To go on: ")[1])
    assert command[:3] == ["remit", "run", "my flows/call.yaml"]
    assert command[5:] == [
        "--with=beside.py", "--allow=json", f"--http-host={server.host}", "--env=ERP_URL", "--secret=ERP_KEY",
    ]  # fmt: skip
    shell.run("answer", command[4], "{}")
    shell.run(*command[1:], code=0)
    assert [taken.headers["x-key"] for taken in server.taken] == ["erp-key-4711"]


def test_the_store_is_named_where_the_environment_would_lead_elsewhere(shell: Shell) -> None:
    steps = [{"name": "Approve", "type": "HUMAN_IN_LOOP"}]
    (shell.home / "ask.yaml").write_text(json.dumps({"workflow_type": "Ask", "steps": steps}))
    shell.env["REMIT_STORE"] = "sqlite:///elsewhere.db"
    told = shell.run("run", "ask.yaml", "--input", "{}", "--store", "sqlite:///remit.db", code=6).stdout
    assert "--store sqlite:///remit.db" in " ".join(told.split())

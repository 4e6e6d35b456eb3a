"""`remit run workflow.yaml` with HTTP steps: what the operator lists on the command line is all that they reach and send."""

from __future__ import annotations

import asyncio
import json
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

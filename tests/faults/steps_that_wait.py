"""Workflows that are killed in the midst of a step: each run of a function leaves a line in a file."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from remit import Process, Remit
from remit.workflows.http.access import HttpAccess
from tests.laws.scene import wait_until
from tests.workflows.making import compiled

__all__ = ["hosted", "runs", "see_through", "wait_in"]


def hosted(directory: Path, url: str = "http://127.0.0.1:1") -> list[Process[Any, Any]]:
    """A workflow for each type of step that waits, with a function before and one after it, and the child it may have."""

    def noting(name: str) -> dict[str, Any]:
        def note(state: Any) -> dict[str, Any]:
            line = f"{name}\n".encode()
            file = os.open(directory / "notes.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, line)
            finally:
                os.close(file)
            return {name: True}

        return {"name": name, "function": note}

    def asking(name: str) -> dict[str, Any]:
        return {"name": name, "type": "HTTP", "http_config": {"method": "POST", "url": f"{url}/{name}"}, "output_key": name}

    around: dict[str, list[dict[str, Any]]] = {
        "HUMAN_IN_LOOP": [{"name": "Ask", "type": "HUMAN_IN_LOOP", "prompt": "Well?"}],
        "HTTP": [asking("first"), asking("second")],
        "AWAIT": [{"name": "Start", "type": "SUB_WORKFLOW", "sub_workflow_type": "child", "mode": "async"},
                  {"name": "Await", "type": "AWAIT", "child": "Start"}],
        "CRON_SCHEDULE": [{"name": "Plan", "type": "CRON_SCHEDULE", "schedule_name": "nightly", "cron_expression": "@daily",
                           "target_workflow_type": "child"}],
    }  # fmt: skip
    access = HttpAccess([url.removeprefix("http://")])
    child = compiled("child", noting("Inside"), {"name": "Rest", "type": "WAIT", "event": "go"}, noting("Inside_after"))
    return [
        child,
        *(compiled(name, noting("Before"), *steps, noting("After"), http=access, calls=["child"])
          for name, steps in around.items()),
    ]  # fmt: skip


def runs(directory: Path) -> list[str]:
    """What has run, in order."""
    notes = directory / "notes.txt"
    return notes.read_text().splitlines() if notes.exists() else []


def wait_in(directory: str, name: str, url: str, *statuses: str) -> None:
    """Start a workflow, or go on with it, and say so once it shows one of the statuses and its children wait; then stay until killed."""
    asyncio.run(_wait_in(Path(directory), name, url, statuses))


async def _wait_in(directory: Path, name: str, url: str, statuses: tuple[str, ...]) -> None:
    async with Remit(f"sqlite:///{directory / 'remit.db'}", processes=hosted(directory, url)) as app:
        execution = await app.start(name, {}, key=name)
        if statuses:
            await wait_until(app, execution.id, *statuses)
            for child in (await app.tree(execution.id)).children:  # what it did before is recorded, and not done again
                await wait_until(app, child.execution_id, "PENDING_ASYNC")
        print(execution.id, flush=True)
        await asyncio.sleep(60)


def see_through(directory: str, name: str) -> None:
    """Start a workflow, or go on with it, and see its end."""
    asyncio.run(_see_through(Path(directory), name))


async def _see_through(directory: Path, name: str) -> None:
    async with Remit(f"sqlite:///{directory / 'remit.db'}", processes=hosted(directory)) as app:
        await (await app.start(name, {}, key=name)).outcome(timeout=30)

"""One release train: `python -m examples.releases [--folder DIR]`; answered and run again, it goes on."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from remit import Record, Remit, RemitError, Status

from .landscape import Landscape

__all__ = ["SOURCES", "TRAIN", "WORKFLOWS", "main"]

WORKFLOWS = Path(__file__).parent
SOURCES = WORKFLOWS / "services"
TRAIN: dict[str, Any] = {"train": "2026-11", "services": ["ledger", "gateway"]}
_AT_REST = {Status.WAITING_HUMAN_INPUT, Status.WAITING_CHILD_HUMAN_INPUT, Status.PAUSED}
_LOOK_EVERY_S = 0.02
_PATIENCE_S = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0, 1 where the train failed, 2 for what it cannot start on."""
    help_ = "Releases two services through staging and production; the change board is asked for each."
    parser = argparse.ArgumentParser(prog="python -m examples.releases", description=help_)
    there = Path(os.path.relpath(WORKFLOWS / "out"))
    parser.add_argument("--folder", type=Path, default=there, help="where everything is kept (%(default)s)")
    folder: Path = parser.parse_args(arguments).folder
    store = f"sqlite:///{folder / 'remit.db'}"
    try:
        tree = asyncio.run(_ride(store, Landscape(SOURCES, folder)))
    except RemitError as error:
        print(f"{error.code}: {error.message}", file=sys.stderr)
        return 2
    print(*_told(tree, store), sep="\n")
    return int(tree.ended_at is not None and tree.status is not Status.COMPLETED)


async def _ride(store: str, landscape: Landscape) -> Record:
    """The train's tree, once it has arrived or waits for a person."""
    landscape.folder.mkdir(parents=True, exist_ok=True)
    async with Remit(store, processes=[WORKFLOWS], resources=landscape) as app:
        train = await app.start("ReleaseTrain", TRAIN, key=TRAIN["train"])
        async with asyncio.timeout(_PATIENCE_S):
            while (record := await train.record()).ended_at is None and record.status not in _AT_REST:  # noqa: ASYNC110  # rest is seen in the store, nobody tells
                await asyncio.sleep(_LOOK_EVERY_S)
        return await app.tree(train.id)


def _told(node: Record, store: str) -> Iterator[str]:
    yield f"{'  ' * node.depth}{node.process} {node.shown_status}"
    for wait in node.waiting_on.first:
        if "prompt" in wait:
            yield f"{'  ' * node.depth}  asks {wait['to']}: {wait['prompt']}"
            yield f'{"  " * node.depth}  remit answer {node.execution_id} \'{{"approved": true, "by": "your name"}}\' --store {store}'
    for child in node.children:
        yield from _told(child, store)

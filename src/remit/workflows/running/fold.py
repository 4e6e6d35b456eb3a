"""The state of a workflow as its records tell it: its steps gone through again, with what each recorded and nothing run.

What was recorded is handed over in the recorded order of completion, as in replay; at the first thing that was not
recorded the state is what it is. Only the workflow's own expressions are worked out.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from remit.authoring.effects import current
from remit.engine.body.port import PORT
from remit.engine.engine import Engine
from remit.engine.values.plain_json import loads
from remit.workflows.running.compile import Program
from remit.workflows.running.flow import NO_FRAME, Flow
from remit.workflows.running.recorded import RecordedPort
from remit.workflows.running.state import Held

__all__ = ["Folded", "folded", "folded_beside"]


class Folded:
    """The state of one workflow's execution."""

    def __init__(self, program: Program, held: Held) -> None:
        self._program = program
        self._held = held

    def typed(self) -> Any:
        """As the workflow's model, the caller's own."""
        return self._program.state.read(self._held.payload())

    def plain(self) -> dict[str, Any]:
        """As plain data, the caller's own; results of children by step and by type, as steps see them (L36)."""
        plain: dict[str, Any] = loads(self._held.payload())
        plain[self._program.state.names["sub_workflow_results"]] = dict(self.typed().sub_workflow_results)
        return plain


def folded(engine: Engine, execution_id: str) -> Folded | None:
    """The state that is durable now; None where it is not a workflow's whose file is hosted here."""
    found = _recorded(engine, execution_id)
    if found is None:
        return None
    with ThreadPoolExecutor(1) as beside:  # a loop of its own: whoever asks may stand in one already
        return beside.submit(_fold, *found).result()


async def folded_beside(engine: Engine, execution_id: str) -> Folded | None:
    """The same, while others go on."""
    found = _recorded(engine, execution_id)
    return await asyncio.to_thread(_fold, *found) if found is not None else None


def _recorded(engine: Engine, execution_id: str) -> tuple[Program, RecordedPort] | None:
    record = engine.store.execution(execution_id)
    definition = engine.catalog.to_continue(record.process, record.version, record.n) if record is not None else None
    program = getattr(definition.body, "__self__", None) if definition is not None else None
    if record is None or definition is None or not isinstance(program, Program):
        return None
    return program, RecordedPort(engine, record, definition)


def _fold(program: Program, port: RecordedPort) -> Folded:
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return Folded(program, runner.run(_go_through(program, port)))


async def _go_through(program: Program, port: RecordedPort) -> Held:
    PORT.set(port)
    loop = asyncio.get_running_loop()
    begun = port.noted("initial_state") if program.state.varies else None
    flow = Flow(current(), Held(program.state, begun or program.state.begun(port.initial)))
    going = asyncio.ensure_future(program._steps.run(flow, NO_FRAME))
    while not going.done():
        await asyncio.sleep(0)
        while loop._ready:  # type: ignore[attr-defined]  # noqa: ASYNC110  # whether anything but this is left to run
            await asyncio.sleep(0)
        if not port.hand_over():
            break
    state = Held(program.state, flow.state.plain)
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)  # how it ended, its record says
    return state

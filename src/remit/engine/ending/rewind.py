"""A body replayed to find the code that undoes what it did: nothing it does counts, and nothing new ever happens (L37).

A compensation is a function, and functions are not recorded. So the body runs through its history once more: at each
recorded step it names the step's definition and arguments. What is not recorded never returns, and so the body stands
still where its history ends, if not before: at the last step that is looked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from contextvars import Context
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from remit.engine.apart.watchdog import LoopBlocked
from remit.engine.body.delivery import Completion, Delivery
from remit.engine.body.history import Recorded, effect_of
from remit.engine.body.local import LocalPort
from remit.engine.body.port import PORT
from remit.engine.body.run import RECHECK_S, Run
from remit.engine.definitions import Definition, StepDefinition
from remit.engine.ending.faults import decode_error
from remit.engine.steps import crossed, in_turn, recorded_value
from remit.engine.values.seam import canonical, digest
from remit.errors import DefinitionError, ErrorClass, TransientError
from remit.store.records import EffectKind, JournalRecord

if TYPE_CHECKING:
    from remit.engine.engine import Engine
    from remit.engine.node import Node

__all__ = ["BlockedLoop", "Found", "Rewind", "Strayed"]

_log = logging.getLogger("remit.engine")


class Found(NamedTuple):
    """A recorded step as the body calls it: what undoes it, and with which arguments."""

    step: StepDefinition
    arguments: dict[str, Any]


class Strayed(Exception):
    """The body does not come to all that it has recorded: its code has changed (L11)."""

    def __init__(self, message: str, came_to: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.came_to = came_to


class BlockedLoop(Exception):
    """The body blocks the event loop."""


class _Closed(dict[bytes, Recorded]):
    """A history to which nothing is added: it never counts as used up, so whatever is not in it asks `go_live`."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return True


class _Redelivery(Delivery):
    """Hands over what was handed over before; what the body had not seen when it ended it does not see now."""

    __slots__ = ()

    def complete(self, completion: Completion) -> None:
        """Keep it: the body was not told."""


class _RewindPort(LocalPort):
    """Effects of a body that is replayed for its steps' sake."""

    __slots__ = ()
    run: Rewind

    async def step(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        """What the step recorded."""
        return await self.run.step(step, arguments)

    def progress(self, payload: bytes) -> None:
        """Said before."""

    def changed(self, identity: str) -> bool:
        """Whether the execution took the new branch."""
        history = self.run.history
        return history.effect_key(EffectKind.CHANGED, identity, b"") in history.markers


class Rewind(Run):
    """One such replay. `found` has the steps that were looked for, by their positions, once `await all_found()` returns."""

    __slots__ = ("_came_to", "_done", "_wanted", "found", "port")

    def __init__(self, engine: Engine, node: Node, definition: Definition, wanted: Collection[int]) -> None:
        super().__init__(engine, node, definition)
        self.delivery = _Redelivery(self)
        self.history.recorded = _Closed()
        self.port = _RewindPort(self)
        self.found: dict[int, Found] = {}
        self._wanted = set(wanted)
        self._came_to: list[dict[str, Any]] = []
        self._done: asyncio.Future[None] = self.loop.create_future()

    # -- life ---------------------------------------------------------------------------------------------------------

    async def all_found(self, patience_ms: int) -> None:
        """Replay until every step that is looked for has been found, for at most so many milliseconds.

        Raises Strayed, BlockedLoop, and what running a body elsewhere raises: TransientError, DefinitionError.
        """
        self.engine.load_history(self)
        self.begin()
        what = f"The code of {self.definition.name} has not come to what {self.node.id} has recorded within {patience_ms} ms"
        timer = self.engine.clock.call_later(patience_ms, lambda: self._gives_up(Strayed(what, self._came_to[-5:])))
        try:
            await self._done
        finally:
            timer.cancel()

    def begin(self) -> None:
        """Start the body, with a port of its own and away from whatever this was called from."""
        self.context = context = Context()
        context.run(PORT.set, self.port)
        self.task = asyncio.Task(self._drive(), loop=self.loop, context=context, name=f"rewind {self.node.id}")
        self.adopt(self.task)

    async def _drive(self) -> None:
        definition, driver = self.definition, self.engine.driver
        try:
            if driver.runs_elsewhere(definition):
                await self._elsewhere()
            elif definition.takes_input:
                await definition.body(definition.input.decode(self.node.record.input))
            else:
                await definition.body()
        except LoopBlocked:
            return
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # it ended so before, and that was dealt with then
            _log.debug("%s, replayed to its end, raised %s", self.node.id, type(error).__name__)
        finally:
            self.over()

    async def _elsewhere(self) -> None:
        assert self.task is not None
        self.engine.driver.reap(self.task)  # when it is stopped it has yet to kill its process
        try:
            await self.engine.driver.run_elsewhere(self)
        except (TransientError, DefinitionError) as error:  # not the body's: what it raises comes back as a value
            self._gives_up(error)

    def _gives_up(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    def restart(self) -> None:
        """It blocks the loop: whoever asked for it tries again, and then it runs elsewhere."""
        self._gives_up(BlockedLoop())

    # -- what branches ask --------------------------------------------------------------------------------------------

    @property
    def valid(self) -> bool:
        """Nothing that this run does counts."""
        return False

    def may_act(self) -> bool:
        """Whether the body may go on."""
        self.pulse += 1
        return not self.stopped

    async def step(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        """What a recorded step returned or raised; where it is looked for, it has been found."""
        if not self.may_act():
            await self.never()
        params = canonical(arguments, f"the arguments of {step.kind} {step.name!r}")
        entry = self.history.claim(self.history.effect_key(step.kind, step.name, digest(params)))
        if entry is None:
            await self.go_live(f"{step.kind}:{step.name}", effect_of(step.kind, step.name, params))
        assert isinstance(entry, JournalRecord)
        self._found(entry, Found(step, crossed(step, arguments, entry)))
        if self._done.done() or entry.ended_at is None or _ended_the_chain(entry):
            await self.never()
        await in_turn(self, entry)
        return await recorded_value(self, step, entry)

    def _found(self, entry: JournalRecord, found: Found) -> None:
        if entry.position not in self._wanted or self._done.done():
            return
        if found.step.compensate is None:
            what = f"{entry.kind} {entry.name!r} had a compensation when it ran, and the code names none for it now"
            self._gives_up(Strayed(what, []))
            return
        self.found[entry.position] = found
        self._wanted.discard(entry.position)
        if not self._wanted:
            self._done.set_result(None)

    def claim(self, key: bytes) -> Recorded | None:
        """What was recorded under the key, and had its end."""
        record = super().claim(key)
        return None if isinstance(record, JournalRecord) and record.ended_at is None else record

    async def go_live(self, target: str, actual: dict[str, Any]) -> None:
        """Nothing new happens."""
        del target
        self._came_to.append(actual)
        await self.never()

    async def never(self) -> NoReturn:
        """Wait for ever, and be seen to."""
        await self.wait(self.loop.create_future(), fresh=True)
        await super().never()

    def unheard(self, completion: Completion) -> None:
        """Nothing is written."""

    async def wait(self, future: asyncio.Future[None], *, fresh: bool, told: bool = False) -> None:
        """Wait for something that history will bring, or that never comes."""
        self.pending[future] = fresh
        self.progressed()
        try:
            if told:
                await self.hear(future)
            await future
        finally:
            self.pending.pop(future, None)
        if self.stopped:
            await super().never()

    # -- quiescence ---------------------------------------------------------------------------------------------------

    def progressed(self) -> None:
        """Something moved; look again, a little later, whether every branch waits, or none is left."""
        if self._check is None and not self.stopped and not self._done.done():
            self._check = self.loop.call_later(0.002, self._look)

    def _look(self) -> None:
        self._check = None
        if self.stopped or self._done.done():
            return
        if self.delivery.live or not self._quiet() or self._has_timers():
            self._check = self.loop.call_later(RECHECK_S, self._look)
        else:
            missing = len(self._wanted)
            what = f"The code of {self.definition.name} no longer comes to {missing} of the steps that {self.node.id} has recorded and that are to be undone"
            self._gives_up(Strayed(what, self._came_to[-5:]))

    def _has_timers(self) -> bool:
        """Whether the body has set a timer of the loop, as `asyncio.timeout` does: it may give up a wait, as it did before."""
        scheduled: list[Any] = getattr(self.loop, "_scheduled", [])
        return any(
            each is not self._check and not each.cancelled() and each._context.get(PORT) is self.port
            for each in scheduled
        )


def _ended_the_chain(entry: JournalRecord) -> bool:
    """Whether the step's error ended the execution, without coming back (L20)."""
    return entry.error is not None and decode_error(entry.error).error_class is ErrorClass.SYSTEM

"""The rollback of one execution: what its children did, and its own steps, undone in reverse order of completion (L37)."""

from __future__ import annotations

import asyncio
import logging
from hashlib import blake2b
from random import random
from typing import TYPE_CHECKING, Any

import orjson

from remit.engine.ending.compensation import compensate
from remit.engine.ending.faults import decode_error, encode_error
from remit.engine.ending.intents import is_compensatable, undo_of
from remit.engine.ending.rewind import BlockedLoop, Found, Rewind, Strayed
from remit.engine.node import Node
from remit.engine.terms import has_saga, history_begins, terms_of
from remit.errors import DefinitionError, DomainError, ErrorInfo, TransientError
from remit.kernel.lease import DEFAULT_TTL_MS
from remit.kernel.retry import backoff_ms
from remit.kernel.saga import Deed, Undo, last_first
from remit.kernel.states import Compensation
from remit.store import boundaries
from remit.store.records import UNHEARD, ChildEnd, EffectKind, JournalRecord

if TYPE_CHECKING:
    from remit.engine.ending.saga import Place
    from remit.engine.engine import Engine

__all__ = ["OnHold", "Rollback"]

_LOOK_EVERY_MS = 20
_log = logging.getLogger("remit.engine")


class OnHold(Exception):
    """The rollback waits until something is mended; nothing of it is lost, and the next owner takes it up again."""

    def __init__(self, code: str, message: str, details: dict[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class Rollback:
    """Undoes what one execution did. What was undone before a crash is recorded, and is not undone again."""

    def __init__(self, engine: Engine, node: Node, place: Place) -> None:
        self._engine = engine
        self._node = node
        self._place = place
        self._rewind: Rewind | None = None
        self._begun: dict[int, JournalRecord] = {}
        self._wanted: set[int] = set()
        self._next_position = 0

    async def run(self) -> list[bool]:
        """Whether each compensation, its own and its children's, was done; raises OnHold."""
        record, undone = self._node.record, list[bool]()
        children = await self._children(record.n, history_begins(record))
        under_way = set(self._engine.store.rolling_back(self._node.id))
        for deed in last_first(children):
            if isinstance(deed.what, ChildEnd) and deed.what.id in under_way:
                await self._undo_child(deed.what)  # child first, also where the parent went on after it had failed
        await self._place.take()
        try:
            for deed in last_first([*children, *self._steps()]):
                if isinstance(deed.what, ChildEnd):
                    undone += await self._undo_child(deed.what)
                else:
                    await self._place.take()
                    undone.append(await self._undo_step(deed.what))
        finally:
            if self._rewind is not None:
                self._rewind.stop()
        return undone

    # -- what there is to undo ----------------------------------------------------------------------------------------

    async def _children(self, parent_n: int, since: int) -> list[Deed[ChildEnd | JournalRecord]]:
        """The children of an execution, once all have ended: an async one goes on whatever became of its caller (L14)."""
        engine = self._engine
        while True:
            await engine.durability.settled()
            children = engine.store.child_ends(parent_n, since)
            running = next((each.id for each in children if each.ended_at is None), None)
            if running is None:
                return [Deed(each.position, _heard(each.answered), each.ended_at, each) for each in children]
            with self._place.given_up(self._node.id, running):
                await engine.outcomes.ended(running)

    def _steps(self) -> list[Deed[ChildEnd | JournalRecord]]:
        """The compensatable steps; what has been done about them already is taken from the journal as well."""
        store, record = self._engine.store, self._node.record
        entries = store.journal(record.n, record.generation)
        self._next_position = store.next_position(record.n)
        self._begun = {_undoes(entry): entry for entry in entries if entry.kind is EffectKind.COMPENSATION}
        steps = [entry for entry in entries if is_compensatable(entry)]
        self._wanted = {
            entry.position for entry in steps if undo_of(entry) is not Undo.SKIP and not self._is_undone(entry)
        }
        return [Deed(entry.position, _heard(entry.completed), entry.ended_at, entry) for entry in steps]

    def _is_undone(self, entry: JournalRecord) -> bool:
        begun = self._begun.get(entry.position)
        return begun is not None and begun.ended_at is not None

    # -- children -----------------------------------------------------------------------------------------------------

    async def _undo_child(self, child: ChildEnd) -> list[bool]:
        """A child that is a saga is rolled back as itself; of another one, what its own children did."""
        if has_saga(child):
            with self._place.given_up(self._node.id, child.id):
                return [await self._engine.sagas.roll_back(child.id) is Compensation.DONE]
        below = last_first(await self._children(child.n, history_begins(child)))
        return [each for deed in below for each in await self._undo_child(deed.what)]  # type: ignore[arg-type]

    # -- steps --------------------------------------------------------------------------------------------------------

    async def _undo_step(self, entry: JournalRecord) -> bool:
        """Undo a step, once; False where that failed."""
        begun, undo = self._begun.get(entry.position), undo_of(entry)
        if begun is not None and begun.ended_at is not None:
            return begun.error is None
        if undo is Undo.SKIP:
            return self._skip(entry)
        if undo is Undo.WITHOUT_RESULT:
            await self._until_left(entry)
        if self._rewind is None:
            self._rewind = await self._replayed()
        found = self._rewind.found.get(entry.position)
        if found is None:
            return self._give_up(entry)
        result = (entry.result or b"null") if undo is Undo.WITH_RESULT else None
        return await self._tried(self._rewind, self._begin(entry), found, result)

    async def _until_left(self, entry: JournalRecord) -> None:
        """Code that was left while it ran may still be at it, in a thread: undoing comes after it, or after the TTL."""
        engine, until = self._engine, self._engine.clock.now() + self._ttl_ms()
        if not engine.workers.still_at_work(self._node.id):
            return
        _log.warning("%s was left in %s, which still runs; it is undone when that has ended", self._node.id, entry.name)
        while engine.workers.still_at_work(self._node.id) and engine.clock.now() < until:
            await self._pause(_LOOK_EVERY_MS)

    def _ttl_ms(self) -> int:
        definition = self._engine.definition_of(self._node)
        return (definition.ttl_ms if definition else None) or DEFAULT_TTL_MS

    async def _tried(self, rewind: Rewind, begun: JournalRecord, found: Found, result: bytes | None) -> bool:
        """Compensate, as often as the process's retry allows, behind the barrier each time; record how it ended."""
        engine, policy = self._engine, self._engine.endings.policy(self._node)
        while True:
            await engine.durability.barrier()
            if boundaries.reach is not None:
                boundaries.reach("saga.before")
            begun.result, error = await compensate(rewind, found, result)
            if boundaries.reach is not None:
                boundaries.reach("saga.compensated")
            if error is None or begun.attempt >= policy.attempts:
                self._over(begun, error)
                return error is None
            pause_ms = backoff_ms(begun.attempt, policy, random())  # noqa: S311  # jitter
            _log.info("compensation %s of %s failed (%s); again in %s ms", begun.name, self._node.id, error.code, pause_ms)
            begun.attempt += 1
            engine.durability.amend(begun)
            self._place.leave()
            await self._pause(pause_ms)
            await self._place.take()

    async def _pause(self, pause_ms: int) -> None:
        over = asyncio.Event()
        timer = self._engine.clock.call_later(pause_ms, over.set)
        self._engine.sagas.pausing.add(self._node.id)
        try:
            await over.wait()
        finally:
            self._engine.sagas.pausing.discard(self._node.id)
            timer.cancel()

    # -- what is recorded of it ---------------------------------------------------------------------------------------

    def _begin(self, entry: JournalRecord) -> JournalRecord:
        """The intent, or that of before a crash: what ran then runs again."""
        begun = self._begun.get(entry.position)
        if begun is None:
            return self._enter(entry)
        begun.attempt += 1
        self._engine.durability.amend(begun)
        return begun

    def _enter(self, entry: JournalRecord) -> JournalRecord:
        record = self._node.record
        begun = JournalRecord(
            record.n,
            record.generation,
            self._next_position,
            EffectKind.COMPENSATION,
            str(orjson.loads(entry.terms or b"{}")["compensate"]),
            blake2b(b"compensation\0%d" % entry.position, digest_size=16).digest(),
            orjson.dumps({"undoes": entry.position, "step": entry.name}),
            started_at=self._engine.clock.now(),
        )
        self._next_position += 1
        self._begun[entry.position] = begun
        self._engine.durability.enter(begun)
        return begun

    def _skip(self, entry: JournalRecord) -> bool:
        """The step failed: there is nothing to undo, and that is listed (L37)."""
        begun = self._enter(entry)
        begun.ended_at = begun.started_at
        begun.terms = orjson.dumps({"skipped": decode_error(entry.error or b"{}").code})
        return True

    def _give_up(self, entry: JournalRecord) -> bool:
        what = (
            f"{entry.kind} {entry.name!r} was recorded by an attempt whose way the next one did not take again: the code"
            " no longer comes to it, and nothing tells how to undo it"
        )
        error = DomainError(what, code="compensation_unreachable", position=entry.position)
        self._over(self._begin(entry), error.info(self._node.id, self._node.record.attempt))
        return False

    def _over(self, begun: JournalRecord, error: ErrorInfo | None) -> None:
        engine, node = self._engine, self._node
        begun.ended_at = engine.clock.now()
        if error is not None:
            begun.error = encode_error(error)
            message = f"{begun.name} could not undo what {node.id} did ({error}); undo it by hand. The rest is undone."
            details = {**orjson.loads(begun.params or b"{}"), "compensation": begun.name, "attempts": begun.attempt}
            engine.alert(node, "compensation_failed", message, {**details, "error": str(error)}, f"at {details['undoes']}")
        engine.durability.amend(begun)
        if boundaries.reach is not None:
            boundaries.reach("saga.recorded")

    # -- the code -----------------------------------------------------------------------------------------------------

    async def _replayed(self) -> Rewind:
        """The execution's code, replayed to the steps that are to be undone; raises OnHold where that is not possible."""
        engine, node = self._engine, self._node
        attempt, policy = 1, engine.endings.policy(node)
        while True:
            definition = engine.definition_of(node)
            if definition is None:
                what = f"The compensations of {node.id} wait: no code for {node.record.process} {node.record.version} is hosted here"
                raise OnHold("compensation_waits", what, {"process": node.record.process})
            rewind = Rewind(engine, node, definition, self._wanted)
            try:
                await rewind.all_found(self._ttl_ms())
                return rewind
            except BlockedLoop:
                rewind.stop()
            except (Strayed, DefinitionError) as error:
                rewind.stop()
                if self._wanted - rewind.found.keys() <= set(terms_of(node.record).get("unreached", ())):
                    return rewind
                details = {"came_to": error.came_to} if isinstance(error, Strayed) else {}
                raise OnHold("code_changed", f"{error}. Its compensations wait for mended code.", details) from None
            except TransientError as error:
                rewind.stop()
                if attempt >= policy.attempts:
                    raise OnHold(error.code, f"The compensations of {node.id} wait: {error}", {}) from None
                await self._pause(backoff_ms(attempt, policy, random()))  # noqa: S311  # jitter
                attempt += 1
            except BaseException:
                rewind.stop()
                raise


def _undoes(entry: JournalRecord) -> int:
    """The position of the step that a compensation undoes."""
    return int(orjson.loads(entry.params or b"{}")["undoes"])


def _heard(order: int | None) -> int | None:
    """The place among all that was awaited; None for what nobody has heard of."""
    return None if order == UNHEARD else order

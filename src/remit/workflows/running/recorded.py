"""A port that answers a body from what its execution has recorded, and does nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from remit.engine.answer import Answer
from remit.engine.body.delivery import GROUP_SHIFT
from remit.engine.body.history import History
from remit.engine.body.port import Identity
from remit.engine.calls import answer_of
from remit.engine.definitions import Definition, StepDefinition
from remit.engine.ending.faults import decode_error, exception_of
from remit.engine.engine import Engine
from remit.engine.request import CallRequest, ScheduleRequest
from remit.engine.terms import history_begins
from remit.engine.values.plain_json import loads
from remit.engine.values.seam import Seam, canonical, digest
from remit.errors import ErrorClass
from remit.kernel.trace import root_of
from remit.kernel.usage import Usage
from remit.store.records import UNHEARD, EffectKind, ExecutionRecord, JournalRecord

__all__ = ["RecordedPort"]

_LAST = 1 << 62


class RecordedPort:
    """Answers a body from its records; what they do not tell never comes."""

    def __init__(self, engine: Engine, record: ExecutionRecord, definition: Definition) -> None:
        self._record = record
        self._definition = definition
        self._history = History(record.tenant or "", record.id, record.generation)
        since = history_begins(record)
        self._children = [each for each in engine.store.children(record.n) if each.position >= since]
        entries = engine.store.journal(record.n, record.generation)
        self._history.load(entries, self._children, engine.store.next_position(record.n))
        self._refused = [each for each in entries if each.kind is EffectKind.REJECTED]
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the body is gone through on."""
        return asyncio.get_running_loop()

    @property
    def initial(self) -> Any:
        """What the execution was started with."""
        return self._definition.input.decode(self._record.input)

    def noted(self, name: str) -> Any:
        """A value that was recorded; None where it was not yet."""
        found = self._history.claim(self._history.effect_key(EffectKind.VALUE, name, digest(b"null")))
        return loads(found.result or b"null") if isinstance(found, JournalRecord) else None

    def hand_over(self) -> bool:
        """Let those go on who wait for the next group of completions; False where nobody does."""
        waiting = [each for each in self._waiting if not each[1].done()]
        if not waiting:
            return False
        group = min(order for order, _ in waiting) >> GROUP_SHIFT
        for order, future in waiting:
            if order >> GROUP_SHIFT == group:
                future.set_result(None)
        self._waiting = [each for each in waiting if not each[1].done()]
        return True

    async def _turn(self, order: int | None) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((_LAST if order is None else order, future))
        await future

    async def _never(self) -> Any:
        await asyncio.get_running_loop().create_future()

    async def _entry(self, kind: EffectKind, name: str, params: bytes, *, in_turn: bool = True) -> bytes:
        """What an effect recorded, when its turn comes; raises the error it recorded."""
        found = self._history.claim(self._history.effect_key(kind, name, digest(params)))
        if not isinstance(found, JournalRecord) or found.ended_at is None or found.completed == UNHEARD:
            return bytes(await self._never())
        if in_turn:
            await self._turn(found.completed)
        if found.error is not None:
            info = decode_error(found.error)
            if info.error_class is ErrorClass.SYSTEM:
                await self._never()
            raise exception_of(info)
        return found.result or b"null"

    # -- the port -----------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> Identity:
        """Who the execution is."""
        record = self._record
        who = (record.tenant, record.owner, record.region, record.department)
        return Identity(root_of(record.id), record.id, record.process, record.version, *who, record.attempt)

    @property
    def definition(self) -> Definition:
        """The workflow's."""
        return self._definition

    @property
    def resources(self) -> Any:
        """None: nothing that would use them is run."""
        return None

    def beat(self) -> None:
        """Nobody watches."""

    async def step(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        """What the step recorded."""
        params = canonical(arguments, f"the arguments of {step.kind} {step.name!r}")
        return step.result.decode(await self._entry(step.kind, step.name, params))

    async def call(self, request: CallRequest) -> Answer:
        """How the child ended."""
        child = self._called(request)
        if isinstance(child, Answer):
            return child
        return await self._answer(child, request.result)

    async def start(self, request: CallRequest) -> str | Answer:
        """The id of the child."""
        child = self._called(request)
        if child is None:
            return str(await self._never())
        return child if isinstance(child, Answer) else child.id

    async def await_child(self, child_id: str, result: Seam[Any] | None) -> Answer:
        """How a child ended that was started earlier."""
        return await self._answer(next((each for each in self._children if each.id == child_id), None), result)

    def _called(self, request: CallRequest) -> ExecutionRecord | Answer | None:
        """The child of a call, its rejection, or None where it was not made yet; the calls of workflows have keys."""
        found = self._history.claim(self._history.identify(request.target, b"", request.key).key)
        if isinstance(found, ExecutionRecord):
            return found
        refused = next((each for each in self._refused if each.name == request.target), None)
        if refused is None:
            return None
        self._refused.remove(refused)
        return Answer("rejected", None, decode_error(refused.error or b"{}"), None, Usage(), Usage())

    async def _answer(self, child: ExecutionRecord | None, result: Seam[Any] | None) -> Answer:
        if child is None or child.ended_at is None or child.answered == UNHEARD:
            await self._never()
        assert child is not None
        await self._turn(child.answered)
        answer = answer_of(child, result)
        if answer.aborts:
            await self._never()
        return answer

    async def child_status(self, child_id: str) -> str:
        """The status that was seen."""
        return str(await self.value(f"status of {child_id}", str))

    async def child_cancel(self, child_id: str) -> bool:
        """Whether the child was cancelled."""
        return bool(await self.value(f"cancel {child_id}", bool))

    async def ask(
        self,
        answer: Seam[Any],
        name: str,
        prompt: str,
        to: str | None,
        timeout_ms: int | None,  # noqa: ARG002  # as every port
        on_timeout: bytes | None,  # noqa: ARG002  # as every port
    ) -> Any:
        """The answer that was given."""
        params = canonical({"prompt": prompt, "to": to}, f"ask {name!r}")
        return answer.decode(await self._entry(EffectKind.ASK, name, params))

    async def sleep(self, duration_ms: int) -> None:
        """Past, where it is over."""
        await self._entry(EffectKind.SLEEP, "sleep", str(duration_ms).encode())

    async def wait_event(self, name: str, label: str | None, timeout_ms: int | None) -> Any:  # noqa: ARG002  # as every port
        """The event that came."""
        return loads(await self._entry(EffectKind.EVENT, name, canonical({"key": label}, f"event {name!r}")))

    async def now(self) -> str:
        """The moment that was recorded."""
        return str(await self.value("now", str))

    async def value(self, name: str, produce: Callable[[], Any]) -> Any:  # noqa: ARG002  # as every port
        """The value that was recorded."""
        return loads(await self._entry(EffectKind.VALUE, name, b"null", in_turn=False))

    async def schedule(self, request: ScheduleRequest) -> int | None:
        """When the schedule fired first."""
        params = canonical(request, f"schedule {request.name!r}")
        first_at: int | None = loads(await self._entry(EffectKind.SCHEDULE, request.name, params, in_turn=False))
        return first_at

    async def charge(self, usage: Usage) -> None:
        """Counted already."""

    def progress(self, payload: bytes) -> None:
        """Said already."""

    def changed(self, identity: str) -> bool:
        """Whether the execution took the new branch."""
        return self._history.effect_key(EffectKind.CHANGED, identity, b"") in self._history.markers

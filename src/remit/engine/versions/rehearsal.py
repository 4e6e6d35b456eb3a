"""Running a version beside the world: a whole engine in memory, whose effects are answered from a recording.

Admission, policies, metering, contracts and errors are the engine's own; only what would reach the world (steps, calls, people,
events, schedules) is looked up. A rehearsal lives on a loop of its own, so a body that blocks it holds up nobody else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from remit.engine.admission import RootTerms
from remit.engine.answer import Answer
from remit.engine.apart.workers import Workers
from remit.engine.body.driver import Driver
from remit.engine.body.local import LocalPort
from remit.engine.calls import answer_of, encoded
from remit.engine.definitions import Catalog, Definition, StepDefinition, in_range
from remit.engine.ending.faults import decode_error, exception_of
from remit.engine.ending.intents import was_left
from remit.engine.engine import Engine
from remit.engine.governing.ahead import ahead_of_start
from remit.engine.request import CallRequest, ScheduleRequest
from remit.engine.time.clock import SystemClock
from remit.engine.values.seam import Seam, SeamError, canonical
from remit.engine.versions.beside import Beside, Rules
from remit.engine.versions.recording import CALL, Recorded, Recording
from remit.errors import ErrorClass, ErrorInfo, SystemFailure
from remit.kernel.usage import Usage
from remit.store.records import EffectKind, ExecutionRecord, JournalRecord

if TYPE_CHECKING:
    from remit.engine.body.port import Port
    from remit.engine.body.run import Run
    from remit.kernel.policies import Subject
    from remit.kernel.preflight import Limits
    from remit.store.port import Store

__all__ = ["Rehearsal"]

_NO_PARAMETERS = b"null"


class Rehearsal(Engine):
    """An engine for one version at a time; `live` names the steps, tools and models that run all the same."""

    def __init__(
        self,
        store: Store,
        definitions: Iterable[Definition],
        limits: Limits,
        resources: object,
        live: Iterable[str],
        rules: Rules,
    ) -> None:
        alone = [replace(each, saga=False) for each in definitions]
        super().__init__(store, Catalog(alone), limits, SystemClock(), resources)
        self.recording = Recording((), ())
        self.workers = _Players(self, frozenset(live))
        self.driver = _InHere(self)
        self.beside = Beside(self, rules)

    def port_of(self, run: Run) -> Port:
        """What the body asks for its effects."""
        return _RehearsalPort(run, self.recording, self.beside)

    async def run(
        self,
        name: str,
        version: str,
        value: object,
        recording: Recording,
        terms: RootTerms,
        above: tuple[Subject, ...] = (),
    ) -> ExecutionRecord:
        """How that version ends on an input, called from there (root first).

        Raises InvalidInput where it does not take it, and MisuseError `policy_denied` where policies do not let it begin.
        """
        definition = next(each for each in self.catalog.hosted(name) if each.version == version)
        self.recording = recording
        self.governance = self.beside.governance(above)
        await ahead_of_start(self, definition, value, terms)
        record, _ = self.start(definition, value, terms)
        ended = await self.outcomes.ended(record.id)
        assert ended is not None
        return ended


class _InHere(Driver):
    """Bodies run on the rehearsal's loop, whatever isolation they ask for: they reach nothing."""

    def runs_elsewhere(self, definition: Definition) -> bool:  # noqa: ARG002  # as every driver
        """Never."""
        return False


class _Players(Workers):
    """What would run a step looks up what it returned."""

    def __init__(self, rehearsal: Rehearsal, live: frozenset[str]) -> None:
        super().__init__()
        self._rehearsal = rehearsal
        self._live = live

    async def call(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        """The recorded result or error; raises SystemFailure `unrecorded_effect`."""
        recording = self._rehearsal.recording
        kind, params = str(step.kind), canonical(arguments, f"the arguments of {step.kind} {step.name!r}")
        if step.name in self._live:
            return await self._really(step, arguments)
        entry = recording.take(kind, step.name, params)
        if not isinstance(entry, JournalRecord):
            raise recording.lacks(kind, step.name, params)
        if entry.ended_at is None or was_left(entry):
            await asyncio.get_running_loop().create_future()
        if entry.error is not None:
            error = exception_of(decode_error(entry.error))
            error.usage = Usage.of(entry.tokens, entry.input_tokens, entry.output_tokens, entry.cost)  # type: ignore[attr-defined]  # what the failed call is charged (L27)
            raise error
        try:
            return step.result.decode(entry.result or b"null")
        except SeamError as unfit:
            raise recording.lacks(kind, step.name, params, f"what it recorded does not fit: {unfit}") from None

    async def _really(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        recording, began = self._rehearsal.recording, time.monotonic()
        recording.made.append(f"{step.kind} {step.name} (live)")
        try:
            return await super().call(step, arguments)
        finally:
            recording.took_ms += round((time.monotonic() - began) * 1_000)

    async def undo(self, step: StepDefinition, arguments: dict[str, Any], result: bytes | None) -> Any:
        """Nothing was done that could be undone."""


class _RehearsalPort(LocalPort):
    """Effects of one run, answered from a recording. What changes nothing outside (progress, charges) is the engine's."""

    __slots__ = ("_beside", "_keyed", "_recording", "_started")

    def __init__(self, run: Run, recording: Recording, beside: Beside) -> None:
        super().__init__(run)
        self._recording = recording
        self._beside = beside
        self._started: dict[str, ExecutionRecord] = {}
        self._keyed: dict[tuple[str, str | None], Recorded] = {}

    async def _fail(self, failure: SystemFailure) -> NoReturn:
        """End the execution; its body never hears of it (L20)."""
        self.run.engine.endings.fail(self.run.node, failure.info(self.run.node.id), None)
        await self.run.never()

    async def _recorded(self, kind: str, name: str, params: bytes) -> Recorded:
        if not self.run.may_act():
            await self.run.never()
        found = self._recording.take(kind, name, params)
        if found is None:
            await self._fail(self._recording.lacks(kind, name, params))
        return found

    # -- other processes ----------------------------------------------------------------------------------------------

    async def call(self, request: CallRequest) -> Answer:
        """The recorded end of the call."""
        placed, result = await self._placed(request)
        return await self._ended(placed, result)

    async def start(self, request: CallRequest) -> str | Answer:
        """The id of the recorded child."""
        placed, result = await self._placed(request)
        if isinstance(placed, Answer):
            return await self._ended(placed, result)
        self._started[placed.id] = placed
        return placed.id

    async def await_child(self, child_id: str, result: Seam[Any] | None) -> Answer:
        """The recorded end of a child that was started."""
        if child_id not in self._started:
            return await super().await_child(child_id, result)
        name, params = self._started[child_id].process, canonical(child_id, "a child")
        if self._recording.noted(EffectKind.WAIT, name, params) is not None:
            await self.run.never()  # it was given up, by a timeout of the body's own say
        return await self._ended(self._started[child_id], result)

    async def _placed(self, request: CallRequest) -> tuple[Answer | ExecutionRecord, Seam[Any] | None]:
        """The recorded call with the contract of its result, or why it is refused today."""
        run = self.run
        found = run.engine.catalog.resolve(run.definition, request.target, request.versions, run.node.id)
        definition = found if isinstance(found, Definition) else None
        payload, fault = encoded(definition, request)
        if isinstance(found, ErrorInfo) and self._closed(found, request):
            fault = found
        result = request.result or (definition.result if definition is not None else None)
        if fault is not None:
            self._recording.made.append(f"{CALL} {request.target}")
            return _rejected(fault), result
        keyed = (request.target, request.key)
        recorded = self._keyed.get(keyed) or await self._recorded(CALL, request.target, payload)
        if request.key is not None:  # whoever uses a key again joins the call that was made under it
            self._keyed[keyed] = recorded
        if isinstance(recorded, JournalRecord):
            return _rejected(decode_error(recorded.error or b"{}")), result
        if recorded.version and not self._declares(request, recorded.version):
            why = f"{recorded.version} was called, which this version does not declare"
            await self._fail(self._recording.lacks(CALL, request.target, payload, why))
        refusal = await self._beside.refusal(run, definition, recorded, payload)
        return (recorded if refusal is None else _rejected(refusal)), result

    def _closed(self, found: ErrorInfo, request: CallRequest) -> bool:
        """Whether the call is refused whatever was recorded; a version that was published says itself whom it is for."""
        if found.code == "department_denied":
            return not self._beside.publishes(request.target)
        return found.code == "undeclared_call"

    def _declares(self, request: CallRequest, version: str) -> bool:
        ranges = [rule.versions for rule in self.run.definition.calls if rule.covers(request.target)]
        wanted = [each for each in ranges if in_range(version, each)]
        return bool(wanted) and (request.versions is None or in_range(version, request.versions))

    async def _ended(self, placed: Answer | ExecutionRecord, result: Seam[Any] | None) -> Answer:
        if isinstance(placed, ExecutionRecord):
            if placed.ended_at is None:
                await self.run.never()
            placed = answer_of(placed, result)
            self._recording.used(placed.subtree)
        if placed.aborts and placed.error is not None:
            self.run.engine.endings.abort(self.run.node, placed.error)
            await self.run.never()
        if placed.status != "completed":
            self.run.unseen.append(placed)
        return placed

    async def child_status(self, child_id: str) -> str:
        """What was recorded of it, else how the recorded child stands."""
        found = self._recording.noted(str(EffectKind.VALUE), f"status of {child_id}", _NO_PARAMETERS)
        if isinstance(found, JournalRecord):
            return str(orjson.loads(found.result or b"null"))
        known = self._started.get(child_id)
        return "UNKNOWN" if known is None else str(known.status)

    async def child_cancel(self, child_id: str) -> bool:
        """Whether it was cancelled then."""
        found = await self._recorded(str(EffectKind.VALUE), f"cancel {child_id}", _NO_PARAMETERS)
        return isinstance(found, JournalRecord) and bool(orjson.loads(found.result or b"null"))

    # -- people, time, events -----------------------------------------------------------------------------------------

    async def _settled(self, kind: EffectKind, name: str, params: bytes) -> bytes:
        """What an effect recorded; raises the error it recorded."""
        entry = await self._recorded(str(kind), name, params)
        assert isinstance(entry, JournalRecord)
        if entry.ended_at is None or was_left(entry):
            await self.run.never()
        if entry.error is not None:
            raise exception_of(decode_error(entry.error))
        return entry.result or b"null"

    async def ask(
        self,
        answer: Seam[Any],
        name: str,
        prompt: str,
        to: str | None,
        timeout_ms: int | None,  # noqa: ARG002  # as every port
        on_timeout: bytes | None,  # noqa: ARG002  # as every port
    ) -> Any:
        """The recorded answer to the ask of that name, whatever its prompt says today."""
        given = await self._settled(EffectKind.ASK, name, canonical({"prompt": prompt, "to": to}, f"ask {name!r}"))
        try:
            return answer.decode(given)
        except SeamError as unfit:
            message = f"The recorded answer to {name!r} does not fit: {unfit}"
            info = ErrorInfo(ErrorClass.DOMAIN, "invalid_input", message, {"path": unfit.path})
            raise exception_of(info) from None

    async def sleep(self, duration_ms: int) -> None:
        """It is over at once, and counts as long as it would have taken."""
        if not self.run.may_act():
            await self.run.never()
        self._recording.made.append("sleep")
        self._recording.took_ms += duration_ms

    async def wait_event(self, name: str, label: str | None, timeout_ms: int | None) -> Any:  # noqa: ARG002  # as every port
        """The recorded event."""
        return orjson.loads(await self._settled(EffectKind.EVENT, name, canonical({"key": label}, f"event {name!r}")))

    async def now(self) -> str:
        """What calendars showed then."""
        return str(await self.value("now", lambda: self.run.engine.clock.date().isoformat()))

    async def value(self, name: str, produce: Callable[[], Any]) -> Any:
        """The recorded value; one that was not recorded is made, since it reaches nobody."""
        found = self._recording.noted(str(EffectKind.VALUE), name, _NO_PARAMETERS)
        if isinstance(found, JournalRecord):
            return orjson.loads(found.result or b"null")
        return await super().value(name, produce)

    async def schedule(self, request: ScheduleRequest) -> int | None:
        """When the recorded schedule fired first."""
        params = canonical(request, f"schedule {request.name!r}")
        first_at: int | None = orjson.loads(await self._settled(EffectKind.SCHEDULE, request.name, params))
        return first_at


def _rejected(error: ErrorInfo) -> Answer:
    return Answer("rejected", None, error, None, Usage(), Usage())

"""Today's code against recorded histories: what running executions would meet after a deployment, found before it (L11)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from remit import MisuseError, Remit, Status
from remit.engine.apart.workers import Workers
from remit.engine.body.history import effect_of
from remit.engine.definitions import StepDefinition
from remit.engine.ending.faults import decode_error
from remit.engine.engine import Engine
from remit.engine.node import Node
from remit.engine.terms import note
from remit.engine.time.clock import Clock
from remit.store.port import Batch
from remit.store.records import EffectKind, ExecutionRecord
from remit.testing.children import Cast
from remit.testing.clock import VirtualClock
from remit.testing.comparison import differences
from remit.testing.harness import Hosted
from remit.testing.history import Recorded, histories_in
from remit.testing.holds import Holds
from remit.testing.passage import Passage

__all__ = ["HistoryMismatch", "Replayed", "replay"]

_PATIENCE_S = 10.0
_EFFECT = re.compile(r"(?P<what>.*?)\((?P<params>.*)\)\Z", re.DOTALL)
_BODY_ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.FAILED_CHILD_WORKFLOW})
_BODY_FAILED = _BODY_ENDED - {Status.COMPLETED}
_STEPS = frozenset({EffectKind.STEP, EffectKind.TOOL, EffectKind.MODEL})
_NO_EFFECT = frozenset({EffectKind.CHANGED, EffectKind.VALUE})


class HistoryMismatch(AssertionError):
    """Today's code cannot go on where a recorded execution stands. `details` has what was recorded and what the code does."""

    def __init__(self, message: str, details: dict[str, Any]) -> None:
        super().__init__(message)
        self.details = details


@dataclass(frozen=True, slots=True)
class Replayed:
    """One execution that today's code can continue. `goes_on_with`: what it would do next, which its history has not."""

    execution_id: str
    process: str
    version: str
    status: Status
    goes_on_with: tuple[str, ...]
    result: Any = None
    recorded_result: Any = None


async def replay(
    history: dict[str, Any] | str | Path,
    processes: Iterable[Hosted],
    *,
    workflow_imports: Iterable[str] = (),
    resources: Any = None,
) -> list[Replayed]:
    """Run today's code against an exported history: every recorded effect is answered from it, and nothing else is done.

    `history` is what `export_history` gave, or the path of the file it wrote. Executions of processes that are not passed
    are left out. Raises HistoryMismatch with recorded and actual call where an execution that stands at any point of its
    history could not be continued; steps that come after all that was recorded are no mismatch.
    """
    hosted, imports = list(processes), list(workflow_imports)
    replayed: list[Replayed] = []
    mismatches: list[HistoryMismatch] = []
    names: set[str] = set()
    for recorded in histories_in(history):
        again = _Again(hosted, imports, resources, recorded)
        names.add(recorded.record.process)
        if recorded.record.process in again.hosted_names:
            try:
                replayed.append(await again.run())
            except HistoryMismatch as mismatch:
                mismatches.append(mismatch)
    if mismatches:
        details = mismatches[0].details if len(mismatches) == 1 else {"each": [each.details for each in mismatches]}
        raise HistoryMismatch("\n\n".join(map(str, mismatches)), details)
    if not replayed:
        raise MisuseError(
            f"The history is of {', '.join(sorted(names))}: pass at least one of them in processes=[...]",
            code="unknown_process",
        )
    return replayed


class _NothingReal(Workers):
    """What would run a step is where the history ends."""

    def __init__(self, holds: Holds) -> None:
        super().__init__()
        self._holds = holds

    async def call(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        """Never."""
        del step, arguments
        await self._holds.wait(None)


class _Again(Remit):
    """One recorded execution, alone in a store of its own, as the next owner would find it after a crash."""

    def __init__(self, processes: list[Hosted], imports: list[str], resources: Any, recorded: Recorded) -> None:
        super().__init__(":memory:", processes=processes, workflow_imports=imports, resources=resources)
        self._recorded = recorded
        self._time = VirtualClock(datetime.fromtimestamp(recorded.record.created_at / 1_000, UTC))
        self._holds = Holds(self._time)
        self._catalog = Cast(self._catalog.all(), {}, self._holds)
        self.hosted_names = frozenset(self._catalog.names())

    def _clock(self) -> Clock:
        return self._time

    def _equip(self, engine: Engine) -> None:
        engine.workers = _NothingReal(self._holds)
        engine.store.commit(_seed(engine, self._recorded))
        begin, id_ = engine.begin, self._recorded.record.id

        def only_this(node: Node, definition: Any) -> None:
            if node.id == id_:
                begin(node, definition)
            else:
                engine.waiting.stand_by(node)

        engine.begin = only_this  # type: ignore[method-assign]  # what this one calls anew is admitted and never driven

    async def run(self) -> Replayed:
        """How today's code continues the execution; raises HistoryMismatch."""
        record = self._recorded.record
        if self._catalog.to_continue(record.process, record.version) is None:
            raise self._no_code()
        before, was_recorded = record.status, record.result
        ended = before in _BODY_ENDED
        async with self as app:
            await Passage(app, self._time, self._holds, []).settle(_PATIENCE_S)
            now = app.engine.store.execution(record.id)
            assert now is not None
            if now.status is Status.PAUSED and now.error is not None:
                raise self._changed(decode_error(now.error).details)
            fresh = self._fresh(app.engine, now.n)
        if now.status in _BODY_FAILED and not (ended and before in _BODY_FAILED):
            raise self._fails(now, before)
        return Replayed(
            record.id, record.process, record.version, now.status, fresh, _json(now.result), _json(was_recorded)
        )

    def _fresh(self, engine: Engine, n: int) -> tuple[str, ...]:
        """What the code did beyond its history."""
        known = {each.position for each in self._recorded.entries} | {each.position for each in self._recorded.calls}
        open_steps = {each.position for each in self._recorded.entries if each.ended_at is None and each.kind in _STEPS}
        entries = [
            (entry.position, effect_of(entry.kind, entry.name, entry.params or b"null"))
            for entry in engine.store.journal(n)
            if (entry.position not in known or entry.position in open_steps) and entry.kind not in _NO_EFFECT
        ]
        calls = [
            (child.position, effect_of("call", child.process, child.input))
            for child in engine.store.children(n)
            if child.position not in known
        ]
        return tuple(effect["effect"] for _, effect in sorted(entries + calls, key=lambda each: each[0]))

    # -- what is told -------------------------------------------------------------------------------------------------

    def _who(self) -> str:
        record = self._recorded.record
        return f"{record.process} {record.version} ({record.id})"

    def _changed(self, details: dict[str, Any]) -> HistoryMismatch:
        recorded = [str(each["effect"]) for each in details.get("recorded") or []]
        actual = str(details["actual"]["effect"]) if details.get("actual") else None
        lines = [f"{self._who()}: today's code does not do what its history has recorded"]
        lines.append(f"    recorded: {recorded[0] if recorded else 'nothing more'}")
        lines.append(f"    actual:   {actual or 'the code no longer comes to it'}")
        lines += [f"        {each}" for each in _between(recorded, actual)]
        lines += [f"    recorded too: {each}" for each in recorded[1:]]
        lines.append(
            '  Keep the recorded call for executions that have made it: `if changed("..."):` marks a new branch.'
        )
        if _has_redacted(self._recorded):
            lines.append(
                "  Secrets are redacted in this history: if the code computes with one, export with redacted=False."
            )
        return HistoryMismatch("\n".join(lines), details)

    def _fails(self, now: ExecutionRecord, before: Status) -> HistoryMismatch:
        assert now.error is not None
        error = decode_error(now.error)
        message = f"{self._who()}: today's code fails where its history goes on\n    recorded: {before}\n    actual:   {now.status} {error}"
        return HistoryMismatch(
            message, {"recorded": str(before), "actual": {"status": str(now.status), "code": error.code}}
        )

    def _no_code(self) -> HistoryMismatch:
        record = self._recorded.record
        there = ", ".join(each.version for each in self._catalog.all() if each.name == record.process)
        message = f"{self._who()}: no code continues this version; there is {there}. Host {record.version} too, or say which executions the new code takes over: @process(..., resumes='^{record.version}')"
        return HistoryMismatch(message, {"recorded": record.version, "actual": there})


def _seed(engine: Engine, recorded: Recorded) -> Batch:
    """The rows of the execution as if its owner had just died, and of what it called; nothing of that is driven."""
    batch, record = Batch(), recorded.record
    record.n, record.parent_n = engine.take_n(), 0
    record.status, record.compensation = Status.ACTIVE, record.compensation.NONE
    record.started_at = record.started_at or record.created_at
    record.result = record.error = record.ended_at = record.wake_at = record.answered = record.key = None
    record.limit_tokens = record.limit_cost = None
    record.ttl_used_ms = record.reserved_tokens = record.reserved_cost = 0
    note(record, dict.fromkeys(("saga", "held", "fault", "subtree", "on_exhausted")))
    batch.created[record.n] = record
    for child in recorded.calls:
        child.n, child.parent_n = engine.take_n(), record.n
        child.reserved_tokens = child.reserved_cost = 0
        if child.ended_at is None:
            child.status, child.wake_at = Status.PAUSED, None
        batch.created[child.n] = child
    for entry in recorded.entries:
        entry.execution_n, entry.reserved_tokens, entry.reserved_cost = record.n, 0, 0
        batch.new_journal[id(entry)] = entry
    return batch


def _between(recorded: list[str], actual: str | None) -> list[str]:
    """Where two effects of one kind and name are called with different things."""
    one, other = (_EFFECT.match(each) if each else None for each in (recorded[0] if recorded else None, actual))
    if one is None or other is None or one["what"] != other["what"]:
        return []
    try:
        return differences(json.loads(one["params"]), json.loads(other["params"]))
    except ValueError:  # shown shortened
        return []


def _has_redacted(recorded: Recorded) -> bool:
    payloads = [each.result for each in recorded.entries] + [each.result for each in recorded.calls]
    return any(b"[redacted]" in each for each in (recorded.record.input, *payloads) if each is not None)


def _json(payload: bytes | None) -> Any:
    return None if payload is None else json.loads(payload)

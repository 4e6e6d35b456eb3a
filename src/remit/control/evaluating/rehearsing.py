"""Running the cases of an evaluation: on a loop in a thread of its own, which is left where a body never gives it back (L22).

A body that waits too long is timed out, as anywhere. One that spins holds the loop that would do that: it is cut off from
outside by an exception; where that does not reach it either, in C code that sleeps, the thread is left to it, and another one
goes on with the next case.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from remit.control.evaluating.cases import Case
from remit.control.evaluating.figures import Problem
from remit.engine.admission import RootTerms
from remit.engine.apart.hosts import raise_in
from remit.engine.apart.watchdog import LoopBlocked
from remit.engine.definitions import Definition, denied
from remit.engine.time.clock import SystemClock
from remit.engine.versions.beside import Rules
from remit.engine.versions.recording import Recording
from remit.engine.versions.rehearsal import Rehearsal
from remit.errors import InvalidInput, MisuseError
from remit.kernel.preflight import Limits
from remit.kernel.retry import Retry
from remit.store.records import ExecutionRecord
from remit.store.sqlite import SqliteStore

__all__ = ["Played", "Stage", "rehearse"]

PATIENCE_MS = 60_000
"""A body that does not come to its end within this has not passed, whether it waits or spins."""
GRACE_S = 1.0
"""How much later than that a loop may say so itself, and how long a body that is cut off may take to leave."""
LEFT_MAX = 3
"""So many threads are left to bodies that cannot be stopped; then no more cases are run."""


@dataclass(slots=True)
class Played:
    """One version on one case; without a record, what kept it from having one."""

    recording: Recording
    record: ExecutionRecord | None = None
    status: str = "REFUSED"
    error: str = ""
    problem: Problem | None = None


class _Turn(NamedTuple):
    """One version that is to run on one case."""

    definition: Definition
    case: Case


class Stage(NamedTuple):
    """What versions run on."""

    definitions: Sequence[Definition]
    limits: Limits
    resources: object
    live: tuple[str, ...]
    rules: Rules

    def closed_to(self, case: Case, definition: Definition) -> Problem | None:
        """Why who called it would not reach this version (L45)."""
        if not case.above:
            return None
        caller = case.above[-1]
        refusal = denied(caller.process, caller.department, definition.name, definition.department, definition.callers)
        return None if refusal is None else Problem(refusal.code, refusal.message)


async def rehearse(
    stage: Stage, candidate: Definition, current: Definition | None, cases: Sequence[Case]
) -> tuple[list[Played], list[Played | None]]:
    """The candidate on all cases, and the current version on those that do not say how it ended."""
    turns = [_Turn(candidate, each) for each in cases]
    beside = [each for each in cases if each.recorded is None and current is not None]
    if current is not None:
        turns += [_Turn(current, each) for each in beside]
    played = await _all(stage, turns)
    there: list[Played | None] = [*played[len(cases) :]]
    return played[: len(cases)], there or [None] * len(cases)


async def _all(stage: Stage, turns: Sequence[_Turn]) -> list[Played]:
    played: list[Played] = []
    left = 0
    while len(played) < len(turns):
        if left == LEFT_MAX:
            played += [_never(each, "it was not run: bodies before it could not be stopped") for each in turns[len(played) :]]
            break
        company = _Company(stage, turns[len(played) :])
        try:
            ended = await company.watched()
        finally:
            company.leave()
        played += company.played
        if not ended:
            left += 1
            played.append(_never(turns[len(played)], "it held the event loop and could not be stopped"))
    return played


def _never(turn: _Turn, why: str) -> Played:
    problem = Problem("status", f"it did not come to its end within {PATIENCE_MS / 1_000:g} s: {why}")
    return Played(turn.case.recording(), status="TIMED_OUT", error="lease_expired", problem=problem)


class _Company:
    """A thread with a loop that plays one turn after the other."""

    def __init__(self, stage: Stage, turns: Sequence[_Turn]) -> None:
        self._stage = stage
        self._turns = turns
        self._left = threading.Event()
        self._began: float | None = None
        self._failure: BaseException | None = None
        self.played: list[Played] = []
        # No thread of an executor: Python waits for those before it exits, and this one may never end.
        self._thread = threading.Thread(target=self._run, name="remit-evaluation", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Play no further turn."""
        self._left.set()

    async def watched(self) -> bool:
        """Wait until all turns are played; False where one cannot be stopped. Raises what kept them from being played."""
        turn, cut = -1, 0.0
        while self._thread.is_alive():
            await asyncio.sleep(0.01)
            began, now = self._began, time.monotonic()
            if began is None or now - began < PATIENCE_MS / 1_000 + GRACE_S:
                continue
            if turn != len(self.played):
                turn, cut = len(self.played), now
            if now - cut > GRACE_S:
                return False
            raise_in(self._thread, LoopBlocked)  # past that time this is the body, which holds its loop
        if self._failure is not None:
            raise self._failure
        return len(self.played) == len(self._turns)

    def _run(self) -> None:
        try:
            asyncio.run(self._play_all())
        except LoopBlocked:
            return  # the turn that was cut off is not among those that were played
        except BaseException as failure:  # noqa: BLE001  # told by whoever waits for the thread
            self._failure = failure

    async def _play_all(self) -> None:
        stage = self._stage
        store = SqliteStore(":memory:", SystemClock().now)
        engine = Rehearsal(store, stage.definitions, stage.limits, stage.resources, stage.live, stage.rules)
        try:
            for turn in self._turns:
                if self._left.is_set():
                    return
                self._began = time.monotonic()
                played = await self._play(engine, turn)
                self._began = None
                self.played.append(played)
        finally:
            await engine.close()

    async def _play(self, engine: Rehearsal, turn: _Turn) -> Played:
        case, definition = turn.case, turn.definition
        played = Played(case.recording(), problem=self._stage.closed_to(case, definition))
        if played.problem is not None:
            played.error = played.problem.kind
            return played
        caller = case.above[-1].process if case.above else None
        terms = RootTerms(
            None, case.tenant, case.owner, case.region, None, PATIENCE_MS, Retry(attempts=1),
            caller=caller, depth=len(case.above),
        )  # fmt: skip
        try:
            played.record = await engine.run(
                definition.name, definition.version, case.input, played.recording, terms, case.above
            )
        except InvalidInput as refused:
            played.error, played.problem = "invalid_input", Problem("input", str(refused))
        except MisuseError as refused:
            played.error, played.problem = refused.code, Problem("policy", str(refused))
        return played

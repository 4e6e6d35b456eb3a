"""What people and outside systems do in a test: answers to asks and events, given as soon as somebody waits for them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import orjson

from remit.engine.engine import Engine
from remit.engine.time.clock import Clock
from remit.store.records import EffectKind, ExecutionFilter, ExecutionRecord, JournalRecord
from remit.testing.fakes import After, Hangs, InTurn

__all__ = ["Awaited", "Script"]

_OPEN = frozenset(
    {"ACTIVE", "PENDING_ASYNC", "PENDING_SUB_WORKFLOW", "WAITING_HUMAN_INPUT", "WAITING_CHILD_HUMAN_INPUT"}
)
_MOST = 10_000
Give = Callable[["Awaited", Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Awaited:
    """An open ask ('ask'), or an event that somebody waits for ('event'): what a scripted function is called with."""

    kind: str
    name: str
    prompt: str
    to: str | None
    execution_id: str
    process: str
    input: Any


class Script:
    """Answers or events by name: of the ask or event ('ship'), or of its process as well ('order/ship')."""

    def __init__(self, keyword: str, kind: EffectKind, lines: Mapping[str, Any], clock: Clock, give: Give) -> None:
        self._keyword = keyword
        self._kind = kind
        self._lines = dict(lines)
        self._clock = clock
        self._give = give
        self._seen: set[tuple[str, int, int]] = set()
        self._later: set[asyncio.Task[None]] = set()
        self._used: set[str] = set()
        self._passed_over: set[str] = set()
        self._failure: BaseException | None = None

    async def play(self, engine: Engine) -> bool:
        """Give what is due now to those who wait; whether there was anything. Raises what giving it raises."""
        if self._failure is not None:
            raise self._failure
        gave = bool(self._later)
        if self._lines:
            for record, entry in _waits(engine, self._kind):
                place = (record.id, entry.generation, entry.position)
                if place not in self._seen:
                    self._seen.add(place)
                    gave = await self._meet(_awaited(record, entry)) or gave
        return gave

    async def _meet(self, awaited: Awaited) -> bool:
        names = (f"{awaited.process}/{awaited.name}", awaited.name)
        name = next((each for each in names if each in self._lines), None)
        if name is None:
            self._passed_over.add(awaited.name)
            return False
        self._used.add(name)
        return await self._say(awaited, self._lines[name])

    async def _say(self, awaited: Awaited, line: Any) -> bool:
        if isinstance(line, InTurn):
            return await self._say(awaited, line.next(f"the {self._kind} {awaited.name!r}"))
        if isinstance(line, Hangs):
            return False
        if isinstance(line, After):
            self._clock.call_later(line.delay_ms, lambda: self._say_later(awaited, line.then))
            return False
        if callable(line):
            line = line(awaited)
            line = await line if inspect.isawaitable(line) else line
        await self._give(awaited, line)
        return True

    def _say_later(self, awaited: Awaited, line: Any) -> None:
        task = asyncio.ensure_future(self._said(awaited, line))
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _said(self, awaited: Awaited, line: Any) -> None:
        try:
            await self._say(awaited, line)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test is told when it next looks
            self._failure = error

    def misspelt(self) -> str | None:
        """What was scripted and never asked for, while something of another name was; None where all is well."""
        unused = [name for name in self._lines if name not in self._used]
        if not unused or not self._passed_over:
            return None
        close = get_close_matches(unused[0].rpartition("/")[2], self._passed_over, n=1)
        meant = (
            f"did you mean {close[0]!r}?"
            if close
            else f"nothing was scripted for {', '.join(sorted(self._passed_over))}"
        )
        return f"{self._keyword}={{{unused[0]!r}: ...}} was never asked for: {meant}"

    def close(self) -> None:
        """Say nothing more."""
        for task in self._later:
            task.cancel()


def _waits(engine: Engine, kind: EffectKind) -> list[tuple[ExecutionRecord, JournalRecord]]:
    """The open waits of that kind, oldest executions first; all that was decided is durable by now."""
    waiting = engine.store.listing(ExecutionFilter(status=_OPEN, limit=_MOST))
    return [
        (record, entry)
        for record in reversed(waiting)
        for entry in engine.store.journal(record.n, record.generation)
        if entry.kind is kind and entry.ended_at is None
    ]


def _awaited(record: ExecutionRecord, entry: JournalRecord) -> Awaited:
    params = orjson.loads(entry.params or b"{}")
    asked = params if isinstance(params, dict) else {}
    return Awaited(
        str(entry.kind),
        entry.name,
        str(asked.get("prompt") or ""),
        asked.get("to"),
        record.id,
        record.process,
        orjson.loads(record.input),
    )

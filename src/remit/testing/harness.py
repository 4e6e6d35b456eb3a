"""An app for a test: time of its own, fakes for what reaches into the world, and people who answer by script."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Coroutine, Iterable, Mapping
from types import ModuleType, TracebackType
from typing import Any, Self, TypedDict, TypeVar, overload

from remit import Limits, Outcome, Process, ProcessRef, Record, Remit, StoreError
from remit.engine.definitions import Catalog
from remit.engine.engine import Engine
from remit.engine.node import Node
from remit.engine.time.clock import Clock
from remit.store.records import EffectKind
from remit.testing.calls import Called, Made
from remit.testing.children import Cast
from remit.testing.clock import Duration, VirtualClock
from remit.testing.fakes import misfit
from remit.testing.holds import Holds
from remit.testing.names import Steps, is_of_workflow, refuse_unknown, steps_of
from remit.testing.passage import Passage, Stuck
from remit.testing.scripts import Awaited, Script
from remit.testing.stand_ins import StandIns
from remit.testing.trees import tree_text

__all__ = ["Hosted", "Options", "TestApp"]

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")
Hosted = Process[Any, Any] | ModuleType | str | os.PathLike[str]
_NOTHING: Mapping[str, Any] = {}


class Options(TypedDict, total=False):
    """What an app for a test may be made with; see `TestApp`."""

    tools: Mapping[str, Any]
    models: Mapping[str, Any]
    steps: Mapping[str, Any]
    compensations: Mapping[str, Any]
    children: Mapping[str, Any]
    answers: Mapping[str, Any]
    events: Mapping[str, Any]
    clock: VirtualClock | None
    real: bool
    store: str
    workflow_imports: Iterable[str]
    http_hosts: Iterable[str]
    secrets: Mapping[str, str] | None
    env: Iterable[str]
    resources: Any
    limits: Limits | None


class TestApp(Remit):
    """A `Remit` for tests: `async with TestApp([order], tools={"rate-card": 7}, answers={"approve": True}) as app`.

    `tools`, `models`, `steps`, `compensations` and `children` are fakes by name: data, an exception, a function, or
    `in_turn`, `after`, `hangs`. `answers` and `events` are given as soon as somebody waits for them. Its `clock` stands
    still, and passes by itself only while an outcome is awaited and nothing else can happen. `real=False`: whatever has
    no fake is refused instead of run. Raises DefinitionError for a fake of what is not there.
    """

    __test__ = False

    def __init__(
        self,
        processes: Iterable[Hosted] = (),
        *,
        tools: Mapping[str, Any] = _NOTHING,
        models: Mapping[str, Any] = _NOTHING,
        steps: Mapping[str, Any] = _NOTHING,
        compensations: Mapping[str, Any] = _NOTHING,
        children: Mapping[str, Any] = _NOTHING,
        answers: Mapping[str, Any] = _NOTHING,
        events: Mapping[str, Any] = _NOTHING,
        clock: VirtualClock | None = None,
        real: bool = True,
        store: str = ":memory:",
        workflow_imports: Iterable[str] = (),
        http_hosts: Iterable[str] = (),
        secrets: Mapping[str, str] | None = None,
        env: Iterable[str] = (),
        resources: Any = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(
            store,
            processes=processes,
            workflow_imports=workflow_imports,
            http_hosts=http_hosts,
            secrets=secrets,
            env=env,
            resources=resources,
            limits=limits,
        )
        self.clock = clock or VirtualClock()
        self.calls = Called()
        """Every call of a step, tool, model, compensation or child that was really made, in order."""
        self._real = real
        self._holds = Holds(self.clock)
        self._children = frozenset(children)
        self._scripts = [
            Script("answers", EffectKind.ASK, answers, self.clock, self._answer),
            Script("events", EffectKind.EVENT, events, self.clock, self._send),
        ]
        self._fakes = _by_kind({"tool": tools, "model": models, "step": steps, "compensation": compensations})
        known = steps_of(self._catalog.all())
        _check(self._fakes, known)
        self._catalog = Cast(self._catalog.all(), children, self._holds)
        self.calls.known = {name for _, name in (*known, *self._fakes)} | _children(self._catalog)
        self._passage = Passage(self, self.clock, self._holds, self._scripts)
        self.last_trees: list[str] = []
        """The trees of the roots it ended with, as text: for the report of a test that fails."""

    # -- life ---------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.clock.enter(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self in self.clock.inhabitants:
            self.clock.leave(self)
        for script in self._scripts:
            script.close()
        try:
            if error is not None and self._engine is not None:
                self.last_trees = [tree_text(await self.tree(root.execution_id)) for root in await self._roots()]
        except StoreError as failure:  # the store may be what the test has broken: then its error is the one to see
            self.last_trees = [f"The trees cannot be read: {failure}"]
        finally:
            await super().__aexit__(kind, error, trace)
        misspelt = next(filter(None, (script.misspelt() for script in self._scripts)), None)
        if misspelt is not None and error is None:
            raise AssertionError(misspelt)

    async def _roots(self) -> list[Record]:
        return [record for record in reversed(await self.list(limit=50)) if record.depth == 0]

    def _clock(self) -> Clock:
        return self.clock

    def _equip(self, engine: Engine) -> None:
        engine.workers = StandIns(self._fakes, self.calls, self._holds, refuse=not self._real)
        admit = engine.admission.child

        def noted(*arguments: Any, **terms: Any) -> Node:
            node = admit(*arguments, **terms)
            self._note_child(engine, node)
            return node

        engine.admission.child = noted  # type: ignore[method-assign]  # every child is admitted there, once

    def _note_child(self, engine: Engine, child: Node) -> None:
        assert child.parent is not None
        caller, record, definition = child.parent.record, child.record, engine.definition_of(child)
        value = definition.input.decode(record.input) if definition is not None else None
        faked = record.process in self._children
        self.calls.append(Made("child", record.process, {"input": value}, caller.id, caller.process, faked=faked))

    # -- what a test does ---------------------------------------------------------------------------------------------

    @overload
    async def run(self, target: Process[In, Out] | ProcessRef[In, Out], input: In, **terms: Any) -> Outcome[Out]: ...
    @overload
    async def run(self, target: Process[None, Out] | ProcessRef[None, Out], **terms: Any) -> Outcome[Out]: ...
    @overload
    async def run(self, target: str, input: Any = ..., **terms: Any) -> Outcome[Any]: ...
    async def run(self, target: Any, input: Any = None, **terms: Any) -> Outcome[Any]:
        """Start a root and wait for its outcome; `terms` are those of `start` (key, tenant, budget, …)."""
        return await (await self.start(target, input, **terms)).outcome()

    async def outcome(self, execution_id: str, timeout: Duration | None = None) -> Outcome[Any]:
        """Wait for the end, letting the clock pass meanwhile; `timeout` is real time, and raises TimeoutError.

        Without one, raises Stuck where the end cannot come any more.
        """
        return await self._passing(super().outcome(execution_id, timeout), execution_id, patient=timeout is not None)

    async def compensated(self, execution_id: str, timeout: Duration | None = None) -> Record:
        """Wait until all is undone that is to be undone, letting the clock pass meanwhile; `timeout` is real time."""
        return await self._passing(
            super().compensated(execution_id, timeout), execution_id, patient=timeout is not None
        )

    async def _passing(self, waiting: Coroutine[Any, Any, T], execution_id: str, *, patient: bool) -> T:
        done = asyncio.ensure_future(waiting)
        try:
            await self._passage.until(done, patient=patient)
        except Stuck as stuck:
            tree = tree_text(await self.tree(execution_id))
            raise Stuck(f"{execution_id} does not end: {stuck}\n{tree}") from None
        finally:
            if not done.done():
                done.cancel()
                await asyncio.wait({done})
        return await done

    async def settle(self, patience_s: float | None = None, *, force: bool = False) -> None:
        """Return once nothing happens any more unless time passes: all executions wait, scripts have been played.

        Raises Stuck where one stays at work for ten seconds, or `patience_s`, of real time; with `force` it returns then.
        """
        await self._passage.settle(patience_s, force=force)

    def is_at_rest(self) -> bool:
        """Whether nothing goes on by itself, and all that was decided is durable."""
        return self._passage.at_rest()

    async def _answer(self, awaited: Awaited, value: Any) -> None:
        await self.answer(awaited.execution_id, value, awaited.name)

    async def _send(self, awaited: Awaited, payload: Any) -> None:
        _ = await self.send(awaited.execution_id, awaited.name, payload)


def _children(catalog: Catalog) -> set[str]:
    """The names of the processes that are hosted, or called by one that is."""
    called = {rule.pattern for each in catalog.all() for rule in each.calls if not rule.pattern.endswith("*")}
    return {*catalog.names(), *called}


def _by_kind(given: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], Any]:
    return {(kind, name): fake for kind, fakes in given.items() for name, fake in fakes.items()}


def _check(fakes: Mapping[tuple[str, str], Any], known: Steps) -> None:
    """Raise DefinitionError for a fake of what is not there, or that cannot be called as what it stands in for is."""
    for (kind, name), fake in fakes.items():
        refuse_unknown(kind, name, known)
        real = known.get((kind, name))
        if real is None or is_of_workflow(real):
            continue
        names = [*inspect.signature(real.function).parameters, *(["result"] if kind == "compensation" else [])]
        problem = misfit(fake, names, f"{kind} {name!r} ({real.where})")
        if problem is not None:
            raise problem

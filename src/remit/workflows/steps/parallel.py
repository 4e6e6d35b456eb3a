"""PARALLEL: tasks side by side, each on its own copy of the state, their results merged when all are there.

A task is a function, which may start a child or ask a person, or a child itself. What tasks give is merged in the order
of the file, whatever finished first; so the state does not depend on chance.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from remit.errors import DomainError, ErrorClass, RemitError
from remit.workflows.format.model import ParallelStep
from remit.workflows.running.flow import Ended, Flow, Frame, key_of
from remit.workflows.running.limits import all_of, no_list, step_timeout, within
from remit.workflows.running.reckoning import Filled, Read
from remit.workflows.running.results import Contribution, Merging, Origin, Preference, Strategy, deepened, merged, named
from remit.workflows.running.state import plain_data
from remit.workflows.steps.asking import ANYTHING
from remit.workflows.steps.children import Called
from remit.workflows.steps.directed import call_child
from remit.workflows.steps.invoke import Given, StepFunction

__all__ = ["ChildTask", "EachItem", "FunctionTask", "ParallelUnit"]

_ITEMS_MAX = 5_000
"""Each is an entry of the history, which holds 10,000: a longer list is refused before anything is done for it."""


class Done(NamedTuple):
    """What one task gave: values, fields it changed in place, its child's type and result, and where it jumped."""

    values: dict[str, Any]
    changed: dict[str, Any]
    child: tuple[str, Any] | None = None
    goto: str | None = None


@dataclass(frozen=True, slots=True)
class FunctionTask:
    """A task that is a function; its step is named `Step.task`."""

    name: str
    function: StepFunction

    async def do(self, flow: Flow, frame: Frame, visit: int, origin: Origin) -> Done:
        """Perform the function and follow its directive."""
        arguments: dict[str, Any] = {} if visit == 1 else {"visit": visit}
        if isinstance(origin[1], int):
            arguments["item"] = origin[1]
        inputs = {name: item for name, item in frame.inputs.items() if name in self.function.shape.inputs}
        given = Given(flow.state, flow.context(self.function.step, frame), inputs, merges=False)
        record = await self.function.perform(given, arguments)
        done = Done(record.get("result", {}), record.get("changed", {}))
        directive = record.get("directive")
        if directive is None:
            return done
        if directive["do"] == "jump":
            return done._replace(goto=directive["target"])
        if directive["do"] == "pause":
            answer = await ANYTHING.ask(named(origin), prompt=directive["waiting_for"] or "")
            return done._replace(values={**done.values, **answer})
        called = directive["workflow_type"]
        result = await call_child(called, directive.get("version"), directive["input"], key_of(named(origin), visit))
        return done._replace(child=(called, result))


@dataclass(frozen=True, slots=True)
class ChildTask:
    """A task that is a child."""

    name: str
    called: Called
    output: Filled | None

    async def do(self, flow: Flow, frame: Frame, visit: int, origin: Origin) -> Done:
        """Call it; its `output` says what of its result is merged."""
        result = await self.called.result(self.called.data(flow, frame), key_of(named(origin), visit))
        values = {} if self.output is None else self.output.value(flow, frame, result=result)
        return Done(plain_data(values, f"the output of {named(origin)}"), {}, (self.called.workflow_type, result))


@dataclass(frozen=True, slots=True)
class EachItem:
    """One function for each item of a list of the state."""

    items: Read
    item_name: str
    task: FunctionTask
    batch_size: int


@dataclass(slots=True)
class _Work:
    """One task of one visit."""

    task: FunctionTask | ChildTask
    frame: Frame
    origin: Origin
    """The step's name, and the task's name or the item's number."""
    done: Done | None = None
    failure: RemitError | None = None
    settled: bool = False
    """Whether what it gave is in the state."""


@dataclass(slots=True)
class ParallelUnit:
    """Tasks side by side."""

    spec: ParallelStep
    tasks: tuple[FunctionTask | ChildTask, ...] = ()
    each: EachItem | None = None
    preference: Preference = field(init=False)

    def __post_init__(self) -> None:
        stated = "merge_conflict_behavior" in self.spec.model_fields_set
        if self.spec.prefers_existing:
            self.preference = "PREFER_EXISTING"
        elif self.spec.merge_conflict_behavior == "PREFER_NEW" or (self.each is not None and not stated):
            self.preference = "PREFER_NEW"  # one function gives each item's result under the same names
        else:
            self.preference = "RAISE_ERROR"

    async def run(self, flow: Flow, frame: Frame, visit: int) -> Ended:
        """Do all tasks, batch by batch, and merge what they give; raises DomainError `step_timeout`."""
        batches = list(self._batches(flow, frame))
        works = [work for batch in batches for work in batch]
        merging = Merging(self.spec.merge_strategy, self.preference)
        try:
            await within(self.spec.timeout, self._do(batches, flow, visit, merging), self.spec.name)
        except DomainError as error:
            if error.code != "step_timeout" or not self.spec.allow_partial_success:
                raise
            self._late(works)
            self._settle(works, flow, merging)
        if works and all(work.failure is not None for work in works):
            assert works[0].failure is not None
            raise works[0].failure
        self._keep_children(works, flow)
        result = dict(merging.whole)
        if self.each is not None:
            result[self.spec.name] = [work.done.values if work.done is not None else None for work in works]
            flow.merge({self.spec.name: result[self.spec.name]})
        return Ended(result, goto=next((work.done.goto for work in works if work.done and work.done.goto), None))

    def _batches(self, flow: Flow, frame: Frame) -> Iterator[list[_Work]]:
        step = self.spec.name
        if self.each is None:
            yield [_Work(task, frame, (step, task.name)) for task in self.tasks]
            return
        items = self.each.items.value(flow, frame)
        if not isinstance(items, list | tuple):
            raise no_list(step, self.spec.iterate_over, items)
        if len(items) > _ITEMS_MAX:
            raise DomainError(
                f"Step {step!r}: {self.spec.iterate_over} has {len(items)} items, a PARALLEL step takes {_ITEMS_MAX:,} at most:"
                " pass parts of the list to children",
                code="limit_exceeded",
                limit=_ITEMS_MAX,
                current=len(items),
            )
        size = self.each.batch_size or max(len(items), 1)
        works = [
            _Work(self.each.task, frame.within(self.each.item_name, item, index), (step, index))
            for index, item in enumerate(items)
        ]
        for start in range(0, len(works), size):
            yield works[start : start + size]

    async def _do(self, batches: list[list[_Work]], flow: Flow, visit: int, merging: Merging) -> None:
        """Every task to its end, one batch after the other; the next one sees what the one before has given."""
        for batch in batches:
            await all_of([self._one(work, flow, visit) for work in batch])
            self._settle(batch, flow, merging)

    def _late(self, works: list[_Work]) -> None:
        for work in works:
            if work.done is None and work.failure is None:
                work.failure = step_timeout(named(work.origin), self.spec.timeout)

    def _settle(self, works: list[_Work], flow: Flow, merging: Merging) -> None:
        """Take what is over and not taken yet: what tasks gave, merged, and how others failed."""
        over = [work for work in works if not work.settled]
        for work in over:
            work.settled = True
            if work.failure is not None:
                flow.failed(named(work.origin), work.failure)
        if any(work.done is not None for work in over):
            self._merge(over, flow, merging)

    def _one(self, work: _Work, flow: Flow, visit: int) -> Coroutine[Any, Any, None]:
        async def one() -> None:
            try:
                work.done = await work.task.do(flow, work.frame, visit, work.origin)
            except RemitError as error:
                if not self.spec.allow_partial_success or error.error_class is not ErrorClass.DOMAIN:
                    raise
                work.failure = error

        return one()

    def _merge(self, works: list[_Work], flow: Flow, merging: Merging) -> None:
        """What the tasks give, with that of the batches before, into the state; raises DomainError `merge_conflict`.

        A field that any task changed in place holds all that was there before: values for it stand in its place.
        """
        dones = [(str(work.origin[1]), work.done) for work in works if work.done is not None]
        values = merging.take([Contribution(name, done.values) for name, done in dones])
        if self.spec.merge_strategy == "REPLACE":
            flow.state.replace(merging.whole)
            return
        touched = {field for _, done in dones for field in done.changed}
        if touched:
            flow.state.set(self._in_place(dones, touched, flow))
        fresh = {name: value for name, value in values.items() if flow.state.type.written(name) not in touched}
        flow.merge(deepened(flow.state.plain, fresh, self.spec.merge_strategy))

    def _in_place(self, dones: list[tuple[str, Done]], touched: set[str], flow: Flow) -> dict[str, Any]:
        given = [(name, {**done.changed, **flow.state.type.fields_of(done.values)}) for name, done in dones]
        strategy: Strategy = "DEEP" if self.spec.merge_strategy == "DEEP" else "SHALLOW"
        return merged(
            [Contribution(name, {key: value for key, value in all_.items() if key in touched}) for name, all_ in given],
            strategy,
            self.preference,
        )

    def _keep_children(self, works: list[_Work], flow: Flow) -> None:
        children = [(work, work.done.child) for work in works if work.done is not None and work.done.child is not None]
        if not children:
            return
        results: Any = {work.origin[1]: child[1] for work, child in children}
        if self.each is not None:
            results = [results.get(index) for index in range(len(works))]
        flow.children_done(self.spec.name, results, [(child[0], work.origin) for work, child in children])

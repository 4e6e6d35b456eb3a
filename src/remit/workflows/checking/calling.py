"""Which workflows call which: what is called is there and declared, and no chain of calls comes back to where it began."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from remit.authoring.process import split_reference
from remit.engine.definitions import in_range
from remit.errors import DefinitionError
from remit.kernel.departments import admits, denial
from remit.workflows.checking.views import Placed, View
from remit.workflows.format.findings import did_you_mean
from remit.workflows.format.model import CronScheduleStep, FireAndForgetStep, ParallelStep, SubWorkflowStep
from remit.workflows.format.source import Loc

__all__ = ["Book", "Call", "calls_of", "check_calls"]

_DEEPEST = 3
_SMALLEST = 3


class Call(NamedTuple):
    """A place where a workflow calls another; not `nested` where it only sets it up to be started later."""

    target: str
    loc: Loc
    by: str
    versions: str | None = None
    nested: bool = True


@dataclass(frozen=True, slots=True)
class Book:
    """The workflows that are checked together, by name; `processes` are those written in Python, where they are known."""

    views: Mapping[str, Sequence[View]]
    processes: Mapping[str, str] | None

    @property
    def names(self) -> list[str]:
        """All that can be called."""
        return [*self.views, *(self.processes or ())]

    def versions(self, name: str) -> list[str]:
        """The versions there are of a workflow or process."""
        own = [view.file.workflow.workflow_version for view in self.views.get(name, ())]
        return own + ([self.processes[name]] if self.processes and name in self.processes else [])


def calls_of(view: View) -> Iterator[tuple[Placed, Call]]:
    """Every call of a workflow: by its steps, by their tasks, and by their functions as far as the source says."""
    for placed in view.steps:
        step, loc = placed.step, placed.loc
        if isinstance(step, SubWorkflowStep):
            yield placed, Call(step.sub_workflow_type, (*loc, "sub_workflow_type"), placed.named, step.version)
        elif isinstance(step, FireAndForgetStep):
            yield placed, Call(step.target_workflow_type, (*loc, "target_workflow_type"), placed.named, step.version)
        elif isinstance(step, CronScheduleStep):
            at = (*loc, "target_workflow_type")
            yield placed, Call(step.target_workflow_type, at, placed.named, nested=False)
        elif isinstance(step, ParallelStep):
            for number, task in enumerate(step.tasks):
                if task.sub_workflow_type is not None:
                    at = (*loc, "tasks", number, "sub_workflow_type")
                    yield placed, Call(task.sub_workflow_type, at, placed.named, task.version)
        for at, code in placed.codes:
            for start in code.starts:
                by = f"{placed.named} (StartSubWorkflowDirective at {start.place})"
                yield placed, Call(start.workflow_type, at, by, start.version)


def check_calls(book: Book) -> None:
    """Report calls of what is not there or not declared, cycles, deep chains and children that are hardly worth one."""
    for views in book.views.values():
        for view in views:
            _check_declared(view, book)
            for _, call in calls_of(view):
                _check_call(view, call, book)
    graph = _Graph(book)
    graph.check_cycles()
    graph.check_depth()
    graph.check_size()


def _check_declared(view: View, book: Book) -> None:
    """The entries of `calls`: references that can be read, to what there is as far as that is known."""
    for number, written in enumerate(view.file.workflow.calls or ()):
        at: Loc = ("calls", number)
        try:
            name, versions = split_reference(written, where="calls", pattern=True)
            if versions is not None:
                in_range("1.0.0", versions)
        except DefinitionError as error:
            view.report("invalid_value", f"`calls`: {str(error).removeprefix('calls: ').rstrip('.')}", at)
            continue
        if "*" in name or name in book.names:
            continue
        close = did_you_mean(name, book.names)
        if book.processes is not None:
            view.report(
                "unknown_process",
                f"`calls` names {name!r}, but there is no such workflow or process",
                at,
                suggestion=close,
            )
        elif close is not None:
            view.warn(
                "unknown_process",
                f"`calls` names {name!r}, which is none of the workflows checked here",
                at,
                suggestion=close,
            )


def _check_call(view: View, call: Call, book: Book) -> None:
    declared = view.file.workflow.calls
    if declared is not None:
        rule = _rule(call.target, declared)
        if rule is None:
            told = f"{call.by} calls {call.target!r}, which `calls` does not list"
            close = did_you_mean(call.target, [each.partition("@")[0] for each in declared])
            view.report("undeclared_call", told, call.loc, suggestion=close)
            return
        _check_version(view, call, rule.partition("@")[2], book)
    known = book.versions(call.target)
    if not known and (declared is None or book.processes is not None):
        told = f"{call.by} calls {call.target!r}, but there is no such workflow{_hint(view, call, book)}"
        view.report(
            "unknown_process", told, call.loc, suggestion=did_you_mean(call.target, set(book.names) - {view.name})
        )
    elif declared is None and not _is_beside(view, call.target, book):
        told = f"{call.by} calls {call.target!r}, which is not in its own directory: list it in `calls`"
        view.report("undeclared_call", told, call.loc)
    _check_version(view, call, call.versions or "", book)
    _check_department(view, call, book)


def _check_department(view: View, call: Call, book: Book) -> None:
    """A call that every version of its target denies to the caller's department can only be rejected (L45)."""
    its = view.file.workflow.department
    targets = [each.file.workflow for each in book.views.get(call.target, ())]
    if targets and not any(admits(each.department, each.callers, its) for each in targets):
        first = targets[0]
        told = f"{call.by}: {denial(call.target, first.department, first.callers or (), view.name, its)}"
        view.report("department_denied", told.rstrip("."), call.loc)


def _rule(target: str, declared: Sequence[str]) -> str | None:
    for each in declared:
        name = each.partition("@")[0].strip()
        if name == target or (name.endswith("*") and target.startswith(name[:-1])):
            return each
    return None


def _hint(view: View, call: Call, book: Book) -> str:
    """What else may be the matter: it is in a file that was not given, or it is no workflow."""
    for path in sorted(view.file.path.parent.glob("*.y*ml")):
        if path.resolve() != view.file.path.resolve() and _defines(path.stem, call.target):
            return f" among those that were given: is it in {path.name}? Give the directory, or that file too"
    return "" if book.processes is not None else ": a process written in Python is listed in `calls`"


def _defines(stem: str, name: str) -> bool:
    """Whether a file's name looks like a workflow's: SendNotifications, send_notifications_workflow."""
    plain = "".join(each for each in stem.lower() if each.isalnum())
    return "".join(each for each in name.lower() if each.isalnum()) in {plain, plain.removesuffix("workflow")}


def _is_beside(view: View, target: str, book: Book) -> bool:
    here = view.file.directory.resolve()
    return any(each.file.directory.resolve() == here for each in book.views.get(target, ()))


def _check_version(view: View, call: Call, versions: str, book: Book) -> None:
    there = book.versions(call.target)
    if not versions or not there:
        return
    try:
        fits = any(in_range(each, versions) for each in there)
    except DefinitionError as error:
        view.report("invalid_value", f"{call.by}: {error}".rstrip("."), (*call.loc[:-1], "version"))
        return
    if not fits:
        told = f"{call.by} calls {call.target}@{versions}, but there is {', '.join(sorted(there))}"
        view.report("no_matching_version", told, call.loc)


class _Graph:
    """Who calls whom, by name, with the first call that says so."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._edges: dict[str, dict[str, tuple[View, Call]]] = {name: {} for name in book.views}
        for name, views in book.views.items():
            for view in views:
                for _, call in calls_of(view):
                    if call.nested and call.target in book.views:
                        self._edges[name].setdefault(call.target, (view, call))

    def check_cycles(self) -> None:
        """Each cycle once, at the call that closes it."""
        done: set[str] = set()
        for name in self._edges:
            self._search([name], done)

    def _search(self, path: list[str], done: set[str]) -> None:
        """Depth first without recursion: a chain may be as long as there are workflows."""
        if path[0] in done:
            return
        waiting = [iter(self._edges[path[0]].items())]
        while waiting:
            step = next(waiting[-1], None)
            if step is None:
                waiting.pop()
                done.add(path.pop())
                continue
            target, (view, call) = step
            if target in path:
                round_trip = " -> ".join([*path[path.index(target) :], target])
                told = f"{call.by} calls {target!r}, which closes a cycle: {round_trip}"
                view.report("cycle_detected", told, call.loc)
            elif target not in done:
                path.append(target)
                waiting.append(iter(self._edges[target].items()))

    def check_depth(self) -> None:
        """Chains that nest deeper than is easily understood, from the workflow where they begin."""
        if any(
            each.code == "cycle_detected"
            for views in self._book.views.values()
            for view in views
            for each in view.findings
        ):
            return
        chains: dict[str, list[str]] = {}
        for name in self._edges:
            self._longest(name, chains)
        called = {target for edges in self._edges.values() for target in edges}
        for name, chain in chains.items():
            if name not in called and len(chain) - 1 > _DEEPEST:
                view, call = self._edges[name][chain[1]]
                told = f"Workflows nest {len(chain) - 1} levels deep here, more than {_DEEPEST} are hard to follow: {' -> '.join(chain)}"
                view.warn("deep_nesting", told, call.loc)

    def _longest(self, name: str, chains: dict[str, list[str]]) -> None:
        """The longest chain of calls from each workflow that can be reached, callees first."""
        waiting = [name]
        while waiting:
            here = waiting[-1]
            missing = [target for target in self._edges[here] if target not in chains]
            if missing and here not in chains:
                waiting += missing
                continue
            waiting.pop()
            below = max((chains[target] for target in self._edges[here]), key=len, default=[])
            chains[here] = [here, *below]

    def check_size(self) -> None:
        """Children that do so little that a step of the parent's would do."""
        for name in {target for edges in self._edges.values() for target in edges}:
            for view in self._book.views[name]:
                steps = len(view.steps)
                if steps < _SMALLEST:
                    told = f"{name} is called as a child and has {'1 step' if steps == 1 else f'{steps} steps'}: so little is better done in the parent"
                    view.warn("small_child", told, ("workflow_type",))

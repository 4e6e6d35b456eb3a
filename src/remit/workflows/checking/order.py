"""How the steps of a workflow follow each other: what they name is there, each can be reached, and there is an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from remit.kernel.expressions.conditions import ConditionError, parse
from remit.kernel.expressions.plain import ConditionFailed
from remit.workflows.checking.expressions import RESULT
from remit.workflows.checking.views import Placed, View
from remit.workflows.format.findings import did_you_mean
from remit.workflows.format.model import (
    AwaitStep,
    DecisionStep,
    FireAndForgetStep,
    JumpStep,
    ParallelStep,
    Step,
    SubWorkflowStep,
)
from remit.workflows.format.schema import readable
from remit.workflows.format.source import Loc

__all__ = ["check_order"]


def check_order(view: View) -> None:
    """Report what is wrong with the order of a workflow's steps."""
    names = _names(view)
    for placed in view.steps:
        if readable(placed.step):
            _check_targets(view, placed, names)
            _check_order(view, placed, names)
            _check_decision(view, placed)
            _check_tasks(view, placed)
    for nodes in _lists(view, names):
        _check_reach(view, nodes)


def _names(view: View) -> dict[str, Placed]:
    """Every step by its name; one name stands for one step of the whole file."""
    names: dict[str, Placed] = {}
    for placed in view.steps:
        name = placed.step.name
        if name in names:
            line = view.file.source.position((*names[name].loc, "name")).line
            told = f"{placed.named} stands in this workflow already, at line {line}: results and jumps go by the name"
            view.report("duplicate_step", told, (*placed.loc, "name"))
        else:
            names[name] = placed
    return names


def _targets(view: View, placed: Placed) -> Iterator[tuple[str, Loc, str]]:
    """The steps that a step may go on at, each with the place and the words that name it."""
    step, loc = placed.step, placed.loc
    if step.next_step is not None:
        yield step.next_step, view.at(loc, "next_step", "next"), "`next_step`"
    for kind in ("on_failure", "on_timeout"):
        stated = getattr(step, kind)
        if stated is not None and stated.target_step is not None:
            yield stated.target_step, view.at((*loc, kind), "target_step"), f"`{kind}`"
    if isinstance(step, JumpStep):
        yield step.target_step, (*loc, "target_step"), "`target_step`"
    if isinstance(step, DecisionStep):
        for number, route in enumerate(step.routes):
            here = (*loc, "routes", number)
            yield route.goal, view.at(here, "default", "target", "next_step", "next", "target_step"), "a route"
    for at, code in placed.codes:
        for jump in code.jumps:
            yield jump.target, at, f"WorkflowJumpDirective at {jump.place}"


def _check_targets(view: View, placed: Placed, names: dict[str, Placed]) -> None:
    for target, at, by in _targets(view, placed):
        goal = names.get(target)
        if goal is None:
            told = f"{placed.named} goes on at {target!r} ({by}), but there is no such step"
            view.report("unknown_step", told, at, suggestion=did_you_mean(target, names))
        elif not _visible(goal, placed):
            inside = view.file.source.node(_list_around(goal)[:-1]).value["name"]
            told = f"{placed.named} goes on at {target!r} ({by}), which stands inside {inside!r}: go on at {inside!r}"
            view.report("unknown_step", told, at, suggestion=inside)


def _visible(goal: Placed, placed: Placed) -> bool:
    """Whether a jump may lead there: within its own list, out of it, or to a step that a rule inserts into one of these."""
    outer = _list_around(goal)
    return placed.loc[: len(outer)] == outer


def _list_around(goal: Placed) -> Loc:
    """The list that a step runs in: inserted steps run in the list of the step that inserts them."""
    at = goal.list_loc
    while at and (at[-1] == "steps_to_insert" or at[-2:-1] == ("dynamic_injection",)):
        at = at[: at.index("dynamic_injection", _last_list(at)) - 1]
    return at


def _last_list(at: Loc) -> int:
    return max(index for index, part in enumerate(at) if part == "dynamic_injection")


def _check_order(view: View, placed: Placed, names: dict[str, Placed]) -> None:
    for number, name in enumerate(placed.step.dependencies):
        _check_before(view, placed, name, (*placed.loc, "dependencies", number), "depends on", names)
    if isinstance(placed.step, AwaitStep):
        _check_await(view, placed, placed.step, names)


def _check_before(view: View, placed: Placed, name: str, at: Loc, verb: str, names: dict[str, Placed]) -> bool:
    other = names.get(name)
    if other is None:
        told = f"{placed.named} {verb} {name!r}, but there is no such step"
        view.report("unknown_step", told, at, suggestion=did_you_mean(name, names))
    elif not _precedes(other, placed):
        told = f"{placed.named} {verb} {name!r}, which does not stand before it: steps run in the order of the file"
        view.report("dependency_order", told, at)
    return other is not None


def _precedes(other: Placed, placed: Placed) -> bool:
    """By the order of the file; an inserted step comes after the one that inserts it, a loop's body within the loop."""
    outer = _list_around(other)
    return placed.loc[: len(outer)] == outer and other.loc != placed.loc and _order(other) < _order(placed)


def _order(placed: Placed) -> tuple[int, ...]:
    return tuple(part for part in placed.loc if isinstance(part, int))


def _check_await(view: View, placed: Placed, step: AwaitStep, names: dict[str, Placed]) -> None:
    at = (*placed.loc, "child")
    if not _check_before(view, placed, step.child, at, "waits for the child of", names):
        return
    starter = names[step.child].step
    if isinstance(starter, SubWorkflowStep):
        if starter.mode != "sync":
            return
        told = (
            f"{placed.named} waits for {step.child!r}, which waits for its child itself: give that step `mode: async`"
        )
    elif isinstance(starter, FireAndForgetStep) or not readable(starter):
        return
    else:
        told = f"{placed.named} waits for {step.child!r}, which starts no child: name a SUB_WORKFLOW step with `mode: async`"
    async_steps = (
        name for name, each in names.items() if isinstance(each.step, SubWorkflowStep) and each.step.mode != "sync"
    )
    view.report("nothing_to_await", told, at, suggestion=did_you_mean(step.child, async_steps, 0.5))


def _check_decision(view: View, placed: Placed) -> None:
    step = placed.step
    if not isinstance(step, DecisionStep):
        return
    if not step.routes and step.function is None:
        told = f"{placed.named} decides nothing: give it `routes`, or a `function` that raises WorkflowJumpDirective"
        view.report("missing_field", told, placed.loc)
    certain = [number for number, route in enumerate(step.routes) if _always(route.condition)]
    if step.routes and not certain:
        told = f"{placed.named} does not say what happens when no condition holds (the step would fail): add `- default: …`"
        view.warn("missing_default", told, view.at(placed.loc, "routes"))
    for number in range(certain[0] + 1 if certain else len(step.routes), len(step.routes)):
        told = f"{placed.named}: this route is never looked at, the one before it always holds"
        view.warn("unreachable_route", told, (*placed.loc, "routes", number))


def _always(condition: str | None) -> bool:
    """A default, or a condition such as `True`."""
    if condition is None:
        return True
    try:
        read = parse(condition, RESULT)
        return read.is_constant and read.holds({})
    except (ConditionError, ConditionFailed):
        return False


def _check_tasks(view: View, placed: Placed) -> None:
    if not isinstance(placed.step, ParallelStep):
        return
    seen: dict[str, int] = {}
    for number, task in enumerate(placed.step.tasks):
        if task.name in seen:
            told = f"{placed.named} has two tasks of the name {task.name!r}: results go by the name"
            view.report("duplicate_step", told, (*placed.loc, "tasks", number, "name"))
        seen.setdefault(task.name, number)


@dataclass(slots=True)
class _Node:
    """One step of a list in the graph of what follows what."""

    placed: Placed
    goals: set[int] = field(default_factory=set)
    falls_through: bool = True
    anywhere: bool = False

    def following(self, index: int) -> set[int]:
        """The places of the steps that may come next; one past the last is the end."""
        return self.goals | ({index + 1} if self.falls_through else set())


def _lists(view: View, names: dict[str, Placed]) -> Iterable[list[_Node]]:
    """The lists of steps of a workflow, each as a graph: what is inside a step leads on from that step."""
    lists: dict[Loc, list[_Node]] = {}
    for placed in view.steps:  # outer steps come before those inside them
        lists.setdefault(placed.list_loc, []).append(_Node(placed, falls_through=_falls_through(placed.step)))
        for cut in range(1, len(placed.loc)):
            if placed.loc[:cut] in lists:
                _connect(lists[placed.loc[:cut]][int(placed.loc[cut])], placed, view, names)
    return lists.values()


def _check_reach(view: View, nodes: list[_Node]) -> None:
    """Report the steps of one list that nothing leads to, and rounds that nothing leads out of."""
    if any(node.anywhere for node in nodes):
        return
    following = [node.following(index) for index, node in enumerate(nodes)]
    reached = _closure({0}, following)
    for index, node in enumerate(nodes):
        if index not in reached:
            told = f"{node.placed.named} is never reached: no step leads to it"
            view.report("unreachable_step", told, (*node.placed.loc, "name"))
    if len(nodes[0].placed.loc) == 2:
        for index, node in enumerate(nodes):
            if any(code.always_jumps for _, code in node.placed.codes):
                following[index] = node.goals
        _check_end(view, nodes, following, reached)


def _closure(start: set[int], following: list[set[int]]) -> set[int]:
    reached, waiting = set(start), list(start)
    while waiting:
        for goal in following[waiting.pop()] - reached:
            if goal < len(following):
                reached.add(goal)
                waiting.append(goal)
    return reached


def _connect(node: _Node, placed: Placed, view: View, names: dict[str, Placed]) -> None:
    """Add what a step, or a step inside it, leads to."""
    depth = len(node.placed.list_loc)
    for target, _, _ in _targets(view, placed):
        goal = names.get(target)
        if goal is None:
            node.anywhere = True
        elif goal.loc[:depth] == node.placed.list_loc:
            node.goals.add(int(goal.loc[depth]))
    node.anywhere |= not readable(placed.step) or any(code.jumps_anywhere for _, code in placed.codes)


def _falls_through(step: Step) -> bool:
    """Whether a step may go on with the one below it."""
    if isinstance(step, JumpStep) or step.next_step is not None:
        return False
    return not (isinstance(step, DecisionStep) and any(_always(route.condition) for route in step.routes))


def _check_end(view: View, nodes: list[_Node], following: list[set[int]], reached: set[int]) -> None:
    """A round is endless when no step of it may lead out of it: the workflow would run until its history is full."""
    before: list[set[int]] = [set() for _ in nodes]
    for index, goals in enumerate(following):
        for goal in goals - {len(nodes)}:
            before[goal].add(index)
    ends = {index for index, goals in enumerate(following) if len(nodes) in goals}
    trapped = reached - _closure(ends, before)
    back = [(index, goal) for index in sorted(trapped) for goal in sorted(following[index]) if goal <= index]
    for index, goal in back[:1]:
        told = f"{nodes[index].placed.named} goes back to {nodes[goal].placed.step.name!r}, and no step of this round leads out of it: add a route, or a LOOP with `max_iterations`"
        view.report("unbounded_loop", told, (*nodes[index].placed.loc, "name"))

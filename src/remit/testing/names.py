"""Which steps, tools, models and children the code of an app can come to: so that a fake for a misspelt name is found out.

Bodies are followed through the names in their code: functions they call, modules they reach into, closures, classes. A name
that is not found so may still be known to a loaded module; only one that nothing in this program defines is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from remit import DefinitionError, Step
from remit.engine.definitions import Definition, StepDefinition
from remit.engine.ending.intents import name_of

__all__ = ["Steps", "is_of_workflow", "refuse_unknown", "steps_of"]

Steps = dict[tuple[str, str], StepDefinition]


def steps_of(definitions: Iterable[Definition]) -> Steps:
    """The steps that the bodies can come to, by kind and name; a step that can be compensated, by its compensation too."""
    found: Steps = {}
    seen: dict[int, Any] = {}  # with what has the id, so that nothing else gets it meanwhile
    waiting: list[Any] = [definition.body for definition in definitions]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen[id(value)] = value
        step = value.definition if isinstance(value, Step) else value
        if isinstance(step, StepDefinition):
            _add(found, step, step.compensate)
            continue
        if _is_compiled(value) and getattr(value, "undo", None) is not None:
            _add(found, value.definition, value.undo.function)
        waiting += _reached(value)
    return found


def _add(found: Steps, step: StepDefinition, compensate: Callable[..., Any] | None) -> None:
    """The first of a name stands for all of that name."""
    found.setdefault((str(step.kind), step.name), step)
    if compensate is not None:
        found.setdefault(("compensation", name_of(compensate)), step)


def _reached(value: Any) -> Iterator[Any]:
    """What the code of a function, method or class names, and what a compiled workflow is made of."""
    if isinstance(value, MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, FunctionType):
        names = set(_names(value.__code__))
        for name in names & value.__globals__.keys():
            yield from _inside(value.__globals__[name], names)
        for cell in value.__closure__ or ():
            yield from _inside(_content(cell), names)
    elif isinstance(value, type):
        yield from _worth_following(vars(value).values())
    elif _is_compiled(value):
        yield from _parts(value)
    elif isinstance(value, list | tuple):
        yield from value


def is_of_workflow(step: StepDefinition) -> bool:
    """Whether it is a step of a workflow file, whose function takes the state."""
    return _is_compiled(step.result)


def _is_compiled(value: Any) -> bool:
    return type(value).__module__.startswith("remit.workflows.")


def _parts(value: Any) -> Iterator[Any]:
    """The attributes of a part of a compiled workflow, and what their containers hold; a named tuple's fields."""
    if isinstance(value, tuple):
        yield from value
    names = [*getattr(value, "__dict__", ()), *(name for kind in type(value).__mro__ for name in _slots(kind))]
    for name in names:
        part = getattr(value, name, None)
        yield from part.values() if isinstance(part, Mapping) else [part]


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _inside(value: Any, names: set[str]) -> Iterator[Any]:
    """A named thing, and of modules, lists and mappings of things what is worth following."""
    if isinstance(value, ModuleType):
        yield from _worth_following(vars(value)[name] for name in names & vars(value).keys())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from _worth_following(value)
    elif isinstance(value, Mapping):
        yield from _worth_following(value.values())
    else:
        yield from _worth_following([value])


def _worth_following(values: Iterable[Any]) -> Iterator[Any]:
    for value in list(values):
        function = value.fget if isinstance(value, property) else value
        if isinstance(function, staticmethod | classmethod):
            function = function.__func__
        if isinstance(function, Step | FunctionType | MethodType | type):
            yield function


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet: the function is being defined
        return None


def _loaded() -> Iterator[Step[..., Any]]:
    """Every step at the top level of a loaded module."""
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            yield from (value for value in list(vars(module).values()) if isinstance(value, Step))


def refuse_unknown(kind: str, name: str, steps: Steps) -> None:
    """Raise DefinitionError for a name that nothing of that kind has, with what may have been meant."""
    if (kind, name) in steps or any((kind, name) in _identities(each.definition) for each in _loaded()):
        return
    raise DefinitionError(f"There is no {kind} {name!r} to fake: {_meant(name, kind, steps)}")


def _identities(step: StepDefinition) -> list[tuple[str, str]]:
    """By which kinds and names a fake may stand in for something of it."""
    own = [(str(step.kind), step.name)]
    return own if step.compensate is None else [*own, ("compensation", name_of(step.compensate))]


def _meant(name: str, kind: str, steps: Steps) -> str:
    here = {each for known, each in steps if known == kind}
    other = next((known for known, each in steps if each == name), None)
    if other is not None:
        return f"it is a {other}, so pass it in {other}s="
    close = get_close_matches(name, here, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"this app's processes use {', '.join(sorted(here)) or f'no {kind}s'}"

"""What a step's function does to the flow, read from its source: the workflows it starts and the steps it jumps to.

Nothing is imported. What the source does not say plainly counts as unknown, and nothing is claimed about it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from remit.workflows.importing.functions import Located

__all__ = ["UNKNOWN", "Code", "Jump", "Modules", "Start"]

_MOST_FUNCTIONS = 50
_START, _JUMP = "StartSubWorkflowDirective", "WorkflowJumpDirective"
_DUMPS = {"dict", "model_dump", "copy", "model_copy"}
_COPIES = {"dict", "vars", "deepcopy"}
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Values = Mapping[str, ast.expr]
_GOES_ON = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Import, ast.ImportFrom, ast.Pass)

UNKNOWN = object()
"""Stands for a value that the source does not say plainly."""


class Start(NamedTuple):
    """A workflow that a function starts; `data` has the values it passes by name, None where these are not plain."""

    workflow_type: str
    place: str
    data: dict[str, Any] | None
    whole_state: bool
    version: str | None


class Jump(NamedTuple):
    """A step that a function goes on at."""

    target: str
    place: str


@dataclass(frozen=True, slots=True)
class Code:
    """What was found in a function; `jumps_anywhere` where it may jump to steps that the source does not name.

    `always_jumps`: it comes to its jump on every way, unless it fails.
    """

    starts: tuple[Start, ...] = ()
    jumps: tuple[Jump, ...] = ()
    jumps_anywhere: bool = False
    always_jumps: bool = False


class Modules:
    """Reads functions for one check, each module once."""

    def __init__(self) -> None:
        self._trees: dict[Path, _Module] = {}
        self._read: dict[tuple[Path, ast.AST], Code] = {}

    def read(self, found: Located) -> Code:
        """The directives that a function raises, itself or through functions of its own module."""
        if not isinstance(found.node, _Function):
            return Code(jumps_anywhere=True)
        known = (found.defined_in, found.node)
        if known not in self._read:
            self._read[known] = self._directives(found, found.node)
        return self._read[known]

    def _directives(self, found: Located, named: _Function) -> Code:
        module = self._trees.get(found.defined_in)
        if module is None:
            module = self._trees[found.defined_in] = _Module.of(found.defined_in)
        starts: list[Start] = []
        jumps: list[Jump] = []
        anywhere = False
        for function in module.called_from(named):
            read = _Reading(function, module)
            for call in module.calls(function):
                name = module.directive(call)
                if name == _START:
                    starts += read.starts(call)
                elif name == _JUMP:
                    targets = read.texts(_argument(call, 0, "target_step_name"))
                    anywhere |= targets is None
                    jumps += [Jump(each, f"{module.name}:{call.lineno}") for each in targets or ()]
        return Code(tuple(starts), tuple(jumps), anywhere, _always_jumps(named, module))


def _always_jumps(function: _Function, module: _Module) -> bool:
    """Whether plain statements, one after the other, end in a jump."""
    for statement in function.body:
        if isinstance(statement, ast.Raise):
            return isinstance(statement.exc, ast.Call) and module.directive(statement.exc) == _JUMP
        if not isinstance(statement, _GOES_ON):
            return False
    return False


@dataclass(frozen=True, slots=True)
class _Module:
    name: str
    functions: Mapping[str, _Function]
    constants: _Values
    aliases: Mapping[str, str]

    @classmethod
    def of(cls, file: Path) -> _Module:
        tree = ast.parse(file.read_bytes())
        aliases = {
            each.asname: each.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for each in node.names
            if each.asname is not None
        }
        functions = {each.name: each for each in tree.body if isinstance(each, _Function)}
        return cls(file.name, functions, _assigned(tree.body), aliases)

    def called_from(self, function: _Function) -> Iterator[_Function]:
        """The function and those of this module that it calls, directly or not."""
        waiting, seen = [function], {function.name}
        while waiting and len(seen) <= _MOST_FUNCTIONS:
            here = waiting.pop()
            yield here
            for call in self.calls(here):
                name = call.func.id if isinstance(call.func, ast.Name) else ""
                if name in self.functions and name not in seen:
                    seen.add(name)
                    waiting.append(self.functions[name])

    @staticmethod
    def calls(function: _Function) -> Iterator[ast.Call]:
        return (node for node in ast.walk(function) if isinstance(node, ast.Call))

    def directive(self, call: ast.Call) -> str:
        """The name of what is called, as it was defined."""
        if isinstance(call.func, ast.Attribute):
            return call.func.attr
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        return self.aliases.get(name, name)


class _Reading:
    """One function: names that are assigned once stand for what they are assigned."""

    def __init__(self, function: _Function, module: _Module) -> None:
        self._module = module
        self._values: _Values = {**module.constants, **_assigned(function.body)}
        parameters = [*function.args.posonlyargs, *function.args.args]
        self._state = parameters[0].arg if parameters else "state"

    def starts(self, call: ast.Call) -> Iterator[Start]:
        """One start for each workflow type that the call may name."""
        data = self._plain(_argument(call, 1, "initial_data"))
        versions = self.texts(_argument(call, 4, "version")) or ()
        place = f"{self._module.name}:{call.lineno}"
        for kind in self.texts(_argument(call, 0, "workflow_type")) or ():
            yield Start(kind, place, self._fields(data), self._is_state(data), next(iter(versions), None))

    def texts(self, value: ast.expr | None) -> list[str] | None:
        """The texts that an expression may be; None where it is not plain which."""
        value = self._plain(value)
        if isinstance(value, ast.IfExp):
            one, other = self.texts(value.body), self.texts(value.orelse)
            return [*one, *other] if one is not None and other is not None else None
        text = value.value if isinstance(value, ast.Constant) else None
        return [text] if isinstance(text, str) else None

    def _plain(self, value: ast.expr | None) -> ast.expr | None:
        for _ in range(10):
            if not isinstance(value, ast.Name) or value.id not in self._values:
                break
            value = self._values[value.id]
        return value

    def _fields(self, data: ast.expr | None) -> dict[str, Any] | None:
        if not isinstance(data, ast.Dict):
            return None
        if not all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in data.keys):
            return None
        keys = [key.value for key in data.keys if isinstance(key, ast.Constant)]
        return {str(key): _literal(value) for key, value in zip(keys, data.values, strict=True)}

    def _is_state(self, data: ast.expr | None) -> bool:
        """`state`, `state.dict()`, `dict(state)`, `{**state.model_dump()}`, `state.__dict__`."""
        match data:
            case ast.Name():
                return data.id == self._state
            case ast.Attribute():
                return data.attr == "__dict__" and self._is_state(data.value)
            case ast.Dict():
                return any(
                    key is None and self._is_state(value) for key, value in zip(data.keys, data.values, strict=True)
                )
            case ast.Call(func=ast.Attribute() as func):
                return func.attr in _DUMPS and not data.args and not _selects(data) and self._is_state(func.value)
            case ast.Call(func=ast.Name() as name, args=[first, *_]):
                return name.id in _COPIES and self._is_state(first)
            case _:
                return False


def _selects(call: ast.Call) -> bool:
    """`model_dump(include={…})` passes a part."""
    return any(each.arg in {"include", "exclude"} for each in call.keywords)


def _argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[place] if place < len(call.args) else None


def _literal(value: ast.expr) -> Any:
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN


def _assigned(body: Iterable[ast.stmt]) -> dict[str, ast.expr]:
    """What names stand for that are assigned once, anywhere in these statements."""
    values: dict[str, ast.expr] = {}
    again: set[str] = set()
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            again |= {node.id} & values.keys()
            values.setdefault(node.id, ast.Constant(None))
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = node.value
    return {name: value for name, value in values.items() if name not in again and not _is_nothing(value)}


def _is_nothing(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None

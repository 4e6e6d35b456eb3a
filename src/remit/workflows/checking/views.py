"""One workflow as the check sees it: its steps with their places, what their functions do, and what its state is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from remit.workflows.checking.code import Code, Modules
from remit.workflows.checking.contracts import (
    JSON_TYPES,
    OPEN,
    Contract,
    is_no_model,
    model_contract,
    schema_contract,
)
from remit.workflows.checking.expressions import scoped
from remit.workflows.format.conformity import misfit, schema_problem, with_defaults
from remit.workflows.format.findings import Finding, Severity, did_you_mean
from remit.workflows.format.model import ParallelStep, Step
from remit.workflows.format.reading import WorkflowFile
from remit.workflows.format.schema import readable
from remit.workflows.format.source import Loc
from remit.workflows.importing.functions import ImportPathError, Located, locate

__all__ = ["Placed", "View", "view"]


class Placed(NamedTuple):
    """A step with its place, the names that loops add, and what its functions do, each with the place of its path."""

    loc: Loc
    step: Step
    names: frozenset[str]
    codes: tuple[tuple[Loc, Code], ...]

    @property
    def list_loc(self) -> Loc:
        """The place of the list that the step stands in."""
        return self.loc[:-1]

    @property
    def named(self) -> str:
        """How messages name it."""
        return f"Step {self.step.name!r}"


@dataclass(slots=True)
class View:
    """A workflow file in the course of a check."""

    file: WorkflowFile
    steps: tuple[Placed, ...] = ()
    contract: Contract = OPEN
    findings: list[Finding] = field(default_factory=list)
    led: dict[str, Located | ImportPathError] = field(default_factory=dict)
    """Where import paths lead, each looked up once."""

    @property
    def name(self) -> str:
        """The workflow type."""
        return self.file.name

    def report(
        self,
        code: str,
        message: str,
        loc: Loc,
        *,
        offset: int = 0,
        suggestion: str | None = None,
        severity: Severity = "error",
    ) -> None:
        """Add a finding at a value of the file; the text is what stands there, where it is a text."""
        node = self.file.source.node(loc)
        text = node.value if isinstance(node.value, str) else None
        self.findings.append(Finding(code, severity, message, self.file.source.position(loc, offset), text, suggestion))

    def warn(self, code: str, message: str, loc: Loc, *, suggestion: str | None = None) -> None:
        """Add a warning."""
        self.report(code, message, loc, suggestion=suggestion, severity="warning")

    def at(self, loc: Loc, *names: str) -> Loc:
        """The place of the first of these keys that the file has: a field may go by several names."""
        children = self.file.source.node(loc).children
        return next(((*loc, name) for name in names if name in children), loc)


def view(file: WorkflowFile, allow: tuple[str, ...], modules: Modules) -> View:
    """Look every import path of a workflow up and read what it leads to."""
    seen = View(file)
    seen.contract = _contract(seen, allow)
    seen.steps = tuple(
        Placed(loc, step, names, tuple(_codes(seen, loc, step, allow, modules)))
        for loc, step, names in scoped(file.workflow.steps)
    )
    return seen


def _contract(seen: View, allow: tuple[str, ...]) -> Contract:
    stated = seen.file.workflow.initial_state_model
    at = seen.at((), "initial_state_model", "initial_state_model_path")
    if isinstance(stated, dict):
        problem = schema_problem(stated)
        if problem is None:
            _check_defaults(seen, stated, at)
            return schema_contract(stated)
        found = seen.file.source.node((*at, *problem[0])).value
        close = did_you_mean(found, JSON_TYPES) if isinstance(found, str) else None
        told = f"The state's JSON Schema is none: {problem[1]:.200}"
        seen.report("invalid_schema", told, (*at, *problem[0]), suggestion=close)
        return OPEN
    if stated is None:
        return OPEN
    found = _found(seen, stated, at, allow)
    if found is None:
        return OPEN
    if found.node is not None and not isinstance(found.node, ast.ClassDef):
        seen.report(
            "unknown_function", f"{stated!r} is a function; the state is a pydantic model, which is a class", at
        )
    elif is_no_model(found):
        told = f"{stated!r} is no pydantic model: let the class inherit BaseModel, or write the state as JSON Schema"
        seen.report("unknown_function", told, at)
    return model_contract(found, seen.file.directory.resolve(), allow)


def _check_defaults(seen: View, schema: dict[str, Any], at: Loc) -> None:
    """A default of the state's schema that the schema itself refuses."""
    problem = misfit(with_defaults(schema, {}), {**schema, "required": []})
    if problem is not None and problem[0]:
        told = f"The state begins with this default, and its JSON Schema refuses it: {problem[1]:.200}"
        seen.report("invalid_schema", told, (*at, "properties", problem[0][0], "default"))


def _codes(seen: View, loc: Loc, step: Step, allow: tuple[str, ...], modules: Modules) -> Iterator[tuple[Loc, Code]]:
    if not readable(step):
        return
    for at, path, runs in _paths(seen, loc, step):
        found = _found(seen, path, at, allow)
        if found is None:
            yield at, Code(jumps_anywhere=True)
        elif isinstance(found.node, ast.ClassDef):
            seen.report("unknown_function", f"Step {step.name!r}: {path!r} is a class, no function", at)
        elif runs:
            yield at, modules.read(found)
    if step.input_model is not None:
        _found(seen, step.input_model, (*loc, "input_model"), allow)


def _paths(seen: View, loc: Loc, step: Step) -> Iterator[tuple[Loc, str, bool]]:
    """The import paths of a step's functions, and whether they run in the flow: a compensation steers nothing."""
    if step.function is not None:
        yield (*loc, "function"), step.function, True
    if step.compensate_function is not None:
        yield (*loc, "compensate_function"), step.compensate_function, False
    if not isinstance(step, ParallelStep):
        return
    if step.task_function is not None:
        yield (*loc, "task_function"), step.task_function, True
    for number, task in enumerate(step.tasks):
        here = (*loc, "tasks", number)
        if task.function is not None:
            yield seen.at(here, "function", "function_path"), task.function, True
        if task.compensate_function is not None:
            yield (*here, "compensate_function"), task.compensate_function, False


def _found(seen: View, path: str, at: Loc, allow: tuple[str, ...]) -> Located | None:
    if path not in seen.led:
        seen.led[path] = _led(path, seen, allow)
    found = seen.led[path]
    if isinstance(found, ImportPathError):
        seen.report("unknown_function", f"{path!r} {found.problem}", at, suggestion=found.suggestion)
        return None
    return found


def _led(path: str, seen: View, allow: tuple[str, ...]) -> Located | ImportPathError:
    try:
        return locate(path, seen.file.directory, allow)
    except ImportPathError as error:
        return error

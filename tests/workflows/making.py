"""Workflows for tests, written as Python data; a step's `function` may be the function itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from remit import Outcome, Process, Remit
from remit.workflows.format.model import Workflow
from remit.workflows.http.access import HttpAccess
from remit.workflows.running.compile import compile_workflow

__all__ = ["compiled", "results", "run", "whole"]

_PATHS = frozenset({"function", "function_path", "compensate_function", "task_function", "input_model"})


def compiled(
    name: str,
    *steps: Mapping[str, Any],
    state: Any = None,
    calls: Iterable[str] | None = None,
    http: HttpAccess | None = None,
    **fields: Any,
) -> Process[Any, Any]:
    """A workflow of these steps as a process."""
    found: dict[str, Any] = {}
    if isinstance(state, type):
        fields["initial_state_model"] = _path(state, found)
    elif state is not None:
        fields["initial_state_model"] = state
    said = {"workflow_type": name, "steps": [_said(step, found) for step in steps], **fields}
    return compile_workflow(Workflow.model_validate(said), found, calls=calls, http=http)


def _said(value: Any, found: dict[str, Any], key: str = "") -> Any:
    """What a file would say: functions and classes by an import path."""
    if isinstance(value, Mapping):
        return {name: _said(each, found, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_said(each, found) for each in value]
    return _path(value, found) if key in _PATHS and not isinstance(value, str) else value


def _path(named: Any, found: dict[str, Any]) -> str:
    path = f"steps.{getattr(named, '__name__', type(named).__name__).strip('<>')}_{len(found)}"
    path = next((known for known, each in found.items() if each is named), path)
    found[path] = named
    return path


async def run(target: Process[Any, Any], value: Any = None, *others: Process[Any, Any], **terms: Any) -> Outcome[Any]:
    """The outcome of one root on a store of its own."""
    async with Remit(":memory:", processes=[target, *others]) as app:
        return await (await app.start(target, value, **terms)).outcome(timeout=10)


async def results(
    target: Process[Any, Any], value: Any = None, *others: Process[Any, Any], **terms: Any
) -> dict[str, Any]:
    """The result of a root that completes."""
    found: dict[str, Any] = (await run(target, value, *others, **terms)).unwrap()
    return found


def whole(state: Any) -> dict[str, Any]:
    """A step that gives the state as its result under `whole`."""
    return {"whole": state.model_dump(mode="json")}

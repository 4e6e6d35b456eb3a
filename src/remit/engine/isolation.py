"""Steps in a process of their own, which is killed when their lease ends (L22)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_process
import orjson

from remit.engine.faults import exception_of
from remit.engine.seam import canonical
from remit.errors import RemitError, TransientError

if TYPE_CHECKING:
    from remit.engine.definitions import StepDefinition

__all__ = ["run_isolated"]


async def run_isolated(step: StepDefinition, arguments: dict[str, Any]) -> Any:
    """Run a step's function in a worker process; arguments and result cross as JSON. Cancelling kills the process."""
    function = step.function
    payload = canonical(arguments, f"the arguments of {step.kind} {step.name!r}")
    try:
        outcome = await anyio.to_process.run_sync(_there, function.__module__, function.__qualname__, payload, cancellable=True)
    except anyio.BrokenWorkerProcess as error:
        raise TransientError(f"The process that ran {step.kind} {step.name!r} died: {error}", code="worker_died", step=step.name) from error
    failed, body = outcome
    if failed:
        raise _rebuilt(body)
    return step.result.decode(body)


def _there(module: str, qualified_name: str, payload: bytes) -> tuple[bool, Any]:
    """In the worker process: find the function by name, run it, and encode what comes of it."""
    target: Any = importlib.import_module(module)
    for part in qualified_name.split("."):
        target = getattr(target, part)
    definition: StepDefinition = target.definition
    arguments = orjson.loads(payload)
    try:
        result = _call(definition, arguments)
        return False, definition.result.encode(result)
    except Exception as error:
        return True, (type(error).__module__, type(error).__qualname__, str(error), error.info() if isinstance(error, RemitError) else None)


def _call(definition: StepDefinition, arguments: dict[str, Any]) -> Any:
    decoded = definition.decode_arguments(arguments) if definition.decode_arguments else arguments
    if not definition.is_async:
        return definition.function(**decoded)

    async def awaited() -> Any:
        return await definition.function(**decoded)

    return anyio.run(awaited)


def _rebuilt(failure: tuple[str, str, str, Any]) -> Exception:
    module, name, message, info = failure
    if info is not None:
        return exception_of(info)
    found = getattr(importlib.import_module(module), name, None) if module == "builtins" else None
    if isinstance(found, type) and issubclass(found, Exception):
        try:
            return found(message)
        except TypeError:
            return RuntimeError(message)
    return RuntimeError(f"{name}: {message}")

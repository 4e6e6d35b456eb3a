"""Steps in a process of their own, which is killed when their lease ends (L22)."""

from __future__ import annotations

import builtins
import inspect
import os
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_process
import orjson
from anyio.lowlevel import RunVar

from remit.engine.apart.elsewhere import Place, end_with, find, locate, prepare, surroundings
from remit.engine.definitions import StepDefinition
from remit.engine.ending.faults import exception_of
from remit.engine.ending.intents import as_json
from remit.engine.values.seam import canonical
from remit.errors import DefinitionError, ErrorInfo, RemitError, TransientError

__all__ = ["run_isolated", "undo_isolated"]

MAX_PROCESSES = 16
Failure = tuple[str, str, ErrorInfo | None]


async def run_isolated(step: StepDefinition, arguments: dict[str, Any]) -> Any:
    """Run a step's function in a worker process; arguments and result cross as JSON. Cancelling kills the process.

    Raises TransientError `worker_died` where the process ends early, DefinitionError where it cannot find the function.
    """
    payload = canonical(arguments, f"the arguments of {step.kind} {step.name!r}")
    return step.result.decode(await _apart(step, _there, payload))


async def undo_isolated(step: StepDefinition, arguments: dict[str, Any], result: bytes | None) -> Any:
    """Run a step's compensation as `run_isolated` runs its function; what it returned, as far as JSON holds it."""
    payload = canonical(arguments, f"the arguments of {step.kind} {step.name!r}")
    return orjson.loads(await _apart(step, _undo_there, payload, tuple(arguments), result))


async def _apart(step: StepDefinition, work: Callable[..., tuple[Failure | None, bytes]], *parts: Any) -> bytes:
    place = locate(step.function, step)
    if place is None:
        raise DefinitionError(
            f"{step.where} cannot be found by another process: define it at the top level of a module"
        )
    try:
        failure, result = await anyio.to_process.run_sync(
            work, surroundings(), os.getpid(), place, *parts, cancellable=True, limiter=_limiter()
        )
    except anyio.BrokenWorkerProcess as error:
        if isinstance(error.__cause__, Exception) and not isinstance(
            error.__cause__, anyio.BrokenWorkerProcess | OSError | anyio.EndOfStream | anyio.IncompleteRead
        ):
            raise DefinitionError(
                f"{step.where} cannot be found by another process: importing the main script there failed "
                f'({error.__cause__}). Keep a script\'s start under `if __name__ == "__main__":`.'
            ) from error
        raise TransientError(
            f"The process that ran {step.kind} {step.name!r} died", code="worker_died", step=step.name
        ) from error
    if failure is not None:
        raise _rebuilt(failure)
    return result


_processes: RunVar[anyio.CapacityLimiter] = RunVar("remit_processes")


def _limiter() -> anyio.CapacityLimiter:
    """So many steps in processes at once on one loop: more than processors, since a step that hangs must not hold up others."""
    try:
        return _processes.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(MAX_PROCESSES)
        _processes.set(limiter)
        return limiter


def _there(around: dict[str, Any], engine: int, place: Place, payload: bytes) -> tuple[Failure | None, bytes]:
    """In the worker process: find the function by name, run it, and encode what comes of it."""
    step = _found(around, engine, place)
    return _tried(lambda: step.result.encode(_call(step.function, **_decoded(step, payload))))


def _undo_there(
    around: dict[str, Any], engine: int, place: Place, payload: bytes, names: tuple[str, ...], result: bytes | None
) -> tuple[Failure | None, bytes]:
    """In the worker process: run what undoes the step; `names` is the order of its arguments, which JSON does not keep."""
    step = _found(around, engine, place)

    def work() -> bytes:
        assert step.compensate is not None
        arguments = _decoded(step, payload)
        value = step.result.decode(result) if result is not None else None
        return as_json(_call(step.compensate, value, *(arguments[name] for name in names)))

    return _tried(work)


def _found(around: dict[str, Any], engine: int, place: Place) -> StepDefinition:
    end_with(engine)
    prepare(around, place)
    step: StepDefinition = find(place).definition
    return step


def _decoded(step: StepDefinition, payload: bytes) -> dict[str, Any]:
    arguments: dict[str, Any] = orjson.loads(payload)
    return step.decode_arguments(arguments) if step.decode_arguments else arguments


def _tried(work: Callable[[], bytes]) -> tuple[Failure | None, bytes]:
    try:
        return None, work()
    except Exception as error:
        info = error.info() if isinstance(error, RemitError) else None
        return (type(error).__name__, str(error), info), b""


def _call(function: Callable[..., Any], *values: Any, **arguments: Any) -> Any:
    if not inspect.iscoroutinefunction(function):
        return function(*values, **arguments)

    async def awaited() -> Any:
        return await function(*values, **arguments)

    return anyio.run(awaited)


def _rebuilt(failure: Failure) -> Exception:
    """The exception as this process can raise it: a RemitError by its record, a builtin one by its name."""
    name, message, info = failure
    if info is not None:
        return exception_of(info)
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(message)
        except TypeError:
            return RuntimeError(f"{name}: {message}")
    return RuntimeError(f"{name}: {message}")

"""Steps in a process of their own, which is killed when their lease ends (L22)."""

from __future__ import annotations

import asyncio
import builtins
import inspect
from collections.abc import Callable
from typing import Any

import orjson

from remit.engine.apart.elsewhere import locate
from remit.engine.apart.pool import Pool, Unfit
from remit.engine.definitions import StepDefinition
from remit.engine.ending.faults import exception_of
from remit.engine.ending.intents import as_json
from remit.engine.values.seam import canonical
from remit.errors import DefinitionError, ErrorInfo, RemitError, TransientError

__all__ = ["run_isolated", "undo_isolated"]

Failure = tuple[str, str, ErrorInfo | None]


async def run_isolated(pool: Pool, step: StepDefinition, arguments: dict[str, Any]) -> Any:
    """Run a step's function in a process of the pool; arguments and result cross as JSON. Cancelling kills the process.

    Raises TransientError `worker_died` where the process ends early, DefinitionError where it cannot find the function.
    """
    payload = canonical(arguments, f"the arguments of {step.kind} {step.name!r}")
    return step.result.decode(await _apart(pool, step, _there, payload))


async def undo_isolated(
    pool: Pool, step: StepDefinition, arguments: dict[str, Any], result: bytes | None
) -> Any:
    """Run a step's compensation as `run_isolated` runs its function; what it returned, as far as JSON holds it."""
    payload = canonical(arguments, f"the arguments of {step.kind} {step.name!r}")
    return orjson.loads(await _apart(pool, step, _undo_there, payload, tuple(arguments), result))


async def _apart(
    pool: Pool, step: StepDefinition, work: Callable[..., tuple[Failure | None, bytes]], *parts: Any
) -> bytes:
    place = locate(step.function, step)
    if place is None:
        raise DefinitionError(
            f"{step.where} cannot be found by another process: define it at the top level of a module"
        )
    try:
        failure, result = await pool.do(place, work, *parts)
    except Unfit as error:
        raise DefinitionError(
            f"{step.where} cannot be found by another process: importing {place.module} there failed ({error}). "
            'Keep a script\'s start under `if __name__ == "__main__":`.'
        ) from error
    except EOFError as error:
        raise TransientError(
            f"The process that ran {step.kind} {step.name!r} died", code="worker_died", step=step.name
        ) from error
    if failure is not None:
        raise _rebuilt(failure)
    return bytes(result)


def _there(step: StepDefinition, payload: bytes) -> tuple[Failure | None, bytes]:
    """In the process of the pool: run the function, and encode what comes of it."""
    return _tried(lambda: step.result.encode(_call(step.function, **_decoded(step, payload))))


def _undo_there(
    step: StepDefinition, payload: bytes, names: tuple[str, ...], result: bytes | None
) -> tuple[Failure | None, bytes]:
    """In the process of the pool: run what undoes the step; `names` is the order of its arguments, which JSON does not keep."""

    def work() -> bytes:
        assert step.compensate is not None
        arguments = _decoded(step, payload)
        value = step.result.decode(result) if result is not None else None
        return as_json(_call(step.compensate, value, *(arguments[name] for name in names)))

    return _tried(work)


def _decoded(step: StepDefinition, payload: bytes) -> dict[str, Any]:
    arguments: dict[str, Any] = orjson.loads(payload)
    return step.decode_arguments(arguments) if step.decode_arguments else arguments


def _tried(work: Callable[[], bytes]) -> tuple[Failure | None, bytes]:
    try:
        return None, work()
    except BaseException as error:  # one that leaves would take the process with it
        info = error.info() if isinstance(error, RemitError) else None
        return (type(error).__name__, str(error), info), b""


def _call(function: Callable[..., Any], *values: Any, **arguments: Any) -> Any:
    if not inspect.iscoroutinefunction(function):
        return function(*values, **arguments)

    async def awaited() -> Any:
        return await function(*values, **arguments)

    return asyncio.run(awaited())


def _rebuilt(failure: Failure) -> BaseException:
    """The exception as this process can raise it: a RemitError by its record, a builtin one by its name."""
    name, message, info = failure
    if info is not None:
        return exception_of(info)
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception | SystemExit):
        try:
            return kind(message)
        except TypeError:
            return RuntimeError(f"{name}: {message}")
    return RuntimeError(f"{name}: {message}")

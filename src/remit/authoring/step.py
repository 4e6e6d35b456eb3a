"""`@step`, `@tool`, `@model`: work that is recorded once, with lineage and a price where it has one (L26, L29, L47)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, Literal, ParamSpec, TypeVar, cast, overload

from pydantic import TypeAdapter

from remit.authoring.options import flag, isolated, named
from remit.authoring.signatures import hints_of, place_of
from remit.engine.body.port import INSIDE_STEP, PORT, current_port
from remit.engine.definitions import StepDefinition
from remit.engine.values.seam import Seam
from remit.errors import DefinitionError
from remit.kernel.durations import Duration, milliseconds
from remit.kernel.usage import Amount, Cost, micros
from remit.store.records import EffectKind

__all__ = ["Step", "model", "step", "tool"]

P = ParamSpec("P")
R = TypeVar("R")


class Step(Generic[P, R]):
    """A durable step. Awaited inside a process it is recorded and replayed; outside it is the plain function (L52)."""

    def __init__(self, function: Callable[..., Any], definition: StepDefinition) -> None:
        functools.update_wrapper(self, function)
        self.definition = definition
        self._signature = inspect.signature(function)
        self._names = [
            name for name, each in self._signature.parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD
        ]
        self._simple = len(self._names) == len(self._signature.parameters)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Run the step; the result must be awaited inside a process."""
        if PORT.get() is None and INSIDE_STEP.get() is None:
            return cast("Coroutine[Any, Any, R]", self.definition.function(*args, **kwargs))
        return self._perform(self._arguments(args, kwargs))

    async def _perform(self, arguments: dict[str, Any]) -> R:
        port = current_port(f"{self.definition.kind} {self.definition.name!r}")
        return cast("R", await port.step(self.definition, arguments))

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if self._simple and not kwargs and len(args) == len(self._names):
            return dict(zip(self._names, args, strict=True))
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    def __repr__(self) -> str:
        return f"<{self.definition.kind} {self.definition.name}>"


class _Decorator:
    """What `@step(...)` with arguments returns, for type checkers: sync or async in, awaitable out."""

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> Step[P, R]: ...
    def __call__(self, function: Callable[..., Any], /) -> Step[..., Any]:
        """Define the step."""
        return step(function)


@overload
def step(name: Callable[P, Coroutine[Any, Any, R]], /) -> Step[P, R]: ...
@overload
def step(name: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    name: str | None = None,
    *,
    compensate: Callable[..., Any] | None = ...,
    at_most_once: bool = ...,
    isolation: Literal["process"] | None = ...,
    timeout: Duration | None = ...,
) -> _Decorator: ...
def step(
    name: Any = None,
    *,
    compensate: Callable[..., Any] | None = None,
    at_most_once: bool = False,
    isolation: Literal["process"] | None = None,
    timeout: Duration | None = None,
) -> Any:
    """Define a durable step from a sync (run in a thread) or async function with plain, JSON-able arguments.

    `at_most_once`: a run that a crash interrupted is reported, not repeated (L47). `isolation="process"`: in a process
    that can be killed. `timeout` raises TRANSIENT. Raises DefinitionError for a result type that does not round-trip.
    """

    def decorate(function: Callable[..., Any]) -> Step[..., Any]:
        chosen = function.__name__ if name is None or name is function else name
        return _make(
            function,
            chosen,
            EffectKind.STEP,
            compensate=compensate,
            at_most_once=at_most_once,
            isolation=isolation,
            timeout_ms=_ms(timeout),
        )

    return decorate(name) if callable(name) else decorate


def tool(
    name: str,
    *,
    cost: Cost | None = None,
    compensate: Callable[..., Any] | None = None,
    at_most_once: bool = False,
    isolation: Literal["process"] | None = None,
    timeout: Duration | None = None,
) -> _Decorator:
    """Define a tool: a step whose parameters and result go into the lineage, and which has a price in dollars (L26, L29)."""
    named(name, "@tool")
    price = _price(cost, f"tool {name!r}, cost") if cost is not None else 0

    def decorate(function: Callable[..., Any]) -> Step[..., Any]:
        return _make(
            function,
            name,
            EffectKind.TOOL,
            compensate=compensate,
            at_most_once=at_most_once,
            isolation=isolation,
            timeout_ms=_ms(timeout),
            maximum=Amount(0, price),
            flat_cost=price,
        )

    return cast("_Decorator", decorate)


def model(
    name: str,
    *,
    max_input_tokens: int,
    max_tokens: int,
    input_price: Cost = "0",
    output_price: Cost = "0",
    at_most_once: bool = False,
    timeout: Duration | None = None,
) -> _Decorator:
    """Define a model call: a step that returns `(value, Usage)`, reserves its maximum and is charged what it reports (L26).

    Prices are dollars per million tokens; usage that names no cost is priced by them.
    """
    named(name, "@model")
    for label, count in (("max_input_tokens", max_input_tokens), ("max_tokens", max_tokens)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise DefinitionError(f"model {name!r}: {label}={count!r}: give a whole number, at least 0")
    prices = (
        _price(input_price, f"model {name!r}, input_price"),
        _price(output_price, f"model {name!r}, output_price"),
    )
    highest = -(-(max_input_tokens * prices[0] + max_tokens * prices[1]) // 1_000_000)

    def decorate(function: Callable[..., Any]) -> Step[..., Any]:
        return _make(
            function,
            name,
            EffectKind.MODEL,
            at_most_once=at_most_once,
            timeout_ms=_ms(timeout),
            maximum=Amount(max_input_tokens + max_tokens, highest),
            input_price=prices[0],
            output_price=prices[1],
        )

    return cast("_Decorator", decorate)


def _make(function: Callable[..., Any], name: str, kind: EffectKind, **options: Any) -> Step[..., Any]:
    where = f"{kind} {name!r} ({place_of(function)})"
    named(name, where)
    flag(options["at_most_once"], "at_most_once", where)
    options["isolation"] = isolated(options.get("isolation"), where)
    if options.get("compensate") is not None:
        options["compensate"] = _compensation(options["compensate"], function, where)
    hints = hints_of(function, where)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise DefinitionError(f"{where}: name each parameter (no *args, **kwargs or /): they are recorded by name")
    definition = StepDefinition(
        name=name,
        kind=kind,
        function=function,
        is_async=inspect.iscoroutinefunction(function),
        result=Seam(hints.get("return", Any), where=f"{where}, result"),
        decode_arguments=_decoder(function, hints) if options.get("isolation") == "process" else None,
        retype=partial(_retyped, function, hints),
        where=where,
        **options,
    )
    return Step(function, definition)


def _compensation(compensate: Any, function: Callable[..., Any], where: str) -> Callable[..., Any]:
    """What undoes the step; DefinitionError where it cannot take the step's result and then its arguments (L37)."""
    undo = compensate.definition.function if isinstance(compensate, Step) else compensate
    if not callable(undo):
        raise DefinitionError(f"{where}: compensate={undo!r}: give a function")
    arguments = list(inspect.signature(function).parameters)
    try:
        taken = inspect.signature(undo)
    except ValueError:  # a function of C's that does not say what it takes
        return cast("Callable[..., Any]", undo)
    try:
        taken.bind(None, *arguments)
    except TypeError as error:
        call = f"{getattr(undo, '__name__', undo)}({', '.join(['result', *arguments])})"
        raise DefinitionError(f"{where}: its compensation is called as {call}: {error}") from None
    return cast("Callable[..., Any]", undo)


def _decoder(function: Callable[..., Any], hints: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Arguments that crossed as JSON, as the types the function's annotations name."""
    adapters = {name: TypeAdapter(hints.get(name, Any)) for name in inspect.signature(function).parameters}

    def decode(arguments: dict[str, Any]) -> dict[str, Any]:
        return {name: adapters[name].validate_python(value) for name, value in arguments.items()}

    return decode


def _retyped(function: Callable[..., Any], hints: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """The same, its reader made when it is needed: for arguments that a filter took something out of."""
    return _decoder(function, hints)(plain)


def _price(cost: Cost, where: str) -> int:
    try:
        return micros(cost)
    except ValueError as error:
        raise DefinitionError(f"{where}: {error}") from None


def _ms(duration: Duration | None) -> int | None:
    try:
        return None if duration is None else milliseconds(duration)
    except ValueError as error:
        raise DefinitionError(f"timeout: {error}") from None

"""Steps, tools, models and compensations of one app, played by fakes where there are some, and noted down.

A fake takes the place of the function only. Contract, price, budget, timeout, journal and lineage are the engine's, as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

from remit import DefinitionError
from remit.engine.apart.workers import Workers
from remit.engine.body.port import PORT
from remit.engine.definitions import StepDefinition
from remit.engine.ending.intents import name_of
from remit.engine.values.seam import Seam, SeamError
from remit.testing.calls import Called, Made
from remit.testing.fakes import After, Hangs, InTurn, arguments_for, is_async, places
from remit.testing.holds import Holds

__all__ = ["Fakes", "StandIns", "fitted", "given"]

Fakes = Mapping[tuple[str, str], Any]
"""What stands in, by kind and name."""


def fitted(seam: Seam[Any], value: Any) -> Any:
    """Data as the contract's own type, as a caller's would be; what does not fit stays, and breaks the contract."""
    try:
        return seam.decode(seam.accept(value))
    except SeamError:
        return value


async def given(fake: Any, what: str, holds: Holds, limit_ms: int | None = None) -> Any:
    """Look through `in_turn`, `after` and `hangs` at what is really given; waits where that waits.

    An exception is given as a function that raises it.
    """
    while True:
        if isinstance(fake, InTurn):
            fake = fake.next(what)
        elif isinstance(fake, After):
            await holds.wait(fake.delay_ms, limit_ms, what)
            fake = fake.then
        elif isinstance(fake, Hangs):
            await holds.wait(None, limit_ms, what)
        elif isinstance(fake, BaseException) or (isinstance(fake, type) and issubclass(fake, BaseException)):
            return partial(_raises, fake)
        else:
            return fake


async def _raises(error: BaseException | type[BaseException], *_arguments: Any, **_named: Any) -> Any:
    raise error() if isinstance(error, type) else error.with_traceback(None)


class StandIns(Workers):
    """The engine's workers in a test."""

    def __init__(self, fakes: Fakes, called: Called, holds: Holds, *, refuse: bool) -> None:
        super().__init__()
        self._fakes = fakes
        self._called = called
        self._holds = holds
        self._refuse = refuse

    async def call(self, step: StepDefinition, arguments: dict[str, Any]) -> Any:
        """Call the step's function, or its fake."""
        identity = (str(step.kind), step.name)
        made = self._note(*identity, arguments, faked=identity in self._fakes)
        if identity in self._fakes:
            return await self._noted(made, self._played(step, arguments, self._fakes[identity], made))
        if self._refuse:
            raise DefinitionError(
                f"{step.kind} {step.name!r} ({step.where}) has no fake, and this app runs nothing that is real: pass {step.kind}s={{{step.name!r}: ...}}"
            )
        return await self._noted(made, super().call(step, arguments))

    async def undo(self, step: StepDefinition, arguments: dict[str, Any], result: bytes | None) -> Any:
        """Call a step's compensation or its fake; a step that was played has nothing to take back, unless a fake says so."""
        assert step.compensate is not None
        name = name_of(step.compensate)
        played = ("compensation", name) in self._fakes or (str(step.kind), step.name) in self._fakes
        value = step.result.decode(result) if result is not None else None
        named = {"result": value, **arguments}
        made = self._note("compensation", name, named, faked=played)
        if not played:
            return await self._noted(made, super().undo(step, arguments, result))
        fake = self._fakes.get(("compensation", name))
        bare = replace(step, compensate=None, played_by=None, timeout_ms=None)
        return await self._noted(made, self._played(bare, named, fake, made))

    def _note(self, kind: str, name: str, arguments: dict[str, Any], *, faked: bool) -> Made:
        port = PORT.get()
        who = port.identity if port is not None else None
        made = Made(
            kind, name, deepcopy(arguments), who.execution_id if who else "", who.process if who else "", faked=faked
        )
        self._called.append(made)
        return made

    async def _noted(self, made: Made, call: Any) -> Any:
        try:
            made.result = await call
        except BaseException as error:
            made.error = error
            raise
        return made.result

    async def _played(self, step: StepDefinition, arguments: dict[str, Any], fake: Any, made: Made) -> Any:
        what = f"the fake of {made.kind} {made.name!r}"
        part = await given(fake, what, self._holds, step.timeout_ms)
        if not callable(part):
            if step.played_by is None:
                return fitted(step.result, part)
            part = partial(_always, part)
        function = _called_by_place(part, made) if step.played_by is not None else _called_by_name(part)
        if step.played_by is not None:
            function = step.played_by(function)
        played = replace(step, function=function, is_async=is_async(part), isolation="none")
        return await super().call(played, arguments)


def _always(value: Any, *_arguments: Any, **_named: Any) -> Any:
    return deepcopy(value)


def _called_by_name(fake: Callable[..., Any]) -> Callable[..., Any]:
    """The fake, called with those of the arguments that it takes."""

    def now(**arguments: Any) -> Any:
        return fake(**arguments_for(fake, arguments))

    async def waited(**arguments: Any) -> Any:
        return await fake(**arguments_for(fake, arguments))

    return waited if is_async(fake) else now


def _called_by_place(fake: Callable[..., Any], made: Made) -> Callable[..., Any]:
    """The fake of a workflow's step, called as those are: with the state, and with context and inputs where it takes them."""

    def noted(arguments: tuple[Any, ...], inputs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        made.arguments = {**dict(zip(("state", "context"), deepcopy(arguments), strict=False)), **inputs}
        named = arguments_for(fake, inputs)
        by_place = places(fake)
        return arguments[: max(min(by_place, 1), by_place - len(named))], named

    def now(*arguments: Any, **inputs: Any) -> Any:
        placed, named = noted(arguments, inputs)
        return fake(*placed, **named)

    async def waited(*arguments: Any, **inputs: Any) -> Any:
        placed, named = noted(arguments, inputs)
        return await fake(*placed, **named)

    return waited if is_async(fake) else now

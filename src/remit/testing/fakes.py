"""What may stand in for a step, a tool, a model, a child, an answer or an event.

7                         always this
DomainError("no_rate")    raised; a class of exceptions too
lambda country: 7         called: a function, sync (in a thread, as a sync step is) or async
in_turn(7, 9)             the first time 7, then 9; a third time is an error
after("20m", 7)           7, twenty minutes later
hangs                     never, until its timeout, its TTL or the end of the test
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from remit import DefinitionError
from remit.engine.values.texts import optional_ms
from remit.testing.clock import Duration

__all__ = [
    "After",
    "Hangs",
    "InTurn",
    "OutOfTurns",
    "after",
    "arguments_for",
    "hangs",
    "in_turn",
    "is_async",
    "misfit",
    "places",
]


class OutOfTurns(AssertionError):
    """A fake was asked more often than it has something to give."""


class Hangs:
    """Never gives anything."""

    def __repr__(self) -> str:
        return "hangs"


hangs: Final = Hangs()
"""A fake that never returns."""


class After:
    """Gives something after a while."""

    def __init__(self, delay_ms: int, then: Any) -> None:
        self.delay_ms = delay_ms
        self.then = then

    def __repr__(self) -> str:
        return f"after({self.delay_ms} ms, {self.then!r})"


def after(delay: Duration, then: Any) -> After:
    """Something that comes after a while of the clock's time; `then` is whatever a fake may be."""
    return After(optional_ms(delay, "after") or 0, then)


class InTurn:
    """Gives one thing after the other."""

    def __init__(self, each: Iterable[Any]) -> None:
        self._all = tuple(each)
        self._given = 0

    def next(self, what: str) -> Any:
        """What comes next; raises OutOfTurns where everything has been given."""
        if self._given == len(self._all):
            raise OutOfTurns(
                f"{what} was asked for once more after in_turn(...) had given all it has: {len(self._all)}"
            )
        self._given += 1
        return self._all[self._given - 1]

    def __repr__(self) -> str:
        return f"in_turn{self._all!r}"


def in_turn(*each: Any) -> InTurn:
    """One thing after the other; each is whatever a fake may be."""
    return InTurn(each)


def is_async(fake: Callable[..., Any]) -> bool:
    """Whether calling it gives something to await."""
    inner = fake.func if isinstance(fake, partial) else fake
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None))  # noqa: B004


def arguments_for(fake: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments that the fake takes: it may leave out what it does not look at."""
    parameters = _parameters(fake)
    if parameters is None or any(each.kind is each.VAR_KEYWORD for each in parameters):
        return arguments
    return {each.name: arguments[each.name] for each in parameters if each.name in arguments}


def places(fake: Callable[..., Any]) -> int:
    """How many arguments it takes by their place."""
    parameters = _parameters(fake)
    if parameters is None or any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return sys.maxsize
    return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)


def misfit(fake: Any, names: Iterable[str], what: str) -> DefinitionError | None:
    """Why a fake cannot be called as what it stands in for is; None where it can, or is not called at all."""
    if isinstance(fake, After):
        return misfit(fake.then, names, what)
    parameters = _parameters(fake) if callable(fake) and not isinstance(fake, type) else None
    taken = set(names)
    wanted = [
        each.name
        for each in parameters or ()
        if each.name not in taken
        and each.default is each.empty
        and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    ]
    if not wanted:
        return None
    given = ", ".join(sorted(taken)) or "nothing"
    return DefinitionError(
        f"The fake of {what} asks for {', '.join(wanted)}; it is called with {given}, by these names"
    )


def _parameters(fake: Any) -> list[inspect.Parameter] | None:
    """None where Python cannot tell, as with some built-in functions."""
    try:
        return list(inspect.signature(fake).parameters.values())
    except (TypeError, ValueError):
        return None

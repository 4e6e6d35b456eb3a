"""Processes played by fakes: under the contract, version, price and limits of the real one where that is at hand."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache, partial
from typing import Any

import orjson

from remit import DefinitionError
from remit.engine.definitions import Catalog, Definition, in_range
from remit.engine.values.seam import Seam, canonical
from remit.testing.fakes import After, is_async
from remit.testing.holds import Holds
from remit.testing.stand_ins import fitted, given

__all__ = ["Cast"]


class Cast(Catalog):
    """The processes of an app, some of them played by fakes; one that is only called, and not hosted, is made up.

    Bodies run on the test's own loop. Raises DefinitionError for a fake of what nobody hosts or calls.
    """

    def __init__(self, definitions: Iterable[Definition], fakes: Mapping[str, Any], holds: Holds) -> None:
        self._fakes = fakes
        self._holds = holds
        hosted = list(definitions)
        names = {each.name for each in hosted}
        made_up = [each for name in fakes if name not in names for each in _made_up(name, hosted)]
        super().__init__(self._cast(each) for each in [*hosted, *made_up])

    def continue_with(self, kept: Iterable[tuple[str, str, int, Callable[[], Definition | None]]]) -> None:
        """What a workflow said earlier is played by its fake too."""
        super().continue_with(
            (name, version, first_n, cache(partial(self._read, read))) for name, version, first_n, read in kept
        )

    def _read(self, read: Callable[[], Definition | None]) -> Definition | None:
        definition = read()
        return self._cast(definition) if definition is not None else None

    def _cast(self, definition: Definition) -> Definition:
        if definition.name in self._fakes:
            return _played(definition, self._fakes[definition.name], self._holds)
        return replace(definition, isolation="none") if definition.isolation != "none" else definition


def _played(definition: Definition, fake: Any, holds: Holds) -> Definition:
    refusal = _misfit(fake, definition.name)
    if refusal is not None:
        raise refusal
    what = f"the fake of process {definition.name!r}"

    async def body(value: Any = None) -> Any:
        part = await given(fake, what, holds)
        if not callable(part):
            return fitted(definition.result, part)
        arguments = (value,) if inspect.signature(part).parameters else ()
        return await part(*arguments) if is_async(part) else part(*arguments)

    return replace(definition, body=body, takes_input=True, isolation="none")


def _misfit(fake: Any, name: str) -> DefinitionError | None:
    if isinstance(fake, After):
        return _misfit(fake.then, name)
    if not callable(fake) or isinstance(fake, type):
        return None
    wanted = [each for each in inspect.signature(fake).parameters.values() if each.default is each.empty]
    if len(wanted) <= 1 and all(each.kind is not each.KEYWORD_ONLY for each in wanted):
        return None
    return DefinitionError(f"The fake of process {name!r} takes one parameter, the input, or none")


def _made_up(name: str, callers: list[Definition]) -> list[Definition]:
    """A process for each range of versions in which it is called; any plain data is its input and its result."""
    ranges = {rule.versions for caller in callers for rule in caller.calls if rule.covers(name)}
    if not ranges:
        raise DefinitionError(f"There is no process {name!r} to fake: {_meant(name, callers)}")
    where = f"fake of process {name!r}"
    return [
        Definition(
            name, version, _nothing, True, _AnyInput(Any, where=f"{where}, input"), Seam(Any, where=f"{where}, result")
        )
        for version in sorted({_version_in(each) for each in ranges})
    ]


class _AnyInput(Seam[Any]):
    """Takes a caller's model as its plain data, as the real process's own type would; see `Seam.accept`."""

    def accept(self, value: object) -> bytes:
        return super().accept(orjson.loads(canonical(value, self.where)))


async def _nothing(_input: Any) -> None:
    """Replaced by the fake."""


def _version_in(versions: str) -> str:
    """Some version of a range: one that it names, or the first."""
    named = [".".join((*found.split("."), "0", "0")[:3]) for found in re.findall(r"\d+(?:\.\d+){0,2}", versions)]
    for version in ("1.0.0", *named, "0.1.0", "0.0.1"):
        if in_range(version, versions):
            return version
    raise DefinitionError(
        f"No version of range {versions!r} comes to mind: host a process that lies in it, and fake that"
    )


def _meant(name: str, callers: list[Definition]) -> str:
    hosted = {each.name for each in callers}
    called = {rule.pattern for caller in callers for rule in caller.calls if not rule.pattern.endswith("*")}
    close = get_close_matches(name, hosted | called, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"this app hosts {', '.join(sorted(hosted)) or 'none'}, which call {', '.join(sorted(called)) or 'none'}"

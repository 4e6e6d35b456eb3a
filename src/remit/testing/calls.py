"""What was called during a test, with what, and what came of it; and assertions on that."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from remit.testing.comparison import differences, short

__all__ = ["Called", "Made", "assert_called", "assert_not_called"]

_SHOWN = 20


@dataclass(slots=True)
class Made:
    """One call that was really made: of a step, tool or model by its function or its fake, or of a child.

    `kind` is 'step', 'tool', 'model' or 'child'; `execution_id` and `process` are the caller's. A child's input is
    `arguments["input"]`. Of a child there is neither result nor error here: `app.tree()` has both.
    """

    kind: str
    name: str
    arguments: dict[str, Any]
    execution_id: str
    process: str
    faked: bool
    result: Any = None
    error: BaseException | None = field(default=None)

    def __str__(self) -> str:
        inner = ", ".join(f"{name}={short(value)}" for name, value in self.arguments.items())
        end = f" raised {self.error!r}" if self.error is not None else ""
        return f"{self.name}({inner}){end}"


class Called(list[Made]):
    """The calls of a test, in the order in which they began; `known` are the names that could have been called."""

    known: Collection[str] = ()

    def of(self, name: str) -> list[Made]:
        """The calls of that name; raises ValueError for a name that nothing here has."""
        names = {made.name for made in self} | set(self.known)
        if name not in names:
            close = get_close_matches(name, names, n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(sorted(names)) or 'none'}"
            raise ValueError(f"Nothing here is called {name!r}: {meant}")
        return [made for made in self if made.name == name]


def assert_called(
    calls: Called, name: str, *, times: int | None = None, having: Mapping[str, Any] | None = None
) -> None:
    """That there was a call of that name, or so many; `having`: with these among its arguments, and in them.

    `calls` is `app.calls`. Raises AssertionError that shows the calls there were, ValueError for an unknown name.
    """
    made = calls.of(name)
    fitting = [each for each in made if not _missing(having, each)]
    if len(fitting) == times or (times is None and fitting):
        return
    wanted = "at least once" if times is None else "once" if times == 1 else f"{times} times"
    so = f" with {short(dict(having))}" if having else ""
    found = f"{len(fitting)} of its {len(made)} calls were so" if having else f"it was called {len(made)} times"
    raise AssertionError("\n".join([f"{name} should be called {wanted}{so}; {found}", *_listed(made, having)]))


def assert_not_called(calls: Called, name: str, *, having: Mapping[str, Any] | None = None) -> None:
    """That there was no call of that name, or none with these among its arguments; ValueError for an unknown name."""
    assert_called(calls, name, times=0, having=having)


def _missing(having: Mapping[str, Any] | None, made: Made) -> list[str]:
    """What of `having` the call's arguments are not."""
    if not having:
        return []
    absent = [f"no argument {name!r}" for name in having if name not in made.arguments]
    return absent or differences(dict(having), made.arguments, subset=True)


def _listed(made: Iterable[Made], having: Mapping[str, Any] | None) -> list[str]:
    lines: list[str] = []
    for each in list(made)[:_SHOWN]:
        lines.append(f"    {each}")
        lines += [f"        {what}" for what in _missing(having, each)]
    return lines

"""What becomes of published versions: their states, who is served by them, whom a new one concerns, when it is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

__all__ = [
    "SHARES",
    "WINDOW",
    "Act",
    "Admits",
    "Declaration",
    "Release",
    "Rollout",
    "State",
    "Tally",
    "after",
    "closing_path",
    "newest",
    "on_trial",
    "place_of",
    "reaches",
    "stranded",
    "to_migrate",
    "verdict",
]

SHARES = 10_000
"""A share of traces is a whole number of these parts."""
VIOLATIONS_MAX = 3
WINDOW = 50
"""Calls of a version over which its failures are counted."""
_FAR = "999999.0.0"
_STARTED_DIGITS = slice(len("exec_"), len("exec_") + 12)

Admits = Callable[[str, str], bool]
"""Whether a version lies in a range."""


class State(StrEnum):
    """What a version is to its callers: not theirs yet, theirs, theirs where nothing newer is, theirs no more."""

    PUBLISHED = "published"
    PROMOTED = "promoted"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


class Act(StrEnum):
    """What is done to a version."""

    PROMOTE = "promote"
    ROLL_OUT = "rollout"
    ROLL_BACK = "rollback"
    DEPRECATE = "deprecate"
    RETIRE = "retire"


_MOVES: dict[Act, dict[State, State]] = {
    Act.PROMOTE: {State.PUBLISHED: State.PROMOTED, State.DEPRECATED: State.PROMOTED},
    Act.ROLL_OUT: {State.PUBLISHED: State.PUBLISHED},
    Act.ROLL_BACK: {State.PUBLISHED: State.PUBLISHED, State.PROMOTED: State.PUBLISHED},
    Act.DEPRECATE: {State.PROMOTED: State.DEPRECATED},
    Act.RETIRE: dict.fromkeys((State.PUBLISHED, State.PROMOTED, State.DEPRECATED), State.RETIRED),
}


def after(act: Act, state: State) -> State | None:
    """The state that an act leads to; None where it cannot be done in this one."""
    return _MOVES[act].get(state)


class Rollout(NamedTuple):
    """Whom a version is for, and since when: a trace keeps to what held when it began (L42). Milliseconds since 1970."""

    callers: tuple[tuple[str, int], ...] = ()
    """(name, since)."""
    stages: tuple[tuple[int, int], ...] = ()
    """(since, parts of SHARES), oldest first; all of them, once it is promoted."""

    def reaches(self, caller: str, place: int, began_ms: int) -> bool:
        """Whether a caller in a trace that began then, and lies there among all, was meant."""
        share = next((share for since, share in reversed(self.stages) if since <= began_ms), 0)
        return place < share or any(name == caller and since <= began_ms for name, since in self.callers)


@dataclass(frozen=True, slots=True)
class Release:
    """A published version, as far as it matters for who gets it. `order` sorts the versions of one process."""

    process: str
    version: str
    major: int
    order: Any
    state: State = State.PUBLISHED
    rollout: Rollout | None = None
    calls: tuple[tuple[str, str], ...] = ()
    department: str | None = None
    callers: tuple[str, ...] | None = None
    """The departments that may call it; None: all."""

    @property
    def live(self) -> bool:
        """Whether all callers may get it."""
        return self.state in (State.PROMOTED, State.DEPRECATED)

    @property
    def active(self) -> bool:
        """Whether anybody may get it, and so whether it calls others."""
        return self.live or self.rolled_out

    @property
    def rolled_out(self) -> bool:
        """Whether some may get it, before it is promoted."""
        return self.state is State.PUBLISHED and self.rollout is not None

    def ranges_for(self, target: str) -> list[str]:
        """The ranges in which it declares calls of a process."""
        return [versions for pattern, versions in self.calls if _covers(pattern, target)]


class Declaration(NamedTuple):
    """A caller's version works with these versions of a target too (L41)."""

    caller: str
    caller_version: str
    target: str
    versions: str


def _covers(pattern: str, name: str) -> bool:
    return name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1]))


# -- who gets a version -----------------------------------------------------------------------------------------------


def place_of(root: str, process: str, major: int) -> int:
    """Where a trace lies among SHARES parts, for one major version of a process: the same each time it is asked (L42)."""
    return int.from_bytes(sha256(f"{root}\0{process}\0{major}".encode()).digest()[:8], "big") % SHARES


def reaches(release: Release, caller: str, root: str, *, declared_only: bool = False) -> bool:
    """Whether an execution of that caller in that trace gets the version, its range admitting it.

    Where only a declaration admits it, a trace keeps to what it got when it began, promoted or not.
    """
    rollout = release.rollout
    if release.live and not declared_only:
        return True
    if rollout is None:
        return False
    place = place_of(root, release.process, release.major)
    return rollout.reaches(caller, place, int(root[_STARTED_DIGITS], 16))


# -- the gates --------------------------------------------------------------------------------------------------------


def closing_path(name: str, calls: Mapping[str, Iterable[str]]) -> list[str] | None:
    """The shortest way from a process through declared calls back to itself (L5); None where there is none.

    `calls` has the names and patterns that each process calls.
    """
    came_from: dict[str, str] = {}
    level = [name]
    while level:
        following: list[str] = []
        for each in level:
            for pattern in calls.get(each, ()):
                if _covers(pattern, name) and (pattern == name or each != name):
                    return _walked(name, each, came_from)
                for callee in sorted(known for known in calls if _covers(pattern, known)):
                    if callee not in came_from and callee != name:
                        came_from[callee] = each
                        following.append(callee)
        level = following
    return None


def _walked(name: str, last: str, came_from: Mapping[str, str]) -> list[str]:
    path = [name]
    while last != name:
        path.append(last)
        last = came_from[last]
    return [name, *reversed(path)]


def to_migrate(
    candidate: Release,
    releases: Sequence[Release],
    declarations: Iterable[Declaration],
    admits: Admits,
    *,
    unknown: bool = False,
) -> list[Release]:
    """The active callers that have to declare first (L41); `unknown`: nobody can tell whether the version breaks them.

    A new major concerns every caller but those whose own range ends with it: one without an end says nothing about it.
    """
    majors = [each.major for each in releases if each.process == candidate.process and each.live]
    if not majors or not (unknown or candidate.major > max(majors)):
        return []
    said = {
        (each.caller, each.caller_version)
        for each in declarations
        if each.target == candidate.process and admits(candidate.version, each.versions)
    }

    def concerned(caller: Release) -> bool:
        ranges = caller.ranges_for(candidate.process)
        if not caller.active or not ranges or (caller.process, caller.version) in said:
            return False
        own = any(admits(candidate.version, each) and not admits(_FAR, each) for each in ranges)
        return unknown or not own

    return [each for each in releases if concerned(each)]


def stranded(
    leaving: Release, releases: Sequence[Release], declarations: Iterable[Declaration], admits: Admits
) -> list[Release]:
    """The active callers that would have no version left that all may get, were this one gone."""
    declared = list(declarations)
    rest = [each for each in releases if each.process == leaving.process and each.live and each != leaving]

    def left_without(caller: Release) -> bool:
        ranges = caller.ranges_for(leaving.process) + [
            each.versions for each in declared if each[:3] == (caller.process, caller.version, leaving.process)
        ]
        served = [version for version in (leaving, *rest) if any(admits(version.version, each) for each in ranges)]
        return caller.active and served == [leaving]

    return [each for each in releases if left_without(each)]


# -- what is taken back -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tally:
    """How executions of a version have ended: how many broke a contract, and of the last ones which failed ('x', else '.')."""

    violations: int = 0
    recent: str = ""

    def counting(self, *, failed: bool, violated: bool) -> Tally:
        """With one more end."""
        recent = (self.recent + ("x" if failed else "."))[-WINDOW:]
        return replace(self, violations=self.violations + violated, recent=recent)

    @property
    def failures(self) -> int:
        """How many of the last ones failed."""
        return self.recent.count("x")


def newest(releases: Iterable[Release]) -> Release | None:
    """The version of a process to keep an eye on: the one that is being rolled out, else the one promoted last."""
    seen = [each for each in releases if each.rolled_out or (each.state is State.PROMOTED and each.rollout is not None)]
    return max(seen, key=_latest, default=None)


def _latest(release: Release) -> tuple[bool, int]:
    stages = release.rollout.stages if release.rollout is not None else ()
    return release.rolled_out, stages[-1][0] if stages else 0


def on_trial(tally: Tally) -> bool:
    """Whether a promoted version is still watched: it has been called less than 50 times, and not been found wanting."""
    return len(tally.recent) < WINDOW and tally.violations < VIOLATIONS_MAX


def verdict(new: Tally, old: Tally) -> str | None:
    """Why a version that is being rolled out is to be taken back; None where it is not (L42).

    Three contract violations, or over 50 calls at least twice the old version's rate of failures; of an old version that
    has never failed twice is nothing, so three failures are asked for in any case.
    """
    if new.violations >= VIOLATIONS_MAX:
        return f"{new.violations} contract violations"
    if len(new.recent) < WINDOW or new.failures < VIOLATIONS_MAX:
        return None
    if new.failures * max(len(old.recent), 1) < 2 * old.failures * len(new.recent):
        return None
    return f"{new.failures} of the last {WINDOW} calls failed; of the old version {old.failures} of {len(old.recent)}"

"""What the engine knows of processes and steps, and how a target's name and version range find one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from remit.engine.values.seam import Seam
from remit.errors import DefinitionError, ErrorClass, ErrorInfo
from remit.kernel.departments import admits, denial
from remit.kernel.retry import Classifier, Retry
from remit.kernel.usage import NOTHING, Amount, Usage, decimal_string, measured
from remit.store.records import EffectKind

if TYPE_CHECKING:
    from semantic_version import NpmSpec, Version  # type: ignore[import-untyped]

    from remit.engine.versions.routes import Choice, Routes

__all__ = ["CallRule", "Catalog", "Definition", "Isolation", "StepDefinition", "denied", "in_range", "parse_version"]

Isolation = Literal["none", "process"]


class CallRule(NamedTuple):
    """One entry of `calls=`: a name or a pattern ending in '*', and a version range."""

    pattern: str
    versions: str

    def covers(self, name: str) -> bool:
        """Whether the rule names that process."""
        return name == self.pattern or (self.pattern.endswith("*") and name.startswith(self.pattern[:-1]))


@dataclass(frozen=True, slots=True, eq=False)
class StepDefinition:
    """A durable step, tool or model call: its function, its contract and what it may cost."""

    name: str
    kind: EffectKind
    function: Callable[..., Any]
    is_async: bool
    result: Seam[Any]
    maximum: Amount = NOTHING
    flat_cost: int = 0
    input_price: int = 0
    output_price: int = 0
    at_most_once: bool = False
    compensate: Callable[..., Any] | None = None
    isolation: Isolation = "none"
    timeout_ms: int | None = None
    pending: bool = False
    """Whether the execution shows PENDING_ASYNC while the step is at work (L33)."""
    decode_arguments: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    retype: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """Plain data as the arguments that the function's annotations name; None where it takes plain data."""
    usage_of: Callable[[Any], Usage | None] | None = None
    played_by: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    """Where `function` wraps what an author wrote: the same wrapping of another function, sync or async as that one is."""
    where: str = ""

    def usage(self, value: Any) -> Usage | None:
        """What a finished call used: what it reports, priced where it names tokens only, else the flat price (L26)."""
        if self.usage_of is not None:
            return self.usage_of(value)
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Usage):
            return self._priced(value[1])
        return Usage(cost=decimal_string(self.flat_cost)) if self.flat_cost else None

    def usage_of_failure(self, error: BaseException) -> Usage | None:
        """What a call used that raised: what the exception's `usage` says, else the flat price: the call was made (L27)."""
        reported = getattr(error, "usage", None)
        if isinstance(reported, Usage):
            return self._priced(reported)
        return Usage(cost=decimal_string(self.flat_cost)) if self.flat_cost else None

    def _priced(self, usage: Usage) -> Usage:
        """Prices are micro-dollars per million tokens; the product is rounded up."""
        if (
            usage.cost not in ("0", "0.00")
            or not (self.input_price or self.output_price)
            or isinstance(measured(usage), str)
        ):
            return usage
        other = usage.tokens - usage.input_tokens - usage.output_tokens
        micro = -(
            -((usage.input_tokens + other) * self.input_price + usage.output_tokens * self.output_price) // 1_000_000
        )
        return Usage(usage.tokens, usage.input_tokens, usage.output_tokens, decimal_string(micro))


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """A process, as the engine drives it."""

    name: str
    version: str
    body: Callable[..., Awaitable[Any]]
    takes_input: bool
    input: Seam[Any]
    result: Seam[Any]
    calls: tuple[CallRule, ...] = ()
    estimate: Amount = NOTHING
    ttl_ms: int | None = None
    retry: Retry = field(default_factory=Retry)
    recursion: int = 0
    classifier: Classifier | None = None
    department: str | None = None
    callers: tuple[str, ...] | None = None
    resumes: str | None = None
    saga: bool = False
    isolation: Isolation = "none"
    tags: tuple[str, ...] = ()
    where: str = ""
    source: bytes | None = None
    """What a workflow file says; None where the text of `body` does."""


@lru_cache(maxsize=4096)
def parse_version(text: str) -> Version:
    """A semantic version; raises DefinitionError."""
    from semantic_version import Version

    try:
        return Version(text)
    except (TypeError, ValueError):
        raise DefinitionError(f"{text!r} is no version: write three numbers, such as '1.0.0'") from None


@lru_cache(maxsize=4096)
def _spec(text: str) -> NpmSpec:
    from semantic_version import NpmSpec

    try:
        if text.strip():  # NpmSpec takes nothing for anything
            return NpmSpec(text)
        raise ValueError(text)
    except ValueError:
        raise DefinitionError(f"{text!r} is no version range: write '^1', '1.2.x', '>=1.2 <3' or '*'") from None


@lru_cache(maxsize=65536)
def in_range(version: str, versions: str) -> bool:
    """Whether a version lies in a range; raises DefinitionError for a range that is none."""
    return bool(_spec(versions).match(parse_version(version)))


class Catalog:
    """The processes hosted here, by name and version."""

    def __init__(self, definitions: Iterable[Definition] = ()) -> None:
        self._by_name: dict[str, list[Definition]] = {}
        self._resolved: dict[tuple[Definition, str, str | None], Definition | ErrorInfo | Choice] = {}
        self.routes: Routes | None = None
        """What was published and declared; None where nothing was: every hosted version may be called then."""
        self._kept: dict[tuple[str, str], list[tuple[int, Callable[[], Definition | None]]]] = {}
        for definition in definitions:
            self.add(definition)

    def add(self, definition: Definition) -> None:
        """Host a definition; the same name and version twice is refused unless it is the same object."""
        self.check(definition)
        versions = self._by_name.setdefault(definition.name, [])
        if definition in versions:
            return
        versions.append(definition)
        versions.sort(key=lambda each: parse_version(each.version), reverse=True)
        self._resolved.clear()

    def check(self, definition: Definition) -> None:
        """Raise DefinitionError where the same name and version is hosted as something else."""
        for hosted in self._by_name.get(definition.name, ()):
            if hosted is not definition and hosted.version == definition.version:
                raise DefinitionError(
                    f"Process {definition.name!r} {definition.version} is defined twice: {hosted.where} and {definition.where}. Give one another name or version."
                )

    def names(self) -> list[str]:
        """The names hosted here, sorted."""
        return sorted(self._by_name)

    def all(self) -> list[Definition]:
        """Every definition hosted here."""
        return [definition for name in self.names() for definition in self._by_name[name]]

    def route_by(self, routes: Routes | None) -> None:
        """Calls from now on go by what was published and declared; None: by what is hosted."""
        self.routes = routes
        self._resolved.clear()

    def hosted(self, name: str) -> list[Definition]:
        """The versions of a process whose code is here, highest first."""
        return self._by_name.get(name, [])

    def newest(self, name: str, versions: str = "*") -> Definition | None:
        """The highest hosted version in the range; of a published process, the highest that is promoted (L40)."""
        hosted = self.hosted(name)
        if self.routes is not None and self.routes.knows(name):
            return self.routes.newest(name, versions, hosted)
        return next((each for each in hosted if in_range(each.version, versions)), None)

    def forget(self) -> None:
        """Another store is opened: nothing is known of what began there."""
        self._kept.clear()

    def continue_with(self, kept: Iterable[tuple[str, str, int, Callable[[], Definition | None]]]) -> None:
        """Continue executions of a name and version, from a row number on, with what is read then; lowest numbers first (L39).

        Where workflows are hosted that know how to go on with one already, it stays with those.
        """
        before = set(self._kept)
        for name, version, first_n, read in kept:
            if (name, version) not in before:
                self._kept.setdefault((name, version), []).append((first_n, read))

    def to_continue(self, name: str, version: str, n: int | None = None) -> Definition | None:
        """The code that may continue an execution: its very version, else one that names it in `resumes` (L11).

        With `n`, its row number, a workflow is the one that it was when the execution began (L39).
        """
        for first_n, read in reversed(self._kept.get((name, version), ())):
            if n is None or first_n <= n:
                return read()
        hosted = self._by_name.get(name, ())
        for each in hosted:
            if each.version == version:
                return each
        return next((each for each in hosted if each.resumes is not None and in_range(version, each.resumes)), None)

    def resolve(self, caller: Definition, target: str, versions: str | None, by: str) -> Definition | ErrorInfo:
        """The definition a call goes to, or why there is none: undeclared, unknown, or no version in range (L6, L40).

        `by` is the execution that calls: while a version is rolled out, its trace decides (L42).
        """
        wanted = (caller, target, versions)  # not by name and version: a workflow that was edited has two definitions
        found = self._resolved.get(wanted)
        if found is None:
            found = self._resolved[wanted] = self._find(caller, target, versions)
        return found if isinstance(found, (Definition, ErrorInfo)) else found.of(by)

    def _find(self, caller: Definition, target: str, versions: str | None) -> Definition | ErrorInfo | Choice:
        calls = caller.calls if self.routes is None else self.routes.rules_of(caller)
        rules = [rule for rule in calls if rule.covers(target)]
        if not rules:
            declared = ", ".join(f"{rule.pattern}@{rule.versions}" for rule in calls) or "nothing"
            return _fault(
                "undeclared_call",
                f"Process {caller.name!r} declares {declared} in calls=; it may not call {target!r}."
                f" Fix: mend the name, or add it to the calls= of {caller.where}.",
                target,
            )
        hosted = self.hosted(target)
        if self.routes is not None and self.routes.knows(target):
            return self.routes.choice(caller, target, rules, versions, hosted)
        if not hosted:
            return _fault(
                "unknown_process",
                f"No process {target!r} is registered here; there are: {', '.join(self.names())}."
                " Fix: pass it in Remit(..., processes=[...]), or to `remit run` with --with.",
                target,
            )
        for each in hosted:
            if any(in_range(each.version, rule.versions) for rule in rules) and (
                versions is None or in_range(each.version, versions)
            ):
                its = caller.department if self.routes is None else self.routes.department_of(caller)
                return denied(caller.name, its, target, each.department, each.callers) or each
        wanted = versions or " or ".join(rule.versions for rule in rules)
        there = ", ".join(each.version for each in hosted)
        return _fault(
            "no_matching_version", f"No registered version of {target!r} lies in {wanted}; there are: {there}", target
        )

    def closed_to(self, caller: str, its: str | None, target: Definition) -> ErrorInfo | None:
        """Why a process of that department may not have the target run; None where it may (L45)."""
        release = self.routes.releases.get((target.name, target.version)) if self.routes is not None else None
        department, callers = (release or target).department, (release or target).callers
        return denied(caller, its, target.name, department, callers)


def denied(
    caller: str, its: str | None, target: str, department: str | None, callers: Sequence[str] | None
) -> ErrorInfo | None:
    """Why a process of that department may not call the target; None where it may (L45)."""
    if callers is None or admits(department, callers, its):
        return None
    message = denial(target, department, callers, caller, its)
    details = {"target": target, "department": department, "callers": list(callers), "caller_department": its}
    return ErrorInfo(ErrorClass.DOMAIN, "department_denied", message, details)


def _fault(code: str, message: str, target: str) -> ErrorInfo:
    return ErrorInfo(ErrorClass.DOMAIN, code, message, {"target": target})

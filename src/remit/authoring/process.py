"""`@process`: a workflow with a name, a version, a contract, and the list of what it may call (L6, L13)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, Literal, NoReturn, TypeVar, overload

from remit.authoring.options import flag, given, isolated, named, words
from remit.authoring.signatures import hints_of, place_of
from remit.engine.definitions import CallRule, Definition, Isolation, in_range, parse_version
from remit.engine.values.seam import Seam
from remit.errors import DefinitionError
from remit.kernel.durations import Duration, milliseconds
from remit.kernel.retry import Classifier, Retry
from remit.kernel.usage import NOTHING, Amount, Budget

__all__ = ["Process", "ProcessRef", "amount_of", "process", "split_reference"]

In = TypeVar("In")
Out = TypeVar("Out")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*\Z")
_PATTERN = re.compile(r"([A-Za-z][A-Za-z0-9_.\-]*\*?|\*)\Z")


class Process(Generic[In, Out]):
    """A defined process. It is called through `call_process`, never directly, so that no call goes ungoverned."""

    def __init__(self, definition: Definition, doc: str | None) -> None:
        self.definition = definition
        self.__doc__ = doc

    @property
    def name(self) -> str:
        """The process's name."""
        return self.definition.name

    @property
    def version(self) -> str:
        """The process's version."""
        return self.definition.version

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refused: a call goes through `call_process`, and so through its checks."""
        raise DefinitionError(
            f"Process {self.name!r} cannot be called like a function: inside a process use `await call_process({self.name}, ...)`, outside `await app.start({self.name}, ...)`"
        )

    def __repr__(self) -> str:
        return f"<Process {self.name}@{self.version}>"


class ProcessRef(Generic[In, Out]):
    """A typed reference to a process whose code is not at hand: `ProcessRef[AllocationRequest, Allocation]("inventory@^2")`."""

    # `typing` notes the types a reference was made with under `__orig_class__`, where there is room for it.
    __slots__ = ("__orig_class__", "_result", "name", "versions")

    def __init__(self, reference: str) -> None:
        self.name, self.versions = split_reference(reference, where="ProcessRef")
        self._result: Seam[Any] | None = None

    def result_seam(self) -> Seam[Any] | None:
        """The seam of the declared result type; None where the reference was made without types."""
        types = getattr(self, "__orig_class__", None)
        if self._result is None and types is not None:
            self._result = Seam(types.__args__[1], where=f"ProcessRef {self.name!r}, result")
        return self._result

    def __repr__(self) -> str:
        return f"<ProcessRef {self.name}@{self.versions or '*'}>"


def split_reference(reference: str, *, where: str, pattern: bool = False) -> tuple[str, str | None]:
    """The name and the version range (None: any) of 'inventory@^2'; raises DefinitionError."""
    name, at, versions = reference.partition("@") if isinstance(reference, str) else ("", "", "")
    if not (_PATTERN if pattern else _NAME).match(name):
        raise DefinitionError(
            f"{where}: {reference!r} is no process reference: write 'inventory', 'inventory@^2'{' or a pattern such as tools.*@^1' if pattern else ''}"
        )
    if at:
        try:
            in_range("1.0.0", versions)
        except DefinitionError as error:
            raise DefinitionError(f"{where}: {reference!r}: {error}") from None
    return name, versions if at else None


def amount_of(estimate: int | Budget | None, where: str) -> Amount | None:
    """An estimate in both units: tokens as an int, or a Budget."""
    if estimate is None:
        return None
    try:
        budget = estimate if isinstance(estimate, Budget) else Budget(tokens=estimate)
    except ValueError as error:
        raise DefinitionError(
            f"{where}: estimate={estimate!r}: give tokens as a whole number, or a Budget ({error})"
        ) from None
    return Amount(budget.tokens or 0, budget.cost_micros or 0)


Body = Callable[[In], Awaitable[Out]]
Callee = Process[Any, Any] | ProcessRef[Any, Any] | str


@overload
def process(name: Callable[[In], Awaitable[Out]], /) -> Process[In, Out]: ...
@overload
def process(name: Callable[[], Awaitable[Out]], /) -> Process[None, Out]: ...
@overload
def process(
    name: str | None = None,
    *,
    version: str = ...,
    calls: Sequence[Callee] = ...,
    department: str | None = ...,
    callers: Sequence[str] | None = ...,
    estimate: int | Budget | None = ...,
    ttl: Duration | None = ...,
    retry: Retry | None = ...,
    recursion: int = ...,
    classifier: Classifier | None = ...,
    resumes: str | None = ...,
    saga: bool = ...,
    isolation: Literal["process"] | None = ...,
    tags: Sequence[str] = ...,
) -> _Decorator: ...
def process(
    name: Any = None,
    *,
    version: str = "1.0.0",
    calls: Sequence[Callee] = (),
    department: str | None = None,
    callers: Sequence[str] | None = None,
    estimate: int | Budget | None = None,
    ttl: Duration | None = None,
    retry: Retry | None = None,
    recursion: int = 0,
    classifier: Classifier | None = None,
    resumes: str | None = None,
    saga: bool = False,
    isolation: Literal["process"] | None = None,
    tags: Sequence[str] = (),
) -> Any:
    """Define a process from an `async def` with one annotated parameter (or none) and an annotated result.

    `calls` lists what it may call: processes, or names with a version range; a process object means ^its version (L6).
    `resumes` names the versions whose executions this code may continue (L11). Policies select by `tags` (L43). Raises DefinitionError for what cannot
    work: a body that is not async, a missing annotation, a type that does not round-trip, a bad name, version or range.
    """

    def decorate(body: Callable[..., Any]) -> Process[Any, Any]:
        chosen = body.__name__ if name is None or name is body else named(name, f"process {body.__name__!r}")
        where = f"process {chosen!r} ({place_of(body)})"
        return Process(
            _define(
                body,
                chosen,
                where,
                version,
                calls,
                department,
                callers,
                estimate,
                ttl,
                retry,
                recursion,
                classifier,
                resumes,
                saga,
                isolation,
                tags,
            ),
            inspect.getdoc(body),
        )

    return decorate(name) if callable(name) else decorate


class _Decorator:
    """What `@process(...)` with arguments returns, for type checkers."""

    @overload
    def __call__(self, body: Callable[[In], Awaitable[Out]], /) -> Process[In, Out]: ...
    @overload
    def __call__(self, body: Callable[[], Awaitable[Out]], /) -> Process[None, Out]: ...
    def __call__(self, body: Callable[..., Any], /) -> Process[Any, Any]:
        """Define the process."""
        return process(body)


def _define(
    body: Callable[..., Any],
    name: str,
    where: str,
    version: str,
    calls: Sequence[Callee],
    department: str | None,
    callers: Sequence[str] | None,
    estimate: int | Budget | None,
    ttl: Duration | None,
    retry: Retry | None,
    recursion: int,
    classifier: Classifier | None,
    resumes: str | None,
    saga: bool,
    isolation: Isolation | None,
    tags: Sequence[str],
) -> Definition:
    if not _NAME.match(name):
        raise DefinitionError(f"{where}: a name starts with a letter and has letters, digits, '_', '-' and '.'")
    parse_version(version)
    if isinstance(calls, (str, Process, ProcessRef)):
        raise DefinitionError(f"{where}: calls= is a list: write calls=[{_shown(calls)}]")
    if not inspect.iscoroutinefunction(body):
        raise DefinitionError(f"{where}: a process body must be `async def`; put synchronous work into a @step (L52)")
    if isinstance(recursion, bool) or not isinstance(recursion, int) or recursion < 0:
        raise DefinitionError(f"{where}: recursion={recursion!r}: give a whole number, at least 0")
    if resumes is not None:
        in_range(version, resumes)
    parameter, accepted, returned = _contract(body, where)
    try:
        ttl_ms = milliseconds(ttl) if ttl is not None else None
    except ValueError as error:
        raise DefinitionError(f"{where}: ttl: {error}") from None
    if ttl_ms == 0:
        raise DefinitionError(f"{where}: ttl={ttl!r}: give a time of at least 1ms")
    return Definition(
        name=name,
        version=version,
        body=body,
        takes_input=parameter is not None,
        input=Seam(accepted, where=f"{where}, parameter {parameter or '(none)'}"),
        result=Seam(returned, where=f"{where}, result"),
        calls=tuple(_rule(each, where) for each in calls),
        estimate=amount_of(estimate, where) or NOTHING,
        ttl_ms=ttl_ms,
        retry=given(retry, Retry, "retry", "retry=Retry(attempts=...)", where) or Retry(),
        recursion=recursion,
        classifier=classifier,
        department=None if department is None else named(department, f"{where}: department"),
        callers=words(callers, "callers", where),
        resumes=resumes,
        saga=flag(saga, "saga", where),
        isolation=isolated(isolation, where),
        tags=_tags(tags, where),
        where=where,
    )


def _contract(body: Callable[..., Any], where: str) -> tuple[str | None, Any, Any]:
    """The name of the body's parameter, if it takes one, and the types of input and result."""
    parameters = list(inspect.signature(body).parameters.values())
    takes_input = _takes_input(parameters, where)
    hints = hints_of(body, where)
    if takes_input and parameters[0].name not in hints:
        raise DefinitionError(
            f"{where}: annotate the parameter {parameters[0].name!r}: it is the contract of the input"
        )
    if "return" not in hints:
        raise DefinitionError(
            f"{where}: annotate the result: it is the contract towards every caller (-> None if there is none)"
        )
    if not takes_input:
        return None, type(None), hints["return"]
    return parameters[0].name, hints[parameters[0].name], hints["return"]


def _takes_input(parameters: list[inspect.Parameter], where: str) -> bool:
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) > 1 or any(parameter.kind not in plain for parameter in parameters):
        raise DefinitionError(
            f"{where}: a process takes one parameter, its input, or none; put several values into one model"
        )
    return bool(parameters)


def _tags(tags: Sequence[str], where: str) -> tuple[str, ...]:
    if isinstance(tags, str) or not all(isinstance(each, str) and _NAME.match(each) for each in tags):
        raise DefinitionError(f"{where}: tags={tags!r}: give a list of words such as ['pii']")
    return tuple(dict.fromkeys(tags))


def _shown(callee: Callee) -> str:
    return repr(callee) if isinstance(callee, str) else callee.name


def _rule(callee: Callee, where: str) -> CallRule:
    if isinstance(callee, Process):
        return CallRule(callee.name, f"^{callee.version}")
    if isinstance(callee, ProcessRef):
        return CallRule(callee.name, callee.versions or "*")
    if isinstance(callee, str):
        name, versions = split_reference(callee, where=f"{where}, calls", pattern=True)
        return CallRule(name, versions or "*")
    raise DefinitionError(f"{where}: calls lists processes or references such as 'payment@^1', not {callee!r}")

"""What a process body does besides running steps: call, start, ask, wait, charge, report (L11-L14, L48-L52)."""

from __future__ import annotations

import random as _random
import uuid as _uuid
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NoReturn, TypeVar, cast, overload

import orjson

from remit.authoring.outcome import Outcome
from remit.authoring.process import Process, ProcessRef, amount_of, split_reference
from remit.engine.answer import Answer
from remit.engine.body.port import PORT, ContinueAs, Port, current_port, refuse_elsewhere
from remit.engine.request import CallRequest
from remit.engine.values.seam import Seam, SeamError, canonical
from remit.engine.values.texts import optional_ms, optional_text, short_text, ttl_of
from remit.errors import DomainError, InvalidInput
from remit.kernel.durations import Duration
from remit.kernel.retry import Retry
from remit.kernel.trace import ancestors_of, otel_trace_id, parent_of, root_of
from remit.kernel.usage import Budget, Usage

__all__ = [
    "Child",
    "Current",
    "ask",
    "call_process",
    "changed",
    "charge",
    "continue_as",
    "current",
    "now",
    "random",
    "set_progress",
    "sleep",
    "start_process",
    "uuid4",
    "wait_event",
]

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")
_MISSING: Any = object()


def _request(
    target: Any,
    input: object,
    key: str | None,
    ttl: Duration | None,
    estimate: int | Budget | None,
    budget: Budget | None,
    retry: Retry | None,
    detached: bool,
) -> CallRequest:
    result = None
    if isinstance(target, Process):
        name, versions, result = target.name, None, target.definition.result
    elif isinstance(target, ProcessRef):
        name, versions, result = target.name, target.versions, target.result_seam()
    elif isinstance(target, str):
        name, versions = split_reference(target, where="call_process")
    else:
        raise InvalidInput(f"{target!r} is no process: pass a process, its name, or a ProcessRef")
    if budget is not None and not isinstance(budget, Budget):
        raise InvalidInput(f"budget={budget!r}: give a Budget(tokens=..., cost=...)")
    if retry is not None and not isinstance(retry, Retry):
        raise InvalidInput(f"retry={retry!r}: give a Retry(attempts=...)")
    return CallRequest(
        name,
        input,
        versions,
        optional_text(key, "key"),
        ttl_of(ttl),
        amount_of(estimate, f"call of {name!r}"),
        budget.tokens if budget else None,
        budget.cost_micros if budget else None,
        retry,
        detached,
        result,
    )


@overload
def call_process(
    target: Process[In, Out] | ProcessRef[In, Out],
    input: In,
    *,
    key: str | None = ...,
    ttl: Duration | None = ...,
    estimate: int | Budget | None = ...,
    budget: Budget | None = ...,
    retry: Retry | None = ...,
) -> Coroutine[Any, Any, Outcome[Out]]: ...
@overload
def call_process(
    target: Process[None, Out] | ProcessRef[None, Out],
    *,
    key: str | None = ...,
    ttl: Duration | None = ...,
    estimate: int | Budget | None = ...,
    budget: Budget | None = ...,
    retry: Retry | None = ...,
) -> Coroutine[Any, Any, Outcome[Out]]: ...
@overload
def call_process(
    target: str,
    input: Any = ...,
    *,
    key: str | None = ...,
    ttl: Duration | None = ...,
    estimate: int | Budget | None = ...,
    budget: Budget | None = ...,
    retry: Retry | None = ...,
) -> Coroutine[Any, Any, Outcome[Any]]: ...
def call_process(
    target: Any,
    input: Any = None,
    *,
    key: str | None = None,
    ttl: Duration | None = None,
    estimate: int | Budget | None = None,
    budget: Budget | None = None,
    retry: Retry | None = None,
) -> Coroutine[Any, Any, Outcome[Any]]:
    """Call another process and wait for its Outcome; every call is checked, leased, metered and recorded (L7, L8).

    `key` names the call instead of its input and occurrence (L9); `budget` is a cap for its subtree, narrower than the
    root's. A child never raises here: a rejection or failure is in the Outcome. Only a SYSTEM error does not come back.
    """
    port = current_port("call_process()")
    port.beat()
    return _call(port, _request(target, input, key, ttl, estimate, budget, retry, detached=False))


async def _call(port: Port, request: CallRequest) -> Outcome[Any]:
    refuse_elsewhere(port, "call_process()")  # the coroutine may have been handed to another thread since
    called = port.call(request)
    del request  # and so the input: ten thousand calls may wait here, and need neither any more
    return Outcome(await called)


class Child(Generic[T]):
    """A child started without waiting."""

    __slots__ = ("_result", "id")

    def __init__(self, child_id: str, result: Seam[Any] | None = None) -> None:
        self.id = child_id
        self._result = result

    async def status(self) -> str:
        """The child's status now; recorded, so that replay sees the same."""
        return await current_port("Child.status()").child_status(self.id)

    async def outcome(self) -> Outcome[T]:
        """Wait for the child's end."""
        return Outcome(await current_port("Child.outcome()").await_child(self.id, self._result))

    async def cancel(self) -> bool:
        """Cancel the child; False where it had ended already."""
        return await current_port("Child.cancel()").child_cancel(self.id)

    def __repr__(self) -> str:
        return f"<Child {self.id}>"


@overload
async def start_process(
    target: Process[In, Out] | ProcessRef[In, Out],
    input: In,
    *,
    key: str | None = ...,
    ttl: Duration | None = ...,
    estimate: int | Budget | None = ...,
    budget: Budget | None = ...,
    retry: Retry | None = ...,
    detached: bool = ...,
) -> Child[Out]: ...
@overload
async def start_process(
    target: Process[None, Out] | ProcessRef[None, Out],
    *,
    key: str | None = ...,
    ttl: Duration | None = ...,
    estimate: int | Budget | None = ...,
    budget: Budget | None = ...,
    retry: Retry | None = ...,
    detached: bool = ...,
) -> Child[Out]: ...
@overload
async def start_process(
    target: str,
    input: Any = ...,
    *,
    key: str | None = ...,
    ttl: Duration | None = ...,
    estimate: int | Budget | None = ...,
    budget: Budget | None = ...,
    retry: Retry | None = ...,
    detached: bool = ...,
) -> Child[Any]: ...
async def start_process(
    target: Any,
    input: Any = None,
    *,
    key: str | None = None,
    ttl: Duration | None = None,
    estimate: int | Budget | None = None,
    budget: Budget | None = None,
    retry: Retry | None = None,
    detached: bool = False,
) -> Child[Any]:
    """Start another process without waiting; it is durable together with this execution's next commit (L14).

    A rejected start raises DomainError with the rejection's code. `detached`: it survives a cancelled parent.
    """
    port = current_port("start_process()")
    request = _request(target, input, key, ttl, estimate, budget, retry, detached)
    started = await port.start(request)
    if isinstance(started, Answer):
        started.seen = True
        assert started.error is not None
        raise DomainError(started.error.message, code=started.error.code, details=started.error.details)
    return Child(started, request.result)


@overload
async def ask(
    answer: type[T],
    *,
    name: str,
    prompt: str = ...,
    to: str | None = ...,
    timeout: Duration | None = ...,
    on_timeout: None,
) -> T | None: ...
@overload
async def ask(
    answer: type[T],
    *,
    name: str,
    prompt: str = ...,
    to: str | None = ...,
    timeout: Duration | None = ...,
    on_timeout: T = ...,
) -> T: ...
@overload
async def ask(
    answer: Any = ...,
    *,
    name: str,
    prompt: str = ...,
    to: str | None = ...,
    timeout: Duration | None = ...,
    on_timeout: Any = ...,
) -> Any: ...
async def ask(
    answer: Any = Any,
    *,
    name: str,
    prompt: str = "",
    to: str | None = None,
    timeout: Duration | None = None,
    on_timeout: Any = _MISSING,
) -> Any:
    """Ask a human for a value of type `answer` and wait, durably.

    Nobody in time: `on_timeout` is the answer where it was given (None included), else DOMAIN `ask_timeout`.
    `to` says who should answer ('role:warehouse-lead').
    """
    port = current_port("ask()")
    seam = _answer_seam(answer, short_text(name, "ask(name)"))
    optional_text(to, "ask(to)")
    default = (
        None if on_timeout is _MISSING else orjson.dumps(None) if on_timeout is None else seam.accept(on_timeout)
    )
    if default == b"null":
        seam = _answer_seam(answer | None, name)
    return await port.ask(seam, name, prompt, to, optional_ms(timeout, "ask(timeout)"), default)


_ANSWERS: dict[Any, Seam[Any]] = {}


def _answer_seam(answer: Any, name: str) -> Seam[Any]:
    seam = _ANSWERS.get(answer)
    if seam is None:
        seam = _ANSWERS[answer] = Seam(answer, where=f"ask {name!r}")
    return seam


async def sleep(duration: Duration) -> None:
    """Sleep durably: a crash or a restart does not begin it anew (at most 30 days)."""
    port = current_port("sleep()")
    await port.sleep(optional_ms(duration, "sleep") or 0)


async def now() -> datetime:
    """The time, in UTC; recorded, so that replay sees the same."""
    return datetime.fromisoformat(await current_port("now()").now())


async def uuid4() -> _uuid.UUID:
    """A random UUID; recorded, so that replay sees the same."""
    return _uuid.UUID(await current_port("uuid4()").value("uuid4", lambda: str(_uuid.uuid4())))


async def random() -> float:
    """A random float in [0, 1); recorded, so that replay sees the same."""
    return cast("float", await current_port("random()").value("random", _random.random))


async def wait_event(name: str, *, key: str | None = None, timeout: Duration | None = None) -> Any:
    """Wait for an event sent with `app.send(id, name, payload)`; one that came early is taken at once (L50).

    Without it in time: DOMAIN `event_timeout`.
    """
    port = current_port("wait_event()")
    return await port.wait_event(
        short_text(name, "wait_event(name)"), optional_text(key, "key"), optional_ms(timeout, "timeout")
    )


async def charge(usage: Usage) -> None:
    """Count usage that no tool or model reports, once; DOMAIN `budget_exhausted` where it passes the limit (L26)."""
    port = current_port("charge()")
    if not isinstance(usage, Usage):
        raise InvalidInput(f"charge({usage!r}): give a Usage(tokens=..., cost=...)")
    await port.charge(usage)


class _Done:
    """Nothing to wait for: lets `await set_progress(...)` and `set_progress(...)` both work."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


class _Branch:
    """A truth value that may be awaited as well."""

    __slots__ = ("_value",)

    def __init__(self, value: bool) -> None:
        self._value = value

    def __bool__(self) -> bool:
        return self._value

    def __await__(self) -> Generator[Any, None, bool]:
        return self._value
        yield


def set_progress(value: Any) -> _Done:
    """Say how far the execution has come: any JSON-able value, readable while it runs (L51)."""
    current_port("set_progress()").progress(canonical(value, "set_progress()"))
    return _Done()


def changed(identity: str) -> _Branch:
    """True for executions that come here first with the new code, False for histories that went past here before (L11)."""
    return _Branch(current_port("changed()").changed(identity))


def continue_as(input: Any) -> NoReturn:
    """Start this execution's history afresh with a new input, under the same id, root and ledger (L48)."""
    port = current_port("continue_as()")
    try:
        port.definition.input.accept(input)
    except SeamError as error:
        raise InvalidInput(f"continue_as: {error}", path=error.path) from None
    raise ContinueAs(input)


@dataclass(frozen=True, slots=True)
class Current:
    """The execution a body or step runs in. What differs between live and replay is not here (L52)."""

    execution_id: str
    process: str
    version: str
    tenant: str | None
    owner: str | None
    region: str | None
    department: str | None
    resources: Any

    @property
    def trace_id(self) -> str:
        """The root's id, under which everything of the trace is found."""
        return root_of(self.execution_id)

    root_execution_id = trace_id

    @property
    def otel_trace_id(self) -> str:
        """The OpenTelemetry trace id derived from the root's id (L1)."""
        return otel_trace_id(self.trace_id)

    @property
    def parent_execution_id(self) -> str | None:
        """The parent's id; None for a root."""
        return parent_of(self.execution_id)

    @property
    def depth(self) -> int:
        """How many ancestors the execution has."""
        return self.execution_id.count(".")

    @property
    def ancestor_execution_ids(self) -> tuple[str, ...]:
        """All ancestors, root first (L2)."""
        return ancestors_of(self.execution_id)

    ancestry = ancestor_execution_ids


def current() -> Current:
    """The execution this code runs in, in bodies and in steps; raises MisuseError `outside_execution` elsewhere."""
    port = PORT.get() or current_port("current()")
    who = port.identity
    return Current(
        who.execution_id, who.process, who.version, who.tenant, who.owner, who.region, who.department, port.resources
    )

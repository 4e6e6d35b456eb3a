"""Calling a step function as one durable step: on its own copy of the state, recording what it did (L36, L46, L47).

What is recorded is what the step did, not the state: what it returned, which fields it changed in place, and the directive
it raised. Replay applies the record and calls nothing; so a step that raised a directive is never run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from remit.authoring.step import Step
from remit.engine.body.port import current_port
from remit.engine.definitions import StepDefinition
from remit.engine.values.plain_json import dumps, loads
from remit.engine.values.seam import Seam, canonical
from remit.errors import DefinitionError, DomainError
from remit.kernel.retry import Retry
from remit.kernel.usage import Usage
from remit.store.records import EffectKind
from remit.workflows.directives import StepContext, WorkflowDirective
from remit.workflows.importing.shapes import ATOMS, is_async, own, shape_of
from remit.workflows.running.state import Held, StateType
from remit.workflows.steps.raised import noted, refuse_grouped, refuse_others, refuse_returned
from remit.workflows.steps.tries import tried
from remit.workflows.steps.undoing import Undoing

__all__ = ["Given", "Recorded", "StepFunction"]


class Recorded(TypedDict, total=False):
    """What a step's journal entry holds; what is empty is left out."""

    result: dict[str, Any]
    changed: dict[str, Any]
    removed: list[str]
    directive: dict[str, Any]


class _RecordSeam(Seam[Any]):
    """The border of records, which are made as JSON where the function has run: nothing is left to validate."""

    def __init__(self, where: str) -> None:
        super().__init__(Any, where=where)

    def cross(self, value: object) -> tuple[bytes, Any]:
        """The payload as it is, and a copy for the body."""
        assert isinstance(value, bytes)
        return value, loads(value)

    def decode(self, payload: bytes) -> Any:
        """The record."""
        return loads(payload)


@dataclass(frozen=True, slots=True)
class Given:
    """What a step function is called with; `merges`: what it returns is checked against the state's model at once."""

    state: Held
    context: dict[str, Any]
    inputs: Mapping[str, Any]
    merges: bool = True


class StepFunction:
    """A function of a workflow file, compiled: one durable step each time it is performed."""

    def __init__(
        self,
        step: str,
        function: Any,
        state: StateType,
        where: str,
        *,
        timeout_ms: int | None = None,
        compensate: Callable[..., Any] | None = None,
        retry: Retry | None = None,
    ) -> None:
        self.step = step
        self._retry = retry
        self.state = state
        self._where = f"{where}, step {step!r}"
        base = function.definition if isinstance(function, Step) else None
        self._function: Callable[..., Any] = base.function if base is not None else function
        if not callable(self._function):
            raise DefinitionError(f"{self._where}: {function!r} is no function")
        self.shape = shape_of(self._function, self._where)
        self.takes_input = bool(self.shape.inputs) or self.shape.any_input
        self._base = base
        self.undo = Undoing.of(compensate, base, self._where)
        self.definition = self._definition(base, timeout_ms)

    def _definition(self, base: StepDefinition | None, timeout_ms: int | None) -> StepDefinition:
        """The step as the engine knows it; one made with @step, @tool or @model keeps its kind, price and promises."""
        seam = _RecordSeam(f"{self._where}, record")
        if base is None:
            asynchronous = is_async(self._function)
            made = StepDefinition(self.step, EffectKind.STEP, self._function, asynchronous, seam, where=self._where)
        elif base.isolation != "none":
            raise DefinitionError(
                f"{self._where}: a step of a workflow cannot run in a process of its own; {base.where}"
            )
        else:
            name = self.step if base.kind is EffectKind.STEP else base.name
            made = replace(base, name=name, result=seam, where=self._where)
        return replace(
            made,
            function=_awaited if made.is_async else _called,
            timeout_ms=timeout_ms or made.timeout_ms,
            compensate=None,
            usage_of=_usage if base is not None else None,
            played_by=_played_by,
        )

    async def perform(self, given: Given, arguments: Mapping[str, Any]) -> Recorded:
        """Run the function, or give what it recorded; raises what it raised, as a step does.

        A TRANSIENT failure is tried again here where the step says how often; else the execution is (L18).
        """
        if self._retry is None:
            return await self._attempt(given, arguments)
        return await tried(
            self._retry,
            lambda number: self._attempt(given, arguments if number == 1 else {**arguments, "attempt": number}),
        )

    async def _attempt(self, given: Given, arguments: Mapping[str, Any]) -> Recorded:
        definition = self.definition
        if self.undo is not None:
            definition = replace(definition, compensate=self.undo.bound(self.state, given.state.plain, given.context))
        _CALLING.set(_Calling(self, given))
        params = dict(arguments)
        if self.definition.kind is not EffectKind.STEP:  # the lineage says with what a tool or model was called (L29)
            params.update(step=self.step, state=given.state.plain)
        return await current_port(f"step {self.step!r}").step(definition, params)  # type: ignore[no-any-return]


class _Calling:
    """One call of a step function, wherever it runs."""

    __slots__ = ("_given", "_step", "function", "usage")

    def __init__(self, step: StepFunction, given: Given) -> None:
        self._step = step
        self.function = step._function
        self._given = given
        self.usage: Usage | None = None
        """What the function used."""

    def now(self) -> bytes:
        """Call the function where it stands: in a thread."""
        state, arguments, inputs = self._prepared()
        try:
            returned = self.function(*arguments, **inputs)
        except WorkflowDirective as directive:
            return self._raised(state, directive)
        except BaseException as error:
            self._failed(error)
            raise
        return self._record(state, self._valued(returned), None)

    async def waited(self) -> bytes:
        """Await the function on the loop."""
        state, arguments, inputs = self._prepared()
        try:
            returned = await self.function(*arguments, **inputs)
        except WorkflowDirective as directive:
            return self._raised(state, directive)
        except BaseException as error:
            self._failed(error)
            raise
        return self._record(state, self._valued(returned), None)

    def _prepared(self) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        step, given = self._step, self._given
        state = step.state.as_dict(given.state) if step.shape.as_dict else step.state.read(given.state.payload())
        inputs = step.shape.chosen(given.inputs)
        missing = [name for name in step.shape.required if name not in inputs]
        if missing:
            raise DomainError(
                f"{step._where}: its function needs {', '.join(map(repr, missing))}, and nothing gives it."
                " Declare it in the step's input_model or required_input, or give the parameter a default.",
                code="invalid_input",
                missing=missing,
            )
        arguments = (state, StepContext(**own(given.context))) if step.shape.context else (state,)
        return state, arguments, inputs

    def _valued(self, returned: Any) -> Any:
        """What the function returned, less the usage that a model reports beside it."""
        base = self._step._base
        if base is None:
            return returned
        self.usage = base.usage(returned)
        if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Usage):
            return returned[0]
        return returned

    def _count_failure(self, error: BaseException) -> None:
        if self._step._base is not None:
            self.usage = self._step._base.usage_of_failure(error)

    def _failed(self, error: BaseException) -> None:
        self._count_failure(error)
        if isinstance(error, BaseExceptionGroup):
            refuse_grouped(error, self._step._where)

    def _raised(self, state: Any, directive: WorkflowDirective) -> bytes:
        self._count_failure(directive)
        refuse_others(directive)
        return self._record(state, directive.result, noted(directive, self._step._where))

    def _record(self, state: Any, returned: Any, directive: dict[str, Any] | None) -> bytes:
        """What the function did, as the journal keeps it; raises DomainError `invalid_state`."""
        step, held = self._step, self._given.state
        refuse_returned(returned, step._where)
        where = f"{step._where}, what its function returned"
        result: dict[str, Any] = {}
        if returned is not None:
            plain = loads(canonical(returned, where))
            result = plain if isinstance(plain, dict) else {step.step: plain}
        after = step.state.from_dict(state, where) if step.shape.as_dict else step.state.write_after(state, held)
        touched = _touched(held, after)
        if self._given.merges:
            merging = step.state.fields_of(result)
            touched = self._settled(touched, merging) if touched or merging else touched
        record: Recorded = {"result": result} if result else {}
        if touched:
            record["changed"] = touched
        if step.state.open and (gone := [name for name in held.plain if name not in after]):
            record["removed"] = gone
        if directive is not None:
            record["directive"] = directive
        return canonical(record, where)

    def _settled(self, touched: dict[str, Any], merging: dict[str, Any]) -> dict[str, Any]:
        """The fields that differ once the model has taken all; those that arrive as they were returned need no second record."""
        held = self._given.state
        settled = self._step.state.settled_fields(held.plain, {**touched, **merging})
        changed = _differing(held.plain, settled)
        return {name: value for name, value in changed.items() if name not in merging or _unlike(merging[name], value)}


_CALLING: ContextVar[_Calling] = ContextVar("remit_workflow_step")
"""The call that the branch is about to make: a step's function is given what is recorded, and nothing else."""


def _called(**_recorded: Any) -> bytes:
    return _CALLING.get().now()


async def _awaited(**_recorded: Any) -> bytes:
    return await _CALLING.get().waited()


def _usage(_record: Any) -> Usage | None:
    return _CALLING.get().usage


def _played_by(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same call of another function, which stands in for the step's own."""
    _CALLING.get().function = function
    return _awaited if is_async(function) else _called


def _touched(held: Held, after: dict[str, Any]) -> dict[str, Any]:
    """The fields that were changed in place; most often none."""
    if after == held.plain and dumps(after) == held.payload():
        return {}
    return _differing(held.plain, after)


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The members of plain data that are not as before; 1 and True are two values."""
    return {name: value for name, value in after.items() if name not in before or _unlike(before[name], value)}


def _unlike(one: Any, other: Any) -> bool:
    if type(one) is not type(other) or one != other:
        return True
    return type(one) not in ATOMS and dumps(one) != dumps(other)

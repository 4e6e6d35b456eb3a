"""What undoes a step of a workflow: a function of its own step's state and result, and of nothing else (L37)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from remit.engine.definitions import StepDefinition
from remit.errors import DefinitionError
from remit.workflows.directives import StepContext
from remit.workflows.importing.shapes import is_async, own, shape_of
from remit.workflows.running.state import Held, StateType
from remit.workflows.steps.raised import leading_nowhere, plainly

__all__ = ["Undoing"]


class Undoing:
    """A `compensate_function`, called with the state that its step was given, the step's own result merged in.

    One that a @step or @tool brings with it is called as it is there: with the result first.
    """

    def __init__(self, function: Callable[..., Any], where: str, *, result_first: bool) -> None:
        self.function = function
        self._where = where
        self._result_first = result_first
        self._shape = shape_of(partial(function, None) if result_first else function, where)
        if self._shape.required:
            raise DefinitionError(
                f"{where}: a compensation is given the state and the context, not {', '.join(self._shape.required)}"
            )

    @classmethod
    def of(cls, compensate: Any, base: StepDefinition | None, where: str) -> Undoing | None:
        """That of the file, else that of the step itself."""
        if compensate is not None:
            if not callable(compensate):
                raise DefinitionError(f"{where}: the compensate_function {compensate!r} is no function")
            return cls(compensate, f"{where}, compensation", result_first=False)
        if base is not None and base.compensate is not None:
            return cls(base.compensate, f"{where}, compensation", result_first=True)
        return None

    def bound(self, type_: StateType, plain: dict[str, Any], context: dict[str, Any]) -> Callable[..., Any]:
        """The compensation of one run of the step, as the engine calls it: with what the run recorded, None where nothing."""

        def arguments(record: Mapping[str, Any] | None) -> tuple[Any, ...]:
            given = self._given(type_, plain, context, record or {})
            return (None if record is None else record.get("result", {}), *given) if self._result_first else given

        def undo(record: Mapping[str, Any] | None, *_recorded: Any) -> Any:
            with leading_nowhere(self._where):
                return plainly(self.function(*arguments(record)))

        async def awaited(record: Mapping[str, Any] | None, *_recorded: Any) -> Any:
            with leading_nowhere(self._where):
                return plainly(await self.function(*arguments(record)))

        chosen: Callable[..., Any] = awaited if is_async(self.function) else undo
        chosen.__name__ = getattr(self.function, "__name__", type(self.function).__name__)
        return chosen

    def _given(
        self, type_: StateType, plain: dict[str, Any], context: dict[str, Any], record: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        result = record.get("result", {})
        held = Held(type_, {**plain, **type_.fields_of(result), **record.get("changed", {})})
        state = type_.as_dict(held) if self._shape.as_dict else type_.read(held.payload())
        if not self._shape.context:
            return (state,)
        return state, StepContext(**own({**context, "previous_step_result": result}))

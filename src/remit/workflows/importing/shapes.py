"""How functions of workflows want to be called: `(state)`, `(state, context)`, `(state, context, **user_input)`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from remit.errors import DefinitionError

__all__ = ["ATOMS", "Shape", "is_async", "own", "shape_of"]

_CONTEXT_NAMES = frozenset({"context", "ctx", "_context", "_ctx", "_"})
ATOMS = frozenset({str, int, float, bool, bytes, type(None)})
"""Types of values that nobody can change."""


class Shape(NamedTuple):
    """How a step function wants to be called."""

    context: bool
    as_dict: bool
    """It is annotated to take the state as a dict."""
    inputs: frozenset[str]
    required: tuple[str, ...]
    any_input: bool

    def chosen(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the inputs that the function takes; they are its own copies."""
        if not given:
            return {}
        return {name: own(value) for name, value in given.items() if self.any_input or name in self.inputs}


def own(value: Any) -> Any:
    """A value that a step may do with as it likes."""
    return value if type(value) in ATOMS else deepcopy(value)


def shape_of(function: Callable[..., Any], where: str) -> Shape:
    """How a function wants to be called; raises DefinitionError for one that takes no state."""
    parameters = list(inspect.signature(function).parameters.values())
    positional = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    if not positional:
        raise DefinitionError(f"{where}: a step function takes the state first: def {_name(function)}(state, context)")
    context = len(positional) > 1 and _is_context(positional[1])
    others = [each for each in parameters if each is not positional[0] and not (context and each is positional[1])]
    named = [each for each in others if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    rest = next((each for each in others if each.kind is each.VAR_KEYWORD), None)
    return Shape(
        context,
        _is_dict(positional[0].annotation),
        frozenset(each.name for each in named),
        tuple(each.name for each in named if each.default is each.empty),
        rest is not None and not rest.name.startswith("_"),
    )


def _is_context(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    named = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return parameter.name in _CONTEXT_NAMES or named.rpartition(".")[2] == "StepContext"


def _is_dict(annotation: Any) -> bool:
    """Whether the state is wanted as plain data: `state: dict`, `Dict[str, Any]`, `Mapping`."""
    named = annotation if isinstance(annotation, str) else str(getattr(annotation, "__name__", annotation))
    return named.rpartition(".")[2].partition("[")[0] in {"dict", "Dict", "Mapping"}


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives something to await; an object may have an async `__call__`."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)

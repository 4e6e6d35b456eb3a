"""Expressions of a workflow as its steps use them: read when the workflow is compiled, worked out on the state (L38)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from remit.errors import DefinitionError
from remit.kernel.expressions import conditions, templates
from remit.kernel.expressions.conditions import Condition, ConditionError
from remit.workflows.running.flow import Flow, Frame

__all__ = ["Asked", "Filled", "Read", "condition", "expression_map", "template"]

_CHILDREN = ("state", "sub_workflow_results")


class Asked:
    """The types and steps whose results an expression reads: an ambiguous one is refused before it is worked out (L36)."""

    def __init__(self, paths: Iterable[tuple[str, ...]]) -> None:
        self.names = tuple({path[2]: None for path in paths if path[:2] == _CHILDREN and len(path) > 2})

    def check(self, flow: Flow) -> None:
        """Raise where one is ambiguous."""
        for name in self.names:
            flow.state.view().sub_workflow_results.get(name)


class Read:
    """A condition, or a path."""

    def __init__(self, text: str, roots: frozenset[str], default_root: str | None, where: str) -> None:
        self._condition: Condition = _read(lambda: conditions.parse(text, roots, default_root), where)
        self._asked = Asked(self._condition.paths)

    def holds(self, flow: Flow, frame: Frame, **more: Any) -> bool:
        """Whether it is true now; raises ConditionFailed."""
        self._asked.check(flow)
        return self._condition.holds(flow.names(frame, **more))

    def value(self, flow: Flow, frame: Frame, **more: Any) -> Any:
        """What it is now; raises ConditionFailed."""
        self._asked.check(flow)
        return self._condition.evaluate(flow.names(frame, **more))


class Filled:
    """A template, or a map of expressions."""

    def __init__(self, read: templates.Template) -> None:
        self._template = read
        self._asked = Asked(read.paths)

    def value(self, flow: Flow, frame: Frame, **more: Any) -> Any:
        """The structure with values in it; raises ConditionFailed."""
        self._asked.check(flow)
        return self._template.render(flow.names(frame, **more))


def condition(text: str, roots: frozenset[str], where: str, default_root: str | None = None) -> Read:
    """Compile a condition or a path; raises DefinitionError."""
    return Read(text, roots, default_root, where)


def template(value: Any, roots: frozenset[str], where: str) -> Filled:
    """Compile texts that may hold `{{ … }}`; raises DefinitionError."""
    return Filled(_read(lambda: templates.template(value, roots), where))


def expression_map(value: Mapping[str, Any] | Any, roots: frozenset[str], where: str) -> Filled:
    """Compile a map whose texts are expressions; raises DefinitionError."""
    return Filled(_read(lambda: templates.expression_map(value, roots), where))


def _read(parse: Callable[[], Any], where: str) -> Any:
    try:
        return parse()
    except ConditionError as error:
        raise DefinitionError(f"{where}: {error}") from None

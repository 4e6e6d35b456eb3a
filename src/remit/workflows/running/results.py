"""How results come together: those of children by step and by type (L36), and those of tasks that ran side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from remit.errors import DomainError
from remit.kernel.expressions.plain import Guarded

__all__ = [
    "Contribution",
    "Merging",
    "Origin",
    "Preference",
    "Strategy",
    "SubWorkflowResults",
    "deepened",
    "merged",
    "named",
    "with_children",
]

Strategy = Literal["SHALLOW", "DEEP", "REPLACE", "APPEND"]
Preference = Literal["RAISE_ERROR", "PREFER_NEW", "PREFER_EXISTING"]
Origin = Sequence[str | int]
"""Where a child's result is: the step's name, and within a PARALLEL step the task's name or the item's number."""
_FORM = frozenset({"steps", "types"})


class SubWorkflowResults(Guarded):
    """Results of children by the name of the step that called them, and by workflow type where one step called it.

    Asking for a type that several steps called raises DomainError `ambiguous_result`, which names the steps.
    """

    def __init__(self, steps: Mapping[str, Any] | None = None, types: Mapping[str, list[Origin]] | None = None) -> None:
        self.steps = dict(steps or {})
        self.types = {each: list(origins) for each, origins in (types or {}).items()}
        single = {each: self._at(origins[0]) for each, origins in self.types.items() if len(origins) == 1}
        super().__init__({**single, **self.steps})
        self.refusals = {
            each: _ambiguity(each, origins)
            for each, origins in self.types.items()
            if len(origins) > 1 and each not in self.steps
        }

    def _at(self, origin: Origin) -> Any:
        found: Any = self.steps
        for part in origin:
            found = found[part]
        return found

    def __missing__(self, key: str) -> Any:
        self._refuse_ambiguous(key)
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        self._refuse_ambiguous(key)
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """The result of that step, or of the one child of that type."""
        self._refuse_ambiguous(key)
        return super().get(key, default)

    def _refuse_ambiguous(self, key: object) -> None:
        if isinstance(key, str) and key in self.refusals:
            steps = [named(origin) for origin in self.types[key]]
            raise DomainError(self.refusals[key], code="ambiguous_result", steps=steps)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(cls.written, when_used="json")
        return core_schema.no_info_plain_validator_function(cls._read, serialization=written)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: Any, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "object"}

    @classmethod
    def _read(cls, value: Any) -> SubWorkflowResults:
        if isinstance(value, cls):
            return value
        if not isinstance(value, dict):
            raise ValueError("sub_workflow_results holds the results of children, by step")  # as pydantic wants it
        if value.keys() == _FORM:
            return cls(value["steps"], value["types"])
        return cls(value)

    def written(self) -> dict[str, Any]:
        """As the state records them."""
        return {"steps": self.steps, "types": self.types}


def _ambiguity(workflow_type: str, origins: Sequence[Origin]) -> str:
    names = ", ".join(named(origin) for origin in origins)
    return f"{len(origins)} steps called {workflow_type!r}: {names}. Ask by the name of the step instead."


def named(origin: Origin) -> str:
    """`Ship`, `Ship.express` for a task, `Ship[3]` for an item."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in origin).removeprefix(".")


def with_children(
    written: Mapping[str, Any], step: str, results: Any, origins: Iterable[tuple[str, Origin]]
) -> dict[str, Any]:
    """The results as a state records them (`steps` and `types`), with those of one more step.

    `origins` are the types it called, each with the path to its result, which begins with the step's name.
    """
    types = {each: [origin for origin in known if origin[0] != step] for each, known in written["types"].items()}
    for workflow_type, origin in origins:
        types.setdefault(workflow_type, []).append(list(origin))
    return {
        "steps": {**written["steps"], step: results},
        "types": {each: known for each, known in types.items() if known},
    }


class Contribution(NamedTuple):
    """What one task gives to the merge."""

    task: str
    values: dict[str, Any]


def merged(given: Iterable[Contribution], strategy: Strategy, preference: Preference) -> dict[str, Any]:
    """One dict of several, in the order given; equal values never conflict.

    Raises DomainError `merge_conflict` where two tasks give a key different values and no preference is set.
    """
    merging = Merging(strategy, preference)
    merging.take(given)
    return merging.whole


class Merging:
    """What tasks give, coming in one batch after the other; `whole` is all that has come so far."""

    def __init__(self, strategy: Strategy, preference: Preference) -> None:
        self.whole: dict[str, Any] = {}
        self._strategy = strategy
        self._preference = preference
        self._source: dict[tuple[str, ...], str] = {}

    def take(self, given: Iterable[Contribution]) -> dict[str, Any]:
        """Add a batch, in the order given; the keys it brings, as a state that has the batches before is to take them.

        That is their merged value, and of lists that are appended only what is new. Raises DomainError `merge_conflict`.
        """
        batch = list(given)
        keys = dict.fromkeys(key for _, values in batch for key in values)
        lengths = {key: len(there) for key in keys if isinstance(there := self.whole.get(key), list)}
        for task, values in batch:
            _take(self.whole, values, (), _Taking(task, self._strategy, self._preference, self._source))
        if self._strategy != "APPEND":
            return {key: self.whole[key] for key in keys}
        return {key: _after(self.whole[key], lengths.get(key, 0)) for key in keys}


def _after(value: Any, length: int) -> Any:
    return value[length:] if isinstance(value, list) else value


class _Taking(NamedTuple):
    task: str
    strategy: Strategy
    preference: Preference
    source: dict[tuple[str, ...], str]


def _take(whole: dict[str, Any], values: Mapping[str, Any], path: tuple[str, ...], taking: _Taking) -> None:
    for key, value in values.items():
        at = (*path, key)
        if key not in whole:
            whole[key] = _own(value)
            taking.source[at] = taking.task
            continue
        there = whole[key]
        if taking.strategy == "DEEP" and isinstance(there, dict) and isinstance(value, dict):
            _take(there, value, at, taking)
        elif taking.strategy == "APPEND" and isinstance(there, list) and isinstance(value, list):
            there.extend(value)
        elif not _same(there, value):
            whole[key] = _preferred(there, value, at, taking)


def _own(value: Any) -> Any:
    """Dicts and lists that merging may add to must not be those of the task."""
    if isinstance(value, dict):
        return {key: _own(each) for key, each in value.items()}
    return list(value) if isinstance(value, list) else value


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _preferred(there: Any, value: Any, at: tuple[str, ...], taking: _Taking) -> Any:
    if taking.preference == "PREFER_NEW":
        return value
    if taking.preference == "PREFER_EXISTING":
        return there
    first = next((taking.source[at[:cut]] for cut in range(len(at), 0, -1) if at[:cut] in taking.source), "?")
    name = ".".join(at)
    raise DomainError(
        f"Tasks {first!r} and {taking.task!r} give {name!r} different values."
        " Return other names, or set merge_conflict_behavior: PREFER_NEW or PREFER_EXISTING.",
        code="merge_conflict",
        key=name,
        tasks=[first, taking.task],
    )


def deepened(state: Mapping[str, Any], values: Mapping[str, Any], strategy: Strategy) -> dict[str, Any]:
    """What merged values make of a state's fields: DEEP goes on into its dicts, APPEND adds to its lists."""
    changed: dict[str, Any] = {}
    for key, value in values.items():
        there = state.get(key)
        if strategy == "DEEP" and isinstance(there, dict) and isinstance(value, dict):
            changed[key] = merged([Contribution("state", there), Contribution("result", value)], "DEEP", "PREFER_NEW")
        elif strategy == "APPEND" and isinstance(there, list) and isinstance(value, list):
            changed[key] = [*there, *value]
        else:
            changed[key] = value
    return changed

"""The state of a workflow: declared by a model or a schema, handed to each step as a copy of its own, changed by what steps record.

Between steps it is plain JSON data; a model is made of it where code or a condition looks at it. So the state is the same
whether a step has just run or is replayed, and nothing a step keeps or changes afterwards can reach it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    create_model,
)
from pydantic_core import PydanticSerializationError, core_schema

from remit.engine.values.plain_json import dumps, loads
from remit.engine.values.seam import Seam, SeamError, canonical, refuse_nonfinite
from remit.engine.values.seam_types import coder_of
from remit.errors import DefinitionError, DomainError
from remit.workflows.format.conformity import problem_finder, properties_alone, with_defaults
from remit.workflows.running.parts import Parts, is_separable
from remit.workflows.running.results import SubWorkflowResults

__all__ = ["SUPPLIED", "AnyState", "Held", "StateType", "plain_data"]

SUPPLIED = ("sub_workflow_results", "step_failures")
"""Fields that every state has, whether its model declares them or not (L36)."""
_CONTAINERS = (dict, list)
_STEADY = frozenset({dict, list, set, tuple, frozenset, str, int, float, bool, SubWorkflowResults})
"""Factories of defaults that give the same each time; any other may not."""


class AnyState(BaseModel):
    """The state of a workflow that declares none: whatever it was started with, and what its steps return."""

    model_config = ConfigDict(extra="allow")

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __contains__(self, name: object) -> bool:
        return name in type(self).model_fields or name in (self.__pydantic_extra__ or ())

    def get(self, name: str, default: Any = None) -> Any:
        """The value of that name, or the default."""
        return getattr(self, name, default)


class StateType:
    """What a workflow's state may hold: a pydantic model, a JSON Schema, or anything."""

    def __init__(self, declared: Any, where: str) -> None:
        self.where = where
        self.schema: dict[str, Any] | None = declared if isinstance(declared, dict) else None
        self.model = _extended(declared, where)
        self._write, self._read, _, self._describe, _ = coder_of(self.model, where)
        self.names = {name: field.serialization_alias or name for name, field in self.model.model_fields.items()}
        self.open = self.model.model_config.get("extra") == "allow"
        self.varies = _varies(self.model, set())
        self._only = properties_alone(self.schema)
        self._problem = problem_finder(self.schema, where) if self.schema is not None else None
        self._parts = Parts(self.model, where) if is_separable(self.model) and not self.open else None

    def read(self, payload: bytes) -> Any:
        """A model of its own; raises DomainError `invalid_state`."""
        try:
            return self._read(payload, by_alias=True)
        except ValidationError as error:
            raise self._invalid(error) from error

    def write(self, state: Any) -> dict[str, Any]:
        """A model as plain data; raises DomainError `invalid_state` for what JSON cannot hold."""
        try:
            plain: dict[str, Any] = self._write(state, mode="json", by_alias=True, round_trip=True, warnings=False)
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            raise self._unwritable(error) from error
        return plain

    def write_after(self, state: Any, before: Held) -> dict[str, Any]:
        """The same of a model that a step may have changed: NaN and Infinity, which are written as null, are refused."""
        plain = self.write(state)
        for name, written in self.names.items():
            value = plain[written]
            if value is None:
                lost = getattr(state, name) is not None
            else:
                lost = type(value) in _CONTAINERS and before.may_hide_null(written, value)
            if lost:
                self._refuse_nonfinite(getattr(state, name), name)
        for name, value in (state.__pydantic_extra__ or {}).items():
            self._refuse_nonfinite(value, name)
        return plain

    def _refuse_nonfinite(self, value: Any, name: str) -> None:
        try:
            refuse_nonfinite(value, f"{self.where}, the state's {name}")
        except SeamError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: Exception) -> DomainError:
        return DomainError(
            f"{self.where}: a step gave the state what cannot be recorded as JSON ({error}). Keep plain data in it.",
            code="invalid_state",
        )

    def as_dict(self, held: Held) -> dict[str, Any]:
        """The state for a function that takes a dict: a copy of its own."""
        plain: dict[str, Any] = loads(held.payload())
        results = self.names["sub_workflow_results"]
        return {**plain, results: SubWorkflowResults(**plain[results])}

    def from_dict(self, state: dict[str, Any], where: str) -> dict[str, Any]:
        """What such a function has left, as plain data."""
        results = state.get(self.names["sub_workflow_results"])
        written = (
            {self.names["sub_workflow_results"]: results.written()} if isinstance(results, SubWorkflowResults) else {}
        )
        try:
            return plain_data({**state, **written}, f"{where}, the state")
        except SeamError as error:
            raise DomainError(error.message, code="invalid_state", path=error.path) from error

    def begun(self, initial: Mapping[str, Any]) -> dict[str, Any]:
        """The state at the start: initial data with the defaults of the model or the schema; raises as `settled`."""
        return self.settled(initial if self.schema is None else with_defaults(self.schema, dict(initial)))

    def settled(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        """Plain data as the model takes it: validated, coerced, with defaults; raises DomainError `invalid_state`."""
        self.refuse_unfit(plain)
        return self.write(self.read(dumps(plain)))

    def settled_fields(self, plain: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        """The same for some fields, given all others: where no field depends on another, those alone are looked at."""
        if self._parts is not None:
            settled = self._parts.settled(fields)
            if settled is not None:
                return settled
        whole = self.settled({**plain, **fields})
        return {
            name: value for name, value in whole.items() if name in fields or name not in plain or value != plain[name]
        }

    def refuse_unfit(self, plain: Mapping[str, Any]) -> None:
        """Check plain data against the schema that a file gives; raises DomainError `invalid_state`."""
        if self._problem is None:
            return
        problem = self._problem({name: value for name, value in plain.items() if name not in SUPPLIED})
        if problem is not None:
            at, what = problem
            raise DomainError(f"{self.where} at {at}: {what}", code="invalid_state", path=at)

    def fields_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a step's values that are fields of the state, by the names they are written under."""
        if self._only is not None:
            return {name: value for name, value in values.items() if name in self._only or name in SUPPLIED}
        if self.open:
            return {self.names.get(name, name): value for name, value in values.items()}
        return {self.names[name]: value for name, value in values.items() if name in self.names}

    def written(self, name: str) -> str:
        """The name that a field is written under."""
        return self.names.get(name, name)

    def input_seam(self, where: str) -> Seam[Any]:
        """The border that initial data cross: as given, checked against the model, without its defaults.

        Defaults are made in the workflow itself, so that one that differs each time changes no call's identity.
        """
        return _InputSeam(self, where)

    def describe(self) -> dict[str, Any]:
        """The JSON Schema of the initial data: the declared one, else the model's without what is supplied."""
        if self.schema is not None:
            return self.schema
        described = self._describe()
        properties = {each: part for each, part in described.get("properties", {}).items() if each not in SUPPLIED}
        return {**described, "properties": properties}

    def _invalid(self, error: ValidationError) -> DomainError:
        found = error.errors(include_url=False, include_context=False)
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        path = "/" + "/".join(str(part) for part in found[0]["loc"])
        return DomainError(
            f"{self.where} at {path}: {found[0]['msg'].removeprefix('Value error, ')}{more}. Fix: return a value the state's model takes.",
            code="invalid_state",
            path=path,
        )


class Held:
    """The state of one execution, between its steps."""

    __slots__ = ("_nulls", "_payload", "_typed", "plain", "type")

    def __init__(self, type_: StateType, plain: dict[str, Any]) -> None:
        self.type = type_
        self.plain = plain
        self._payload: bytes | None = None
        self._typed: Any = None
        self._nulls: set[str] | None = None

    def payload(self) -> bytes:
        """The state as JSON, from which each step gets its own copy."""
        if self._payload is None:
            self._payload = dumps(self.plain)
        return self._payload

    def view(self) -> Any:
        """The state as conditions and maps see it; never handed to a step."""
        if self._typed is None:
            self._typed = self.type.read(self.payload())
        return self._typed

    def may_hide_null(self, name: str, after: Any) -> bool:
        """Whether a list or dict has nulls in it now: they may have been numbers that JSON cannot hold."""
        if self._nulls is None:
            self._nulls = {
                each for each, value in self.plain.items() if type(value) in _CONTAINERS and _has_null(value)
            }
        return name in self._nulls if after == self.plain.get(name) else _has_null(after)

    def apply(self, changed: Mapping[str, Any], removed: Iterable[str] = ()) -> None:
        """Take what a step has recorded; it was validated when the step ran."""
        if changed or removed:
            gone = frozenset(removed)
            kept = {name: value for name, value in self.plain.items() if name not in gone} if gone else self.plain
            self.plain = {**kept, **changed}
            self._payload = self._typed = self._nulls = None

    def merge(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Set fields, validated as a whole, and give all values as plain data; what the state does not have is left out.

        Raises DomainError `invalid_state`.
        """
        plain = plain_data(values, f"{self.type.where}: what a step gave")
        self.set(self.type.fields_of(plain))
        return plain

    def set(self, fields: Mapping[str, Any]) -> None:
        """Set fields by the names they are written under; raises DomainError `invalid_state`."""
        if fields:
            self.apply(self.type.settled_fields(self.plain, fields))

    def replace(self, values: Mapping[str, Any]) -> None:
        """The values instead of all fields but those that are supplied."""
        kept = {name: self.plain[name] for name in self.type.fields_of(dict.fromkeys(SUPPLIED))}
        self.plain = self.type.settled({**self.type.fields_of(values), **kept})
        self._payload = self._typed = self._nulls = None


def _has_null(value: Any) -> bool:
    return b"null" in dumps(value)


def plain_data(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Values as plain data of their own: what JSON makes of models, dates and decimals; raises InvalidInput."""
    plain: dict[str, Any] = loads(canonical(values, where))
    return plain


def _extended(declared: Any, where: str) -> type[BaseModel]:
    """The declared model with the supplied fields, which it may declare itself."""
    declared_class = AnyState if declared is None or isinstance(declared, dict) else declared
    if not (isinstance(declared_class, type) and issubclass(declared_class, BaseModel)):
        raise DefinitionError(
            f"{where}: the initial_state_model {declared!r} is no pydantic model; name a class of one"
        )
    supplied: dict[str, Any] = {
        "sub_workflow_results": (SubWorkflowResults, Field(default_factory=SubWorkflowResults)),
        "step_failures": (dict[str, dict[str, Any]], Field(default_factory=dict)),
    }
    return create_model(
        declared_class.__name__,
        __base__=declared_class,
        __module__=declared_class.__module__,
        __doc__=declared_class.__doc__,
        **supplied,
    )


def _varies(model: type[BaseModel], seen: set[type]) -> bool:
    """Whether a default of the model, or of a model in it, may differ from one time to the next."""
    if model in seen:
        return False
    seen.add(model)
    for field in model.model_fields.values():
        if field.default_factory is not None and field.default_factory not in _STEADY:
            return True
        if any(_varies(inner, seen) for inner in _models_in(field.annotation)):
            return True
    return False


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def _initial(type_: StateType) -> Any:
    """The annotation of initial data: what was given, as plain data, once the model has taken it."""

    def keep(value: Any) -> dict[str, Any]:
        given = {} if value is None else value
        if isinstance(given, BaseModel):
            given = given.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if not isinstance(given, Mapping):
            raise ValueError(f"initial data are an object, not {type(value).__name__}")  # as pydantic wants it
        payload = canonical(given, type_.where)
        plain: dict[str, Any] = loads(payload)
        try:
            type_.refuse_unfit(plain)
        except DomainError as error:
            raise ValueError(error.message.removeprefix(f"{type_.where} ")) from None
        type_._read(payload, by_alias=True)
        return plain

    class InitialData:
        @classmethod
        def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
            written = core_schema.plain_serializer_function_ser_schema(dict)
            return core_schema.no_info_plain_validator_function(keep, serialization=written)

        @classmethod
        def __get_pydantic_json_schema__(cls, _schema: Any, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
            return {"type": "object"}

    return InitialData


class _InputSeam(Seam[Any]):
    """The border of initial data; its schema is the declared one."""

    def __init__(self, type_: StateType, where: str) -> None:
        super().__init__(_initial(type_), where=where)
        self._type = type_

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what may be passed in."""
        return self._type.describe()

"""Some fields of a state's model by themselves: where no field depends on another, only what changed has to be validated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError, create_model

from remit.engine.values.seam_types import Coder, coder_of

__all__ = ["Parts", "is_separable"]


def is_separable(model: type[BaseModel]) -> bool:
    """Whether each field is valid or not whatever the others hold: no validator of the model sees more than one."""
    decorators = model.__pydantic_decorators__
    of_several = (decorators.model_validators, decorators.root_validators, decorators.field_validators, decorators.validators)
    if any(of_several) or model.__pydantic_post_init__ is not None:
        return False
    return not any(
        isinstance(function := node.get("function"), dict) and function.get("type") == "with-info"
        for node in _nodes(model.__pydantic_core_schema__)
    )


def _nodes(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
        for value in part.values():
            yield from _nodes(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _nodes(value)


class Parts:
    """Models of a few fields each, made when a step first gives just those."""

    def __init__(self, model: type[BaseModel], where: str) -> None:
        self._model = model
        self._where = where
        self._fields = {field.serialization_alias or name: name for name, field in model.model_fields.items()}
        self._coders: dict[tuple[str, ...], Coder[Any]] = {}

    def settled(self, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """The fields as the model takes them; None where it does not, or has no such field."""
        names = tuple(given)
        coder = self._coders.get(names)
        if coder is None:
            if not all(name in self._fields for name in names):
                return None
            coder = self._coders[names] = self._coder(names)
        try:
            part = coder.read(orjson.dumps(given), by_alias=True)
        except ValidationError:
            return None
        settled: dict[str, Any] = coder.plain(part, mode="json", by_alias=True, round_trip=True, warnings=False)
        return settled

    def _coder(self, names: tuple[str, ...]) -> Coder[Any]:
        fields: dict[str, Any] = {}
        for written in names:
            field = self._model.model_fields[self._fields[written]]
            fields[self._fields[written]] = (field.annotation, field)
        return coder_of(create_model("Part", __config__=self._model.model_config, **fields), self._where)

"""What people are asked for, and what steps need to be told: schemas of answers, validated input (L48)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from pydantic import BaseModel, ValidationError

from remit.engine.body.port import current_port
from remit.engine.values.seam import Seam
from remit.errors import DefinitionError, InvalidInput
from remit.workflows.format.conformity import problem_finder

__all__ = ["ANYTHING", "Addressed", "Asks", "Question", "question_of"]

_TYPES = {
    "str": "string", "string": "string", "int": "integer", "integer": "integer", "float": "number", "number": "number",
    "bool": "boolean", "boolean": "boolean", "list": "array", "array": "array", "dict": "object", "object": "object",
}  # fmt: skip
_OF_FIELDS = {"properties", "required"}
"""Words of a JSON Schema that speak of an object's fields."""


class _AnswerSeam(Seam[Any]):
    """The border of answers: plain data, with the schema that a file or a model gives."""

    def __init__(self, described: dict[str, Any], where: str, *, whole: bool) -> None:
        super().__init__(Any if whole else dict[str, Any], where=where)
        self._described = described

    def schema(self) -> dict[str, Any]:
        """What an answer must look like."""
        return self._described


class Question:
    """The input that a step needs: by a model, by a JSON Schema, or by names.

    `whole`: the answer is kept as one value, which may be any that the schema allows; else it is an object of fields.
    """

    def __init__(
        self, described: dict[str, Any], where: str, model: type[BaseModel] | None = None, *, whole: bool = False
    ) -> None:
        self.where = where
        self.model = model
        self.whole = whole
        fields = not whole or bool(_OF_FIELDS & described.keys())
        self._seam = _AnswerSeam({"type": "object", **described} if fields else described, where, whole=whole)
        self.names = tuple(described.get("properties", ()))
        self.required = tuple(described.get("required", ()))

    async def ask(
        self,
        name: str,
        prompt: str = "",
        to: str | None = None,
        timeout_ms: int | None = None,
        default: bytes | None = None,
    ) -> Any:
        """Wait for a person's answer, which fits; DOMAIN `ask_timeout` where nobody answers in time."""
        return await current_port("ask()").ask(self._seam, name, prompt, to, timeout_ms, default)

    def default(self, value: Any) -> bytes:
        """A value that stands for an answer, as the wait keeps it; raises DefinitionError."""
        problem = problem_finder(self._seam.schema(), self.where)(value)
        if problem is not None:
            raise DefinitionError(f"{self.where}: the value of on_timeout does not fit at {problem[0]}: {problem[1]}")
        return self._seam.encode(value)

    def found_in(self, state: Mapping[str, Any]) -> dict[str, Any] | None:
        """The input as the state has it already; None where something required is missing."""
        there = {name: state[name] for name in self.names if state.get(name) is not None}
        return there if all(name in there for name in self.required) else None

    def validated(self, given: Mapping[str, Any]) -> Any:
        """The input as its model; None where there is no model. Raises InvalidInput."""
        if self.model is None:
            return None
        try:
            return self.model.model_validate_json(orjson.dumps(given))
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False)[0]
            path = "/" + "/".join(str(part) for part in found["loc"])
            raise InvalidInput(f"{self.where} at {path}: {found['msg']}", path=path) from error


class Asks(Protocol):
    """Whoever can be asked under a step's name."""

    async def ask(self, name: str, prompt: str = "") -> dict[str, Any]:
        """Wait for the answer."""


@dataclass(frozen=True, slots=True)
class Addressed:
    """A question with the prompt, the person and the limit that a HUMAN_IN_LOOP step gives."""

    question: Question
    prompt: str
    to: str | None
    timeout_ms: int | None
    default: bytes | None

    async def ask(self, name: str, prompt: str = "") -> Any:
        """Wait for the answer; `prompt` stands in where the step has none."""
        return await self.question.ask(name, self.prompt or prompt, self.to, self.timeout_ms, self.default)


ANYTHING = Question({}, "the answer")
"""Any object."""


def question_of(
    model: Any, required: list[Any], described: dict[str, Any] | None, where: str, *, whole: bool
) -> Question | None:
    """What `input_model`, `required_input` or a `schema` ask for; None where a step has none of them.

    `whole`: the answer is kept under one key, so that it may be any value.
    """
    if model is not None:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise DefinitionError(f"{where}: the input_model {model!r} is no pydantic model; name a class of one")
        return Question(model.model_json_schema(), where, model)
    if described is not None:
        return Question(described, where, whole=whole)
    if required:
        named = dict(pair for each in required for pair in _named(each))
        return Question({"properties": named, "required": list(named)}, where)
    return Question({}, where, whole=True) if whole else None


def _named(each: str | dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """`approved`, or `approved: bool`."""
    if isinstance(each, str):
        return [(each, {})]
    return [(name, {"type": _TYPES[kind]} if kind in _TYPES else {}) for name, kind in each.items()]

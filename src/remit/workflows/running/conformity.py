"""Whether plain data conform to a JSON Schema that a workflow file gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from remit.engine.json_schemas import unreadable_pattern, validator_of
from remit.errors import DefinitionError

__all__ = ["problem_finder"]


def problem_finder(schema: dict[str, Any], where: str) -> Callable[[Any], tuple[str, str] | None]:
    """What gives the first problem of some data: a JSON pointer and a message; raises DefinitionError for no schema."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise DefinitionError(f"{where}: this is no JSON Schema: {error.message}") from None
    pattern = unreadable_pattern(schema)
    if pattern is not None:
        raise DefinitionError(
            f"{where}: the pattern {pattern!r} cannot be matched in linear time; write it without looking around or back"
        )
    validator = validator_of(schema)

    def first_problem(data: Any) -> tuple[str, str] | None:
        problem = next(iter(validator.iter_errors(data)), None)
        return None if problem is None else ("/" + "/".join(map(str, problem.absolute_path)), problem.message)

    return first_problem

"""Whether plain data conform to a JSON Schema that a workflow file gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    validator = Draft202012Validator(schema)

    def first_problem(data: Any) -> tuple[str, str] | None:
        problem = next(iter(validator.iter_errors(data)), None)
        return None if problem is None else ("/" + "/".join(map(str, problem.absolute_path)), problem.message)

    return first_problem

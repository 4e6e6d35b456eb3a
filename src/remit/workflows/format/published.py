"""The JSON Schema of a workflow file for editors, drawn from the model: `docs/workflow.schema.json` is what this gives."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices

from remit.workflows.format.fields import Amounts, OnFailure, OnTimeout, RetryRule, Section, Shouted
from remit.workflows.format.model import STEP_TYPES, DynamicInjection, HttpConfig, InjectionRule, Route, Task, Workflow

__all__ = ["SECTIONS", "json_schema"]

_SHORT: dict[type[Section], str] = {
    RetryRule: "integer",
    Amounts: "integer",
    OnFailure: "string",
    OnTimeout: "string",
}
SECTIONS: tuple[type[Section], ...] = (
    *STEP_TYPES.values(), *_SHORT, Route, Task, HttpConfig, DynamicInjection, InjectionRule, Workflow,
)  # fmt: skip
"""Every group of fields of a workflow file."""
_STEP = {"$ref": "#/$defs/Step"}


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a workflow file. A file without findings is valid by it; what it cannot say, `remit check` does."""
    schema = _one_step(Workflow.model_json_schema())
    definitions: dict[str, Any] = schema.pop("$defs")
    for section in SECTIONS:
        drawn = schema if section is Workflow else definitions[section.__name__]
        _with_small_letters(section, drawn)
        _with_aliases(section, drawn)
    for section, kind in _SHORT.items():
        definitions[section.__name__] = {"anyOf": [{"type": kind}, definitions[section.__name__]]}
    definitions["Step"] = _step()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Remit workflow",
        **schema,
        "$defs": dict(sorted(definitions.items())),
    }


def _one_step(part: Any) -> Any:
    """The union of all steps stands in one place, where it is chosen by `type`."""
    if isinstance(part, dict):
        part = {key: value for key, value in part.items() if not _is_noise(key, value)}
        refs = [each.get("$ref") for each in part.get("oneOf", ()) if isinstance(each, dict)]
        if f"#/$defs/{STEP_TYPES['STANDARD'].__name__}" in refs:
            return _STEP
        return {key: _one_step(value) for key, value in part.items()}
    return [_one_step(each) for each in part] if isinstance(part, list) else part


def _is_noise(key: str, value: Any) -> bool:
    """Titles that only repeat a field's name, and defaults that only say that it may be absent."""
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)


def _step() -> dict[str, Any]:
    chosen = [
        {
            "if": {"properties": {"type": {"const": name}}, **({} if name == "STANDARD" else {"required": ["type"]})},
            "then": {"$ref": f"#/$defs/{section.__name__}"},
        }
        for name, section in STEP_TYPES.items()
    ]
    return {
        "type": "object",
        "required": ["name"],
        "properties": {"type": {"enum": list(STEP_TYPES), "default": "STANDARD"}},
        "allOf": chosen,
    }


def _with_small_letters(section: type[Section], schema: dict[str, Any]) -> None:
    """Words that are read in small letters too."""
    for name, each in section.model_fields.items():
        if Shouted in each.metadata:
            words = schema["properties"][name]["enum"]
            schema["properties"][name]["enum"] = [*words, *(word.lower() for word in words)]


def _with_aliases(section: type[Section], schema: dict[str, Any]) -> None:
    """Every name that a field goes by; one that must be there may be there under any of them."""
    properties = schema["properties"]
    for each in section.model_fields.values():
        alias = each.validation_alias
        if not isinstance(alias, AliasChoices):
            continue
        first, *others = map(str, alias.choices)
        properties |= {other: {**properties[first], "description": f"The same as `{first}`."} for other in others}
        if first in schema.get("required", ()):
            schema["required"].remove(first)
            schema["anyOf"] = [{"required": [name]} for name in (first, *others)]

"""The JSON Schema of a workflow file for editors, drawn from the model: `docs/workflow.schema.json` is what this gives."""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices

from remit.workflows.format.fields import Amounts, OnFailure, OnTimeout, RetryRule, Section, Shouted, any_case
from remit.workflows.format.model import (
    OWN_KEYS,
    STEP_TYPES,
    DynamicInjection,
    HttpConfig,
    InjectionRule,
    Route,
    Task,
    Workflow,
)
from remit.workflows.format.rules import RULES, only_one_of

__all__ = ["SECTIONS", "json_schema"]

_NAME = {"type": "string", "minLength": 1, "maxLength": 200}
_SHORT: dict[type[Section], dict[str, Any]] = {
    RetryRule: {"type": "integer", "minimum": 1, "maximum": 1_000},
    Amounts: {"type": "integer", "minimum": 0},
    OnFailure: _NAME,
    OnTimeout: _NAME,
}
"""Groups of fields that may be written as one value."""
SECTIONS: tuple[type[Section], ...] = (
    *STEP_TYPES.values(), *_SHORT, Route, Task, HttpConfig, DynamicInjection, InjectionRule, Workflow,
)  # fmt: skip
"""Every group of fields of a workflow file."""
_STEP = {"$ref": "#/$defs/Step"}


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of a workflow file. A file without findings about its form is valid by it, and no other.

    What stands in texts, the order of steps and their names are for `remit check` alone.
    """
    schema = _one_step(Workflow.model_json_schema())
    definitions: dict[str, Any] = schema.pop("$defs")
    for section in SECTIONS:
        drawn = schema if section is Workflow else definitions[section.__name__]
        _with_any_letters(section, drawn)
        _with_aliases(section, drawn)
        _with_rules(section, drawn)
    for section, short in _SHORT.items():
        definitions[section.__name__] = {"anyOf": [short, definitions[section.__name__]]}
    definitions["Step"] = _step()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Remit workflow",
        **schema,
        "patternProperties": {f"^{OWN_KEYS}": {}},
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


def _with_any_letters(section: type[Section], schema: dict[str, Any]) -> None:
    """Words that are read in small letters too: an editor offers the capital ones."""
    for name, each in section.model_fields.items():
        if Shouted in each.metadata:
            words = schema["properties"][name].pop("enum")
            schema["properties"][name]["anyOf"] = [{"enum": words}, {"type": "string", "pattern": any_case(words)}]


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
        schema.setdefault("allOf", []).append(only_one_of([first, *others]))


def _with_rules(section: type[Section], schema: dict[str, Any]) -> None:
    """What fields say about each other."""
    if section in RULES:
        schema.setdefault("allOf", []).extend(RULES[section])

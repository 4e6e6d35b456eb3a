"""A file's data against the model: every deviation as a finding in plain words, and a workflow in spite of them.

What cannot be read is replaced, step by step, so that the rest of the file is checked in the same run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from remit.workflows.format.fields import Section
from remit.workflows.format.findings import Finding, did_you_mean
from remit.workflows.format.model import OWN_KEYS, STEP_TYPES, HttpConfig, RegistryEntry, StandardStep, Workflow
from remit.workflows.format.source import Loc, Source

__all__ = ["UnreadableStep", "readable", "section", "workflow"]

_MOST_ROUNDS = 8
_STEP_LISTS = {"steps", "loop_body", "steps_to_insert"}
_LISTS = _STEP_LISTS | {"workflows"}
_TEXTUAL = {"workflow_version", "version", "cost"}
_TENANCY = {
    **dict.fromkeys(("tenant", "tenant_id", "tenancy", "allowed_tenants", "owner", "owner_id"), "cross_tenant"),
    **dict.fromkeys(("region", "data_region", "region_id"), "region_violation"),
}
_REPLACED = {
    "AI_INFERENCE": "a STANDARD step whose function is a @model, so that what it uses is metered",
    "AI_LLM_INFERENCE": "a STANDARD step whose function is a @model, so that what it uses is metered",
    "WASM": "a STANDARD step whose function is a @tool that runs the module",
}
_MEANT = {"on_error": "on_failure", "max_retries": "retry"}
_WANTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_RULES = {
    "string_pattern_mismatch": "begins with a letter, and has letters, digits, '_', '-' and '.'",
    "string_too_short": "must not be empty",
    "string_too_long": "has at most {max_length} characters",
    "too_short": "needs at least {min_length} entry",
    "too_long": "has at most {max_length} entries",
    "greater_than_equal": "is at least {ge}",
    "less_than_equal": "is at most {le}",
}
_KINDS = {
    str: "text",
    bool: "true or false",
    int: "number",
    float: "number",
    list: "list",
    dict: "mapping",
    type(None): "nothing",
}

S = TypeVar("S", bound=Section)


class UnreadableStep(StandardStep):
    """Stands for a step that has errors of its own, so that the others can be checked."""


class _Trouble(NamedTuple):
    """One place of the data that does not fit, with all that the model says about it."""

    root: type[Section]
    loc: Loc
    missing: str | None
    errors: list[ErrorDetails]


def workflow(source: Source) -> tuple[Workflow | None, list[Finding]]:
    """The workflow of a file and what is wrong with it; None where there is no step to speak of."""
    return section(Workflow, source)


def section(model: type[S], source: Source) -> tuple[S | None, list[Finding]]:
    """The data of a file as a model, unreadable parts left out, and what is wrong with it."""
    data = _copied(source.data, source, ())
    if data is None:
        told = "There is nothing in this file: a workflow has a `workflow_type`, and `steps` with a `name` each"
        return None, [Finding("invalid_value", "error", told, source.position(()))]
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if not key.startswith(OWN_KEYS)}
    findings: list[Finding] = []
    for _ in range(_MOST_ROUNDS):
        try:
            return model.model_validate(data), findings
        except ValidationError as error:
            troubles = list(_troubles(model, error, data))
        findings += [_finding(trouble, data, source) for trouble in troubles]
        for trouble in sorted(troubles, key=lambda each: (not _is_unknown_key(each), -len(each.loc))):
            if not _mended(data, trouble):
                return None, findings
    return None, findings


def readable(step: Section) -> bool:
    """Whether a step is as the file says."""
    return not isinstance(step, UnreadableStep)


def _copied(data: Any, source: Source, loc: Loc) -> Any:
    """The data, each alias as a value of its own; versions and prices without quotes as they are written: 1.10 is no 1.1."""
    if isinstance(data, dict):
        return {key: _copied(value, source, (*loc, key)) for key, value in data.items()}
    if isinstance(data, list):
        return [_copied(value, source, (*loc, index)) for index, value in enumerate(data)]
    if isinstance(data, float) and loc and loc[-1] in _TEXTUAL:
        return source.raw(loc).strip()
    return data


def _troubles(root: type[Section], error: ValidationError, data: Any) -> Iterator[_Trouble]:
    """The errors by the place in the data they are about: a choice of types makes several for one."""
    places: dict[tuple[Loc, str | None], list[ErrorDetails]] = {}
    for each in error.errors(include_url=False):
        loc = _in_data(each["loc"], data)
        missing = str(each["loc"][-1]) if each["type"] == "missing" else None
        places.setdefault((loc, missing), []).append(each)
    for (loc, missing), errors in places.items():
        yield _Trouble(root, loc, missing, errors)


def _in_data(loc: Loc, data: Any) -> Loc:
    """The part of a place that the data has: names of types in between are the model's own."""
    found: list[str | int] = []
    for part in loc:
        if part in (data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()):
            found.append(part)
            data = data[part]
    return tuple(found)


def _is_unknown_key(trouble: _Trouble) -> bool:
    return trouble.errors[0]["type"] == "extra_forbidden"


def _mended(data: Any, trouble: _Trouble) -> bool:
    """Take the trouble out of the data: a key that is not known, a step that is not readable, a field that may be absent."""
    loc = trouble.loc
    if "workflow_type" in {trouble.missing, *loc[:1]}:
        data["workflow_type"] = "unnamed"
        return True
    if _is_unknown_key(trouble) or (len(loc) == 1 and trouble.missing is None and loc[0] not in _LISTS):
        _value(data, loc[:-1]).pop(loc[-1], None)
        return True
    at = next((cut for cut in range(len(loc), 1, -1) if loc[cut - 2] in _LISTS and isinstance(loc[cut - 1], int)), None)
    if at is None:
        return False
    steps, index = _value(data, loc[: at - 1]), int(loc[at - 1])
    if isinstance(steps, list) and not isinstance(steps[index], Section):  # another trouble may have replaced it
        steps[index] = _unreadable(steps[index], loc[:at])
    return True


def _unreadable(step: Any, loc: Loc) -> Section:
    if loc[-2] == "workflows":
        return RegistryEntry.model_construct(type="", config_file="")
    name = step.get("name") if isinstance(step, dict) else None
    return UnreadableStep.model_construct(
        name=name if isinstance(name, str) and name else f"#{'.'.join(map(str, loc))}", function="unreadable"
    )


def _finding(trouble: _Trouble, data: Any, source: Source) -> Finding:
    step = _step_at(data, trouble.loc)
    error = trouble.errors[0]
    if trouble.missing is not None:
        return _missing(trouble, step, source)
    if error["type"] == "extra_forbidden":
        return _unknown_key(trouble, step, source)
    if error["type"] in {"union_tag_invalid", "union_tag_not_found"}:
        return _unknown_type(trouble, step, source)
    value = _value(data, trouble.loc)
    shown = str(value) if isinstance(value, str | int | float) else None
    code = "unbounded_loop" if trouble.loc[-1:] == ("max_iterations",) else "invalid_value"
    message = f"{_where(step, trouble.loc)}{_wrong(trouble, value)}"
    return Finding(code, "error", message, source.position(trouble.loc), shown, _close_choice(error, value))


def _wrong(trouble: _Trouble, value: Any) -> str:
    own = [each for each in trouble.errors if each["type"] == "value_error"]
    if own and (len(trouble.errors) == 1 or isinstance(value, str)):
        told = own[0]["msg"].removeprefix("Value error, ")
        return told if told.count("`") or trouble.loc == () else f"`{trouble.loc[-1]}`: {told}"
    name = (
        f"`{trouble.loc[-1]}`"
        if trouble.loc and isinstance(trouble.loc[-1], str)
        else "this"
        if trouble.loc
        else "the file"
    )
    wanted = list(dict.fromkeys(_WANTED[each["type"]] for each in trouble.errors if each["type"] in _WANTED))
    if wanted:
        return f"{name} wants {' or '.join(wanted)}, not {_KINDS.get(type(value), 'this')}"
    error = trouble.errors[0]
    if error["type"] == "literal_error":
        return f"{name} is {error.get('ctx', {}).get('expected', '')}, not {value!r:.60}"
    if error["type"] in _RULES:
        return f"{name} {_RULES[error['type']].format(**error.get('ctx', {}))}"
    return f"{name}: {error['msg'][:1].lower()}{error['msg'][1:]}"


def _missing(trouble: _Trouble, step: dict[str, Any] | None, source: Source) -> Finding:
    here = source.position(trouble.loc)
    name = trouble.missing or ""
    if step is not None and name == "function" and _step_loc(trouble.loc) == trouble.loc:
        kind = step.get("type", "STANDARD")
        told = (
            f"Step {_name_of(step)!r} has no `function`: an {kind} step runs one"
            if kind == "ASYNC"
            else f"Step {_name_of(step)!r} has no `function`: a STANDARD step runs one; for another kind of step say its `type`"
        )
        return Finding("missing_function", "error", told, here, _name_of(step))
    if name == "max_iterations":
        told = f"{_where(step, trouble.loc)}a loop says `max_iterations`, so that it has an end"
        return Finding("unbounded_loop", "error", told, here)
    return Finding("missing_field", "error", f"{_where(step, trouble.loc)}`{name}` is missing", here, None)


def _unknown_key(trouble: _Trouble, step: dict[str, Any] | None, source: Source) -> Finding:
    key = str(trouble.loc[-1])
    here = source.key_position(trouble.loc)
    code = _TENANCY.get(key.lower())
    if code is not None:
        told = f"{_where(step, trouble.loc)}`{key}` is inherited from the root and cannot be set here: take it out"
        return Finding(code, "error", told, here, key)
    same = _used_instead(_section_of(trouble.root, step, trouble.loc), key, _value(source.data, trouble.loc[:-1]))
    if same is not None:
        told = f"{_where(step, trouble.loc)}`{key}` says the same as `{same}`, and only one can count: take one out"
        return Finding("unknown_key", "error", told, here, key)
    close = _MEANT.get(key) or did_you_mean(key, _known(trouble.root, step, trouble.loc))
    told = f"{_where(step, trouble.loc)}`{key}` is no key of {_owner(trouble, step)}"
    if close is not None:
        return Finding("unknown_key", "error", told, here, key, close)
    if key in HttpConfig.model_fields and step is not None and step.get("type") == "HTTP":
        return Finding("unknown_key", "error", f"{told}: it belongs under `http_config`", here, key)
    return Finding("unknown_key", "warning", f"{told}; it has no effect", here, key)


def _used_instead(owner: type[Section], key: str, there: Any) -> str | None:
    """The name that a file uses for the same field beside the key."""
    for each in owner.model_fields.values():
        names = list(map(str, getattr(each.validation_alias, "choices", ())))
        if key in names and isinstance(there, dict):
            return next((name for name in names if name != key and name in there), None)
    return None


def _unknown_type(trouble: _Trouble, step: dict[str, Any] | None, source: Source) -> Finding:
    kind = step.get("type") if step is not None else None
    here = source.position((*trouble.loc, "type"))
    if step is None or not isinstance(kind, str):
        told = f"{_where(step, trouble.loc)}a step is a mapping with a `name`, and a `type` that is a text"
        return Finding("invalid_value", "error", told, here)
    if kind in _REPLACED:
        told = f"{_where(step, trouble.loc)}{kind} steps are not run here: write {_REPLACED[kind]}"
        return Finding("unsupported_step_type", "error", told, here, kind)
    told = f"{_where(step, trouble.loc)}{kind!r:.60} is no type of step; there are {', '.join(STEP_TYPES)}"
    return Finding("unknown_step_type", "error", told, here, kind, did_you_mean(kind, STEP_TYPES))


def _known(root: type[Section], step: dict[str, Any] | None, at: Loc) -> set[str]:
    """The keys of the group of fields that a place in the model is about."""
    owner = _section_of(root, step, at)
    names: set[str] = set()
    for name, each in owner.model_fields.items():
        alias = each.validation_alias
        names |= {name} if alias is None else {alias} if isinstance(alias, str) else set(getattr(alias, "choices", ()))
    return names


def _section_of(root: type[Section], step: dict[str, Any] | None, at: Loc) -> type[Section]:
    step_loc = _step_loc(at[:-1])
    if step is None or step_loc is None:
        return _field_section(root, [str(part) for part in at[:-1] if isinstance(part, str)])
    owner: type[Section] = STEP_TYPES.get(str(step.get("type", "STANDARD")), StandardStep)
    return _field_section(owner, [str(part) for part in at[len(step_loc) : -1] if isinstance(part, str)])


def _field_section(owner: type[Section], path: list[str]) -> type[Section]:
    """The model that fields lead to from another one: the classes in their annotations are looked through."""
    for part in path:
        field = owner.model_fields.get(part)
        inner = list(_classes(field.annotation)) if field is not None else []
        if not inner:
            return owner
        owner = inner[0]
    return owner


def _classes(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for each in getattr(annotation, "__args__", ()):
        yield from _classes(each)


def _step_loc(loc: Loc) -> Loc | None:
    """The place of the innermost step around a place."""
    for cut in range(len(loc), 1, -1):
        if isinstance(loc[cut - 1], int) and loc[cut - 2] in _STEP_LISTS:
            return loc[:cut]
    return None


def _step_at(data: Any, loc: Loc) -> dict[str, Any] | None:
    at = _step_loc(loc)
    step = _value(data, at) if at is not None else None
    return step if isinstance(step, dict) else None


def _value(data: Any, loc: Loc) -> Any:
    """What stands at a place; a step that was replaced stands for all that was in it."""
    for part in loc:
        if isinstance(data, Section):
            return data
        data = data[part]
    return data


def _name_of(step: dict[str, Any]) -> str:
    return str(step.get("name", "without a name"))[:200]


def _where(step: dict[str, Any] | None, loc: Loc) -> str:
    if step is None:
        return ""
    inner = [str(part) for part in loc[len(_step_loc(loc) or ()) : -1] if isinstance(part, str)]
    return f"Step {_name_of(step)!r}{', ' + '.'.join(inner) if inner else ''}: "


def _owner(trouble: _Trouble, step: dict[str, Any] | None) -> str:
    loc = trouble.loc
    if step is None and len(loc) == 1:
        return f"a {trouble.root.__name__.lower()}"
    if step is None:
        return f"`{next(part for part in reversed(loc[:-1]) if isinstance(part, str))}`"
    if _step_loc(loc[:-1]) == loc[:-1]:
        return f"{_a(step.get('type', 'STANDARD'))} step"
    names = [part for part in loc[:-1] if isinstance(part, str)]
    return f"`{names[-1]}`"


def _a(kind: object) -> str:
    """An ASYNC, an HTTP; a LOOP."""
    return f"{'an' if str(kind)[:1] in {'A', 'H'} and kind != 'HUMAN_IN_LOOP' else 'a'} {kind}"


def _close_choice(error: ErrorDetails, value: Any) -> str | None:
    expected = str(error.get("ctx", {}).get("expected", "")) if error["type"] == "literal_error" else ""
    return (
        did_you_mean(value, [each.strip(" '") for each in expected.replace(" or ", ",").split(",")])
        if expected and isinstance(value, str)
        else None
    )

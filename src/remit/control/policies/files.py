"""Policy files in YAML: read with all that is wrong at once, each at its line and column, and turned into plain content (L43)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from remit.engine.definitions import in_range
from remit.engine.governing.patterns import unfit
from remit.errors import DefinitionError
from remit.kernel.durations import milliseconds
from remit.kernel.expressions.conditions import ConditionError, parse
from remit.kernel.policies import CALL, SELECTORS
from remit.kernel.rates import CALLS_MAX
from remit.workflows.format.fields import Amounts, Duration, Flag, Name, Section, Version
from remit.workflows.format.findings import Finding, did_you_mean, in_order
from remit.workflows.format.schema import section
from remit.workflows.format.source import BYTES_MAX, Position, Source, SourceError
from remit.workflows.format.source import parse as parse_yaml

__all__ = ["CALL_FIELDS", "PolicyFile", "PolicyInvalid", "read_policies", "texts_of"]

CALL_FIELDS = (
    *("process", "version", "tags", "department", "tenant", "owner", "region", "caller", "depth", "input"),
)
"""What `call` has in a rule."""
_ONE = BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
Names = Annotated[list[Name], _ONE, Field(min_length=1, max_length=1_000)]


class Selectors(Section):
    """Whom the policy is for."""

    tenant: Names | None = None
    department: Names | None = None
    process: Names | None = None
    version: Names | None = None
    tag: Names | None = None


def _some(ttl: float | str | None) -> float | str | None:
    if ttl is not None and milliseconds(ttl) == 0:
        raise ValueError(f"{ttl!r} is no time to run in: give at least 1ms")
    return ttl


class Ceilings(Section):
    """What an execution gets at most."""

    ttl: Annotated[Duration | None, AfterValidator(_some)] = None
    depth: int | None = Field(None, ge=0)
    fan_out: int | None = Field(None, ge=0)
    attempts: int | None = Field(None, ge=1, le=1_000)
    budget: Amounts | None = None


def _lasting(per: float | str) -> float | str:
    if milliseconds(per) == 0:
        raise ValueError(f"{per!r} is no time to count in: give at least 1ms")
    return per


class Rate(Section):
    """How often executions may begin."""

    calls: int = Field(ge=1, le=CALLS_MAX)
    per: Annotated[Duration, AfterValidator(_lasting)]
    burst: int | None = Field(None, ge=1, le=CALLS_MAX)
    by: Literal["policy", "tenant", "department", "process"] = "policy"


class NameLists(Section):
    """Which names may be used; '*' stands for any text."""

    allow: Annotated[list[Name], _ONE] | None = None
    deny: Annotated[list[Name], _ONE] = Field(default=[])


class FilterRule(Section):
    """What is looked for in values, and what becomes of it."""

    name: Name | None = None
    on: Annotated[list[Literal["input", "result", "tool"]], _ONE, Field(min_length=1)]
    find: Annotated[list[Literal["email", "card", "iban", "secrets"]], _ONE] = Field(default=[])
    pattern: str | None = None
    action: Literal["block", "redact"]

    @model_validator(mode="after")
    def _one(self) -> FilterRule:
        if bool(self.find) == (self.pattern is not None):
            raise ValueError("a filter has either `find` or `pattern`")
        return self


class RuleText(Section):
    """A condition that must hold."""

    name: Name
    require: str
    message: str | None = None


class Approvals(Section):
    """How questions to people are answered."""

    four_eyes: Flag = False


class EvaluationRule(Section):
    """What an evaluation of a version must show before it is promoted; increases are fractions."""

    recorded: int = Field(ge=1, le=10_000)
    min_pass: float | None = Field(None, ge=0, le=1)
    max_tokens_increase: float | None = Field(None, ge=0, le=1_000)
    max_cost_increase: float | None = Field(None, ge=0, le=1_000)
    max_duration_increase: float | None = Field(None, ge=0, le=1_000)


class Policy(Section):
    """A whole policy file."""

    policy: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.\-]*$", max_length=200)]
    version: Version
    description: str | None = None
    applies_to: Selectors = Selectors()
    limits: Ceilings = Ceilings()
    rate_limit: Rate | None = None
    tools: NameLists | None = None
    models: NameLists | None = None
    isolation: Literal["process"] | None = None
    filters: list[FilterRule] = Field(default=[], max_length=100)
    rules: list[RuleText] = Field(default=[], max_length=100)
    approvals: Approvals = Approvals()
    evaluation: EvaluationRule | None = None


class PolicyFile(NamedTuple):
    """A policy as it was written and as it is kept: `content` is what `remit.kernel.policies.policy_of` reads."""

    file: str
    text: str
    content: dict[str, Any]


class PolicyInvalid(DefinitionError):
    """Policies that cannot be applied; `findings` has every one of what is wrong, in order of place."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(in_order(findings))
        told = "\n".join(str(each) for each in self.findings)
        count = "1 error" if len(self.findings) == 1 else f"{len(self.findings)} errors"
        super().__init__(
            f"{count} in the policies:\n{told}", details={"findings": [each.as_dict() for each in self.findings]}
        )


def read_policies(texts: Mapping[str, str]) -> list[PolicyFile]:
    """Policies from texts by the names of their files; raises PolicyInvalid with all that is wrong in them."""
    findings: list[Finding] = []
    read = []
    for file, text in texts.items():
        content = _content(text, file, findings)
        if content is not None:
            read.append(PolicyFile(file, text, content))
    if findings:
        raise PolicyInvalid(findings)
    return read


def texts_of(paths: Iterable[Path]) -> dict[str, str]:
    """The texts of files by their names; raises PolicyInvalid for those that cannot be read."""
    texts, findings = {}, []
    for path in paths:
        here = Position(str(path), 1, 1)
        try:
            with path.open("rb") as file:
                texts[str(path)] = file.read(BYTES_MAX + 1).decode("utf-8-sig")
        except UnicodeDecodeError:
            findings.append(Finding("not_utf8", "error", "The file is no UTF-8", here))
        except OSError as error:
            code = "missing_file" if isinstance(error, FileNotFoundError) else "unreadable_file"
            findings.append(Finding(code, "error", f"The file cannot be read: {error.strerror}", here))
        except ValueError as error:  # a name that no file can have
            findings.append(Finding("unreadable_file", "error", f"The file cannot be read: {error}", here))
    if findings:
        raise PolicyInvalid(findings)
    return texts


def _content(text: str, file: str, findings: list[Finding]) -> dict[str, Any] | None:
    try:
        source = parse_yaml(text, file)
    except SourceError as error:
        findings.append(Finding(error.code, "error", error.message, error.position, None, error.suggestion))
        return None
    policy, found = section(Policy, source)
    findings += [_as_error(each) for each in found]
    if isinstance(source.data, dict):
        findings += [*_conditions(source), *_patterns(source), *_ranges(source)]
        told = {each.position for each in findings}
        findings += [each for each in _left_empty(source, source.data) if each.position not in told]
    return None if policy is None else _kept(policy)


def _as_error(finding: Finding) -> Finding:
    """What has no effect in a workflow leaves a gap in a policy: there it is an error, tenants and owners included."""
    code = finding.code if finding.code not in {"cross_tenant", "region_violation"} else "unknown_key"
    message = finding.message.partition("; it has no effect")[0]
    if code != finding.code:
        message = f"{message.partition(' is inherited')[0]} is no key here: write it under `applies_to`, or in a rule"
    return Finding(code, "error", message, finding.position, finding.text, finding.suggestion)


def _conditions(source: Source) -> Iterator[Finding]:
    for loc, text in _listed(source, "rules", "require"):
        try:
            read = parse(text, CALL)
        except ConditionError as error:
            told = f"{error.problem} (column {error.column} of the rule)"
            yield Finding("bad_expression", "error", told, source.position(loc, error.column - 1), text, error.suggestion)
            continue
        for path in read.paths:
            if len(path) > 1 and path[1] not in CALL_FIELDS:
                close = did_you_mean(path[1], CALL_FIELDS)
                told = f"`call` has no {path[1]!r}; it has {', '.join(CALL_FIELDS)}"
                yield Finding("unknown_field", "error", told, source.position(loc), path[1], close)


def _patterns(source: Source) -> Iterator[Finding]:
    for loc, text in _listed(source, "filters", "pattern"):
        problem = unfit(text)
        if problem is not None:
            yield Finding("invalid_value", "error", f"`pattern`: {problem}", source.position(loc), text[:200])


def _listed(source: Source, key: str, inner: str) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The texts under one key of each entry of a list, with their places, whatever else is wrong in the file."""
    entries = source.data.get(key)
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        text = entry.get(inner) if isinstance(entry, dict) else None
        if isinstance(text, str):
            yield (key, index, inner), text


def _ranges(source: Source) -> Iterator[Finding]:
    selectors = source.data.get("applies_to")
    given = selectors.get("version") if isinstance(selectors, dict) else None
    for index, text in enumerate(given if isinstance(given, list) else [given]):
        loc = ("applies_to", "version", *((index,) if isinstance(given, list) else ()))
        try:
            if isinstance(text, str):
                in_range("1.0.0", text)
        except DefinitionError as error:
            yield Finding("invalid_value", "error", str(error), source.position(loc), text)


def _left_empty(source: Source, data: Any, loc: tuple[str | int, ...] = ()) -> Iterator[Finding]:
    """Keys with nothing behind them: whoever wrote them meant something, and a policy without it would leave a gap."""
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in parts:
        if value is None:
            told = f"nothing stands behind `{key}`: say what, or leave the key out" if isinstance(key, str) else "nothing stands here"
            yield Finding("invalid_value", "error", told, source.position((*loc, key)))
        else:
            yield from _left_empty(source, value, (*loc, key))


def _kept(policy: Policy) -> dict[str, Any]:
    """What is kept of it: durations in milliseconds, costs in micro-dollars, what is not said left out."""
    budget = policy.limits.budget.budget() if policy.limits.budget is not None else None
    limits = {
        "ttl_ms": milliseconds(policy.limits.ttl) if policy.limits.ttl is not None else None,
        "depth": policy.limits.depth,
        "fan_out": policy.limits.fan_out,
        "attempts": policy.limits.attempts,
        "tokens": budget.tokens if budget is not None else None,
        "cost": budget.cost_micros if budget is not None else None,
    }
    content = {
        "policy": policy.policy,
        "version": policy.version,
        "description": policy.description,
        "applies_to": _said({name: getattr(policy.applies_to, name) for name in SELECTORS}),
        "limits": _said(limits),
        "rate_limit": _rate(policy.rate_limit),
        "tools": policy.tools.model_dump(exclude_unset=True) if policy.tools is not None else None,
        "models": policy.models.model_dump(exclude_unset=True) if policy.models is not None else None,
        "isolation": policy.isolation,
        "filters": [_filter(each) for each in policy.filters],
        "rules": [_said(each.model_dump()) for each in policy.rules],
        "four_eyes": policy.approvals.four_eyes or None,
        "evaluation": _said(policy.evaluation.model_dump()) if policy.evaluation is not None else None,
    }
    return {name: value for name, value in content.items() if value not in (None, {}, [])}


def _said(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if value is not None}


def _rate(rate: Rate | None) -> dict[str, Any] | None:
    if rate is None:
        return None
    return {
        "calls": rate.calls,
        "per_ms": milliseconds(rate.per),
        "burst": rate.burst or rate.calls,
        "by": rate.by,
    }


def _filter(rule: FilterRule) -> dict[str, Any]:
    name = rule.name or "+".join(rule.find) or "pattern"
    return _said({**rule.model_dump(), "name": name, "find": rule.find or None})

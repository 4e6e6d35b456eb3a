"""Policies: whom they select, and what they demand. They are data; the engine acts on them (L43)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from remit.kernel.expressions.conditions import Condition, parse
from remit.kernel.rates import RateLimit
from remit.kernel.requirement import Requirement, requirement_of

__all__ = [
    "CALL",
    "CEILINGS",
    "KINDS_OF_DATA",
    "PLACES",
    "SELECTORS",
    "Filter",
    "Names",
    "Policy",
    "Rule",
    "Selector",
    "Subject",
    "like",
    "policy_of",
]

CALL = frozenset({"call"})
"""The one name that a rule's condition begins with."""
SELECTORS = ("tenant", "department", "process", "version", "tag")
CEILINGS = ("ttl_ms", "depth", "fan_out", "attempts", "tokens", "cost")
PLACES = ("input", "result", "tool")
KINDS_OF_DATA = ("email", "card", "iban", "secrets")

Admits = Callable[[str, str], bool]
"""Whether a version lies in a range."""


class Subject(NamedTuple):
    """What a selector looks at: an execution, or one that is about to be."""

    process: str
    version: str
    tags: tuple[str, ...] = ()
    department: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Selector:
    """Whom a policy is for: of each selector that is given, one of its texts must fit; without any it is for all."""

    tenant: tuple[str, ...] = ()
    department: tuple[str, ...] = ()
    process: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()

    def why(self, subject: Subject, admits: Admits) -> tuple[str, ...] | None:
        """What of it selects the subject: ('tag pii', …), () where it is for all; None where it does not select it."""
        found = []
        for name in SELECTORS:
            wanted: tuple[str, ...] = getattr(self, name)
            if wanted:
                fitting = next((each for each in wanted if _fits(name, each, subject, admits)), None)
                if fitting is None:
                    return None
                found.append(f"{name} {fitting}")
        return tuple(found)


def _fits(name: str, wanted: str, subject: Subject, admits: Admits) -> bool:
    if name == "version":
        return admits(subject.version, wanted)
    names = subject.tags if name == "tag" else (getattr(subject, name),)
    return any(each is not None and like(wanted, each) for each in names)


def like(pattern: str, name: str) -> bool:
    """Whether a name is like a pattern in which '*' stands for any text; in time linear in the name."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    *middle, last = rest
    if not name.startswith(first) or not name.endswith(last) or len(name) < len(first) + len(last):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


@dataclass(frozen=True, slots=True)
class Names:
    """Which tools or models may be used: those that `allow` names (None: any), less those that `deny` names."""

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()

    def refuses(self, name: str) -> bool:
        """Whether the name is none that may be used."""
        allowed = self.allow is None or any(like(each, name) for each in self.allow)
        return not allowed or any(like(each, name) for each in self.deny)


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for in values that pass: kinds of data, or a pattern; what is found blocks, or is taken out."""

    name: str
    on: tuple[str, ...]
    find: tuple[str, ...] = ()
    pattern: str | None = None
    redacts: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition over `call` that must hold."""

    name: str
    require: Condition
    message: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """One version of a policy. `ceilings` has those of CEILINGS that it sets."""

    name: str
    version: str
    selector: Selector = field(default_factory=Selector)
    ceilings: Mapping[str, int] = field(default_factory=dict)
    rate: RateLimit | None = None
    tools: Names | None = None
    models: Names | None = None
    isolates: bool = False
    filters: tuple[Filter, ...] = ()
    rules: tuple[Rule, ...] = ()
    four_eyes: bool = False
    evaluation: Requirement | None = None
    """What an evaluation must show before a version is promoted (L41)."""

    @property
    def label(self) -> str:
        """As it stands on records: 'pii@1.0.0'."""
        return f"{self.name}@{self.version}"


def policy_of(content: Mapping[str, Any]) -> Policy:
    """A policy from what is kept of its file; raises ConditionError for a rule that cannot be read."""
    rate = content.get("rate_limit")
    return Policy(
        name=content["policy"],
        version=content["version"],
        selector=Selector(**{name: tuple(texts) for name, texts in content.get("applies_to", {}).items()}),
        ceilings={name: content["limits"][name] for name in CEILINGS if name in content.get("limits", {})},
        rate=RateLimit(**rate) if rate is not None else None,
        tools=_names(content.get("tools")),
        models=_names(content.get("models")),
        isolates=content.get("isolation") == "process",
        filters=tuple(_filter(each) for each in content.get("filters", ())),
        rules=tuple(
            Rule(each["name"], parse(each["require"], CALL), each.get("message")) for each in content.get("rules", ())
        ),
        four_eyes=bool(content.get("four_eyes")),
        evaluation=requirement_of(content["evaluation"]) if "evaluation" in content else None,
    )


def _names(content: Mapping[str, Iterable[str]] | None) -> Names | None:
    if content is None:
        return None
    return Names(tuple(content["allow"] or ()) if "allow" in content else None, tuple(content.get("deny", ())))


def _filter(content: Mapping[str, Any]) -> Filter:
    return Filter(
        content["name"],
        tuple(content["on"]),
        tuple(content.get("find", ())),
        content.get("pattern"),
        redacts=content["action"] == "redact",
    )

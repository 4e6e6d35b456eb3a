"""Published versions, callers and declarations as people see them, and what of a definition is published."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from remit.control.views import moment
from remit.engine.definitions import CallRule, Definition
from remit.engine.versions.routes import Routes, release_of
from remit.errors import MisuseError
from remit.kernel.registry import SHARES, Release
from remit.store.port import Reader
from remit.store.records import VersionRecord

__all__ = [
    "CallerView",
    "CallerViews",
    "VersionView",
    "VersionViews",
    "caller_views",
    "publication_of",
    "unpublished",
    "version_view",
    "version_views",
]


@dataclass(frozen=True, slots=True)
class VersionView:
    """A published version: its contract, its state, and whom it is rolled out to, callers by name and a share of traces.

    `violations` and `recent` (the last ends, 'x' for a failure) are counted while a version of the process is rolled out.
    """

    process: str
    version: str
    digest: str
    state: str
    department: str | None
    callers: list[str] | None
    calls: list[str]
    recursion: int
    doc: str | None
    input: Any
    result: Any
    published_at: datetime | None
    published_by: str | None
    changed_at: datetime | None
    changed_by: str | None
    to_callers: list[str]
    to_share: float
    violations: int
    recent: str
    denied: list[str]
    """Declared calls that would be rejected as things stand, each with why: every version in their range denies them (L45)."""


@dataclass(frozen=True, slots=True)
class CallerView:
    """A published version that declares calls of a process: in which ranges, and what it has declared since.

    `active`: it may be called or started, and so a new major of the process concerns it.
    """

    caller: str
    version: str
    state: str
    active: bool
    ranges: list[str]
    declared: list[str]
    department: str | None
    published_by: str | None


VersionViews = list[VersionView]
CallerViews = list[CallerView]


def publication_of(definition: Definition, calls: Iterable[CallRule]) -> dict[str, Any]:
    """What is published of a definition, as plain data: its contract, and a digest of that and of its source.

    The source is the text of a body's function or a workflow file's content; what these import is not part of it.
    """
    contract = {
        "input": definition.input.schema(),
        "result": definition.result.schema(),
        "calls": [[rule.pattern, rule.versions] for rule in calls],
        "callers": list(definition.callers) if definition.callers is not None else None,
        "department": definition.department,
        "recursion": definition.recursion,
        "doc": inspect.getdoc(definition.body),
    }
    if definition.tags:  # policies select by them: they are part of what a version is
        contract["tags"] = list(definition.tags)
    content = orjson.dumps(contract, option=orjson.OPT_SORT_KEYS) + b"\0" + _source(definition)
    return {
        "process": definition.name,
        "version": definition.version,
        "digest": sha256(content).hexdigest(),
        "contract": contract,
    }


def _source(definition: Definition) -> bytes:
    if definition.source is not None:
        return definition.source
    try:
        return inspect.getsource(definition.body).encode()
    except (OSError, TypeError):  # typed at a prompt, or made by a program: what it is compiled to stands for it
        code = getattr(definition.body, "__code__", None)
        return code.co_code if code is not None else b""


def version_views(reader: Reader, process: str | None = None) -> VersionViews:
    """The published versions of a process, or of all, newest first; raises MisuseError for a process without any."""
    records = [each for each in reader.versions() if process in (None, each.process)]
    if process is not None and not records:
        raise unpublished(process, reader.versions())
    releases = {id(each): release_of(each) for each in records}
    records.sort(key=lambda each: releases[id(each)].order, reverse=True)
    routes = Routes(reader.versions(), ())
    return [version_view(each, routes) for each in sorted(records, key=lambda each: each.process)]


def version_view(record: VersionRecord, routes: Routes) -> VersionView:
    """One published version, among all that are."""
    contract = orjson.loads(record.contract)
    release = release_of(record)
    rollout = release.rollout
    return VersionView(
        process=record.process,
        version=record.version,
        digest=record.digest.hex(),
        state=record.state,
        department=contract["department"],
        callers=contract["callers"],
        calls=[f"{name}@{versions}" for name, versions in contract["calls"]],
        recursion=contract["recursion"],
        doc=contract["doc"],
        input=contract["input"],
        result=contract["result"],
        published_at=moment(record.published_at),
        published_by=record.published_by,
        changed_at=moment(record.changed_at),
        changed_by=record.changed_by,
        to_callers=[name for name, _ in rollout.callers] if rollout is not None else [],
        to_share=rollout.stages[-1][1] / SHARES if rollout is not None and rollout.stages else 0.0,
        violations=record.violations,
        recent=record.recent,
        denied=routes.denials(release),
    )


def caller_views(reader: Reader, process: str) -> CallerViews:
    """Who declares calls of a process, by name and version; retired versions are left out."""
    routes = Routes(records := reader.versions(), reader.declarations())
    by = {(each.process, each.version): each for each in records}
    there = [each for each in routes.releases.values() if each.ranges_for(process) and each.state != "retired"]
    there.sort(key=lambda each: (each.process, each.order))
    return [_caller_view(each, by[each.process, each.version], process, routes) for each in there]


def _caller_view(caller: Release, record: VersionRecord, process: str, routes: Routes) -> CallerView:
    mine = [each for each in routes.declarations if each[:3] == (caller.process, caller.version, process)]
    return CallerView(
        caller=caller.process,
        version=caller.version,
        state=record.state,
        active=caller.active,
        ranges=caller.ranges_for(process),
        declared=[each.versions for each in mine],
        department=orjson.loads(record.contract)["department"],
        published_by=record.published_by,
    )


def unpublished(reference: str, records: Iterable[VersionRecord]) -> MisuseError:
    """There is no such version; the message says which there are of that process, else which processes."""
    name, _, wanted = reference.partition("@")
    versions = [each.version for each in records if each.process == name]
    names = sorted({each.process for each in records})
    there = f"of {name!r} there are: {', '.join(versions)}" if versions else f"there are: {', '.join(names) or 'none'}"
    what = f"{name!r} {wanted}".rstrip()
    return MisuseError(f"No version {what} was published; {there}", code="unknown_version", process=name)

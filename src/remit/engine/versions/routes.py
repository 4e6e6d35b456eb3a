"""Which version of a published process a call goes to (L40-L42); of a name that was never published, whatever is hosted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from remit.engine.definitions import CallRule, Definition, denied, in_range, parse_version
from remit.errors import ErrorClass, ErrorInfo
from remit.kernel.registry import Declaration, Release, Rollout, State, reaches
from remit.kernel.trace import root_of
from remit.store.records import DeclarationRecord, VersionRecord

__all__ = ["Choice", "Routes", "release_of"]


class _Option(NamedTuple):
    definition: Definition | ErrorInfo
    release: Release
    declared_only: bool


class Choice:
    """The versions that a call may go to, the best first; which one it is depends on the trace."""

    __slots__ = ("_caller", "_fault", "_options")

    def __init__(self, caller: str, options: list[_Option], fault: ErrorInfo) -> None:
        self._caller = caller
        self._options = options
        self._fault = fault

    def of(self, execution_id: str) -> Definition | ErrorInfo:
        """The version for a call from that execution, or why there is none; one that denies the call is not passed over."""
        root = root_of(execution_id)
        for definition, release, declared_only in self._options:
            if reaches(release, self._caller, root, declared_only=declared_only):
                return definition
        return self._fault


class Routes:
    """What was published and declared, as it is asked for by calls. Built anew whenever one of the two changes."""

    def __init__(self, versions: Iterable[VersionRecord], declared: Iterable[DeclarationRecord]) -> None:
        self._records = {(each.process, each.version): each for each in versions}
        releases = sorted(map(release_of, self._records.values()), key=lambda each: (each.process, each.order))
        self.releases = {(each.process, each.version): each for each in releases}
        """By process and version, the lowest first."""
        self.declarations = [Declaration(*_four(each)) for each in declared]
        self._by_name: dict[str, list[Release]] = defaultdict(list)
        for release in sorted(releases, key=_best_first):
            self._by_name[release.process].append(release)

    def knows(self, name: str) -> bool:
        """Whether anything of that name was published."""
        return name in self._by_name

    def versions_of(self, name: str) -> Sequence[Release]:
        """The published versions of a process, those first that calls prefer."""
        return self._by_name.get(name, ())

    def rules_of(self, caller: Definition) -> tuple[CallRule, ...]:
        """What a caller may call: as it was published, else as its code says (L6)."""
        release = self.releases.get((caller.name, caller.version))
        return caller.calls if release is None else tuple(CallRule(*each) for each in release.calls)

    def department_of(self, definition: Definition) -> str | None:
        """Whose a process is: as it was published, else as its code says."""
        release = self.releases.get((definition.name, definition.version))
        return definition.department if release is None else release.department

    def newest(self, name: str, versions: str, hosted: Sequence[Definition]) -> Definition | None:
        """The best version in a range for whoever comes from outside: a promoted one."""
        here = self._here(name, hosted)
        return next((code for release, code in here if release.live and in_range(release.version, versions)), None)

    def choice(
        self,
        caller: Definition,
        target: str,
        rules: Sequence[CallRule],
        versions: str | None,
        hosted: Sequence[Definition],
    ) -> Choice:
        """What a caller's call of a published process may lead to."""
        me = (caller.name, caller.version, target)
        declared = [each.versions for each in self.declarations if each[:3] == me]
        its = self.department_of(caller)
        options = []
        for release, code in self._here(target, hosted):
            own = any(in_range(release.version, rule.versions) for rule in rules) and (
                versions is None or in_range(release.version, versions)
            )
            if own or any(in_range(release.version, each) for each in declared):
                denial = denied(caller.name, its, target, release.department, release.callers)
                options.append(_Option(denial or code, release, not own))
        wanted = " or ".join([versions or " or ".join(rule.versions for rule in rules), *declared])
        there = self.listing(target, hosted)
        message = f"No version of {target!r} in {wanted} is promoted and hosted here; there are: {there}"
        fault = ErrorInfo(ErrorClass.DOMAIN, "no_matching_version", message, {"target": target})
        return Choice(caller.name, options, fault)

    def denials(self, caller: Release) -> list[str]:
        """Why declared calls would be rejected: all published versions in their range are for other departments (L45)."""
        said = []
        for pattern, versions in caller.calls:
            for name in (each for each in sorted(self._by_name) if CallRule(pattern, versions).covers(each)):
                there = [each for each in self._by_name[name] if each.state is not State.RETIRED]
                in_reach = [each for each in there if in_range(each.version, versions)]
                found = [denied(caller.process, caller.department, name, each.department, each.callers) for each in in_reach]
                why = [each.message for each in found if each is not None]
                if why and len(why) == len(found):
                    said.append(why[0])
        return said

    def listing(self, name: str, hosted: Sequence[Definition]) -> str:
        """The versions of a process with what keeps each from being called."""
        there = {each.version: each for each in hosted}
        said = []
        for release in self.versions_of(name):
            code = there.get(release.version)
            state = "rolled out" if release.rolled_out else str(release.state)
            if code is None:
                state += ", not hosted here"
            elif not self._same_contract(code):
                state += ", hosted with another contract than it was published with"
            said.append(f"{release.version} ({state})")
        return ", ".join(said)

    def _here(self, name: str, hosted: Sequence[Definition]) -> list[tuple[Release, Definition]]:
        """The versions that somebody may get and whose code is hosted as it was published."""
        there = {each.version: each for each in hosted}
        return [
            (release, code)
            for release in self.versions_of(name)
            if release.active and (code := there.get(release.version)) is not None and self._same_contract(code)
        ]

    def _same_contract(self, code: Definition) -> bool:
        contract = orjson.loads(self._records[code.name, code.version].contract)
        return bool(contract["input"] == code.input.schema() and contract["result"] == code.result.schema())


def release_of(record: VersionRecord) -> Release:
    """A published version as the rules see it."""
    version = parse_version(record.version)
    rollout = orjson.loads(record.rollout) if record.rollout is not None else None
    contract = orjson.loads(record.contract)
    return Release(
        record.process,
        record.version,
        int(version.major),
        version,
        State(record.state),
        None if rollout is None else Rollout(*(tuple(map(tuple, rollout[part])) for part in Rollout._fields)),
        tuple((pattern, versions) for pattern, versions in contract["calls"]),
        contract["department"],
        None if contract["callers"] is None else tuple(contract["callers"]),
    )


def _best_first(release: Release) -> Any:
    return release.state is State.DEPRECATED, _Backwards(release.order)


class _Backwards:
    """Sorts what is greater before what is less."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __lt__(self, other: _Backwards) -> bool:
        return bool(other._value < self._value)


def _four(record: DeclarationRecord) -> tuple[str, str, str, str]:
    return record.caller, record.caller_version, record.target, record.versions

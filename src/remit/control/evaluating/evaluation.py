"""Evaluating a version: it is run against cases or recorded calls in memory, and held against the current one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from remit.authoring.process import split_reference
from remit.control.evaluating.cases import Case, cases_of, conditions_of, digest_of, recorded_cases
from remit.control.evaluating.figures import CaseResult, Evaluation, Figures, Problem
from remit.control.evaluating.rehearsing import Played, Stage, rehearse
from remit.control.views import moment
from remit.engine.definitions import Definition, in_range, parse_version
from remit.engine.ending.faults import decode_error
from remit.engine.governing.policies import policy_from
from remit.engine.time.clock import SystemClock
from remit.engine.values.differences import ABSENT, Difference, between
from remit.engine.values.json_schemas import validator_of
from remit.engine.values.plain_json import loads
from remit.engine.versions.beside import Rules
from remit.engine.versions.routes import Routes
from remit.errors import InvalidInput, MisuseError
from remit.kernel.contract.comparison import Kind, Role, compare
from remit.kernel.expressions.conditions import ConditionFailed
from remit.kernel.preflight import Limits
from remit.kernel.usage import Amount
from remit.store.port import Reader
from remit.store.records import VersionRecord

__all__ = ["Asked", "Evaluator"]

ROLES: tuple[Role, ...] = ("input", "result")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an evaluation is asked to do; one of `cases` (plain data) and `recorded`."""

    reference: str
    cases: list[dict[str, Any]] | None = None
    recorded: int | None = None
    baseline: str | None = None
    live: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    expect: tuple[str, ...] = ()
    tenant: str | None = None
    by: str | None = None

    def __post_init__(self) -> None:
        if (self.cases is None) == (self.recorded is None):
            raise InvalidInput("An evaluation is of cases=FILE or of recorded=N calls: give one of them")
        wrong = isinstance(self.recorded, bool) or not isinstance(self.recorded, int | None)
        if wrong or (self.recorded is not None and not 1 <= self.recorded <= 10_000):
            raise InvalidInput(f"recorded={self.recorded!r}: give a number of calls from 1 to 10,000")
        if self.cases is not None and self.expect:
            raise InvalidInput("expect= is for recorded calls: a case of a file has an `expect` of its own")
        for pointer in self.ignore:
            if not pointer.startswith("/"):
                raise InvalidInput(f"ignore={pointer!r}: a JSON pointer begins with '/': '/items/0/at'")


class _Current(NamedTuple):
    """The version that the candidate is held against."""

    version: str
    contract: dict[str, Any]
    code: Definition | None
    same_major: bool


class Evaluator:
    """Evaluates the versions whose code is here. Reads the store; nothing is written, and nothing reaches the world."""

    def __init__(
        self,
        reader: Reader,
        definitions: Iterable[Definition],
        digest: Callable[[Definition], str],
        limits: Limits,
        resources: object = None,
    ) -> None:
        self._reader = reader
        self._definitions = list(definitions)
        self._digest = digest
        self._limits = limits
        self._resources = resources
        self._published = {(each.process, each.version): each for each in reader.versions()}

    async def evaluate(self, asked: Asked) -> Evaluation:
        """Run the candidate; raises MisuseError `unknown_version`, `version_exists`, `nothing_recorded`, and InvalidInput."""
        candidate = self._candidate(asked.reference)
        digest = self._checked(candidate)
        current = self._current(candidate, asked.baseline)
        cases = self._cases(asked, candidate, current)
        beside = current.code if current is not None else None
        played = await rehearse(self._stage(asked), candidate, beside, cases)
        findings = [] if current is None else self._findings(candidate, current)
        source = {"recorded": asked.recorded} if asked.cases is None else {"cases": digest_of(asked.cases)}
        judge = _Judge(current, asked.ignore)
        at = moment(SystemClock().now())
        assert at is not None
        return Evaluation(
            candidate.name,
            candidate.version,
            digest,
            current.version if current is not None else None,
            source,
            findings,
            current is not None and current.same_major and any(each["kind"] == Kind.BREAKS for each in findings),
            [judge.judged(*each) for each in zip(cases, *played, strict=True)],
            at,
            asked.by,
        )

    def _stage(self, asked: Asked) -> Stage:
        """What versions run on, under what is in force in the store (L43, L45)."""
        policies = [policy_from(each) for each in self._reader.policies() if each.in_force]
        rules = Rules(policies, Routes(self._published.values(), ()))
        return Stage(self._definitions, self._limits, self._resources, asked.live, rules)

    # -- what is evaluated --------------------------------------------------------------------------------------------

    def _candidate(self, reference: str) -> Definition:
        """The hosted code that 'inventory@2.1.0' names, or the highest that 'inventory@2.1' does."""
        name, wanted = split_reference(reference, where="evaluate")
        if wanted is None:
            raise InvalidInput(f"{reference!r} names no version: write {name}@1.0.0")
        hosted = self._hosted(name)
        exact = [each for each in hosted if each.version == wanted]
        found = exact or [each for each in hosted if in_range(each.version, wanted)]
        if not found:
            raise self._not_hosted(reference, name)
        return found[0]

    def _hosted(self, name: str) -> list[Definition]:
        """The code of a process that is here, highest version first."""
        of_name = [each for each in self._definitions if each.name == name]
        return sorted(of_name, key=lambda each: parse_version(each.version), reverse=True)

    def _not_hosted(self, what: str, name: str) -> MisuseError:
        there = ", ".join(each.version for each in self._hosted(name))
        names = ", ".join(sorted({each.name for each in self._definitions})) or "none"
        found = f"of {name!r} there are: {there}" if there else f"there are: {names}"
        return MisuseError(
            f"No code of {what} is hosted here; {found}. `app.host(process)` hosts it, or `remit evaluate … --with TARGET`.",
            code="unknown_version",
            process=name,
        )

    def _checked(self, candidate: Definition) -> str:
        digest = self._digest(candidate)
        record = self._published.get((candidate.name, candidate.version))
        if record is not None and record.digest.hex() != digest:
            raise MisuseError(
                f"{candidate.name} {candidate.version} was published with other content than what is hosted here:"
                " an evaluation of this says nothing of that. Host what was published, or publish this as a higher version.",
                code="version_exists",
                process=candidate.name,
                version=candidate.version,
            )
        return digest

    def _current(self, candidate: Definition, baseline: str | None) -> _Current | None:
        version = baseline or self._routed(candidate)
        if version is None:
            return None
        record = self._published.get((candidate.name, version))
        code = next((each for each in self._hosted(candidate.name) if each.version == version), None)
        if record is None and code is None:
            raise self._not_hosted(f"{candidate.name}@{version}", candidate.name)
        contract = _contract(record, code)
        same = parse_version(version).major == parse_version(candidate.version).major
        return _Current(version, contract, code, same)

    def _routed(self, candidate: Definition) -> str | None:
        """The version that callers get today: the best promoted one, else the highest hosted one below the candidate."""
        releases = Routes(self._published.values(), ()).versions_of(candidate.name)
        if releases:
            return next((each.version for each in releases if each.live and each.version != candidate.version), None)
        below = parse_version(candidate.version)
        hosted = self._hosted(candidate.name)
        return next((each.version for each in hosted if parse_version(each.version) < below), None)

    def _cases(self, asked: Asked, candidate: Definition, current: _Current | None) -> list[Case]:
        if asked.cases is not None:
            return cases_of(asked.cases)
        conditions = conditions_of(asked.expect)
        if current is None:
            raise MisuseError(
                f"No other version of {candidate.name!r} is current, so no calls of one are recorded: name one with baseline=,"
                " or give cases",
                code="nothing_recorded",
            )
        assert asked.recorded is not None
        found = recorded_cases(
            self._reader, candidate.name, current.version, asked.recorded, conditions, asked.tenant
        )
        if not found:
            raise MisuseError(
                f"No call of {candidate.name} {current.version} is recorded here that came to an end of its own: give cases",
                code="nothing_recorded",
            )
        return found

    def _findings(self, candidate: Definition, current: _Current) -> list[dict[str, Any]]:
        new = _contract(None, candidate)
        return [
            {"part": part, **each.as_dict()}
            for part in ROLES
            for each in compare(current.contract[part], new[part], part)
        ]


def _contract(record: VersionRecord | None, code: Definition | None) -> dict[str, Any]:
    """Input and result as JSON Schema: as published, else as the code says."""
    if record is not None:
        published: dict[str, Any] = orjson.loads(record.contract)
        return published
    assert code is not None
    return {"input": code.input.schema(), "result": code.result.schema()}


class _Judge:
    """Says what is wrong with how a candidate ended."""

    def __init__(self, current: _Current | None, ignore: Iterable[str]) -> None:
        self._ignore = tuple(ignore)
        self._callers = None
        if current is not None and current.same_major:
            self._callers = validator_of(current.contract["result"])

    def judged(self, case: Case, played: Played, beside: Played | None) -> CaseResult:
        """One case with its problems."""
        figures = _figures(played)
        current = case.recorded if beside is None else _figures(beside)
        problems = list(self._problems(case, played, figures, current))
        differences = []
        if current is not None and current.status == figures.status == "COMPLETED":
            differences = [_shown(each) for each in self._apart(current.result, figures.result, subset=False)]
        return CaseResult(case.name, problems, differences, played.recording.unmade(), figures, current)

    def _problems(self, case: Case, played: Played, figures: Figures, current: Figures | None) -> Iterable[Problem]:
        if played.problem is not None:
            yield played.problem
            return
        if played.recording.missing:
            yield Problem("unrecorded_effect", str(played.recording.missing[0]))
            return
        if figures.error != case.error:
            ended = f"it ended {figures.status}" + (f" with {figures.error}" if figures.error else "")
            yield Problem("status", f"{ended}, and was to {f'fail with {case.error}' if case.error else 'complete'}")
            return
        if figures.status != "COMPLETED":
            return
        yield from self._of_contract(figures.result)
        if case.expected is not ABSENT:
            # Callers take what is added: in a recorded call only what they got so far is held against it.
            for each in self._apart(case.expected, figures.result, subset=case.recorded is not None):
                yield Problem("result", f"expected {_json(each.expected)}, is {_json(each.actual)}", each.pointer)
        yield from _unmet(case, figures, current)

    def _of_contract(self, result: Any) -> Iterable[Problem]:
        """What callers of the current version could not take."""
        if self._callers is not None:
            for error in self._callers.iter_errors(result):
                pointer = "".join(f"/{part}" for part in error.absolute_path)
                yield Problem("contract", f"callers of this major cannot take it: {error.message}", pointer)

    def _apart(self, expected: Any, actual: Any, *, subset: bool) -> list[Difference]:
        found = between(expected, actual, subset=subset)
        return [each for each in found if not any(_below(each.pointer, ignored) for ignored in self._ignore)]


def _figures(played: Played) -> Figures:
    record, recording = played.record, played.recording
    if record is None:
        return Figures(played.status, played.error, None, Amount(0, 0), 0, [])
    return Figures(
        status=str(record.status),
        error=decode_error(record.error).code if record.error is not None else None,
        result=loads(record.result) if record.result is not None else None,
        used=Amount(record.tokens + recording.below.tokens, record.cost + recording.below.cost),
        duration_ms=recording.took_ms,
        effects=recording.made,
    )


def _unmet(case: Case, figures: Figures, current: Figures | None) -> Iterable[Problem]:
    names = {"input": case.input, "result": figures.result, "current": current.result if current else None}
    for condition in case.conditions:
        try:
            if not condition.holds(names):
                yield Problem("condition", f"{condition.text} does not hold; the result is {_json(figures.result)}")
        except ConditionFailed as failed:
            yield Problem("condition", str(failed))


def _below(pointer: str, ignored: str) -> bool:
    return pointer == ignored or pointer.startswith(f"{ignored}/")


def _shown(difference: Difference) -> dict[str, Any]:
    values = {"current": difference.expected, "candidate": difference.actual}
    return {"pointer": difference.pointer, **{name: each for name, each in values.items() if each is not ABSENT}}


def _json(value: Any) -> str:
    text = "nothing" if value is ABSENT else orjson.dumps(value).decode()
    return text if len(text) <= 200 else text[:199] + "…"

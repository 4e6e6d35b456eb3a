"""Cases of an evaluation: from a file of YAML or JSON Lines, or from calls that were recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from remit.control.evaluating.figures import Figures
from remit.engine.ending.faults import decode_error, encode_error
from remit.engine.governing.governance import subject_of
from remit.engine.terms import history_begins, terms_of
from remit.engine.values.differences import ABSENT
from remit.engine.values.plain_json import loads
from remit.engine.values.seam import canonical, digest
from remit.engine.versions.recording import CALL, Recording, took_ms
from remit.errors import ErrorInfo, InvalidInput, MisuseError, class_of
from remit.kernel.durations import milliseconds
from remit.kernel.expressions.conditions import Condition, ConditionError, parse
from remit.kernel.policies import Subject
from remit.kernel.states import Status
from remit.kernel.trace import ancestors_of
from remit.kernel.usage import Amount, Usage, micros
from remit.store.codec import ERASED
from remit.store.port import Reader
from remit.store.records import EffectKind, ExecutionFilter, ExecutionRecord, JournalRecord

__all__ = ["Case", "cases_of", "conditions_of", "digest_of", "read_cases", "recorded_cases"]

ROOTS = frozenset({"input", "result", "current"})
_EFFECTS = ("step", "tool", "model", CALL, "ask", "event", "value", "schedule")
_ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.FAILED_CHILD_WORKFLOW})
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Case:
    """One input with what is to come of it. `recording` gives the effects anew for each version that is tried."""

    name: str
    input: Any
    recording: Callable[[], Recording]
    expected: Any = ABSENT
    """The whole result; ABSENT where none is expected."""
    error: str | None = None
    conditions: tuple[Condition, ...] = ()
    recorded: Figures | None = None
    """How the version that is current ended, where the case is a call of it."""
    tenant: str | None = None
    owner: str | None = None
    region: str | None = None
    above: tuple[Subject, ...] = ()
    """Who called it, root first: their policies hold for it, and their department is whose call it was."""


class _Effect(BaseModel):
    """A recorded effect as a file has it: one name by its kind, with what, and what came of it."""

    model_config = ConfigDict(extra="forbid")

    step: str | None = None
    tool: str | None = None
    model: str | None = None
    call: str | None = None
    ask: str | None = None
    event: str | None = None
    value: str | None = None
    schedule: str | None = None
    params: Any = ABSENT
    input: Any = ABSENT
    result: Any = None
    error: str | None = None
    message: str | None = None
    version: str = ""
    tokens: int = Field(default=0, ge=0)
    cost: str = "0"
    took: str | float = 0

    @model_validator(mode="after")
    def _one_kind(self) -> _Effect:
        if len([each for each in _EFFECTS if getattr(self, each) is not None]) != 1:
            raise ValueError(f"an effect has one of {', '.join(_EFFECTS)}")
        return self


class _Given(BaseModel):
    """A case as a file has it."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    input: Any = None
    result: Any = ABSENT
    error: str | None = None
    expect: str | list[str] = []
    effects: list[_Effect] = []
    tenant: str | None = None
    owner: str | None = None
    region: str | None = None


# -- files ------------------------------------------------------------------------------------------------------------


def read_cases(path: str | Path) -> list[dict[str, Any]]:
    """The cases of a file as plain data: a YAML list, or JSON Lines (.jsonl, .ndjson); raises MisuseError."""
    file = Path(path)
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MisuseError(f"{path}: the cases cannot be read: {error}", code="invalid_input") from None
    found = _lines(file, text) if file.suffix in {".jsonl", ".ndjson"} else _yaml(file, text)
    if not isinstance(found, list) or not found:
        raise MisuseError(f"{path}: cases are a list, each with its `input`", code="invalid_input")
    cases_of(found, str(path))
    return found


def _lines(file: Path, text: str) -> list[Any]:
    cases = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                cases.append(orjson.loads(line))
            except orjson.JSONDecodeError as error:
                raise MisuseError(f"{file}:{number}: this is no JSON: {error}", code="invalid_input") from None
    return cases


def _yaml(file: Path, text: str) -> Any:
    from remit.workflows.format.source import SourceError
    from remit.workflows.format.source import parse as parse_yaml

    try:
        return parse_yaml(text, str(file)).data
    except SourceError as error:
        how = "write one case a line in a .jsonl file" if error.code == "yaml_too_large" else error.message
        raise MisuseError(f"{error.position}: {how}", code="invalid_input") from None


def digest_of(cases: list[dict[str, Any]]) -> str:
    """What tells these cases from others, whatever file they stand in."""
    return sha256(canonical(cases, "the cases")).hexdigest()


def cases_of(given: Iterable[dict[str, Any]], where: str = "cases") -> list[Case]:
    """Cases from plain data; raises MisuseError that names the case and the place in it."""
    return [_case(number, each, where) for number, each in enumerate(given, 1)]


def _case(number: int, plain: Any, where: str) -> Case:
    try:
        given = _Given.model_validate(plain)
        expect = [given.expect] if isinstance(given.expect, str) else given.expect
        rows = [_rows(each) for each in given.effects]
        return Case(
            given.name or f"case {number}",
            given.input,
            lambda: Recording(
                [each for each in rows if isinstance(each, JournalRecord)],
                [each for each in rows if isinstance(each, ExecutionRecord)],
            ),
            given.result,
            given.error,
            conditions_of(expect),
            None,
            given.tenant,
            given.owner,
            given.region,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"/{part}" for part in first["loc"])
        raise MisuseError(f"{where}, case {number}{place}: {first['msg']}", code="invalid_input") from None
    except (InvalidInput, ValueError) as error:
        raise MisuseError(f"{where}, case {number}: {error}", code="invalid_input") from None


def conditions_of(texts: Iterable[str]) -> tuple[Condition, ...]:
    """Conditions on `input`, `result` and `current` (what the current version returned); raises InvalidInput."""
    try:
        return tuple(parse(each, ROOTS) for each in texts)
    except ConditionError as error:
        raise InvalidInput(f"expect: {error}") from None


def _rows(effect: _Effect) -> JournalRecord | ExecutionRecord:
    """The row that the engine would have written."""
    kind = next(each for each in _EFFECTS if getattr(effect, each) is not None)
    name, took = getattr(effect, kind), milliseconds(effect.took)
    given = effect.input if kind == CALL else effect.params
    params = None if given is ABSENT else canonical(given, f"the parameters of {kind} {name!r}")
    result = canonical(effect.result, f"the result of {kind} {name!r}") if effect.error is None else None
    error = None
    if effect.error is not None:
        info = ErrorInfo(class_of(effect.error), effect.error, effect.message or effect.error)
        error = encode_error(info)
    row: JournalRecord | ExecutionRecord
    if kind == CALL:
        status = Status.COMPLETED if error is None else Status.FAILED
        key = b"" if params is None else digest(params)
        row = ExecutionRecord(0, f"exec_{name}", 0, name, effect.version, status, 0, 0, key, params or b"null")
    else:
        row = JournalRecord(0, 0, 0, EffectKind(kind), name, b"", params)
    row.result, row.error, row.ended_at = result, error, took
    row.tokens, row.cost = effect.tokens, micros(effect.cost)
    return row


# -- recorded calls ---------------------------------------------------------------------------------------------------


def recorded_cases(
    reader: Reader, process: str, version: str, count: int, conditions: tuple[Condition, ...], tenant: str | None
) -> list[Case]:
    """The last calls of a version that came to an end of their own, newest first; expected is that they end so again."""
    cases: list[Case] = []
    before: int | None = None
    while len(cases) < count:
        wanted = ExecutionFilter(frozenset(map(str, _ENDED)), process, tenant=tenant, limit=_PAGE, before_n=before)
        page = reader.listing(wanted)
        same = [each for each in page if each.version == version and each.input != ERASED]
        cases += [_recorded(reader, each, conditions) for each in same[: count - len(cases)]]
        if len(page) < _PAGE:
            break
        before = page[-1].n
    return cases


def _recorded(reader: Reader, record: ExecutionRecord, conditions: tuple[Condition, ...]) -> Case:
    since = history_begins(record)
    entries = [each for each in reader.journal(record.n, record.generation) if each.position >= since]
    calls = [each for each in reader.children(record.n) if each.position >= since]
    figures = _figures(record, entries, calls)
    completed = record.status is Status.COMPLETED
    return Case(
        record.id,
        loads(record.input),
        lambda: Recording(entries, calls),
        figures.result if completed and not conditions else ABSENT,
        figures.error,
        conditions,
        figures,
        record.tenant,
        record.owner,
        record.region,
        tuple(subject_of(each) for each in map(reader.execution, ancestors_of(record.id)) if each is not None),
    )


def _figures(record: ExecutionRecord, entries: list[JournalRecord], calls: list[ExecutionRecord]) -> Figures:
    terms, own = terms_of(record), record.own()
    used = Usage.of(*terms["subtree"]) if "subtree" in terms else own
    recording = Recording(entries, calls)
    slept = [each for each in entries if each.kind is EffectKind.SLEEP]
    took = sum(map(took_ms, entries)) + sum(map(took_ms, calls))
    return Figures(
        status=str(record.status),
        error=decode_error(record.error).code if record.error is not None else None,
        result=loads(record.result) if record.result is not None else None,
        used=Amount(used.tokens, micros(used.cost)),
        duration_ms=took,
        effects=recording.unmade() + ["sleep"] * len(slept),
    )

"""What must be shown of a version before it is promoted: evaluations are recorded here, and asked for (L41)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from remit.control.evaluating.cases import digest_of, read_cases
from remit.control.evaluating.evaluation import Asked, Evaluator
from remit.control.evaluating.figures import Evaluation, Evaluations
from remit.engine.definitions import CallRule, Definition, in_range
from remit.engine.engine import Engine
from remit.engine.values.texts import optional_text
from remit.errors import InvalidInput, MisuseError
from remit.kernel.policies import Subject
from remit.kernel.requirement import Requirement, Shown, each_of, requirement_of, shortfall
from remit.kernel.usage import micros
from remit.store.port import Reader
from remit.store.records import EvaluationRecord, RequirementRecord, VersionRecord

__all__ = ["Cases", "Gate", "digest_for", "evaluation_summaries", "plain_cases"]

Cases = str | Path | list[dict[str, Any]]
"""Cases of an evaluation: a file of YAML or JSON Lines, or plain data."""
PublishedCalls = Callable[[Definition], Iterable[CallRule]]


def plain_cases(cases: Cases | None) -> list[dict[str, Any]] | None:
    """The cases as plain data; raises MisuseError for a file that cannot be read so."""
    return read_cases(cases) if isinstance(cases, str | Path) else cases


def digest_for(cases: Cases | None) -> str | None:
    """What tells the cases from others."""
    plain = plain_cases(cases)
    return None if plain is None else digest_of(plain)


def evaluation_summaries(reader: Reader, process: str, version: str | None = None) -> Evaluations:
    """What evaluations have shown, newest first."""
    return [orjson.loads(each.summary) for each in reader.evaluations(process, version)]


class Gate:
    """The evaluations of one engine's versions."""

    def __init__(self, engine: Engine, digest: Callable[[Definition], str]) -> None:
        self._engine = engine
        self._digest = digest

    # -- evaluations --------------------------------------------------------------------------------------------------

    async def evaluate(self, asked: Asked) -> Evaluation:
        """Evaluate a version whose code is hosted here, and record what it showed; see `Evaluator.evaluate`."""
        engine = self._engine
        await engine.durability.settled()
        evaluator = Evaluator(engine.store, engine.catalog.all(), self._digest, engine.limits, engine.resources)
        evaluation = await evaluator.evaluate(asked)
        await self.record(evaluation.summary())
        return evaluation

    async def record(self, summary: dict[str, Any]) -> None:
        """Keep what an evaluation has shown, wherever it ran."""
        digest, by = bytes.fromhex(summary["digest"]), summary["evaluated_by"]
        _shown(summary)
        told = {"process": summary["process"], "version": summary["version"], "digest": summary["digest"]}
        self._engine.audit.control(None, "evaluated", by, told)
        self._engine.durability.evaluation(
            EvaluationRecord(
                summary["process"], summary["version"], digest, orjson.dumps(summary), self._engine.clock.now(), by
            )
        )
        await self._engine.durability.barrier()

    # -- what is required ---------------------------------------------------------------------------------------------

    async def require(
        self, process: str, terms: dict[str, Any] | None, cases_file: str | None = None, by: str | None = None
    ) -> None:
        """Set what an evaluation of each version must show; None: nothing. `terms["cases"]` is the cases' digest."""
        optional_text(by, "by")
        try:
            _ = None if terms is None else requirement_of(terms)
        except ValueError as error:
            raise InvalidInput(str(error)) from None
        now, encoded = self._engine.clock.now(), orjson.dumps(terms)
        self._engine.audit.control(None, "required", by, {"process": process, "terms": terms})
        self._engine.durability.requirement(RequirementRecord(process, encoded, cases_file, now, by))
        await self._engine.durability.barrier()

    async def check(self, record: VersionRecord, baseline: str | None) -> None:
        """Let a version pass whose content was evaluated as required; raises MisuseError `evaluation_required`."""
        await self._engine.durability.settled()
        kept = self._engine.store.requirement(record.process)
        terms = orjson.loads(kept.terms) if kept is not None else None
        demands = [requirement_of(terms)] if terms is not None else []
        demands += self._of_policies(record)
        done = self._engine.store.evaluations(record.process, record.version)
        shown = [_shown(orjson.loads(each.summary)) for each in done if each.digest == record.digest]
        for wanted in (each for demand in demands for each in each_of(demand, baseline)):
            lacks = [shortfall(wanted, each, baseline) for each in shown]
            if None not in lacks:
                raise _required(record, wanted, lacks[0] if lacks else None, kept)

    def _of_policies(self, record: VersionRecord) -> list[Requirement]:
        """What the policies in force that select the version ask for (L43)."""
        governance = self._engine.governance
        if governance is None:
            return []
        code = next((each for each in self._engine.catalog.hosted(record.process) if each.version == record.version), None)
        department = orjson.loads(record.contract)["department"]
        subject = Subject(record.process, record.version, code.tags if code is not None else (), department)
        selected = [each for each in governance.policies if each.selector.why(subject, in_range) is not None]
        return [each.evaluation for each in selected if each.evaluation is not None]


def _required(
    record: VersionRecord, wanted: Requirement, lacks: str | None, kept: RequirementRecord | None
) -> MisuseError:
    file = kept.cases_file if kept is not None else None
    what = f"--cases {file or 'FILE'}" if wanted.cases is not None else f"--recorded {wanted.recorded}"
    command = f"remit evaluate {record.process}@{record.version} {what}"
    why = f"the last one does not do: {lacks}" if lacks else "there is none of its content"
    return MisuseError(
        f"{record.process} {record.version} is held back until an evaluation passes; {why}. Run: {command}",
        code="evaluation_required",
        process=record.process,
        version=record.version,
        lacks=lacks,
        command=command,
    )


def _shown(summary: dict[str, Any]) -> Shown:
    """A summary as the rule reads it; without figures of a current version every increase is one."""
    new = summary["candidate"]
    nothing = {"tokens": 0, "cost": "0", "duration_ms": 0}
    old: dict[str, Any] = summary["current"] or (new if summary["baseline"] is None else nothing)
    return Shown(
        summary["baseline"],
        summary["source"].get("cases"),
        summary["source"].get("recorded"),
        summary["cases"],
        summary["passes"],
        summary["breaks"],
        (new["tokens"], old["tokens"]),
        (micros(new["cost"]), micros(old["cost"])),
        (new["duration_ms"], old["duration_ms"]),
    )

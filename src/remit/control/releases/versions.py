"""What an app does with published versions: host, publish, promote, take back, declare."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from remit.control.evaluating.evaluation import Asked
from remit.control.evaluating.figures import Evaluation, Evaluations
from remit.control.hosting import Hosted, Hosting, OperatorsList
from remit.control.releases.gate import Cases, digest_for, evaluation_summaries, plain_cases
from remit.control.releases.published import (
    CallerViews,
    VersionView,
    VersionViews,
    caller_views,
    publication_of,
    version_views,
)
from remit.control.releases.registry import Registry, To
from remit.engine.definitions import CallRule, Catalog, Definition
from remit.engine.engine import Engine

__all__ = ["Versions"]


class Versions(ABC):
    """The part of `Remit` that deals with published versions."""

    _catalog: Catalog
    _hosting: Hosting
    _hosted_since: list[Hosting]
    _registry: Registry | None
    _how_hosted: tuple[Iterable[str], OperatorsList]

    @property
    @abstractmethod
    def engine(self) -> Engine:
        """The engine; raises MisuseError where the app is not open."""

    def _versions(self) -> Registry:
        _ = self.engine
        assert self._registry is not None
        return self._registry

    def host(self, *processes: Hosted) -> None:
        """Host more while the app is open, code or workflow files: a new version is called as soon as it is promoted, or at
        once where no version of its name was published. Executions that waited for it go on. Raises DefinitionError and
        WorkflowInvalid, and has hosted none of them then.
        """
        engine = self.engine
        more = Hosting(processes, *self._how_hosted, beside=self._catalog.all())
        definitions = more.catalog().all()
        for definition in definitions:
            self._catalog.check(definition)
        more.remember(engine.store, self._catalog, engine.clock.now())
        self._hosted_since.append(more)
        for definition in definitions:
            self._catalog.add(definition)
            engine.take_up(definition)

    def _published_calls(self, definition: Definition) -> tuple[CallRule, ...]:
        """What a definition of one of the hostings is published with."""
        seen = [each.published_calls(definition) for each in (self._hosting, *self._hosted_since)]
        return next((calls for calls in seen if calls != definition.calls), definition.calls)

    async def publish(self, *targets: Hosted, by: str | None = None) -> VersionViews:
        """Publish processes, those that modules hold, or workflow files, as immutable versions that nobody gets yet (L40).

        Raises MisuseError `version_exists`, `declared_cycle`; a refused publication has published none of them.
        """
        hosting = Hosting(targets, *self._how_hosted)
        publications = [publication_of(each, hosting.published_calls(each)) for each in hosting.catalog().all()]
        return await self._versions().publish(publications, by)

    async def promote(self, reference: str, to: To = None, *, by: str | None = None) -> VersionView:
        """Let all callers get 'inventory@2.1.0', or callers by name or a share of traces first; see `Registry.promote`."""
        return await self._versions().promote(reference, to, by)

    async def rollout(self, reference: str, to: float | Iterable[str], *, by: str | None = None) -> VersionView:
        """Let some callers or a share of traces get a version first (L42); the same as `promote` with `to`."""
        return await self._versions().promote(reference, to, by)

    async def rollback(self, reference: str, *, by: str | None = None) -> VersionView:
        """Take a version back at once for whoever is called from now on (L42)."""
        return await self._versions().rollback(reference, by)

    async def deprecate(self, reference: str, *, by: str | None = None) -> VersionView:
        """Let callers get a version only where their range has no promoted one."""
        return await self._versions().deprecate(reference, by)

    async def retire(self, reference: str, *, by: str | None = None) -> VersionView:
        """Let nobody get a version again; refused while callers need it."""
        return await self._versions().retire(reference, by)

    async def declare(self, caller: str, with_: str, *, by: str | None = None) -> None:
        """Record that 'order@1.1' works with 'inventory@3' too (L41)."""
        await self._versions().declare(caller, with_, by)

    async def callers(self, process: str) -> CallerViews:
        """Who declares calls of a process, in which ranges, and what they have declared since."""
        return caller_views(self.engine.store, process)

    async def versions(self, process: str | None = None) -> VersionViews:
        """The published versions of a process, or of all, newest first; raises MisuseError `unknown_version`."""
        return version_views(self.engine.store, process)

    # -- evaluations --------------------------------------------------------------------------------------------------

    def _digest_of(self, definition: Definition) -> str:
        """What the definition would be published as."""
        return str(publication_of(definition, self._published_calls(definition))["digest"])

    async def evaluate(
        self,
        reference: str,
        *,
        cases: Cases | None = None,
        recorded: int | None = None,
        baseline: str | None = None,
        live: Iterable[str] = (),
        ignore: Iterable[str] = (),
        expect: Iterable[str] = (),
        tenant: str | None = None,
        by: str | None = None,
    ) -> Evaluation:
        """Run a hosted version against cases, or the last recorded calls of the current one, beside the world.

        Its effects are answered from what was recorded; steps, tools and models named in `live` really run. `baseline`
        is the version it is held against, by default the one that callers get; `ignore` are JSON pointers of results that
        may differ; `expect` are conditions on `input`, `result` and `current` that decide instead of an equal result. The
        summary is recorded. Raises MisuseError `unknown_version`, `version_exists`, `nothing_recorded`; InvalidInput.
        """
        gate = self._versions().gate
        asked = Asked(
            reference, plain_cases(cases), recorded, baseline, tuple(live), tuple(ignore), tuple(expect), tenant, by
        )
        return await gate.evaluate(asked)

    async def evaluations(self, process: str, version: str | None = None) -> Evaluations:
        """Summaries of what evaluations of a process have shown, newest first."""
        return evaluation_summaries(self.engine.store, process, version)

    async def require_evaluation(
        self, process: str, *, cases: Cases | None = None, by: str | None = None, **terms: float | None
    ) -> None:
        """Let no version of a process be promoted or rolled out without an evaluation of its content that shows this.

        `cases` and `recorded=N` say of what; `min_pass` (default 1) is the share of cases that pass; `max_tokens_increase`,
        `max_cost_increase` and `max_duration_increase` are fractions. Without any, nothing is required any more.
        """
        gate = self._versions().gate
        wanted = {"cases": digest_for(cases), **terms}
        given = any(each is not None for each in wanted.values())
        file = None if cases is None or isinstance(cases, list) else str(cases)
        await gate.require(process, wanted if given else None, file, by)

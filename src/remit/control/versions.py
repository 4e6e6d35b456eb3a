"""What an app does with published versions: host, publish, promote, take back, declare."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from os import PathLike
from types import ModuleType
from typing import Any

from remit.authoring.process import Process
from remit.control.hosting import Hosted, Hosting, OperatorsList
from remit.control.published import (
    CallerViews,
    VersionView,
    VersionViews,
    caller_views,
    publication_of,
    version_views,
)
from remit.control.registry import Registry, To
from remit.engine.definitions import Catalog
from remit.engine.engine import Engine
from remit.errors import DefinitionError

__all__ = ["Versions"]


class Versions(ABC):
    """The part of `Remit` that deals with published versions."""

    _catalog: Catalog
    _registry: Registry | None
    _how_hosted: tuple[tuple[str, ...], OperatorsList]

    @property
    @abstractmethod
    def engine(self) -> Engine:
        """The engine; raises MisuseError where the app is not open."""

    def _versions(self) -> Registry:
        _ = self.engine
        assert self._registry is not None
        return self._registry

    def host(self, *processes: Process[Any, Any] | ModuleType) -> None:
        """Host more code while the app is open: a new version is called as soon as it is promoted, or at once where no
        version of its name was published. Executions that waited for it go on. Raises DefinitionError.
        """
        engine = self.engine
        if any(isinstance(each, str | PathLike) for each in processes):
            raise DefinitionError("host() takes processes and modules that hold them; workflow files are hosted when an app opens")
        for definition in Hosting(processes).catalog().all():
            self._catalog.add(definition)
            engine.take_up(definition)

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

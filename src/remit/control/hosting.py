"""What an app hosts: processes, modules that hold them, and workflow files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from remit.authoring.process import Process
from remit.engine.definitions import CallRule, Catalog, Definition, parse_version
from remit.errors import DefinitionError
from remit.store.port import Store

if TYPE_CHECKING:
    from remit.workflows.hosting import HostedWorkflows

__all__ = ["Hosted", "Hosting", "OperatorsList"]


class OperatorsList(NamedTuple):
    """What workflows may reach and read: hosts that are not public, secrets by name, names of environment variables."""

    http_hosts: Iterable[str] = ()
    secrets: Mapping[str, str] | None = None
    env: Iterable[str] = ()


Hosted = Process[Any, Any] | ModuleType | str | os.PathLike[str]


class Hosting:
    """The definitions of an app.

    `beside`: what is hosted already, which workflow files may call. Raises DefinitionError for what is none,
    WorkflowInvalid with every finding where workflow files cannot be loaded.
    """

    def __init__(
        self,
        processes: Iterable[Hosted],
        workflow_imports: Iterable[str] = (),
        given: OperatorsList | None = None,
        beside: Iterable[Definition] = (),
    ) -> None:
        if isinstance(processes, Process | ModuleType | str | os.PathLike):
            raise DefinitionError("processes= is a list: put the process, the module or the path in [ ]")
        if isinstance(workflow_imports, str):
            raise DefinitionError(f"workflow_imports= is a list: write workflow_imports=[{workflow_imports!r}]")
        listed = list(processes)
        paths = [Path(each) for each in listed if isinstance(each, str | os.PathLike)]
        self._definitions = [
            definition
            for each in listed
            if not isinstance(each, str | os.PathLike)
            for definition in _definitions_of(each)
        ]
        self._beside = list(beside)
        self._workflows = self._loaded(paths, workflow_imports, given or OperatorsList()) if paths else None

    def _loaded(self, paths: list[Path], workflow_imports: Iterable[str], given: OperatorsList) -> HostedWorkflows:
        from remit.workflows.hosting import HostedWorkflows

        oldest_first = sorted([*self._beside, *self._definitions], key=lambda each: parse_version(each.version))
        beside = {definition.name: definition.version for definition in oldest_first}
        return HostedWorkflows(paths, workflow_imports, beside, *given)

    def catalog(self) -> Catalog:
        """All that is hosted, by name and version; raises DefinitionError where two have the same of both."""
        workflows = self._workflows.definitions if self._workflows is not None else []
        return Catalog(dict.fromkeys([*self._definitions, *workflows]))

    def published_calls(self, definition: Definition) -> tuple[CallRule, ...]:
        """What a definition is published with: what it declares, else what a workflow is seen to call (L6)."""
        return definition.calls if self._workflows is None else self._workflows.published_calls(definition)

    def remember(self, store: Store, catalog: Catalog, now_ms: int) -> None:
        """Let each workflow's running executions go on by what its file said when they began (L39)."""
        if self._workflows is not None:
            self._workflows.remember(store, catalog, now_ms)


def _definitions_of(hosted: Process[Any, Any] | ModuleType) -> list[Definition]:
    if isinstance(hosted, Process):
        return [hosted.definition]
    if not isinstance(hosted, ModuleType):
        raise DefinitionError(
            f"processes= takes processes and modules that hold them, and paths of YAML workflows, not {hosted!r}"
        )
    inside = [value.definition for value in vars(hosted).values() if isinstance(value, Process)]
    if not inside:
        raise DefinitionError(
            f"Module {hosted.__name__!r} holds no process: define one with @process, or pass another module"
        )
    return inside

"""Workflow files as processes of an app: loaded together, compiled, and each execution driven by what its file said (L39)."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from hashlib import blake2b
from pathlib import Path

import orjson

from remit.engine.definitions import CallRule, Catalog, Definition
from remit.errors import RemitError
from remit.store.port import Batch, Store
from remit.store.records import DefinitionRecord
from remit.workflows.checking.calling import calls_of
from remit.workflows.checking.code import Modules
from remit.workflows.checking.views import view
from remit.workflows.format.model import Workflow
from remit.workflows.format.reading import WorkflowFile
from remit.workflows.http.access import HttpAccess
from remit.workflows.importing.functions import Functions
from remit.workflows.load import load
from remit.workflows.running.compile import compile_workflow

__all__ = ["HostedWorkflows", "source_of", "workflow_of"]

_log = logging.getLogger("remit.workflows")


def source_of(workflow: Workflow) -> bytes:
    """What a workflow says, as canonical JSON: the same for files that differ in comments and order of keys only."""
    said = workflow.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def workflow_of(source: bytes) -> Workflow:
    """The workflow that said so; raises ValueError where this release does not know what it says."""
    return Workflow.model_validate(orjson.loads(source))


@dataclass(frozen=True, slots=True)
class _Compiled:
    file: WorkflowFile
    definition: Definition
    source: bytes
    digest: bytes


class HostedWorkflows:
    """The workflows of some paths; raises WorkflowInvalid, and DefinitionError for functions that cannot be imported.

    `allow` lists packages that import paths may lead to beside each workflow's own directory; `processes` are the names
    and versions of what else the app hosts; the rest is what HTTP steps may reach and read, see `HttpAccess`.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        allow: Iterable[str],
        processes: Mapping[str, str],
        http_hosts: Iterable[str] = (),
        secrets: Mapping[str, str] | None = None,
        env: Iterable[str] = (),
    ) -> None:
        self._allow = tuple(allow)
        self._http = HttpAccess(http_hosts, secrets, env)
        loaded = load(paths, self._allow, processes)
        self._files = loaded.require()
        for warning in loaded.warnings:
            _log.warning("%s", warning)
        self._calls: dict[Path, list[tuple[str, str]]] = defaultdict(list)
        for file in self._files:
            reference = f"{file.name}@^{file.workflow.workflow_version}"
            self._calls[file.directory.resolve()].append((file.name, reference))
        self._compiled = [self._compile_file(file) for file in self._files]

    @property
    def definitions(self) -> list[Definition]:
        """What the engine drives."""
        return [each.definition for each in self._compiled]

    def published_calls(self, definition: Definition) -> tuple[CallRule, ...]:
        """What a workflow is published with: what it declares, else what its steps and functions are seen to call (L6)."""
        file = next((each.file for each in self._compiled if each.definition is definition), None)
        if file is None or file.workflow.calls is not None:
            return definition.calls
        seen = {call.target for _, call in calls_of(view(file, self._allow, Modules()))}
        return tuple(rule for rule in definition.calls if rule.pattern in seen)

    def remember(self, store: Store, catalog: Catalog, now_ms: int) -> None:
        """Keep what the files say now, and let the executions that began with other words go on by those (L39)."""
        known = store.definitions()
        last = {(each.process, each.version): each for each in known}
        new = [
            DefinitionRecord(name, version, store.next_n, each.digest, each.source, now_ms)
            for each in self._compiled
            if (kept := last.get((name := each.definition.name, version := each.definition.version))) is None
            or kept.digest != each.digest
        ]
        if new:
            batch = Batch()
            batch.definitions = new
            store.commit(batch)
        replaced = {(each.process, each.version, each.first_n) for each in new}
        left = [each for each in known if (each.process, each.version, each.first_n) not in replaced]
        catalog.continue_with(
            [
                (each.process, each.version, each.first_n, read)
                for each in [*left, *new]
                if (read := self._reader(each)) is not None
            ]
        )

    def _reader(self, record: DefinitionRecord) -> Callable[[], Definition | None] | None:
        """How to get at the definition that a record keeps; None where no file of that workflow is hosted."""
        of_type = [each for each in self._compiled if each.definition.name == record.process]
        same = next((each for each in of_type if each.digest == record.digest), None)
        if same is not None and same.definition.version == record.version:
            definition = same.definition
            return lambda: definition
        return cache(partial(self._revive, record, of_type[0].file)) if of_type else None

    def _revive(self, record: DefinitionRecord, file: WorkflowFile) -> Definition | None:
        try:
            return self._compile(workflow_of(record.source), file)
        except (RemitError, ValueError) as error:
            _log.warning(
                "%s %s as it was when its older executions began cannot be run, so they wait: %s",
                record.process,
                record.version,
                error,
            )
            return None

    def _compile_file(self, file: WorkflowFile) -> _Compiled:
        source = source_of(file.workflow)
        definition = replace(self._compile(file.workflow, file), source=source)
        return _Compiled(file, definition, source, blake2b(source, digest_size=16).digest())

    def _compile(self, workflow: Workflow, file: WorkflowFile) -> Definition:
        """Without `calls`, a workflow may call those that were loaded from its own directory (L6)."""
        home = file.directory.resolve()
        beside = [reference for name, reference in self._calls[home] if name != workflow.workflow_type]
        functions = Functions(home, self._allow)
        where = f"workflow {workflow.workflow_type!r} ({file.path.name})"
        return compile_workflow(workflow, functions, calls=beside, where=where, http=self._http).definition

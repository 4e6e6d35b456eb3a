"""Workflow files found and read: single files, directories as a whole, and the registries that list them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from remit.workflows import schema
from remit.workflows.findings import Finding, did_you_mean
from remit.workflows.model import Registry, Workflow
from remit.workflows.source import BYTES_MAX, Loc, Position, Source, SourceError, parse

__all__ = ["WorkflowFile", "read"]

_ENDINGS = {".yaml", ".yml"}


@dataclass(frozen=True, slots=True)
class WorkflowFile:
    """A workflow with the text it was read from. `directory` is where its import paths begin."""

    path: Path
    directory: Path
    source: Source
    workflow: Workflow

    @property
    def name(self) -> str:
        """Its workflow type."""
        return self.workflow.workflow_type


@dataclass(slots=True)
class _Reading:
    files: dict[Path, WorkflowFile] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(
        self, code: str, message: str, position: Position, suggestion: str | None = None, *, warn: bool = False
    ) -> None:
        self.findings.append(Finding(code, "warning" if warn else "error", message, position, None, suggestion))


def read(paths: Iterable[Path | str]) -> tuple[list[WorkflowFile], list[Finding]]:
    """The workflows of files and directories, each once, and what is wrong with their form.

    A registry is read for the files it lists; a directory that has one is what it lists, any other all its YAML files.
    """
    reading = _Reading()
    for path in map(Path, paths):
        if path.is_dir():
            _directory(reading, path)
        elif path.is_file():
            _file(reading, path, path.parent, asked=True)
        elif path.exists():
            reading.add("unreadable_file", "This is neither a file nor a directory", Position(str(path), 1, 1))
        else:
            there = (each.name for each in path.parent.glob("*")) if path.parent.is_dir() else ()
            close = did_you_mean(path.name, there, 0.85)
            reading.add("missing_file", "There is no such file or directory", Position(str(path), 1, 1), close)
    return list(reading.files.values()), reading.findings


def _directory(reading: _Reading, directory: Path) -> None:
    there = sorted(each for each in directory.iterdir() if each.suffix in _ENDINGS and each.is_file())
    sources = {path: source for path in there if (source := _source(reading, path)) is not None}
    registries = [path for path, source in sources.items() if _is_registry(source)]
    for path in registries:
        _registry(reading, path, sources[path])
    listed = set(reading.files)
    for path, source in sources.items():
        if path in registries or not _looks_like_workflow(source):
            continue
        if not registries:
            _workflow(reading, path, directory, source)
        elif path.resolve() not in listed:
            told = f"No registry of this directory lists {path.name}: it is not loaded"
            reading.add("unlisted_file", told, Position(str(path), 1, 1), warn=True)
    if not registries and not any(map(_looks_like_workflow, sources.values())) and len(sources) == len(there):
        reading.add("no_workflow", "There is no workflow in this directory", Position(str(directory), 1, 1))


def _file(reading: _Reading, path: Path, directory: Path, *, asked: bool) -> None:
    source = _source(reading, path)
    if source is None:
        return
    if asked and _is_registry(source):
        _registry(reading, path, source)
    else:
        _workflow(reading, path, directory, source)


def _registry(reading: _Reading, path: Path, source: Source) -> None:
    registry, findings = schema.section(Registry, source)
    reading.findings += findings
    for index, entry in enumerate(registry.workflows if registry is not None else ()):
        if not entry.config_file:  # its own findings say why
            continue
        at: Loc = ("workflows", index)
        target = path.parent / entry.config_file
        if not target.is_file():
            close = did_you_mean(entry.config_file, (each.name for each in path.parent.glob("*.y*ml")), 0.85)
            told = f"There is no {entry.config_file} beside this registry: {entry.type} cannot be started"
            reading.add("missing_file", told, source.position((*at, "config_file")), close, warn=True)
            continue
        _file(reading, target, path.parent, asked=False)
        found = reading.files.get(target.resolve())
        if found is None:
            continue
        if found.name != entry.type:
            told = f"{entry.config_file} defines the workflow type {found.name!r}, not {entry.type!r}"
            reading.add("registry_mismatch", told, source.position((*at, "type")), found.name)
        if entry.initial_state_model is not None:
            reading.files[target.resolve()] = _with_model(reading, found, entry.initial_state_model, source, at)


def _with_model(reading: _Reading, file: WorkflowFile, model: str, source: Source, at: Loc) -> WorkflowFile:
    """The state model that the registry names counts: a file may leave it out, and should not say another."""
    own = file.workflow.initial_state_model
    if own is not None and own != model:
        told = f"{file.path.name} says another `initial_state_model`: {own!r:.100}; the registry's counts"
        reading.add("registry_mismatch", told, source.position(at), warn=True)
    workflow = file.workflow.model_copy(update={"initial_state_model": model})
    return WorkflowFile(file.path, file.directory, file.source, workflow)


def _workflow(reading: _Reading, path: Path, directory: Path, source: Source) -> None:
    if path.resolve() in reading.files:
        return
    workflow, findings = schema.workflow(source)
    reading.findings += findings
    if workflow is not None:
        reading.files[path.resolve()] = WorkflowFile(path, directory, source, workflow)


def _source(reading: _Reading, path: Path) -> Source | None:
    here = Position(str(path), 1, 1)
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        return parse(content.decode("utf-8-sig"), str(path))
    except SourceError as error:
        reading.add(error.code, error.message, error.position, error.suggestion)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        told = f"The file is no UTF-8: byte {error.start} is 0x{error.object[error.start]:02X}"
        reading.add("not_utf8", told, here._replace(line=line))
    except OSError as error:
        reading.add("unreadable_file", f"The file cannot be read: {error.strerror}", here)
    return None


def _is_registry(source: Source) -> bool:
    keys = _keys(source)
    return "workflows" in keys and not {"workflow_type", "steps"} & keys


def _looks_like_workflow(source: Source) -> bool:
    return bool({"workflow_type", "steps"} & _keys(source))


def _keys(source: Source) -> set[str]:
    return set(_each(source.data))


def _each(data: object) -> Iterator[str]:
    return iter(data) if isinstance(data, dict) else iter(())

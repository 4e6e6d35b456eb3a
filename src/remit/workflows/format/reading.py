"""Workflow files found and read: single files, directories as a whole, and the registries that list them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeGuard

from remit.workflows.format import schema
from remit.workflows.format.findings import Finding, did_you_mean
from remit.workflows.format.model import Registry, Workflow
from remit.workflows.format.source import BYTES_MAX, Loc, Position, Source, SourceError, parse

__all__ = ["WorkflowFile", "read"]

_ENDINGS = {".yaml", ".yml"}
_WORDS = re.compile(rb"^[\"']?(?:workflow_type|steps|workflows)[\"']?\s*:", re.MULTILINE)
_TOO_LARGE = f"The file has more than {BYTES_MAX:,} bytes: split it into several workflows"


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


class _Parsed(NamedTuple):
    """A file's source, or why it has none."""

    source: Source | None
    content: bytes
    findings: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Reading:
    files: dict[Path, WorkflowFile] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    used: set[Path] = field(default_factory=set)
    _seen: dict[Path, _Parsed] = field(default_factory=dict)

    def peek(self, path: Path) -> _Parsed:
        """A file, read once; its findings count where it is used."""
        key = path.resolve()
        if key not in self._seen:
            self._seen[key] = _parsed(path)
        return self._seen[key]

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
    registries = [path for path in there if _is_registry(reading.peek(path).source)]
    workflows = [path for path in there if path not in registries and _looks_like_workflow(reading.peek(path))]
    if not registries and not workflows:
        reading.add("no_workflow", "There is no workflow in this directory", Position(str(directory), 1, 1))
    for path in registries:
        _file(reading, path, directory, asked=True)
    for path in workflows:
        if not registries:
            _file(reading, path, directory, asked=False)
        elif path.resolve() not in reading.files:
            told = f"No registry of this directory lists {path.name}: it is not loaded"
            reading.add("unlisted_file", told, Position(str(path), 1, 1), warn=True)


def _file(reading: _Reading, path: Path, directory: Path, *, asked: bool) -> None:
    found = reading.peek(path)
    if path.resolve() in reading.used:
        return
    reading.used.add(path.resolve())
    reading.findings += found.findings
    if asked and _is_registry(found.source):
        _registry(reading, path, found.source)
    elif found.source is not None:
        _workflow(reading, path, directory, found.source)


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
    workflow, findings = schema.workflow(source)
    reading.findings += findings
    if workflow is not None:
        reading.files[path.resolve()] = WorkflowFile(path, directory, source, workflow)


def _parsed(path: Path) -> _Parsed:
    here, content = Position(str(path), 1, 1), b""
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        if len(content) > BYTES_MAX:
            raise SourceError("yaml_too_large", _TOO_LARGE, here)
        return _Parsed(parse(content.decode("utf-8-sig"), str(path)), content)
    except SourceError as error:
        found = Finding(error.code, "error", error.message, error.position, None, error.suggestion)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        told = f"The file is no UTF-8: byte {error.start} is 0x{error.object[error.start]:02X}"
        found = Finding("not_utf8", "error", told, here._replace(line=line))
    except OSError as error:
        found = Finding("unreadable_file", "error", f"The file cannot be read: {error.strerror}", here)
    return _Parsed(None, content, (found,))


def _is_registry(source: Source | None) -> TypeGuard[Source]:
    return source is not None and "workflows" in _keys(source) and not {"workflow_type", "steps"} & _keys(source)


def _looks_like_workflow(parsed: _Parsed) -> bool:
    """Other YAML may lie in a directory; what cannot be read is judged by its words."""
    if parsed.source is None:
        return _WORDS.search(parsed.content) is not None
    return bool({"workflow_type", "steps"} & _keys(parsed.source))


def _keys(source: Source) -> set[str]:
    return set(source.data) if isinstance(source.data, dict) else set()

"""Workflows loaded: read and checked together, so that what they call and what they name is known to fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from remit.workflows.checking.check import check
from remit.workflows.format.findings import Finding, WorkflowInvalid, in_order, sparingly
from remit.workflows.format.reading import WorkflowFile, read

__all__ = ["Loaded", "load"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The workflows of some paths and all findings about them, in order of place."""

    files: tuple[WorkflowFile, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep a workflow from running."""
        return tuple(each for each in self.findings if each.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that deserve a second look."""
        return tuple(each for each in self.findings if each.severity == "warning")

    def require(self) -> tuple[WorkflowFile, ...]:
        """The workflows; raises WorkflowInvalid with every finding where there is an error."""
        if self.errors:
            raise WorkflowInvalid(self.findings)
        return self.files


def load(paths: Iterable[Path | str], allow: Iterable[str] = (), processes: Mapping[str, str] | None = None) -> Loaded:
    """Read and check workflow files, directories and registries; nothing is imported.

    `allow` lists dotted packages beside the workflow's own directory that import paths may lead to; `processes` are the
    names and versions of processes written in Python that the same app hosts (None: not known, so their names are not errors).
    """
    with sparingly():
        files, findings = read(paths)
        findings += check(files, tuple(allow), processes)
    return Loaded(tuple(files), tuple(in_order(findings)))

"""A workflow file as TARGET: the workflow to run, and those beside it that it may call."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from remit.errors import DefinitionError
from remit.workflows.format.findings import Finding, WorkflowInvalid
from remit.workflows.format.reading import WorkflowFile
from remit.workflows.load import Loaded, load

__all__ = ["WorkflowTarget", "load_workflow_target"]


class WorkflowTarget(NamedTuple):
    """The workflow to start, as `name@version`, and the files to host."""

    reference: str
    paths: list[Path]


def load_workflow_target(where: Path, name: str, allow: Iterable[str]) -> WorkflowTarget:
    """Read the workflow files of the target's directory; those with errors are left out, where the target can do without.

    Raises DefinitionError where the target names no workflow or several, WorkflowInvalid where it cannot be loaded.
    """
    if not where.exists():
        raise DefinitionError(f"There is no {where}: name a workflow file, or a directory of them")
    asked = [where] if where.is_dir() else [where, where.parent]
    loaded, left_out = _sound(asked, where, tuple(allow))
    chosen = _chosen(where, name, loaded)
    for path, finding in left_out.items():
        print(f"{path} is not hosted: {finding}", file=sys.stderr)
    reference = f"{chosen.name}@{chosen.workflow.workflow_version}"
    return WorkflowTarget(reference, [each.path for each in loaded.files] if left_out else asked)


def _sound(asked: list[Path], where: Path, allow: tuple[str, ...]) -> tuple[Loaded, dict[Path, Finding]]:
    """What can be loaded together; a file that cannot is left out, and then perhaps those that need it."""
    loaded, left_out = load(asked, allow), dict[Path, Finding]()
    findings = loaded.findings
    while loaded.errors:
        bad = {Path(each.position.file).resolve(): each for each in reversed(loaded.errors)}
        kept = [each.path for each in loaded.files if each.path.resolve() not in bad]
        if where.is_dir() or where.resolve() in bad or not kept:
            told = (*findings, *loaded.findings)
            raise WorkflowInvalid(tuple(each for each in told if where.is_dir() or each.code != "no_workflow"))
        left_out |= bad
        loaded = load(kept, allow)
    return loaded, left_out


def _chosen(where: Path, name: str, loaded: Loaded) -> WorkflowFile:
    there = [each for each in loaded.files if where.is_dir() or each.path.resolve() == where.resolve()]
    if not there:  # a registry
        there = list(loaded.files)
    named = [each for each in there if name in ("", each.name)]
    if len(named) == 1:
        return named[0]
    listing = ", ".join(f"{where}:{each.name}" for each in there)
    if not named:
        raise DefinitionError(f"{where} holds no workflow {name!r}; there are {listing or 'none'}")
    raise DefinitionError(f"{where} holds several workflows: name one of {listing}")

"""Everything that can be known of workflows before they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from remit.workflows.findings import Finding
from remit.workflows.reading import WorkflowFile

__all__ = ["check"]


def check(files: Sequence[WorkflowFile], allow: tuple[str, ...], processes: Mapping[str, str] | None) -> list[Finding]:
    """The findings about workflows that are loaded together."""
    return []

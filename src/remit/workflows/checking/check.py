"""Everything that can be known of workflows before they run: all of it at once, and nothing of theirs is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from remit.workflows.checking.calling import Book, check_calls
from remit.workflows.checking.code import Modules
from remit.workflows.checking.details import check_details
from remit.workflows.checking.fitting import check_fit
from remit.workflows.checking.order import check_order
from remit.workflows.checking.views import View, view
from remit.workflows.format.findings import Finding
from remit.workflows.format.reading import WorkflowFile

__all__ = ["check"]


def check(files: Sequence[WorkflowFile], allow: tuple[str, ...], processes: Mapping[str, str] | None) -> list[Finding]:
    """The findings about workflows that are loaded together.

    `processes` are the names and versions of the processes written in Python that they may call; None where these are not
    known, as when files are checked by themselves.
    """
    modules = Modules()
    views: dict[str, list[View]] = {}
    for file in files:
        views.setdefault(file.name, []).append(view(file, allow, modules))
    book = Book(views, processes)
    seen = [each for same in views.values() for each in same]
    for each in seen:
        _check_twice(each, book)
        check_order(each)
        check_fit(each, book)
        check_details(each)
    check_calls(book)
    return [finding for each in seen for finding in each.findings]


def _check_twice(seen: View, book: Book) -> None:
    """A type in a version is one workflow."""
    version = seen.file.workflow.workflow_version
    first = next(each for each in book.views[seen.name] if each.file.workflow.workflow_version == version)
    if first is not seen:
        told = f"{seen.name} {version} is defined in {first.file.path} too: give one another `workflow_type` or `workflow_version`"
        seen.report("duplicate_workflow", told, ("workflow_type",))
    if book.processes and book.processes.get(seen.name) == version:
        told = f"{seen.name} {version} is hosted as another process: give one another name or version"
        seen.report("duplicate_workflow", told, ("workflow_type",))

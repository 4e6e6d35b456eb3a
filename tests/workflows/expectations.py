"""What the files in `files/bad` say of themselves: every finding about them, in their last lines.

    # expect 7:17 error unknown_step Approve

is line, column, severity and code of one finding, and the suggestion where it has one.
"""

from __future__ import annotations

from pathlib import Path

from remit.workflows.format.findings import Finding

__all__ = ["BAD", "FILES", "GOOD", "cases", "expected", "told"]

FILES = Path(__file__).parent / "files"
BAD = FILES / "bad"
GOOD = FILES / "good"
_MARK = "# expect "


def cases(directory: Path) -> list[Path]:
    """The files and directories that are each loaded by themselves."""
    return sorted(
        each for each in directory.iterdir() if each.suffix == ".yaml" or (each.is_dir() and any(each.glob("*.y*ml")))
    )


def expected(case: Path) -> list[str]:
    """The findings that the files of a case announce, as `file:line:column severity code suggestion`."""
    files = sorted(case.glob("*.y*ml")) if case.is_dir() else [case]
    return sorted(
        f"{file.name}:{line.removeprefix(_MARK)}"
        for file in files
        for line in file.read_text().splitlines()
        if line.startswith(_MARK)
    )


def told(finding: Finding) -> str:
    """A finding in the same form."""
    place = f"{Path(finding.position.file).name}:{finding.position.line}:{finding.position.column}"
    suggestion = f" {finding.suggestion}" if finding.suggestion is not None else ""
    return f"{place} {finding.severity} {finding.code}{suggestion}"

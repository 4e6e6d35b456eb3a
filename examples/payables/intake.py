"""The folder of invoices, taken in file by file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .desk import Desk
from .messages import Settlement
from .refusal import Refusal
from .safe_xml import MAX_BYTES

__all__ = ["Taken", "take_in"]


@dataclass(frozen=True, slots=True)
class Taken:
    """A file and its digest in the archive; or the refusal where it could not be taken in."""

    file: str
    digest: str | None
    refused: Settlement | None = None


def take_in(folder: Path, desk: Desk) -> list[Taken]:
    """Archive every XML file of the folder, in the order of names."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".xml" and path.is_file())
    taken: dict[str, Taken] = {}
    for path in paths:
        each = _take_in(path, desk)
        first = next((other for other in taken.values() if other.digest == each.digest), None)
        if first is not None and each.digest is not None:
            each = _refused(path, "same_file", f"it is {first.file}, byte for byte", "Nothing: one is enough")
        taken[path.name] = each
    return list(taken.values())


def _take_in(path: Path, desk: Desk) -> Taken:
    try:
        if path.stat().st_size > MAX_BYTES:
            return _refused(path, "too_large", f"the file is larger than {MAX_BYTES:,} bytes", "Split the invoice")
        content = path.read_bytes()
    except OSError as error:
        return _refused(path, "unreadable", f"the file cannot be read: {error.strerror}", "Make it readable")
    return Taken(path.name, desk.take_in(content))


def _refused(path: Path, code: str, problem: str, mend: str) -> Taken:
    return Taken(path.name, None, Settlement(status="refused", reason=Refusal(code, "/", problem, mend)))

"""What the payables' steps work with, given to Remit as `resources`: no execution's record holds a path."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from .files import write_atomically

__all__ = ["Desk"]


@dataclass(frozen=True, slots=True)
class Desk:
    """The buyer's book, the archive of what came in, the sanctions list and the mail server."""

    book: Path
    archive: Path
    sanctions: Path
    smtp_host: str
    smtp_port: int

    def take_in(self, content: bytes) -> str:
        """Archive a file under the SHA-256 of its content, and return that: the document's key."""
        digest = hashlib.sha256(content).hexdigest()
        place = self._place(digest)
        if not place.exists():
            write_atomically(place, content)
        return digest

    def content(self, digest: str) -> bytes:
        """The archived file of that digest."""
        return self._place(digest).read_bytes()

    def _place(self, digest: str) -> Path:
        return self.archive / f"{digest}.xml"

"""What the steps work on, given to Remit as `resources`: sources, builds, environments, the calendar of freezes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from remit import current

__all__ = ["Landscape", "the_landscape"]


@dataclass(frozen=True, slots=True)
class Landscape:
    """Services' sources, and a folder where everything else lies."""

    sources: Path
    folder: Path

    def build(self, service: str, digest: str) -> Path:
        """The archive of a build."""
        return self.folder / "builds" / f"{service}-{digest}.zip"

    def deployed(self, environment: str, service: str) -> Path:
        """Where a service's versions lie in an environment."""
        return self.folder / "environments" / environment / service

    def current(self, environment: str, service: str) -> str | None:
        """The version that an environment runs; None before the first."""
        pointer = self.deployed(environment, service) / "current"
        return pointer.read_text(encoding="utf-8") if pointer.exists() else None

    def is_frozen(self) -> bool:
        """Whether nothing may change in production now."""
        return (self.folder / "freeze").exists()

    def write(self, path: Path, content: bytes) -> None:
        """Write a file whole: nobody ever sees half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_bytes(content)
        draft.replace(path)


def the_landscape() -> Landscape:
    """The landscape that the running step belongs to."""
    return cast("Landscape", current().resources)

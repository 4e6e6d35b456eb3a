"""One drive of one body: the run, its door to the engine, its history and the order of what comes back (L9-L11)."""

from __future__ import annotations

__all__: list[str] = []

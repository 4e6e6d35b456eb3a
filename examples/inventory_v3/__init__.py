"""A shared child goes from version 2 to 3 and drops a field that three callers use."""

from __future__ import annotations

__all__: list[str] = []

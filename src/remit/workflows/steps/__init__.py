"""What each type of step does."""

from __future__ import annotations

__all__: list[str] = []

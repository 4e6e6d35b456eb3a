"""Orders: one workflow that calls those of four departments, and undoes what they did when it cannot be kept."""

from __future__ import annotations

__all__: list[str] = []

"""A version run beside the world, case by case, and held against the current one (L40)."""

from __future__ import annotations

__all__: list[str] = []

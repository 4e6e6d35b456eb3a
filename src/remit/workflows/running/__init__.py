"""From a parsed workflow to a process: compiled, driven step by step over one state."""

from __future__ import annotations

__all__: list[str] = []

"""Policies at work: what a call, a result or a tool is under, and what filters find in it (L43)."""

from __future__ import annotations

__all__: list[str] = []

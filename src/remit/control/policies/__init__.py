"""Policies as operators handle them: files read, applied, withdrawn, explained (L43)."""

from __future__ import annotations

__all__: list[str] = []
